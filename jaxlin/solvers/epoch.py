"""One epoch of M models: every step of it, and who went bad on the way.

JAX turns M products with C columns over the same rows into one product with M * C columns, and an
optimiser's global norm stays its own model's.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.data.scaling import Scaling
from jaxlin.objective import Objective
from jaxlin.row_blocks import minibatch_block_rows
from jaxlin.solvers.base import Evaluation, Examples, Problem, RowNumbers, Solver
from jaxlin.solvers.grid import Grid, MakeSolver, at_least_none, of_fold, seen_by
from jaxlin.solvers.standing import Standing

# An epoch's mean objective so many times its value at the start, or at scores of zero, is
# divergence even where every number is still finite: a hinge at a step size of 1e10, say.
DIVERGENCE_FACTOR = 1e6


class EpochResult(NamedTuple):
    """What one epoch of all models gives, each (M,)."""

    state: Any
    seen: Evaluation
    first: jax.Array
    is_good: jax.Array


def run_epoch(
    make_solver: MakeSolver,
    grid: Grid,
    standing: Standing,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array | None,
) -> EpochResult:
    """One epoch of every model; those that are not active, or go bad, stay as they are."""
    columns = grid.params.W.shape[0] * grid.params.num_classes

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
            new, seen = solver.step(Problem(objective, seen_by(examples, fold), scaling), old)
            first = seen.objective
        else:
            new, (parts, firsts) = _minibatch_steps(
                solver, objective, fold, old, examples, scaling, batches, columns
            )
            seen = Evaluation(jnp.sum(parts.objective), 1.0 - jnp.sum(parts.accuracy))
            first = firsts[0]
        seen = at_least_none(seen)
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


def _minibatch_steps(
    solver: Solver,
    objective: Objective,
    fold: jax.Array | None,
    state: Any,
    examples: Examples,
    scaling: Scaling | None,
    batches: jax.Array,
    columns: int,
) -> tuple[Any, tuple[Evaluation, jax.Array]]:
    """The steps of one model's epoch, and each batch's own objective.

    What a batch adds to the epoch is its share of the objective, and of the examples that were
    predicted wrong: that stands in the place of the accuracy.
    """
    num_batches, batch_size = batches.shape
    num_examples = examples.x.shape[0]
    block_rows = minibatch_block_rows(batch_size, columns)

    def one_step(state: Any, batch: tuple[jax.Array, jax.Array, jax.Array]) -> Any:
        rows, upcoming, index = batch
        position = index * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
        count = jnp.minimum(num_examples - index * batch_size, batch_size)
        labels = examples.labels.at[rows].get(mode="promise_in_bounds")
        # Of a table first the batch's columns, which all models share; then a model's row of them.
        weight = examples.weight.at[..., rows].get(mode="promise_in_bounds")
        weight = weight if weight.ndim == 1 else of_fold(weight, fold)
        share = count.astype(weight.dtype) / num_examples
        weight = jnp.where(position < num_examples, weight / share, 0.0)
        # What comes a block later; of a batch that is one block, the next batch.
        soon = jnp.concatenate([rows, upcoming])[block_rows : block_rows + batch_size]
        numbers = Examples(RowNumbers(rows, soon), labels, weight)
        problem = Problem(objective, numbers, scaling, examples.x, block_rows)
        state, seen = solver.step(problem, state)
        # The share that was wrong, for all right to be exactly 1.
        part = Evaluation(seen.objective * share, (1.0 - seen.accuracy) * share)
        return state, (part, seen.objective)

    index = jnp.arange(num_batches, dtype=jnp.int32)
    return jax.lax.scan(one_step, state, (batches, jnp.roll(batches, -1, axis=0), index))
