"""Fits to the certified optimum: the proof holds on any data; where it falls short they say why."""

from __future__ import annotations

import itertools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import LOSSES

import jaxlin
from jaxlin import losses, solvers
from jaxlin.certificates import duality_gap
from jaxlin.data.scaling import Scaling

N, D, C = 240, 9, 4
RNG = np.random.default_rng(0)
Y = RNG.integers(0, C, N)
X = RNG.normal(size=(C, D))[Y] + 1.5 * RNG.normal(size=(N, D))
TOL = 1e-5


def fit(name: str, x: Any = X, labels: Any = Y, **options: Any) -> jaxlin.Fit:
    return jaxlin.fit(
        x, labels, loss=LOSSES[name],
        **{"l2": 1e-2, "solver": solvers.LBFGS(), "tol": TOL, "dtype": np.float64, **options},
    )  # fmt: skip


def gap_of(found: jaxlin.Fit) -> float:
    assert found.certificate is not None
    return found.certificate.relative_gap


@pytest.mark.parametrize(
    ("name", "bias"), [*((name, True) for name in LOSSES), ("weston_watkins", False)]
)
def test_the_certificate_is_true_and_the_interior_point_agrees(name: str, bias: bool) -> None:
    found = fit(name, bias=bias)
    assert found.outcome.kind == "converged"
    assert gap_of(found) <= TOL
    best = fit(name, bias=bias, solver=solvers.Newton(), tol=None)
    with jax.enable_x64(True):
        value = float(found.objective(found.params, X, Y))
        optimum = float(best.objective(best.params, X, Y))
    assert found.certificate is not None
    assert found.certificate.primal == pytest.approx(value, rel=1e-12)
    assert found.certificate.dual <= optimum * (1 + 1e-12)
    assert value <= optimum * (1 + TOL) + 1e-12
    # Anyone can prove something from the parameters alone; of a smooth loss, the same.
    again = duality_gap(found.objective, found.params, X, Y)
    assert again.dual <= optimum * (1 + 1e-12)
    if name in ("softmax", "squared_weston_watkins"):
        assert again.relative_gap <= 2 * TOL


@pytest.mark.parametrize("name", ["softmax", "crammer_singer"])
def test_in_float32_the_parameters_are_rounded_and_still_proved(name: str) -> None:
    found = fit(name, dtype=None, l2=1e-3)
    assert found.params.W.dtype == np.float32
    assert gap_of(found) <= TOL


@pytest.mark.parametrize("name", ["softmax", "weston_watkins"])
def test_weights_are_copies_and_rows_of_weight_zero_are_not_there(name: str) -> None:
    weight = RNG.integers(0, 3, N)
    strange = np.where((weight == 0)[:, None], 1e30, X)
    weighted = fit(name, strange, sample_weight=weight)
    copies = fit(name, np.repeat(X, weight, axis=0), np.repeat(Y, weight))
    assert gap_of(weighted) <= TOL
    assert weighted.certificate is not None
    assert copies.certificate is not None
    assert weighted.certificate.primal == pytest.approx(copies.certificate.primal, rel=2 * TOL)


def test_bytes_are_scaled_a_block_at_a_time() -> None:
    bytes_ = np.clip(40 * X + 128, 0, 255).astype(np.uint8)
    scaling = Scaling.standardize(bytes_)
    found = fit("softmax", bytes_, scaling=scaling, dtype=None)
    assert gap_of(found) <= TOL
    wide = np.asarray(scaling(bytes_.astype(np.float64)))
    again = duality_gap(found.objective, found.params, wide, Y)
    assert again.relative_gap <= 2 * TOL


def test_fewer_rows_than_features_constant_ones_and_a_class_without_rows() -> None:
    x = np.concatenate([RNG.normal(size=(N, 300)), np.ones((N, 1)), np.zeros((N, 1))], axis=1)
    labels = np.where(Y == 2, 1, Y)
    found = fit("softmax", x, labels, init=jaxlin.init_params(302, C), tol=1e-3)
    assert gap_of(found) <= 1e-3
    assert np.isfinite(np.asarray(found.params.W)).all()


def test_a_start_at_the_optimum_takes_hardly_a_pass() -> None:
    first = fit("softmax")
    again = fit("softmax", init=first.params)
    assert gap_of(again) <= TOL
    assert len(again.history) == 1


@pytest.mark.parametrize(("name", "l2", "far"), [
    ("weston_watkins", 400.0, 0.0), ("weston_watkins", 1e-2, 1e3), ("softmax", 1e-2, 1e4),
])  # fmt: skip
def test_where_nothing_bends_the_bias_is_held_all_the_same(
    name: str, l2: float, far: float
) -> None:
    init = jaxlin.LinearParams(jnp.asarray(far * RNG.normal(size=(C, D))), jnp.zeros(C))
    assert gap_of(fit(name, l2=l2, init=init, tol=1e-3)) <= 1e-3


def test_small_hinges_with_rows_that_hardly_count_and_without_anything_to_learn() -> None:
    weight = RNG.integers(0, 2, N)
    options: dict[str, Any] = {"solver": None, "tol": 1e-3}
    masked = fit("weston_watkins", l2=1e-4, sample_weight=weight, **options)
    kept = fit("weston_watkins", X[weight > 0], Y[weight > 0], l2=1e-4, **options)
    assert gap_of(masked) <= 1e-3
    assert masked.certificate is not None
    assert kept.certificate is not None
    assert masked.certificate.primal == pytest.approx(kept.certificate.primal, rel=2e-3)
    noise = RNG.normal(size=(N, D))
    assert gap_of(fit("crammer_singer", noise, l2=1e-2, **options)) <= 1e-3


