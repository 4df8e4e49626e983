"""The one loop of the first-order solvers.

It trains M models at once; a fit is a grid of one. Everything that belongs to a model (its numbers,
its l2, its state) has a leading axis M, and a step is written for one model and `vmap`ped: JAX
turns M products with C columns over the same rows into one product with M * C columns, and an
optimiser's global norm stays its own model's. The rows, and their order, are shared.

The compiled unit is an epoch. Between epochs the host sees a few numbers a model; the order of the
next epoch is drawn while the device is busy with this one. Arrays are arguments of the compiled
program, never part of it.

The loop owns the count of epochs, the test for divergence, the history, early stopping and the
stopping rule. A model that has diverged or stopped is frozen where it was, inside the program, and
the others go on.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.data.order import epoch_batches, epoch_order
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.solvers.base import Evaluation, Examples, Problem, Solver

# Makes a solver of one model's numbers. Static: a module-level function does not retrace.
MakeSolver = Callable[[Any], Solver]

# An epoch's mean objective so many times its value at the start, or at scores of zero, is
# divergence even where every number is still finite: a hinge at a step size of 1e10, say.
DIVERGENCE_FACTOR = 1e6


class Grid(NamedTuple):
    """M models to train. Every leaf has a leading axis M.

    Attributes:
      numbers: what `make_solver` makes a solver of.
      objective: `Objective` with l2 (M,).
      params: where each starts.
    """

    numbers: Any
    objective: Objective
    params: LinearParams


class EpochResult(NamedTuple):
    """What one epoch of all models gives, each (M,)."""

    state: Any
    seen: Evaluation
    first: jax.Array
    is_good: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class LoopRow:
    """An epoch's record: arrays (M,), and None where there is no validation data."""

    objective: np.ndarray
    accuracy: np.ndarray
    validation: Evaluation | None
    seconds: float


@dataclasses.dataclass(frozen=True, eq=False)
class LoopResult:
    """How the loop left M models.

    Attributes:
      params: leading axis M; with `patience`, of each model's best epoch.
      rows: a record of each epoch.
      epochs: how many epochs of the record are each model's own (M,).
      diverged: (M,) bool.
      stopped_early: (M,) bool.
      converged: (M,) bool.
      stopped_by_callback: whether `on_epoch` asked for the end.
      best_epoch: from 1, (M,); 0 without `patience`.
      slope: largest |gradient| over its value at zero parameters (M,), where `tol` was given.
    """

    params: LinearParams
    rows: list[LoopRow]
    epochs: np.ndarray
    diverged: np.ndarray
    stopped_early: np.ndarray
    converged: np.ndarray
    stopped_by_callback: bool
    best_epoch: np.ndarray
    slope: np.ndarray | None


@functools.partial(jax.jit, static_argnames="make_solver")
def init_states(make_solver: MakeSolver, grid: Grid, key: jax.Array) -> Any:
    """Every model's first state."""
    return jax.vmap(lambda numbers, params: make_solver(numbers).init(params, key))(
        grid.numbers, grid.params
    )


@jax.jit
def reference_values(grid: Grid, examples: Examples) -> jax.Array:
    """The size of each model's objective where all scores are zero (M,)."""
    num_classes, dtype = grid.params.num_classes, grid.params.W.dtype
    share = jnp.zeros(num_classes, dtype).at[examples.labels].add(examples.weight)

    def one_model(objective: Objective) -> jax.Array:
        zero = jnp.zeros((num_classes, num_classes), dtype)
        losses = objective.loss(zero, jnp.arange(num_classes, dtype=jnp.int32))
        return jnp.abs(jnp.sum(losses * share))

    return jax.vmap(one_model)(grid.objective)


