"""The compiled unit of the first-order solvers: a block of epochs of M models.

Everything that belongs to a model (its numbers, its l2, its state) has a leading axis M, and a step
is written for one model and `vmap`ped: JAX turns M products with C columns over the same rows into
one product with M * C columns, and an optimiser's global norm stays its own model's. The rows, and
their order, are shared. Models that see only a part of the rows (folds) differ in the weights
alone: a table has a row of weights for each part, and a model has the number of its row.

A block holds as many epochs as the host asks for, up to a fixed number: an epoch of a small problem
takes less time than the host needs to start it. What decides when a model is done (divergence,
patience, a flat slope) is therefore decided in here; the host only reads the record. A model that
has diverged or stopped is frozen where it was, and the others go on. Arrays are arguments of the
program, never part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.solvers.base import Evaluation, Examples, Problem, Solver

# Makes a solver of one model's numbers. Static: a module-level function does not retrace.
MakeSolver = Callable[[Any], Solver]

# An epoch's mean objective so many times its value at the start, or at scores of zero, is
# divergence even where every number is still finite: a hinge at a step size of 1e10, say.
DIVERGENCE_FACTOR = 1e6

_LABELS_AT_A_TIME = 64


class Grid(NamedTuple):
    """M models to train. Every leaf has a leading axis M.

    Attributes:
      numbers: what `make_solver` makes a solver of.
      objective: `Objective` with l2 (M,).
      params: where each starts.
      fold: which row of a weight table (F, N) is the model's, (M,) int32; None where all models
        have the same weights (N,).
    """

    numbers: Any
    objective: Objective
    params: LinearParams
    fold: jax.Array | None = None


class Stopping(NamedTuple):
    """What ends a model's training before its last epoch; None for what is not asked.

    Attributes:
      validation: rows to evaluate on after each epoch.
      patience: epochs without a better validation loss after which a model stops, scalar.
      slope_limit: a model stops where `max |gradient|` is at most this (M,). Looking costs a pass
        over the data an epoch.
      last_epoch: of each model, from 1, (M,); the loop's own limit holds as well.
    """

    validation: Examples | None = None
    patience: jax.Array | None = None
    slope_limit: jax.Array | None = None
    last_epoch: jax.Array | None = None


class Standing(NamedTuple):
    """Where M models stand between two epochs. Every leaf has a leading axis M, but for `epoch`.

    Attributes:
      solver: the solvers' states.
      epoch: how many have run, scalar.
      reference: the size of objective that divergence is measured by.
      is_active: whether it still trains.
      epochs: how many of them were the model's own.
      diverged: whether it left the finite numbers, or grew a millionfold.
      stopped_early: whether its patience ran out.
      converged: whether its slope is flat.
      best_loss: the lowest validation loss yet.
      best_epoch: of that, from 1; 0 without patience.
      best_params: of that.
      slope: `max |gradient|` after its last epoch; infinite where nobody asked.
    """

    solver: Any
    epoch: jax.Array
    reference: jax.Array
    is_active: jax.Array
    epochs: jax.Array
    diverged: jax.Array
    stopped_early: jax.Array
    converged: jax.Array
    best_loss: jax.Array
    best_epoch: jax.Array
    best_params: LinearParams
    slope: jax.Array

    @property
    def params(self) -> LinearParams:
        """Of each model where it stands, whichever epoch was its best."""
        return self.solver.params


class Record(NamedTuple):
    """What each epoch of a block showed, (capacity, M), and whether it was a model's own."""

    seen: Evaluation
    validation: Evaluation | None
    trained: jax.Array


class EpochResult(NamedTuple):
    """What one epoch of all models gives, each (M,)."""

    state: Any
    seen: Evaluation
    first: jax.Array
    is_good: jax.Array


@functools.partial(jax.jit, static_argnames="make_solver")
def first_standing(
    make_solver: MakeSolver, grid: Grid, examples: Examples, key: jax.Array
) -> Standing:
    """Where every model starts."""
    num_models, dtype = grid.params.W.shape[0], grid.params.W.dtype
    no, zero = jnp.zeros(num_models, bool), jnp.zeros(num_models, jnp.int32)
    infinite = jnp.full(num_models, jnp.inf, dtype)
    return Standing(
        solver=jax.vmap(lambda numbers, params: make_solver(numbers).init(params, key))(
            grid.numbers, grid.params
        ),
        epoch=jnp.zeros((), jnp.int32),
        reference=_reference_values(grid, examples),
        is_active=~no,
        epochs=zero,
        diverged=no,
        stopped_early=no,
        converged=no,
        best_loss=infinite,
        best_epoch=zero,
        best_params=grid.params,
        slope=infinite,
    )


