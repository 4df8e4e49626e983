"""The Newton direction of a small problem, by conjugate gradients.

What is solved for is a correction, so that float32 does as well as float64 as long as the second
derivative is not too far from the identity: the coordinates are scaled to make it so, and the
curvature of a row is held by its classes other than the label, whose small numbers keep their
precision. Where float32 does not get anywhere the caller asks for float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Curvature, Known
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import product

_MOST_PRODUCTS = 300
# Of the largest curvature: what is a direction in which a bias changes nothing.
_NONE = 1e-12


class Local(NamedTuple):
    """What a problem looks like at a point.

    Attributes:
      features: (N, K).
      variances: their second moments (K,).
      weight: (N,).
      is_label: (C, N).
      ridge: what the square of each coordinate is multiplied by (K,).
      slopes: of the loss by the scores (C, N).
      labels: (N,).
    """

    features: jax.Array
    variances: jax.Array
    weight: jax.Array
    is_label: jax.Array
    ridge: jax.Array
    slopes: jax.Array
    labels: jax.Array


def newton_direction(
    loss: Known, at: Local, gradient: jax.Array, exactness: jax.Array, dtype: str
) -> tuple[jax.Array, jax.Array]:
    """The direction (C, K), float64, and the products with the rows that it took.

    Args:
      loss: a smooth one.
      at: where.
      gradient: there (C, K).
      exactness: of the residual, in the preconditioner's measure, over the first one.
      dtype: of the products.
    """
    width = jnp.ones((), gradient.dtype)  # of no use to a smooth loss
    curve = conjugates.curvature(loss, at.slopes, at.labels, width, axis=-2)
    mean = conjugates.mean_curvature(loss, curve, at.labels, at.weight, axis=-2)
    # No square of a scaled coordinate is above 1, nor is any ridge: float32 holds all of them.
    scale = at.variances + 2.0 * at.ridge
    scale = jnp.sqrt(jnp.where(scale > 0.0, scale, 1.0))
    features = (at.features / scale[None, :]).astype(dtype)
    ridge = (2.0 * at.ridge / scale**2).astype(dtype)
    times_curvature = _curvature_product(loss, curve, at, dtype)

    def times_hessian(v: jax.Array) -> jax.Array:
        change = times_curvature(product(v, features, (1, 1)))
        return product(change, features, (1, 0)) + ridge[None, :] * v

    steepest = -gradient / scale[None, :]
    size = jnp.max(jnp.abs(steepest))
    size = jnp.where(size > 0.0, size, 1.0)
    precondition = _preconditioner(mean, at.variances / scale**2, ridge, dtype)
    found, products = _conjugate_gradients(
        times_hessian, precondition, (steepest / size).astype(dtype), exactness.astype(dtype)
    )
    return found.astype(gradient.dtype) * size / scale[None, :], products


def _curvature_product(
    loss: Known, curve: Curvature, at: Local, dtype: str
) -> Callable[[jax.Array], jax.Array]:
    """The weighted second derivatives times a step of the scores (C, N).

    As the rows of each sum to zero it is enough to know them for the classes that are not the
    label: a probability close to 1 does not come in.
    """
    wrong = jnp.where(at.is_label, 0.0, curve.slopes)
    is_coupled = isinstance(loss, SoftmaxCrossEntropy)
    kept = jnp.ones_like(at.weight)[None, :]
    if is_coupled:
        kept = kept - jnp.sum(wrong, axis=0, keepdims=True)
    weighted, wrong, kept = (v.astype(dtype) for v in (wrong * at.weight[None, :], wrong, kept))

    def times(step: jax.Array) -> jax.Array:
        own = jnp.sum(jnp.where(at.is_label, step, 0.0), axis=0, keepdims=True)
        change = weighted * (step - own)
        total = jnp.sum(change, axis=0, keepdims=True)
        change = change - wrong * total if is_coupled else change
        return jnp.where(at.is_label, -kept * total, change)

    return times


def _preconditioner(
    mean: jax.Array, variances: jax.Array, ridge: jax.Array, dtype: str
) -> Callable[[jax.Array], jax.Array]:
    """Solves with the mean curvature (C, C) times the variances, plus the ridge: all diagonal."""
    bends, axes = jnp.linalg.eigh(mean)
    bends = jnp.maximum(bends, 0.0)
    scale = bends[:, None] * variances[None, :] + ridge[None, :]
    # A common shift of the bias changes nothing.
    counts = (ridge > 0.0)[None, :] | (bends > _NONE * jnp.max(bends))[:, None]
    counts = counts & (scale > 0.0)
    inverse = jnp.where(counts, 1.0 / jnp.where(counts, scale, 1.0), 0.0)
    # As large as the curvature is small; only its shape counts.
    largest = jnp.max(inverse)
    inverse = inverse / jnp.where(largest > 0.0, largest, 1.0)
    inverse, axes = inverse.astype(dtype), axes.astype(dtype)
    return lambda r: product(axes, inverse * product(axes, r, (0, 0)), (1, 0))


class _Search(NamedTuple):
    x: jax.Array
    residual: jax.Array
    towards: jax.Array
    size: jax.Array
    products: jax.Array


def _conjugate_gradients(
    times: Callable[[jax.Array], jax.Array],
    precondition: Callable[[jax.Array], jax.Array],
    right: jax.Array,
    exactness: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """`H^-1 right` until the residual, in the preconditioner's measure, is so much smaller."""
    first = precondition(right)
    size = jnp.sum(right * first)
    enough = exactness**2 * size

    def goes_on(search: _Search) -> jax.Array:
        return (search.size > enough) & (search.products < _MOST_PRODUCTS)

    def step(search: _Search) -> _Search:
        image = times(search.towards)
        bend = jnp.sum(search.towards * image)
        is_sound = bend > 0.0
        t = jnp.where(is_sound, search.size / jnp.where(is_sound, bend, 1.0), 0.0)
        residual = search.residual - t * image
        solved = precondition(residual)
        size = jnp.where(is_sound, jnp.sum(residual * solved), 0.0)
        towards = solved + size / search.size * search.towards
        return _Search(search.x + t * search.towards, residual, towards, size, search.products + 1)

    start = _Search(jnp.zeros_like(right), right, first, size, jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(goes_on, step, start)
    return end.x, end.products