@functools.partial(jax.jit, static_argnames="make_solver")
def run_epoch(
    make_solver: MakeSolver,
    grid: Grid,
    state: Any,
    active: jax.Array,
    reference: jax.Array,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array | None,
) -> EpochResult:
    """One epoch of every model.

    Args:
      make_solver: static.
      grid: numbers and objectives; its params are not used.
      state: of every model.
      active: (M,) bool; the others stay as they are.
      reference: the size of objective that divergence is measured by (M,).
      examples: all rows, shared.
      scaling: applied to each batch, or None.
      batches: row numbers (number of batches, B); None where a step sees all rows.
    """

    def one_model(
        numbers: Any, objective: Objective, old: Any, is_active: jax.Array, limit: jax.Array
    ) -> EpochResult:
        solver = make_solver(numbers)
        if batches is None:
            new, seen = solver.step(Problem(objective, examples, scaling), old)
            first = seen.objective
        else:
            new, (parts, firsts) = _minibatch_steps(
                solver, objective, old, examples, scaling, batches
            )
            seen, first = jax.tree.map(jnp.sum, parts), firsts[0]
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(new.params)]
        size = limit * jnp.asarray(DIVERGENCE_FACTOR, limit.dtype)
        is_good = functools.reduce(jnp.logical_and, finite) & jnp.isfinite(seen.objective)
        is_good &= (limit == 0.0) | (jnp.abs(seen.objective) <= size)
        keep = is_active & is_good
        state = jax.tree.map(lambda n, o: jnp.where(keep, n, o), new, old)
        return EpochResult(state, seen, first, is_good)

    return jax.vmap(one_model)(grid.numbers, grid.objective, state, active, reference)


def _minibatch_steps(
    solver: Solver,
    objective: Objective,
    state: Any,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array,
) -> tuple[Any, tuple[Evaluation, jax.Array]]:
    """The steps of one model's epoch; each batch's share in the epoch's mean, and its objective."""
    num_batches, batch_size = batches.shape
    num_examples = examples.x.shape[0]

    def one_step(state: Any, batch: tuple[jax.Array, jax.Array]) -> Any:
        rows, index = batch
        position = index * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
        count = jnp.minimum(num_examples - index * batch_size, batch_size)
        x, labels, weight = (a.at[rows].get(mode="promise_in_bounds") for a in examples)
        share = count.astype(weight.dtype) / num_examples
        weight = jnp.where(position < num_examples, weight / share, 0.0)
        problem = Problem(objective, Examples(x, labels, weight), scaling)
        state, seen = solver.step(problem, state)
        part = Evaluation(*(value * share.astype(value.dtype) for value in seen))
        return state, (part, seen.objective)

    index = jnp.arange(num_batches, dtype=jnp.int32)
    return jax.lax.scan(one_step, state, (batches, index))


@jax.jit
def evaluate_models(grid: Grid, examples: Examples, scaling: Scaling | None) -> Evaluation:
    """Objective and accuracy of every model on some rows, each (M,)."""

    def one_model(objective: Objective, params: LinearParams) -> Evaluation:
        return Problem(objective, examples, scaling).evaluate(params)

    return jax.vmap(one_model)(grid.objective, grid.params)


@jax.jit
def largest_slopes(grid: Grid, examples: Examples, scaling: Scaling | None) -> jax.Array:
    """`max |gradient|` of every model on all rows (M,)."""

    def one_model(objective: Objective, params: LinearParams) -> jax.Array:
        _, gradient = Problem(objective, examples, scaling).value_and_gradient(params)
        largest = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradient)]
        return functools.reduce(jnp.maximum, largest)

    return jax.vmap(one_model)(grid.objective, grid.params)


@jax.jit
def _select(mask: jax.Array, new: Any, old: Any) -> Any:
    """Of each model the new leaf where `mask` (M,), else the old one."""
    return jax.tree.map(
        lambda n, o: jnp.where(mask.reshape((-1,) + (1,) * (n.ndim - 1)), n, o), new, old
    )


def _orders(key: jax.Array, num_examples: int, batch_size: int | None) -> Iterator[Any]:
    """The batches of epoch 0, 1, 2, ...: each drawn when it is asked for."""
    epoch = 0
    while True:
        if batch_size is None:
            yield None
        else:
            order = epoch_order(key, epoch, num_examples)
            yield jnp.asarray(epoch_batches(order, min(batch_size, num_examples)))
        epoch += 1


