"""The losses as a fit to the optimum sees them: a class after the other, the kinks rounded off.

A hinge with `(width / 2) sum beta^2` added to its conjugate is smooth: its slope is the beta that
is nearest to `margins / width` (`jaxlin.conjugates`). What the rounding costs is the difference
`L(s) - <a, s> + L*(a)` between the loss and its tangent at the rounded slope, which is zero where
every margin lies outside of (0, width).

With `(width / 2) sum (beta - c)^2` in its place the hinge is rounded around the multipliers c: its
slope is the beta nearest to `margins / width + c`, so that scores moved by `width c` turn it into
the one above, less `(width / 2) sum c^2`. Where c are the slopes of the exact optimum nothing is
added to the gap, however wide the rounding: that is the method of multipliers (Rockafellar,
"Augmented Lagrangians and applications of the proximal point algorithm", 1976).

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

from jaxlin.conjugates import (
    Known,
    by_width,
    label_mask,
    margins,
    nearest_beta,
    over_classes,
    rows_of,
)
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


class Multipliers(NamedTuple):
    """What a hinge is rounded around.

    Attributes:
      beta: feasible slopes of the wrong classes (C, N), 0 for the label.
      square: the mean of `sum beta^2`, scalar.
    """

    beta: jax.Array
    square: jax.Array


def _beta(loss: Known, z: jax.Array, is_label: jax.Array, width: jax.Array) -> jax.Array:
    return nearest_beta(loss, by_width(loss, z, width), ~is_label, axis=0)


def rounded_beta(loss: Known, s: jax.Array, labels: jax.Array, width: jax.Array) -> jax.Array:
    """The slopes of the rounded loss by the wrong classes' scores (C, N); 0 for the label."""
    is_label = label_mask(labels, s.shape[0], axis=0)
    return _beta(loss, margins(loss, s, is_label, axis=0), is_label, width)


def tangent(loss: Known, s: jax.Array, labels: jax.Array, width: jax.Array) -> Tangent:
    """Value and slopes of the rounded loss at scores (C, N)."""
    is_label = label_mask(labels, s.shape[0], axis=0)
    if isinstance(loss, SoftmaxCrossEntropy):
        largest = over_classes(jnp.maximum, s, 0)
        powers = jnp.exp(s - largest)
        total = over_classes(jnp.add, powers, 0)
        label_score = over_classes(jnp.add, jnp.where(is_label, s - largest, 0.0), 0)
        value = (jnp.log(total) - label_score)[0]
        return Tangent(value, powers / total - is_label.astype(s.dtype))
    z = margins(loss, s, is_label, axis=0)
    beta = _beta(loss, z, is_label, width)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        each = 0.25 * beta * beta
    else:
        each = beta * (z - 0.5 * width * beta)
    value = over_classes(jnp.add, each, 0)[0]
    return Tangent(value, rows_of(beta, is_label, axis=0))


@functools.partial(jax.jit, static_argnames="loss")
def rounding_cost(
    loss: Known, s: jax.Array, data: Data, width: jax.Array, around: Multipliers | None = None
) -> jax.Array:
    """What the rounding of a hinge adds to the duality gap, scalar."""
    is_label = label_mask(data.labels, s.shape[0], axis=0)
    z = margins(loss, s, is_label, axis=0)
    shifted = z if around is None else z + width * around.beta
    outside = jnp.maximum(z, 0.0)
    if isinstance(loss, CrammerSingerHinge):
        exact = over_classes(jnp.maximum, outside, 0)
    else:
        exact = over_classes(jnp.add, outside, 0)
    tangent_value = over_classes(jnp.add, _beta(loss, shifted, is_label, width) * z, 0)
    return data.weight @ (exact - tangent_value)[0]


def largest_bend(loss: Known, width: jax.Array) -> jax.Array:
    """The most that a loss can bend between two classes, scalar."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return jnp.full_like(width, 0.25)
    return jnp.full_like(width, 2.0) if isinstance(loss, SquaredWestonWatkinsHinge) else 1.0 / width


def pair_curvature(loss: Known, s: jax.Array, labels: jax.Array, width: jax.Array) -> PairCurvature:
    """The second derivative of each example's rounded loss by its scores."""
    nothing = jnp.zeros_like(s)
    is_label = label_mask(labels, s.shape[0], axis=0)
    if isinstance(loss, SoftmaxCrossEntropy):
        return PairCurvature(jax.nn.softmax(s, axis=0), nothing)
    z = margins(loss, s, is_label, axis=0)
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
