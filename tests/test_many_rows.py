"""Every jitted entry point with 70,001 rows, against NumPy in float64.

Above 32,768 rows a release of jaxlib may compile a product and a reduction wrongly (jax issue
39103). In whole numbers and quarters the scores are exact, ties among them.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest
from objective_programs import AUTODIFF, BY_HAND, VALUE, Data, assert_params_close
from problems import LOSSES

import jaxlin
from jaxlin import Objective, metrics

ROWS, FEATURES, CLASSES = 70_001, 7, 3


@pytest.fixture(scope="module")
def tall() -> Data:
    rng = np.random.default_rng(11)
    W, b = rng.integers(-4, 5, (CLASSES, FEATURES)) / 4, rng.integers(-4, 5, CLASSES) / 4
    x = rng.integers(-4, 5, (ROWS, FEATURES)).astype(np.float64)
    return Data(W, b, x, rng.integers(0, CLASSES, ROWS), rng.integers(1, 4, ROWS).astype(float))


def numpy_losses_and_gradients(name: str, d: Data) -> tuple[np.ndarray, np.ndarray]:
    """Per-example values (N,) and score gradients (N, C) of all rows at once."""
    s, rows = d.x @ d.W.T + d.b, np.arange(len(d.x))
    if name == "softmax":
        e = np.exp(s - s.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        return -np.log(p[rows, d.labels]), p - np.eye(s.shape[1])[d.labels]
    margins = s - s[rows, d.labels][:, None] + 1.0
    margins[rows, d.labels] = 0.0
    violations = np.maximum(0.0, margins)
    if name == "crammer_singer":
        margins[rows, d.labels] = -np.inf
        is_worst = np.eye(s.shape[1])[margins.argmax(axis=1)]
        violations = violations * is_worst
    if name == "squared_weston_watkins":
        values, slopes = (violations**2).sum(axis=1), 2.0 * violations
    else:
        values, slopes = violations.sum(axis=1), (violations > 0.0).astype(np.float64)
    slopes[rows, d.labels] = -slopes.sum(axis=1)
    return values, slopes


@pytest.mark.parametrize("name", LOSSES)
def test_with_70001_rows_value_and_gradients_are_numpys(name: str, tall: Data) -> None:
    params, x = tall.params("float32"), tall.x.astype(np.float32)
    labels = tall.labels.astype(np.int32)
    assert tall.weight is not None
    values, slopes = numpy_losses_and_gradients(name, tall)
    objective = Objective(LOSSES[name], 0.125)
    for weight in (None, tall.weight.astype(np.float32)):
        share = np.ones(ROWS) if weight is None else tall.weight
        share = share / share.sum()
        expected = (values * share).sum() + 0.125 * (tall.W**2).sum()
        found = VALUE(objective, params, x, labels, weight)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
        dS = slopes * share[:, None]
        for f in (BY_HAND, AUTODIFF):
            assert_params_close(
                f(objective, params, x, labels, weight),
                dS.T @ tall.x + 0.25 * tall.W,
                dS.sum(axis=0),
                2e-5,
                True,
            )


def test_with_70001_rows_scores_predictions_and_accuracy_are_numpys(tall: Data) -> None:
    params, x = tall.params("float32"), tall.x.astype(np.float32)
    s = tall.x @ tall.W.T + tall.b
    top_two = np.sort(s, axis=1)[:, -2:]
    assert (top_two[:, 0] == top_two[:, 1]).sum() > 100
    found = jax.jit(jaxlin.scores)(params, x)
    assert np.array_equal(found, s)
    predictions = jax.jit(jaxlin.predict)(params, x)
    assert np.array_equal(predictions, s.argmax(axis=1))
    right = s.argmax(axis=1) == tall.labels
    accuracy = jax.jit(metrics.accuracy)
    np.testing.assert_allclose(accuracy(found, tall.labels), right.mean(), rtol=1e-5)
    np.testing.assert_allclose(
        accuracy(found, tall.labels, tall.weight), np.average(right, weights=tall.weight), rtol=1e-5
    )
