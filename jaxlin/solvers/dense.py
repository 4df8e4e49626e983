"""Linear algebra of second derivatives: parameters as one matrix, sums of Kronecker products."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxlin.linear import LinearParams
from jaxlin.objective import Objective

_LARGEST_RIDGES = 12


def flat(params: LinearParams) -> jax.Array:
    """W, and b as one more column where there is one: (C, K)."""
    return params.W if params.b is None else jnp.concatenate([params.W, params.b[:, None]], 1)


def unflat(matrix: jax.Array, like: LinearParams) -> LinearParams:
    """`LinearParams` of a matrix (C, K)."""
    if like.b is None:
        return LinearParams(matrix)
    return LinearParams(matrix[:, :-1], matrix[:, -1])


def with_bias_feature(x: jax.Array, params: LinearParams) -> jax.Array:
    """Features (B, K): a one at the end of each row, where there is a b."""
    return x if params.b is None else jnp.concatenate([x, jnp.ones_like(x[:, :1])], 1)


def curvature_sum(features: jax.Array, hessians: jax.Array) -> jax.Array:
    """`sum_i h_i (x) x_i x_i^T`, (C, K, C, K), one class at a time.

    Args:
      features: (B, K).
      hessians: by the scores, (B, C, C), weights in them.
    """
    num_rows, num_features = features.shape
    num_classes = hessians.shape[1]

    def of_class(row: jax.Array) -> jax.Array:
        scaled = (row[:, :, None] * features[:, None, :]).reshape(num_rows, -1)
        return (features.T @ scaled).reshape(num_features, num_classes, num_features)

    return jax.lax.map(of_class, jnp.swapaxes(hessians, 0, 1))


def add_penalty(
    objective: Objective, params: LinearParams, gradient: jax.Array, hessian: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The penalties' part of the gradient (C, K) and of the second derivative (C, K, C, K)."""
    num_features = params.num_features
    slope = jax.grad(objective.penalty_term)(params).W
    gradient = gradient.at[:, :num_features].add(slope)
    if objective.penalty is None:
        size = params.W.size
        l2 = jnp.asarray(objective.l2).astype(params.W.dtype)
        square = (2.0 * l2 * jnp.eye(size, dtype=params.W.dtype)).reshape(params.W.shape * 2)
    else:
        square = jax.hessian(lambda W: objective.penalty_term(LinearParams(W)))(params.W)
    return gradient, hessian.at[:, :num_features, :, :num_features].add(square)


def damped_factor(hessian: jax.Array) -> jax.Array:
    """A Cholesky factor of a second derivative (C, K, C, K), with as little ridge as will do."""
    size = hessian.shape[0] * hessian.shape[1]
    matrix = hessian.reshape(size, size)
    eye = jnp.eye(size, dtype=matrix.dtype)
    smallest = jnp.finfo(matrix.dtype)
    least = 4.0 * smallest.eps * jnp.trace(matrix) / size + smallest.tiny / smallest.eps

    def goes_on(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        _, factor, count = carry
        return ~jnp.isfinite(factor).all() & (count < _LARGEST_RIDGES)

    def try_more(
        carry: tuple[jax.Array, jax.Array, jax.Array],
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        ridge, _, count = carry
        return 30.0 * ridge, jnp.linalg.cholesky(matrix + ridge * eye), count + 1

    start = (least, jnp.full_like(matrix, jnp.nan), jnp.zeros((), jnp.int32))
    return jax.lax.while_loop(goes_on, try_more, start)[1]


def solve(factor: jax.Array, right: jax.Array) -> jax.Array:
    """`H^-1 right` (C, K), by its factor; zero where that has failed."""
    found = jax.scipy.linalg.cho_solve((factor, True), right.reshape(-1)).reshape(right.shape)
    return jnp.where(jnp.isfinite(found).all(), found, 0.0)


def damped_solve(hessian: jax.Array, right: jax.Array) -> jax.Array:
    """`H^-1 right` (C, K)."""
    return solve(damped_factor(hessian), right)
