"""Hinges with fewer rows than features: solved in the rows' span, proved on the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from certificates import exact
from problems import LOSSES

import jaxlin
from jaxlin.data.scaling import Scaling
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.sweeps import path
from jaxlin.training.newton_rows import newton_rows, takes_newton

# Rows that count, so that all problems share their programs within the span.
N, D, C = 30, 1200, 3
L2 = 1e-4
RNG = np.random.default_rng(0)
Y = np.arange(45) % C
WEIGHT = np.where(np.arange(45) // 3 % 3 == 2, 0.0, np.resize([1.0, 2.0], 45))
X = RNG.normal(size=(C, D))[Y] + 3.0 * RNG.normal(size=(45, D)) + 5.0


def fit(name: str, x: Any, labels: Any, **options: Any) -> jaxlin.Fit:
    return jaxlin.fit(
        x, labels, loss=LOSSES[name], **{"l2": L2, "tol": 1e-3, "dtype": np.float64, **options}
    )


def check_proved(found: jaxlin.Fit) -> None:
    assert found.outcome.kind == "converged", found.outcome
    assert "Newton's method" in str(found.outcome)
    assert found.certificate is not None
    assert found.certificate.relative_gap <= 1e-3


@pytest.mark.parametrize(("name", "bias"), [("weston_watkins", True), ("crammer_singer", False)])
def test_the_optimum_is_that_of_the_features(name: str, bias: bool) -> None:
    """More numbers than the method could take; rows of weight 0, twice, and constant features."""
    x = X.copy()
    x[:, 5], x[7] = 3.0, x[4]
    found = fit(name, x, Y, bias=bias, sample_weight=WEIGHT)
    check_proved(found)
    best = exact.optimum(name, x, Y, L2, bias, WEIGHT)
    np.testing.assert_allclose(found.params.W, best.W, rtol=0, atol=1e-5 * np.abs(best.W).max())
    assert found.certificate is not None
    assert found.certificate.primal == pytest.approx(best.value, rel=1e-6)
    assert (found.params.b is not None) == bias


def test_scaled_and_rounded_it_is_proved_and_the_callback_sees_the_features() -> None:
    x = (X * np.geomspace(0.1, 10.0, D)).astype(np.float32)
    scaling = Scaling.standardize(x)
    told: list[tuple[float, Any]] = []
    found = fit(
        "weston_watkins", x, Y, sample_weight=WEIGHT, scaling=scaling, l2=1e-5,
        dtype=np.float32, on_epoch=lambda report: told.append((report.objective, report.params)),
    )  # fmt: skip
    check_proved(found)
    assert found.params.W.dtype == np.float32
    value, params = told[-1]
    assert params.W.shape == (C, D)
    seen = (np.float64(x) - np.asarray(scaling.shift)) * np.asarray(scaling.scale)
    W, b = np.asarray(params.W), np.asarray(params.b)
    own = exact.objective("weston_watkins", W, b, seen, Y, 1e-5, WEIGHT)
    assert value == pytest.approx(own, rel=1e-6)


def test_paths_bring_the_rows_of_a_mask_into_their_span_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []

    def counted(examples: Examples, *others: Any) -> Any:
        rows = newton_rows(examples, *others)
        counts.append(len(rows.examples.labels))
        return rows

    monkeypatch.setattr(path, "newton_rows", counted)
    folds = np.arange(45) // 15
    found = jaxlin.sweep(
        X, Y, loss=LOSSES["weston_watkins"], grid={"l2": [L2, 1e-2]}, folds=folds, tol=1e-3,
        dtype=np.float64,
    )  # fmt: skip
    assert counts == [N, N, N, 45]
    assert set(found.table["outcome"]) == {"converged"}
    alone = fit("weston_watkins", X[:N], Y[:N])
    right = np.mean(np.asarray(jaxlin.predict(alone.params, X[N:])) == Y[N:])
    assert found.fold_scores is not None
    assert found.fold_scores["accuracy"][0, 2] == pytest.approx(right, abs=1e-6)


def test_other_rows_and_rows_that_are_all_the_same() -> None:
    with float64_scope(True):
        examples = Examples(X, Y, WEIGHT / WEIGHT.sum())  # pyright: ignore[reportArgumentType]
        rows = newton_rows(examples, None, True)
        within = jaxlin.LinearParams(RNG.normal(size=(C, N - 1)), np.zeros(C))  # pyright: ignore[reportArgumentType]
        others = rows.others(examples._replace(x=X[:7] + 1.0))  # pyright: ignore[reportArgumentType]
        assert others is not None
        params = rows.back(within)
        expected = (X[:7] + 1.0) @ np.asarray(params.W).T + np.asarray(params.b)
        np.testing.assert_allclose(others.x @ within.W.T, expected, atol=1e-9)
        for x in (np.full((2, 9), 7.0), np.full((1, 9), 7.0)):
            share = np.full(len(x), 1.0 / len(x))
            same = newton_rows(Examples(x, Y[: len(x)], share), None, True)  # pyright: ignore[reportArgumentType]
            assert not np.asarray(same.examples.x).any()
            assert same.zero(params).W.shape == (1, C, 1)
            assert same.back(same.zero(params)).W.shape == (1, C, 9)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "takes"),
    [
        ("weston_watkins", (300, 5000), 5, True),
        ("crammer_singer", (300, 5000), 10, True),  # 300 numbers a class, with the bias's
        ("weston_watkins", (301, 5000), 10, False),
        ("weston_watkins", (240, 5_000_000), 2, False),  # too many to bring them into their span
        ("softmax", (300, 5000), 5, False),
        ("weston_watkins", (2000, 300), 9, True),
        ("weston_watkins", (2000, 300), 10, False),
        ("weston_watkins", (60_000, 300), 9, False),
    ],
)
def test_what_newton_takes(name: str, shape: tuple[int, int], classes: int, takes: bool) -> None:
    params = jaxlin.LinearParams(np.broadcast_to(0.0, (classes, shape[1])), np.zeros(classes))  # pyright: ignore[reportArgumentType]
    assert takes_newton(LOSSES[name], shape[0], params) == takes


def test_weights_of_0_leave_rows_out_of_the_span_and_small_ones_keep_newton_away() -> None:
    params = jaxlin.init_params(5000, 5)
    assert not takes_newton(LOSSES["weston_watkins"], 700, params, np.ones(700))
    weight = np.repeat([0.0, 1.0], [400, 300])
    assert takes_newton(LOSSES["weston_watkins"], 700, params, weight)
    weight[-1] = 0.01
    assert not takes_newton(LOSSES["weston_watkins"], 700, params, weight)
    with float64_scope(True):
        examples = Examples(np.ones((3, 1)), np.array([0, 1, 1]), np.array([0.5, 0.0, 0.5]))  # pyright: ignore[reportArgumentType]
        assert newton_rows(examples, None, False).span is None
