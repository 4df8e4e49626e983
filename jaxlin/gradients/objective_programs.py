"""What JAX computes of an audited objective: two programs, compiled once a loss and shape."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jaxlin.gradients.finite_differences import BothWays, moved_both_ways
from jaxlin.gradients.moves import Moved, moved_values, suggested_batch_size
from jaxlin.linear import LinearParams, scores
from jaxlin.losses import HandWrittenLoss
from jaxlin.objective import Objective
from jaxlin.precision import compute_dtype


class Evaluated(NamedTuple):
    """An objective and its gradients at some parameters.

    Attributes:
      value: of the objective.
      autodiff: by `jax.grad`.
      by_hand: `Objective.gradient_by_hand`.
      score_gradient: each example's (N, C): which side of a tie this arithmetic took.
      penalty: gradient of the user's own penalty (C, D), or None.
    """

    value: jax.Array
    autodiff: LinearParams
    by_hand: LinearParams
    score_gradient: jax.Array
    penalty: jax.Array | None


@jax.jit
def evaluated(
    objective: Objective,
    params: LinearParams,
    x: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None,
) -> Evaluated:
    """The objective and its gradients, in the dtype of the parameters."""
    value, autodiff = jax.value_and_grad(objective)(params, x, labels, sample_weight)
    by_hand = objective.gradient_by_hand(params, x, labels, sample_weight)
    # The same operations as in the gradient, so that the compiler finds the scores only once.
    wide = jax.tree.map(lambda leaf: leaf.astype(compute_dtype(leaf.dtype)), params)
    loss = objective.loss
    assert isinstance(loss, HandWrittenLoss)
    score_gradient = loss.score_gradient(scores(wide, x), labels)
    penalty = None if objective.penalty is None else jax.grad(objective.penalty)(wide.W)
    return Evaluated(value, autodiff, by_hand, score_gradient, penalty)


class Witnessed(NamedTuple):
    """Derivatives along K coordinates.

    Attributes:
      forward: in forward mode (K,).
      sides: values after moves both ways, to be extrapolated.
    """

    forward: jax.Array
    sides: BothWays


@jax.jit
def witnessed(
    objective: Objective,
    params: LinearParams,
    x: jax.Array,
    labels: jax.Array,
    sample_weight: jax.Array | None,
    coordinates: jax.Array,
    largest_steps: jax.Array,
) -> Witnessed:
    """Derivatives along some coordinates (K,), from tangents and from values alone.

    `largest_steps` (K,) are those that Richardson extrapolation starts from.
    """

    def f(params: LinearParams) -> jax.Array:
        return objective(params, x, labels, sample_weight)

    flat, unravel = ravel_pytree(params)
    size = suggested_batch_size(f, params)

    def forward(coordinate: jax.Array) -> jax.Array:
        tangent = unravel(jnp.zeros_like(flat).at[coordinate].set(1.0))
        return jax.jvp(f, (params,), (tangent,))[1]

    def moved(which: jax.Array, steps: jax.Array) -> Moved:
        return moved_values(f, params, which, steps, batch_size=size)

    sides = moved_both_ways(moved, coordinates, largest_steps)
    # The extrapolation is NumPy's: its table is small, and takes long to compile.
    return Witnessed(jax.lax.map(forward, coordinates), sides)
