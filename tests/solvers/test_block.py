"""Epochs run in blocks of many; nothing that a user sees may depend on where a block ends."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin import losses, solvers

EPOCHS = 200
SOFTMAX = losses.softmax_cross_entropy
RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 3
X = RNG.normal(size=(40, 5)) + LABELS[:, None]
HELD_OUT = (RNG.normal(size=(20, 5)) + np.arange(20)[:, None] % 3, np.arange(20) % 3)
SOLVERS = {
    "full batch": solvers.GradientDescent(optax.adam(0.05), steps=EPOCHS),
    "minibatch": solvers.SGD(optax.adam(0.05), batch_size=16, epochs=EPOCHS),
}


def fit(solver: Any, **options: Any) -> jaxlin.Fit:
    return jaxlin.fit(X, LABELS, loss=SOFTMAX, l2=1e-3, solver=solver, **options)


def epoch_by_epoch(solver: Any, **options: Any) -> tuple[jaxlin.Fit, list[np.ndarray]]:
    """A callback that reads the parameters gets an epoch at a time."""
    seen: list[np.ndarray] = []
    return fit(solver, on_epoch=lambda r: seen.append(np.asarray(r.params.W)), **options), seen


@pytest.mark.parametrize("name", SOLVERS)
def test_blocks_give_what_single_epochs_give(name: str) -> None:
    alone, seen = epoch_by_epoch(SOLVERS[name])
    together = fit(SOLVERS[name])
    assert len(seen) == len(together.history) == EPOCHS
    np.testing.assert_array_equal(together.params.W, alone.params.W)
    np.testing.assert_array_equal(together.params.W, seen[-1])
    np.testing.assert_array_equal(together.history.objective, alone.history.objective)
    np.testing.assert_array_equal(together.history.accuracy, alone.history.accuracy)
    assert (np.diff(together.history.seconds) > 0).all()
    assert together.history.seconds[-1] <= together.seconds


@pytest.mark.parametrize("stop_at", [1, 2, 3, 50, 77, EPOCHS - 1, EPOCHS])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_callback_stops_at_its_epoch_wherever_the_block_ends(name: str, stop_at: int) -> None:
    _, seen = epoch_by_epoch(SOLVERS[name])
    stopped = fit(SOLVERS[name], on_epoch=lambda report: report.epoch == stop_at)
    assert len(stopped.history) == stop_at
    assert stopped.outcome.kind == "stopped_by_callback"
    np.testing.assert_array_equal(stopped.params.W, seen[stop_at - 1])


def test_parameters_read_late_or_in_float64_are_those_of_their_epoch() -> None:
    reports: list[jaxlin.EpochReport] = []
    found = fit(SOLVERS["minibatch"], on_epoch=reports.append, dtype=np.float64)
    _, seen = epoch_by_epoch(SOLVERS["minibatch"], dtype=np.float64)
    for epoch in (1, 2, 60, EPOCHS):
        params = reports[epoch - 1].params
        assert params.W.dtype == jnp.float64
        np.testing.assert_array_equal(params.W, seen[epoch - 1])
    np.testing.assert_array_equal(reports[-1].params.W, found.params.W)
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


def test_divergence_inside_a_block_keeps_the_last_good_epoch() -> None:
    schedule = lambda step: jnp.where(step < 100, 0.1, jnp.inf)  # noqa: E731
    solver = solvers.GradientDescent(optax.sgd(schedule), steps=EPOCHS)
    heard: list[int] = []
    with pytest.raises(jaxlin.DivergedError, match="diverged in epoch 101") as caught:
        fit(solver, on_epoch=lambda report: heard.append(report.epoch))
    assert heard == list(range(1, 101))
    good = fit(solvers.GradientDescent(optax.sgd(0.1), steps=100))
    np.testing.assert_allclose(caught.value.params.W, good.params.W, rtol=1e-5)
    assert len(caught.value.history) == 100


def test_patience_and_a_tolerance_end_a_fit_inside_a_block() -> None:
    solver = solvers.SGD(optax.adam(0.3), batch_size=16, epochs=EPOCHS)
    alone, seen = epoch_by_epoch(solver, validation=HELD_OUT, patience=5)
    together = fit(solver, validation=HELD_OUT, patience=5)
    assert alone.outcome == together.outcome
    assert together.outcome.kind == "stopped_early"
    assert together.history.validation_loss is not None
    best = int(np.argmin(together.history.validation_loss))
    assert len(together.history) == best + 1 + 5
    np.testing.assert_array_equal(together.params.W, seen[best])

    solver = solvers.GradientDescent(optax.sgd(0.5), steps=20 * EPOCHS)
    flat = fit(solver, tol=1e-3)
    assert flat.outcome.kind == "converged"
    slopes = []
    for steps in (len(flat.history) - 1, len(flat.history)):
        stopped = fit(solver, on_epoch=lambda report, steps=steps: report.epoch == steps)
        objective = jaxlin.Objective(SOFTMAX, 1e-3)
        x = X.astype(np.float32)
        here = objective.gradient_by_hand(stopped.params, x, LABELS)
        zero = objective.gradient_by_hand(jaxlin.init_params(5, 3), x, LABELS)
        slopes.append(max_abs(here) / max_abs(zero))
    rounding = 1e-4  # of a gradient of terms a thousand times as large, in float32
    assert slopes[1] <= 1e-3 * (1 + rounding)
    assert slopes[0] > 1e-3 * (1 - rounding)


def max_abs(params: jaxlin.LinearParams) -> float:
    return max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(params))
