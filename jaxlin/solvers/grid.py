"""M models that train side by side, and what can be asked of all of them at once.

Everything that belongs to a model (its numbers, its l2, its parameters) has a leading axis M; what
is done with it is written for one model and `vmap`ped. The rows are shared. Models that see only a
part of the rows (folds) differ in the weights alone: a table has a row of weights for each part,
and a model has the number of its row.
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


# Scores of many models fill the cache sooner than one model's: four times the usual rows take twice
# the time for 32 models.
_ROWS_AT_A_TIME = 1024


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


def of_fold(table: jax.Array, fold: jax.Array | None) -> jax.Array:
    """A model's row of a table (F, ...); what all models share as it is."""
    return table if fold is None else table.at[fold].get(mode="promise_in_bounds")


def seen_by(examples: Examples, fold: jax.Array | None) -> Examples:
    """All rows, with the weights that one model gives them (N,); they may be a table (F, N)."""
    if examples.weight.ndim == 1:
        return examples
    return examples._replace(weight=of_fold(examples.weight, fold))


def at_least_none(seen: Evaluation) -> Evaluation:
    """With an accuracy that rounding has not taken below 0."""
    return seen._replace(accuracy=jnp.maximum(seen.accuracy, 0.0))


@jax.jit
def evaluate_models(grid: Grid, examples: Examples, scaling: Scaling | None) -> Evaluation:
    """Objective and accuracy of every model on some rows, each (M,)."""

    def one_model(objective: Objective, params: LinearParams, fold: jax.Array | None) -> Evaluation:
        problem = Problem(objective, seen_by(examples, fold), scaling, block_rows=_ROWS_AT_A_TIME)
        return at_least_none(problem.evaluate(params))

    return jax.vmap(one_model)(grid.objective, grid.params, grid.fold)


@jax.jit
def largest_slopes(grid: Grid, examples: Examples, scaling: Scaling | None) -> jax.Array:
    """`max |gradient|` of every model on all rows (M,)."""

    def one_model(objective: Objective, params: LinearParams, fold: jax.Array | None) -> jax.Array:
        problem = Problem(objective, seen_by(examples, fold), scaling, block_rows=_ROWS_AT_A_TIME)
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
