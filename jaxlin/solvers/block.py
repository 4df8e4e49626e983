"""The compiled unit of the first-order solvers: a block of epochs of M models.

A block holds as many epochs as the host asks for, up to a fixed number: an epoch of a small problem
takes less time than the host needs to start it. What decides when a model is done (divergence,
patience, a flat slope) is therefore decided in here; the host only reads the record. A model that
has diverged or stopped is frozen where it was, and the others go on. Arrays are arguments of the
program, never part of it.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.data.scaling import Scaling
from jaxlin.objective import Objective
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.epoch import EpochResult, run_epoch
from jaxlin.solvers.grid import (
    Grid,
    MakeSolver,
    evaluate_models,
    largest_slopes,
    of_fold,
    select_models,
)
from jaxlin.solvers.standing import Standing, Stopping

_LABELS_AT_A_TIME = 64


class Record(NamedTuple):
    """What each epoch of a block showed, (capacity, M), and whether it was a model's own."""

    seen: Evaluation
    validation: Evaluation | None
    trained: jax.Array


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
        share = of_fold(shares, fold)

        def loss_of(label: jax.Array) -> jax.Array:
            return jnp.sum(objective.loss(jnp.zeros((1, num_classes), dtype), label[None]))

        # Not all at once: C x C scores would be the largest array of all where C is large.
        labels = jnp.arange(num_classes, dtype=jnp.int32)
        losses = jax.lax.map(loss_of, labels, batch_size=_LABELS_AT_A_TIME)
        return jnp.abs(jnp.sum(losses * share))

    return jax.vmap(one_model)(grid.objective, grid.fold)


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
        result = run_epoch(make_solver, grid, standing, examples, scaling, of_epoch)
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