def minimise(
    make_solver: MakeSolver,
    grid: Grid,
    examples: Examples,
    key: jax.Array,
    *,
    scaling: Scaling | None = None,
    validation: Examples | None = None,
    patience: int | None = None,
    tol: float | None = None,
    on_epoch: Callable[[int, int, LoopRow, LinearParams], Any] | None = None,
) -> LoopResult:
    """Trains every model of a grid.

    Args:
      make_solver: makes a model's solver of its numbers.
      grid: the models.
      examples: rows to train on, weights with sum 1.
      key: of the order of the examples, and of whatever a solver draws.
      scaling: applied to each batch inside the program.
      validation: rows to evaluate on after each epoch.
      patience: epochs without a better validation loss after which a model stops; the result then
        holds its best epoch.
      tol: a model stops where `max |gradient| <= tol *` its value at zero parameters. Looking
        costs a pass over the data an epoch.
      on_epoch: called with (epoch from 1, epochs, record, params with axis M); True stops.

    Returns:
      `LoopResult`.
    """
    started = time.monotonic()
    num_models = grid.params.W.shape[0]
    solver = make_solver(jax.tree.map(lambda leaf: leaf[0], grid.numbers))
    orders = _orders(key, len(examples.labels), solver.batch_size)
    state = init_states(make_solver, grid, key)
    reference = reference_values(grid, examples)
    validation_objective = dataclasses.replace(
        grid.objective, l2=jnp.zeros_like(grid.objective.l2), penalty=None
    )
    slope_at_zero = None
    if tol is not None:
        zero = jax.tree.map(jnp.zeros_like, grid.params)
        slope_at_zero = np.asarray(largest_slopes(grid._replace(params=zero), examples, scaling))
    slope = None

    active = np.ones(num_models, bool)
    epochs = np.zeros(num_models, int)
    diverged, stopped_early, converged = (np.zeros(num_models, bool) for _ in range(3))
    best_loss, best_epoch = np.full(num_models, np.inf), np.zeros(num_models, int)
    best_params = grid.params
    rows: list[LoopRow] = []
    stopped_by_callback = False
    batches = next(orders)

    for epoch in range(1, solver.epochs + 1):
        result = run_epoch(
            make_solver, grid, state, jnp.asarray(active), reference, examples, scaling, batches
        )
        if epoch < solver.epochs:
            batches = next(orders)
        if epoch == 1:
            reference = jnp.where(
                jnp.isfinite(result.first), jnp.maximum(reference, jnp.abs(result.first)), reference
            )
        state = result.state
        is_good = np.asarray(result.is_good)
        diverged |= active & ~is_good
        active &= is_good
        epochs[active] = epoch
        if not active.any():
            break

        params = state.params
        seen = None
        if validation is not None:
            judged = Grid(grid.numbers, validation_objective, params)
            seen = jax.device_get(evaluate_models(judged, validation, scaling))
        row = LoopRow(
            np.asarray(result.seen.objective),
            np.asarray(result.seen.accuracy),
            seen,
            time.monotonic() - started,
        )
        rows.append(row)
        if seen is not None and patience is not None:
            is_better = active & (seen.objective < best_loss)
            best_loss = np.where(is_better, seen.objective, best_loss)
            best_epoch[is_better] = epoch
            best_params = _select(jnp.asarray(is_better), params, best_params)
            tired = active & (epoch - best_epoch >= patience)
            stopped_early |= tired
            active &= ~tired
        if slope_at_zero is not None and tol is not None:
            now = np.asarray(largest_slopes(grid._replace(params=params), examples, scaling))
            slope = now / np.where(slope_at_zero > 0, slope_at_zero, 1.0)
            flat = active & (now <= tol * slope_at_zero)
            converged |= flat
            active &= ~flat
        if on_epoch is not None and on_epoch(epoch, solver.epochs, row, params) is True:
            stopped_by_callback = True
        if stopped_by_callback or not active.any():
            break

    return LoopResult(
        params=_select(jnp.asarray(best_epoch > 0), best_params, state.params),
        rows=rows,
        epochs=epochs,
        diverged=diverged,
        stopped_early=stopped_early,
        converged=converged,
        stopped_by_callback=stopped_by_callback,
        best_epoch=best_epoch,
        slope=slope,
    )