def test_a_bound_of_an_optimum_of_zero_is_not_above_it() -> None:
    found = fit("softmax", X, np.ones(N, int), l2=1e-7, init=jaxlin.init_params(D, C))
    assert found.certificate is not None
    assert found.certificate.dual <= found.certificate.primal
    assert found.certificate.dual <= 1e-14
    assert (np.asarray(jaxlin.predict(found.params, X)) == 1).all()


def test_the_callback_hears_of_passes_and_stops_them() -> None:
    reports: list[jaxlin.solvers.EpochReport] = []

    def hear(report: jaxlin.solvers.EpochReport) -> bool:
        reports.append(report)
        return report.validation_accuracy is not None

    found = fit("softmax", l2=1e-6, on_epoch=hear, validation=(X[:50], Y[:50]))
    assert found.outcome.kind == "stopped_by_callback"
    assert (len(reports), reports[0].epochs) == (1, 600)
    assert reports[0].params.W.shape == (C, D)
    assert found.history.validation_loss is not None
    assert gap_of(found) > TOL


def test_a_fit_that_runs_out_of_passes_says_what_is_proved_and_what_to_do() -> None:
    found = fit("softmax", l2=1e-5, solver=solvers.LBFGS(passes=2))
    assert found.outcome.kind == "out_of_steps"
    assert "Allow more than 2 passes" in found.outcome
    assert gap_of(found) > TOL


@pytest.mark.parametrize("solver", [None, solvers.LBFGS()])
def test_what_float32_leaves_open_is_named_and_float64_closes_it(solver: Any) -> None:
    options: dict[str, Any] = {"solver": solver, "l2": 1e-4, "tol": 1e-10}
    short = fit("softmax", dtype=None, **options)
    assert short.outcome.kind == "out_of_steps"
    found = re.search(r"float32.* parameters .*gap of about ([-+.e0-9]*[0-9])", short.outcome)
    assert found is not None
    assert 0.01 * gap_of(short) < float(found[1]) < 100.0 * gap_of(short)
    assert "float64" in short.outcome
    assert fit("softmax", **options).outcome.kind == "converged"


def test_badly_scaled_features_and_separable_classes_are_named() -> None:
    x = X * np.where(np.arange(D) == 0, 1e5, 1.0)
    badly = fit("softmax", x, solver=solvers.LBFGS(passes=2), l2=1e-8)
    assert "badly scaled" in badly.outcome
    far = 50.0 * np.eye(C)[Y]
    separable = fit("weston_watkins", far, solver=solvers.LBFGS(passes=12), l2=1e-9)
    assert separable.outcome.kind == "out_of_steps"
    assert "separable" in separable.outcome


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no l2": ({"l2": 0.0}, "l2 is 0"),
    "a penalty": ({"penalty": lambda W: (W**2).sum()}, "penalty of your own"),
    "a loss": ({"loss": lambda s, y: s.sum(-1)}, "the convex conjugate of the loss is not known"),
    "patience": ({"patience": 3, "validation": (X, Y)}, "patience stops a fit before its optimum"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_certified_is_refused(name: str) -> None:
    changed, message = REFUSED[name]
    options = {"loss": losses.softmax_cross_entropy, "l2": 0.1, "solver": solvers.LBFGS()}
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.fit(X, Y, **(options | changed))


def test_features_whose_squares_overflow_are_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="cannot hold its squares"):
        fit("softmax", X * 1e30, dtype=None)


@pytest.mark.parametrize(("name", "tol"), [("weston_watkins", 1e-8), ("crammer_singer", 1e-6)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_hinge_is_proved_to_the_last_digits(name: str, tol: float, bias: bool) -> None:
    # Around its own slopes: with widths that shrink to the end, 600 passes do not lead there. So
    # many rows are certified in several blocks, the last of which is moved back.
    rng = np.random.default_rng(1)
    labels = rng.integers(0, C, 1100)
    x = rng.normal(size=(C, D))[labels] + 1.5 * rng.normal(size=(1100, D))
    found = fit(name, x, labels, bias=bias, tol=tol, l2=1e-3)
    assert found.outcome.kind == "converged"
    assert found.certificate is not None
    assert "own" in found.certificate.how
    best = fit(name, x, labels, bias=bias, l2=1e-3, solver=solvers.Newton(), tol=None)
    assert best.certificate is not None
    assert found.certificate.dual <= best.certificate.primal
    assert best.certificate.dual <= found.certificate.primal


def test_a_fit_that_runs_out_of_passes_keeps_the_best_bound_that_it_knew() -> None:
    # Between two roundings the slopes at hand are not those of an optimum; the last ones were.
    bounds = []
    for passes in range(60, 180, 12):
        found = fit("weston_watkins", l2=1e-3, tol=1e-10, solver=solvers.LBFGS(passes=passes))
        assert found.certificate is not None
        bounds.append(found.certificate.relative_gap)
    assert all(after < 3.0 * before for before, after in itertools.pairwise(bounds))
    assert bounds[-1] < 1e-2 * bounds[0]
