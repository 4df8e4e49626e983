"""The losses as a fit to the optimum sees them: a class after the other, the kinks rounded off.

A hinge with `(width / 2) sum beta^2` added to its conjugate is smooth: its slope is the beta that
is nearest to `margins / width` (`jaxlin.conjugates`). What the rounding costs is the difference
`L(s) - <a, s> + L*(a)` between the loss and its tangent at the rounded slope, which is zero where
every margin lies outside of (0, width).

The second derivative of each loss is a sum over pairs of classes, with weights that are not
negative:

    sum_{k < l} omega_kl (e_k - e_l) (e_k - e_l)^T

For softmax `omega_kl = p_k p_l`; for a hinge `omega` couples the label with each class inside the
rounding, and where a Crammer-Singer slope is full also these with each other.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.conjugates import Known
from jaxlin.losses import CrammerSingerHinge, SoftmaxCrossEntropy, SquaredWestonWatkinsHinge
from jaxlin.solvers.optimum.passes import Data

# Of the curvature beside it: what a full Crammer-Singer slope is given towards the label.
_FULL_BEND = 0.05


class Tangent(NamedTuple):
    """A loss at some scores, per example.

    Attributes:
      value: (N,).
      slopes: by the scores (C, N).
    """

    value: jax.Array
    slopes: jax.Array


class PairCurvature(NamedTuple):
    """The second derivative: `omega_kl = shared_k shared_l`, and `own_k` where l is the label.

    Attributes:
      shared: (C, N).
      own: (C, N), 0 for the label.
    """

    shared: jax.Array
    own: jax.Array


def one_hot(labels: jax.Array, num_classes: int) -> jax.Array:
    """Which class is the label's, (C, N) bool."""
    return labels[None, :] == jnp.arange(num_classes, dtype=labels.dtype)[:, None]


def _margins(loss: Known, s: jax.Array, is_label: jax.Array) -> jax.Array:
    margin = loss.margin  # pyright: ignore[reportAttributeAccessIssue]
    label_score = jnp.sum(jnp.where(is_label, s, 0.0), axis=0, keepdims=True)
    return jnp.where(is_label, 0.0, s - label_score + margin)


def _within_unit_sum(z: jax.Array, is_label: jax.Array) -> jax.Array:
    """The nearest beta with `beta >= 0`, `sum beta <= 1`, of each column of z.

    Source: Michelot, "A finite algorithm for finding the projection of a point onto the canonical
    simplex", J. Optimization Theory and Applications 1986.
    """
    free = jnp.where(is_label, 0.0, jnp.maximum(z, 0.0))

    def raise_(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        threshold = carry[0]
        inside = free > threshold
        count = jnp.sum(inside, axis=0, keepdims=True, dtype=z.dtype)
        total = jnp.sum(jnp.where(inside, free, 0.0), axis=0, keepdims=True)
        higher = jnp.maximum((total - 1.0) / jnp.maximum(count, 1.0), threshold)
        return higher, jnp.any(higher > threshold)

    # The sum is 1, so that the threshold is no further than 1 below the largest.
    lowest = jnp.maximum(jnp.max(free, axis=0, keepdims=True) - 1.0, 0.0)
    start = (lowest, jnp.asarray(True))
    threshold, _ = jax.lax.while_loop(lambda carry: carry[1], raise_, start)
    is_over = jnp.sum(free, axis=0, keepdims=True) > 1.0
    return jnp.where(is_over, jnp.maximum(free - threshold, 0.0), free)


def _beta(loss: Known, z: jax.Array, is_label: jax.Array, width: jax.Array) -> jax.Array:
    if isinstance(loss, CrammerSingerHinge):
        return _within_unit_sum(z / width, is_label)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        return jnp.where(is_label, 0.0, 2.0 * jnp.maximum(z, 0.0))
    return jnp.where(is_label, 0.0, jnp.clip(z / width, 0.0, 1.0))


def tangent(loss: Known, s: jax.Array, labels: jax.Array, width: jax.Array) -> Tangent:
    """Value and slopes of the rounded loss at scores (C, N)."""
    is_label = one_hot(labels, s.shape[0])
    if isinstance(loss, SoftmaxCrossEntropy):
        largest = jnp.max(s, axis=0, keepdims=True)
        powers = jnp.exp(s - largest)
        total = jnp.sum(powers, axis=0, keepdims=True)
        label_score = jnp.sum(jnp.where(is_label, s - largest, 0.0), axis=0)
        return Tangent(jnp.log(total[0]) - label_score, powers / total - is_label.astype(s.dtype))
    z = _margins(loss, s, is_label)
    beta = _beta(loss, z, is_label, width)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        value = 0.25 * jnp.sum(beta * beta, axis=0)
    else:
        value = jnp.sum(beta * (z - 0.5 * width * beta), axis=0)
    return Tangent(value, jnp.where(is_label, -jnp.sum(beta, axis=0, keepdims=True), beta))


@functools.partial(jax.jit, static_argnames="loss")
def rounding_cost(loss: Known, s: jax.Array, data: Data, width: jax.Array) -> jax.Array:
    """What the rounding of a hinge adds to the duality gap, scalar."""
    is_label = one_hot(data.labels, s.shape[0])
    z = _margins(loss, s, is_label)
    outside = jnp.maximum(z, 0.0)
    if isinstance(loss, CrammerSingerHinge):
        exact = jnp.max(outside, axis=0)
    else:
        exact = jnp.sum(outside, axis=0)
    return data.weight @ (exact - jnp.sum(_beta(loss, z, is_label, width) * z, axis=0))


def largest_bend(loss: Known, width: jax.Array) -> jax.Array:
    """The most that a loss can bend between two classes, scalar."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return jnp.full_like(width, 0.25)
    return jnp.full_like(width, 2.0) if isinstance(loss, SquaredWestonWatkinsHinge) else 1.0 / width


def pair_curvature(loss: Known, s: jax.Array, labels: jax.Array, width: jax.Array) -> PairCurvature:
    """The second derivative of each example's rounded loss by its scores."""
    nothing = jnp.zeros_like(s)
    is_label = one_hot(labels, s.shape[0])
    if isinstance(loss, SoftmaxCrossEntropy):
        return PairCurvature(jax.nn.softmax(s, axis=0), nothing)
    z = _margins(loss, s, is_label)
    beta = _beta(loss, z, is_label, width)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        return PairCurvature(nothing, jnp.where(beta > 0.0, 2.0, nothing))
    if not isinstance(loss, CrammerSingerHinge):
        return PairCurvature(nothing, jnp.where((beta > 0.0) & (beta < 1.0), 1.0 / width, nothing))
    inside = beta > 0.0
    is_full = jnp.sum(jnp.maximum(z, 0.0), axis=0, keepdims=True) > width
    count = jnp.maximum(jnp.sum(inside, axis=0, keepdims=True, dtype=s.dtype), 1.0)
    shared = jnp.where(inside & is_full, jax.lax.rsqrt(width * count), nothing)
    # A full slope does not bend towards the label; steps as long as that allows lead out of it.
    own = jnp.where(is_full, _FULL_BEND / width, 1.0 / width)
    return PairCurvature(shared, jnp.where(inside, own, nothing))
