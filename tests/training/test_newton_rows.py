"""Hinges with fewer rows than features: solved in the rows' span, proved on the features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from certificates import exact
from problems import LOSSES

import jaxlin
from jaxlin.certificates import duality_gap
from jaxlin.data.scaling import Scaling
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.sweeps import path
from jaxlin.training.newton_rows import newton_rows, takes_newton

# Rows that count, so that all problems share their programs within the span.
N, D, C = 30, 80, 3
L2 = 1e-4
RNG = np.random.default_rng(0)
Y = np.arange(45) % C
X = RNG.normal(size=(C, D))[Y] + 3.0 * RNG.normal(size=(45, D)) + 5.0


def fit(name: str, x: Any, labels: Any, **options: Any) -> jaxlin.Fit:
    return jaxlin.fit(
        x, labels, loss=LOSSES[name], **{"l2": L2, "tol": 1e-6, "dtype": np.float64, **options}
    )


def check_proved(found: jaxlin.Fit, tol: float = 1e-6) -> None:
    assert found.outcome.kind == "converged", found.outcome
    assert "Newton's method" in str(found.outcome)
    assert found.certificate is not None
    assert found.certificate.relative_gap <= tol


@pytest.mark.parametrize(("name", "bias"), [("weston_watkins", True), ("crammer_singer", False)])
def test_the_optimum_is_that_of_the_features(name: str, bias: bool) -> None:
    found = fit(name, X[:N], Y[:N], bias=bias)
    check_proved(found)
    best = exact.optimum(name, X[:N], Y[:N], L2, bias)
    np.testing.assert_allclose(found.params.W, best.W, rtol=0, atol=1e-5 * np.abs(best.W).max())
    assert found.certificate is not None
    assert found.certificate.primal == pytest.approx(best.value, rel=1e-6)
    assert (found.params.b is not None) == bias
    again = duality_gap(found.objective, found.params, X[:N], Y[:N])
    assert again.primal == pytest.approx(found.certificate.primal, rel=1e-12)


def test_more_numbers_than_newton_could_take_and_rows_that_do_not_count() -> None:
    """Rows of weight 0, copies of rows, features that are constant or of another size, scaled."""
    x = np.float32(RNG.normal(size=(45, 1200)) * np.geomspace(0.1, 10.0, 1200) + 1.0)
    x[:, 5], x[7] = 3.0, x[4]
    weight = np.where(np.arange(45) % 3 == 2, 0.0, np.resize([1.0, 2.0], 45))
    labels = np.zeros(45, int)
    labels[weight > 0.0] = np.arange(N) % C
    scaling = Scaling.standardize(x)
    told: list[tuple[Any, Any]] = []
    found = fit(
        "weston_watkins", x, labels, sample_weight=weight, scaling=scaling, tol=1e-3,
        dtype=np.float32, validation=(x[::2], labels[::2]),
        on_epoch=lambda report: told.append((report, report.params)),
    )  # fmt: skip
    check_proved(found, 1e-3)
    assert found.params.W.shape == (C, 1200)
    assert found.params.W.dtype == np.float32
    report, params = told[-1]
    assert params.W.shape == (C, 1200)
    seen = jaxlin.evaluate(
        params, x[::2], labels[::2], loss=LOSSES["weston_watkins"], scaling=scaling
    )
    assert report.validation_loss == pytest.approx(float(seen.objective), rel=1e-5)
    assert report.validation_accuracy == pytest.approx(float(seen.accuracy), abs=1e-6)
    value = found.objective(params, scaling(x), labels, weight)
    assert report.objective == pytest.approx(float(value), rel=1e-4)


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
        X, Y, loss=LOSSES["weston_watkins"], grid={"l2": [L2, 1e-2]}, folds=folds, tol=1e-6,
        dtype=np.float64,
    )  # fmt: skip
    assert counts == [N, N, N, 45]
    assert set(found.table["outcome"]) == {"converged"}
    alone = fit("weston_watkins", X[:N], Y[:N])
    right = np.mean(np.asarray(jaxlin.predict(alone.params, X[N:])) == Y[N:])
    assert found.fold_scores is not None
    assert found.fold_scores["accuracy"][0, 2] == pytest.approx(right, abs=1e-6)


def test_rows_that_are_all_the_same_and_fewer_than_classes() -> None:
    x, init = np.full((2, 9), 7.0), jaxlin.init_params(9, C, dtype=np.float64)
    found = fit("crammer_singer", x, [0, 1], init=init)
    assert found.certificate is not None
    assert not np.asarray(found.params.W).any()
    assert found.certificate.primal == pytest.approx(1.0, rel=1e-6)


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