def _reference_values(grid: Grid, examples: Examples) -> jax.Array:
    """The size of each model's objective where all scores are zero (M,)."""
    num_classes, dtype = grid.params.num_classes, grid.params.W.dtype
    none = jnp.zeros((*examples.weight.shape[:-1], num_classes), dtype)
    shares = none.at[..., examples.labels].add(examples.weight)

    def one_model(objective: Objective, fold: jax.Array | None) -> jax.Array:
        share = _of_fold(shares, fold)

        def loss_of(label: jax.Array) -> jax.Array:
            return jnp.sum(objective.loss(jnp.zeros((1, num_classes), dtype), label[None]))

        # Not all at once: C x C scores would be the largest array of all where C is large.
        labels = jnp.arange(num_classes, dtype=jnp.int32)
        losses = jax.lax.map(loss_of, labels, batch_size=_LABELS_AT_A_TIME)
        return jnp.abs(jnp.sum(losses * share))

    return jax.vmap(one_model)(grid.objective, grid.fold)


def _of_fold(table: jax.Array, fold: jax.Array | None) -> jax.Array:
    """A model's row of a table (F, ...); what all models share as it is."""
    return table if fold is None else table.at[fold].get(mode="promise_in_bounds")


def _seen_by(examples: Examples, fold: jax.Array | None) -> Examples:
    """All rows, with the weights that one model gives them (N,); they may be a table (F, N)."""
    if examples.weight.ndim == 1:
        return examples
    return examples._replace(weight=_of_fold(examples.weight, fold))


@functools.partial(jax.jit, static_argnames=("make_solver", "capacity"))
def run_block(
    make_solver: MakeSolver,
    capacity: int,
    grid: Grid,
    start: Standing,
    count: jax.typing.ArrayLike,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array | None,
    stopping: Stopping,
) -> tuple[Standing, Record]:
    """Runs `count` epochs of every model, or fewer where all have stopped before.

    Args:
      make_solver: static.
      capacity: the most epochs a block can hold, static.
      grid: numbers and objectives; its params are not used.
      start: where the models stand.
      count: how many epochs, at most `capacity`.
      examples: all rows, shared; of models with a `fold` the weights may be a table (F, N).
      scaling: applied to each batch, or None.
      batches: row numbers (capacity, number of batches, B); None where a step sees all rows.
      stopping: what ends a model's training.

    Returns:
      Where the models stand then, and the record of the epochs that ran.
    """

    def goes_on(carry: tuple[jax.Array, Standing, Record]) -> jax.Array:
        index, standing, _ = carry
        return (index < count) & jnp.any(standing.is_active)

    def one_epoch(carry: tuple[jax.Array, Standing, Record]) -> tuple[jax.Array, Standing, Record]:
        index, standing, record = carry
        of_epoch = None if batches is None else batches[index]
        was_active = standing.is_active
        result = _run_epoch(make_solver, grid, standing, examples, scaling, of_epoch)
        standing, validation = _judge(grid, standing, result, examples, scaling, stopping)
        trained = was_active & result.is_good
        row = Record(result.seen, validation, trained)
        record = jax.tree.map(lambda all_, new: all_.at[index].set(new), record, row)
        return index + 1, standing, record

    num_models, dtype = grid.params.W.shape[0], grid.params.W.dtype
    empty = Evaluation(*(jnp.zeros((capacity, num_models), dtype) for _ in Evaluation._fields))
    nobody = jnp.zeros((capacity, num_models), bool)
    record = Record(empty, None if stopping.validation is None else empty, nobody)
    _, standing, record = jax.lax.while_loop(
        goes_on, one_epoch, (jnp.zeros((), jnp.int32), start, record)
    )
    return standing, record


def _run_epoch(
    make_solver: MakeSolver,
    grid: Grid,
    standing: Standing,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array | None,
) -> EpochResult:
    """One epoch of every model; those that are not active, or go bad, stay as they are."""

    def one_model(
        numbers: Any,
        objective: Objective,
        fold: jax.Array | None,
        old: Any,
        is_active: jax.Array,
        limit: jax.Array,
    ) -> EpochResult:
        solver = make_solver(numbers)
        if batches is None:
            new, seen = solver.step(Problem(objective, _seen_by(examples, fold), scaling), old)
            first = seen.objective
        else:
            new, (parts, firsts) = _minibatch_steps(
                solver, objective, fold, old, examples, scaling, batches
            )
            seen = Evaluation(jnp.sum(parts.objective), 1.0 - jnp.sum(parts.accuracy))
            first = firsts[0]
        seen = _at_least_none(seen)
        finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(new.params)]
        # In its first epoch a model may start from a large value: that is no growth.
        at_start = jnp.where((standing.epoch == 0) & jnp.isfinite(first), jnp.abs(first), 0.0)
        limit = jnp.maximum(limit, at_start)
        size = limit * jnp.asarray(DIVERGENCE_FACTOR, limit.dtype)
        is_good = functools.reduce(jnp.logical_and, finite) & jnp.isfinite(seen.objective)
        is_good &= (limit == 0.0) | (jnp.abs(seen.objective) <= size)
        keep = is_active & is_good
        state = jax.tree.map(lambda n, o: jnp.where(keep, n, o), new, old)
        return EpochResult(state, seen, first, is_good)

    return jax.vmap(one_model)(
        grid.numbers,
        grid.objective,
        grid.fold,
        standing.solver,
        standing.is_active,
        standing.reference,
    )


