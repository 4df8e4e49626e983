"""Sweeps over l2 to the certified optimum: every setting is the fit alone."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from certificates.exact import objective
from problems import LOSSES

import jaxlin
from jaxlin import losses, solvers
from jaxlin.sweeps import path

N, D, C = 240, 9, 4
RNG = np.random.default_rng(0)
Y = RNG.integers(0, C, N)
X = RNG.normal(size=(C, D))[Y] + 1.5 * RNG.normal(size=(N, D))
L2 = [1e-3, 1.0, 1e-1, 1e-2]
TOL = 1e-5


@pytest.mark.parametrize(
    ("name", "solver"),
    [("softmax", None), ("weston_watkins", None), ("weston_watkins", solvers.LBFGS())],
)
def test_each_setting_is_proved_and_is_the_fit_alone(name: str, solver: Any) -> None:
    options: dict[str, Any] = {"loss": LOSSES[name], "tol": TOL, "dtype": np.float64}
    found = jaxlin.sweep(X, Y, grid={"l2": L2}, solver=solver, **options)
    assert found.table["l2"].tolist() == L2
    assert (found.table["relative_gap"] <= TOL).all()
    assert set(found.table["outcome"]) == {"converged"}
    alone = jaxlin.fit(X, Y, l2=L2[2], solver=solver, **options)
    assert alone.certificate is not None
    assert found.fit(2).certificate is not None
    assert found.table["objective"][2] == pytest.approx(alone.certificate.primal, rel=2 * TOL)


@pytest.mark.parametrize("name", ["softmax", "weston_watkins"])
@pytest.mark.parametrize("labels", [Y, X[:, :C].argmax(axis=1)], ids=["overlapping", "separable"])
def test_down_to_no_strength_at_all_each_has_a_certificate_or_a_reason(
    labels: np.ndarray, name: str
) -> None:
    strengths = np.geomspace(10.0, 1e-11, 12)
    found = jaxlin.sweep(
        X, labels, loss=LOSSES[name], grid={"l2": strengths}, tol=TOL,
        dtype=np.float64,
    )  # fmt: skip
    fits = [found.fit(k) for k in range(len(strengths))]
    for fit, gap in zip(fits, found.table["relative_gap"], strict=True):
        proof = fit.certificate
        assert proof is not None
        assert proof.relative_gap == gap
        if fit.outcome.kind == "converged":
            assert gap <= TOL
        else:  # with its numbers, and what to do
            assert fit.outcome.kind == "out_of_steps"
            assert re.search(r"gap is [0-9].*\(tol 1e-05\)\. .*[0-9].*l2", fit.outcome)
        # None of the others is below the bound at this strength.
        others = [objective(name, o.params.W, o.params.b, X, labels, proof.l2) for o in fits]
        assert proof.dual <= min(others)
    assert sum(fit.outcome.kind == "converged" for fit in fits) >= 6


def test_folds_are_weights_and_are_scored_on_the_rows_left_out() -> None:
    folds = np.arange(N) % 3
    found = jaxlin.sweep(
        X, Y, loss=losses.softmax_cross_entropy, grid={"l2": L2}, folds=folds, tol=TOL
    )
    left = folds == 1
    alone = jaxlin.fit(
        X, Y, loss=losses.softmax_cross_entropy, l2=L2[3], sample_weight=~left, tol=TOL
    )
    right = np.mean(np.asarray(jaxlin.predict(alone.params, X[left])) == Y[left])
    assert found.fold_scores is not None
    assert found.fold_scores["accuracy"][3, 1] == pytest.approx(right, abs=1.5 / left.sum())
    assert found.best is not None


def test_a_loss_in_the_grid_makes_a_path_of_its_own_and_the_callback_stops_all() -> None:
    grid = {"loss": [LOSSES["softmax"], LOSSES["squared_weston_watkins"]], "l2": L2[:2]}
    whole = jaxlin.sweep(X, Y, grid=grid, validation=(X[:60], Y[:60]))
    assert (whole.table["relative_gap"] <= 1e-3).all()
    assert whole.best is not None
    cut = jaxlin.sweep(X, Y, grid=grid, on_epoch=lambda report: report.group == 2)
    assert list(cut.table["outcome"]).count("not_run") == 2


def test_what_lbfgs_does_not_take_is_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="grid has 'learning_rate'"):
        jaxlin.sweep(
            X, Y, loss=LOSSES["softmax"], grid={"l2": [0.1], "learning_rate": [0.1]},
            solver=solvers.LBFGS(),
        )  # fmt: skip
    with pytest.raises(jaxlin.InputError, match="l2 is 0"):
        jaxlin.sweep(X, Y, loss=LOSSES["softmax"], grid={"l2": [0.1, 0.0]}, solver=solvers.LBFGS())


@dataclasses.dataclass(frozen=True)
class _OnePass(solvers.LBFGS):
    passes: int = 1


def test_where_nothing_can_be_proved_sgd_trains_and_the_others_are_proved_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(path, "LBFGS", _OnePass)  # small problems take more products than that
    loss = losses.softmax_cross_entropy
    told: list[jaxlin.SweepReport] = []
    found = jaxlin.sweep(
        X, Y, loss=loss, grid={"l2": [0.0, L2[0], L2[1]]}, tol=TOL,
        on_epoch=told.append,
    )  # fmt: skip
    groups = [(one.group, one.groups) for one in told]
    assert sorted(groups) == groups  # the groups are counted once, whoever trains them
    assert {*groups} == {(1, 3), (2, 3), (3, 3)}
    assert all(one.epoch <= one.epochs for one in told)
    assert np.isnan(found.table["relative_gap"][0])
    assert found.fit(0).certificate is None
    alone = jaxlin.fit(X, Y, loss=loss, tol=TOL)
    assert found.table["objective"][0] == pytest.approx(alone.history.objective[-1], rel=0.1)
    assert (found.table["relative_gap"][1:] <= TOL).all()
    only = jaxlin.sweep(X, Y, loss=loss, grid={"l2": L2[:2]}, tol=TOL)
    np.testing.assert_allclose(found.table["objective"][1:], only.table["objective"], rtol=2 * TOL)
