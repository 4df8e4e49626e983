"""Newton's method for small problems with a smooth loss: all values of l2 in one program.

A small fit's time goes into starting programs, not into arithmetic; and the time of its first call
into compiling them. So a whole fit is one program, and so is a path of l2 for several weightings of
the rows (folds): each value of l2 starts where the one before has ended, a few steps away. Who pads
the rows with weight 0 and the features with zero columns gets the same optimum: such rows count for
nothing, and a column of zeros has weights of zero. So few programs serve many shapes.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.solvers.base import Examples, Problem
from jaxlin.solvers.newton import Newton


class Paths(NamedTuple):
    """What was found, for each of F weightings and L values of l2.

    Attributes:
      params: W (F, L, C, D) and b (F, L, C) or None.
      objective: (F, L).
      accuracy: the weight of the rows that are predicted right (F, L).
      slope: the largest |gradient| over its value at zero parameters (F, L).
      steps: how many were taken (F, L) int32.
    """

    params: LinearParams
    objective: jax.Array
    accuracy: jax.Array
    slope: jax.Array
    steps: jax.Array


@functools.partial(jax.jit, static_argnames="loss")
def newton_paths(
    loss: Known,
    x: jax.Array,
    labels: jax.Array,
    weights: jax.Array,
    l2: jax.Array,
    start: LinearParams,
    most: jax.Array,
) -> Paths:
    """The optimum for every weighting and l2, to rounding. To be called in a float64 scope.

    Args:
      loss: a smooth one.
      x: features (N, D) float64.
      labels: (N,) int32.
      weights: one row a weighting, each with sum 1, (F, N).
      l2: the largest first, (L,).
      start: where the first one starts.
      most: steps that each may take, scalar.

    >>> import numpy as np
    >>> from jaxlin.losses import softmax_cross_entropy
    >>> from jaxlin.precision import float64_scope
    >>> with float64_scope(True):
    ...     start = LinearParams(jnp.zeros((2, 1)), jnp.zeros(2))
    ...     x, labels = jnp.array([[0.0], [1.0], [3.0], [2.0]]), jnp.array([0, 1, 1, 0], jnp.int32)
    ...     weights, l2 = jnp.full((1, 4), 0.25), jnp.array([0.1])
    ...     found = newton_paths(softmax_cross_entropy, x, labels, weights, l2, start, 60)
    >>> round(float(found.objective[0, 0]), 4)
    0.6155
    """

    def of_weighting(weight: jax.Array) -> Paths:
        examples = Examples(x, labels, weight)
        at_zero = _steepness(
            Problem(Objective(loss, 0.0), examples, None), jax.tree.map(jnp.zeros_like, start)
        )

        def next_on_path(params: LinearParams, l2: jax.Array) -> tuple[LinearParams, Paths]:
            problem, solver = Problem(Objective(loss, l2), examples, None), Newton()
            state, count = jax.lax.while_loop(
                lambda carry: ~carry[0].is_done & (carry[1] < most),
                lambda carry: (solver.step(problem, carry[0])[0], carry[1] + 1),
                (solver.init(params, jnp.zeros(())), jnp.zeros((), jnp.int32)),
            )
            seen = problem.evaluate(state.params)
            slope = _steepness(problem, state.params) / jnp.where(at_zero > 0.0, at_zero, 1.0)
            there = Paths(state.params, seen.objective, seen.accuracy, slope, count)
            return state.params, there

        return jax.lax.scan(next_on_path, start, l2)[1]

    return jax.vmap(of_weighting)(weights)


def _steepness(problem: Problem, params: LinearParams) -> jax.Array:
    """`max |gradient|`, scalar."""
    _, gradient = problem.value_and_gradient(params)
    largest = [jnp.max(jnp.abs(leaf)) for leaf in jax.tree.leaves(gradient)]
    return functools.reduce(jnp.maximum, largest)