def _at_least_none(seen: Evaluation) -> Evaluation:
    """With an accuracy that rounding has not taken below 0."""
    return seen._replace(accuracy=jnp.maximum(seen.accuracy, 0.0))


def _judge(
    grid: Grid,
    old: Standing,
    result: EpochResult,
    examples: Examples,
    scaling: Scaling | None,
    stopping: Stopping,
) -> tuple[Standing, Evaluation | None]:
    """Who goes on after an epoch, and what the validation data say."""
    epoch = old.epoch + 1
    size = jnp.abs(result.first)
    is_larger = (epoch == 1) & jnp.isfinite(size) & (size > old.reference)
    active = old.is_active & result.is_good
    new = old._replace(
        solver=result.state,
        epoch=epoch,
        reference=jnp.where(is_larger, size, old.reference),
        epochs=jnp.where(active, epoch, old.epochs),
        diverged=old.diverged | (old.is_active & ~result.is_good),
    )
    standing_grid = grid._replace(params=new.params)
    seen = None
    if stopping.validation is not None:
        objective = grid.objective.without_penalties()
        judged = standing_grid._replace(objective=objective)
        seen = evaluate_models(judged, stopping.validation, scaling)
        if stopping.patience is not None:
            is_better = active & (seen.objective < old.best_loss)
            best_epoch = jnp.where(is_better, epoch, old.best_epoch)
            tired = active & (epoch - best_epoch >= stopping.patience)
            new = new._replace(
                best_loss=jnp.where(is_better, seen.objective, old.best_loss),
                best_epoch=best_epoch,
                best_params=select_models(is_better, new.params, old.best_params),
                stopped_early=old.stopped_early | tired,
            )
            active &= ~tired
    if stopping.slope_limit is not None:
        slope = largest_slopes(standing_grid, examples, scaling)
        flat = active & (slope <= stopping.slope_limit)
        new = new._replace(
            slope=jnp.where(active, slope, old.slope), converged=old.converged | flat
        )
        active &= ~flat
    if stopping.last_epoch is not None:
        active &= epoch < stopping.last_epoch
    return new._replace(is_active=active), seen


def _minibatch_steps(
    solver: Solver,
    objective: Objective,
    fold: jax.Array | None,
    state: Any,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array,
) -> tuple[Any, tuple[Evaluation, jax.Array]]:
    """The steps of one model's epoch, and each batch's own objective.

    What a batch adds to the epoch is its share of the objective, and of the examples that were
    predicted wrong: that stands in the place of the accuracy.
    """
    num_batches, batch_size = batches.shape
    num_examples = examples.x.shape[0]

    def one_step(state: Any, batch: tuple[jax.Array, jax.Array]) -> Any:
        rows, index = batch
        position = index * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
        count = jnp.minimum(num_examples - index * batch_size, batch_size)
        x, labels = (a.at[rows].get(mode="promise_in_bounds") for a in examples[:2])
        # Of a table first the batch's columns, which all models share; then a model's row of them.
        weight = examples.weight.at[..., rows].get(mode="promise_in_bounds")
        weight = weight if weight.ndim == 1 else _of_fold(weight, fold)
        share = count.astype(weight.dtype) / num_examples
        weight = jnp.where(position < num_examples, weight / share, 0.0)
        problem = Problem(objective, Examples(x, labels, weight), scaling)
        state, seen = solver.step(problem, state)
        # The share that was wrong, for all right to be exactly 1.
        part = Evaluation(seen.objective * share, (1.0 - seen.accuracy) * share)
        return state, (part, seen.objective)

    index = jnp.arange(num_batches, dtype=jnp.int32)
    return jax.lax.scan(one_step, state, (batches, index))


@jax.jit
def evaluate_models(grid: Grid, examples: Examples, scaling: Scaling | None) -> Evaluation:
    """Objective and accuracy of every model on some rows, each (M,)."""

    def one_model(objective: Objective, params: LinearParams, fold: jax.Array | None) -> Evaluation:
        problem = Problem(objective, _seen_by(examples, fold), scaling)
        return _at_least_none(problem.evaluate(params))

    return jax.vmap(one_model)(grid.objective, grid.params, grid.fold)


@jax.jit
def largest_slopes(grid: Grid, examples: Examples, scaling: Scaling | None) -> jax.Array:
    """`max |gradient|` of every model on all rows (M,)."""

    def one_model(objective: Objective, params: LinearParams, fold: jax.Array | None) -> jax.Array:
        problem = Problem(objective, _seen_by(examples, fold), scaling)
        _, gradient = problem.value_and_gradient(params)
        largest = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradient)]
        return functools.reduce(jnp.maximum, largest)

    return jax.vmap(one_model)(grid.objective, grid.params, grid.fold)


@jax.jit
def select_models(mask: jax.Array, new: LinearParams, old: LinearParams) -> LinearParams:
    """Of each model the new leaf where `mask` (M,), else the old one."""
    return jax.tree.map(
        lambda n, o: jnp.where(mask.reshape((-1,) + (1,) * (n.ndim - 1)), n, o), new, old
    )
