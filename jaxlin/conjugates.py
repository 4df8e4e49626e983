"""The losses from their other side: conjugates, the points where they are finite, and slopes.

A loss that is convex in the scores is the upper envelope of its tangents,
`L(s) = max_a (<a, s> - L*(a))`, and each `a` with a finite conjugate `L*` bounds it from below. The
rows `a` (C,) of the losses here sum to zero. For the hinges `beta_j = a_j` for the wrong classes j,
and `a_y = -sum beta`; m is the margin:

* Weston-Watkins: `0 <= beta_j <= 1`, `L* = -m sum beta`;
* Crammer-Singer: `beta >= 0`, `sum beta <= 1`, `L* = -m sum beta`;
* squared Weston-Watkins: `beta >= 0`, `L* = sum (beta^2 / 4 - m beta)`;
* softmax: `p = a + e_y` in the simplex, `L* = sum p log p`.

A hinge's slope at its kink is a choice. With `(width / 2) sum beta^2` added to `L*` there is no
choice left: the hinge becomes a Huber function, and beta moves from 0 to 1 while the margin crosses
the width (Nesterov, "Smooth minimization of non-smooth functions", 2005).

A class that no example has can have no part in a model whose bias is free: `allowed` (C,) leaves
such classes out.

Arrays of examples are (N, C). With `axis=-2` they are (..., C, N), the classes before the
examples: so laid out, a processor does the same to many examples at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.errors import InputError
from jaxlin.losses import (
    CrammerSingerHinge,
    Loss,
    SoftmaxCrossEntropy,
    SquaredWestonWatkinsHinge,
    WestonWatkinsHinge,
)

Hinge = WestonWatkinsHinge | CrammerSingerHinge
Known = Hinge | SquaredWestonWatkinsHinge | SoftmaxCrossEntropy

# So few classes are added up one after the other.
_FEW_CLASSES = 32

# Hinges are minimised exactly with their kinks rounded off over this share of the margin, and
# certified best with the same: less, and the rounding of the scores is felt; more, and the kink is.
FINEST_WIDTH = 1e-7


def known_conjugate(loss: Loss) -> Known:
    """The loss itself, if its conjugate is known here.

    Raises:
      InputError: it is not.

    >>> from jaxlin.losses import softmax_cross_entropy
    >>> known_conjugate(softmax_cross_entropy)
    SoftmaxCrossEntropy()
    """
    # Not isinstance: a subclass may compute something else.
    known = (WestonWatkinsHinge, CrammerSingerHinge, SquaredWestonWatkinsHinge, SoftmaxCrossEntropy)
    for kind in known:
        if type(loss) is kind:
            return loss
    raise InputError(
        "A certificate needs the loss's convex conjugate, which is known for the losses of "
        f"jaxlin.losses and not for {getattr(loss, '__name__', type(loss).__name__)}."
    )


def is_hinge(loss: Loss) -> bool:
    """Whether the loss has a kink that can be rounded off here."""
    return type(loss) in (WestonWatkinsHinge, CrammerSingerHinge)


def over_classes(
    combine: Callable[[jax.Array, jax.Array], jax.Array], values: jax.Array, axis: int
) -> jax.Array:
    """Sums or maxima over the classes, whose axis is kept, with length 1.

    Where few classes come before the examples, a class after the other: then the loop over the
    examples is the inner one, and a processor does the same to many of them at once. A reduction
    as XLA writes it goes over the classes innermost, which takes it several times as long.

    Args:
      combine: `jnp.add` or `jnp.maximum`.
      values: of examples, (N, C) or with `axis` -2 or 0 (C, N).
      axis: of the classes.
    """
    axis = axis % values.ndim
    size = values.shape[axis]
    if axis == values.ndim - 1 or size > _FEW_CLASSES:
        reduce = jnp.sum if combine is jnp.add else jnp.max
        return reduce(values, axis=axis, keepdims=True)
    parts = [jax.lax.index_in_dim(values, k, axis) for k in range(size)]
    return functools.reduce(combine, parts)


def label_mask(labels: jax.Array, num_classes: int, axis: int = -1) -> jax.Array:
    """Which entry is the label's, (N, C) bool, or with the classes along another axis."""
    along = [1] * (labels.ndim + 1)
    along[axis] = num_classes
    classes = jnp.arange(num_classes, dtype=labels.dtype).reshape(along)
    return jnp.expand_dims(labels, axis) == classes


def along(values: jax.Array, like: jax.Array, axis: int) -> jax.Array:
    """Values of the classes (C,), to go with an array of examples."""
    shape = [1] * like.ndim
    shape[axis] = -1
    return values.reshape(shape)


def margins(loss: Known, scores: jax.Array, is_label: jax.Array, axis: int = -1) -> jax.Array:
    """`s_j - s_y + margin` (N, C); 0 for the label."""
    if isinstance(loss, SoftmaxCrossEntropy):
        raise TypeError("softmax has no margins")
    label_score = over_classes(jnp.add, jnp.where(is_label, scores, 0.0), axis)
    return jnp.where(is_label, 0.0, scores - label_score + loss.margin)


def rows_of(beta: jax.Array, is_label: jax.Array, axis: int = -1) -> jax.Array:
    """`a` (N, C) of the wrong classes' beta (N, C): the label has minus their sum."""
    beta = jnp.where(is_label, 0.0, beta)
    return jnp.where(is_label, -over_classes(jnp.add, beta, axis), beta)


def _within_unit_sum(z: jax.Array, axis: int) -> jax.Array:
    """The nearest point with `beta >= 0` and `sum beta <= 1`; minus infinity gives 0.

    Where the sum is too large, beta is `max(z - t, 0)`, and t the root of a convex, piecewise
    linear function: Newton's method finds it from below, in at most C steps and mostly in one or
    two, without sorting (Michelot, JOTA 1986).
    """
    z = jnp.minimum(z, jnp.finfo(z.dtype).max)
    top = over_classes(jnp.maximum, z, axis)
    # Less the largest: a t beside numbers of 1e7 would be too coarse.
    below = jnp.where(jnp.isneginf(z), z, z - jnp.where(jnp.isneginf(top), 0.0, top))

    def after(t: jax.Array) -> jax.Array:
        inside = below > t
        total = over_classes(jnp.add, jnp.where(inside, below, 0.0), axis) - 1.0
        count = over_classes(jnp.add, inside.astype(z.dtype), axis)
        return total / jnp.maximum(count, 1.0)

    def goes_on(carry: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        t, following, count = carry
        return (count < z.shape[axis]) & jnp.any(following > t)

    def step(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array, jax.Array]:
        _, t, count = carry
        return t, jnp.maximum(t, after(t)), count + 1

    lowest = jnp.full_like(top, -1.0)
    carry = (lowest, after(lowest), jnp.zeros((), jnp.int32))
    t = jax.lax.while_loop(goes_on, step, carry)[1]
    free = jnp.maximum(z, 0.0)
    fits = over_classes(jnp.add, free, axis) <= 1.0
    return jnp.where(fits, free, jnp.maximum(below - t, 0.0))


def nearest_beta(loss: Known, z: jax.Array, usable: jax.Array, axis: int = -1) -> jax.Array:
    """The feasible beta (N, C) that is nearest to z, 0 where it has to be."""
    if isinstance(loss, CrammerSingerHinge):
        return _within_unit_sum(jnp.where(usable, z, -jnp.inf), axis)
    top = 1.0 if isinstance(loss, WestonWatkinsHinge) else jnp.inf
    return jnp.where(usable, jnp.clip(z, 0.0, top), 0.0)


def by_width(loss: Known, margins: jax.Array, width: jax.Array) -> jax.Array:
    """What the beta of a rounded loss is nearest to; the squared hinge is smooth as it is."""
    return 2.0 * margins if isinstance(loss, SquaredWestonWatkinsHinge) else margins / width


def dual_point(
    loss: Known,
    scores: jax.Array,
    labels: jax.Array,
    width: jax.Array,
    allowed: jax.Array,
    axis: int = -1,
) -> jax.Array:
    """The slope of each example's loss at its scores, the kinks of a hinge rounded off, (N, C)."""
    is_label = label_mask(labels, scores.shape[axis], axis)
    usable = along(allowed, scores, axis)
    if isinstance(loss, SoftmaxCrossEntropy):
        inside = jnp.where(usable, scores, -jnp.inf)
        return jax.nn.softmax(inside, axis=axis) - is_label.astype(scores.dtype)
    z = margins(loss, scores, is_label, axis)
    z = by_width(loss, z, width)
    return rows_of(nearest_beta(loss, z, usable & ~is_label, axis), is_label, axis)


def feasible(
    loss: Known, dual: jax.Array, labels: jax.Array, allowed: jax.Array, axis: int = -1
) -> jax.Array:
    """Any rows (N, C) made into rows with a finite conjugate, those that have one left alone."""
    is_label = label_mask(labels, dual.shape[axis], axis)
    usable = along(allowed, dual, axis)
    if not isinstance(loss, SoftmaxCrossEntropy):
        return rows_of(nearest_beta(loss, dual, usable & ~is_label, axis), is_label, axis)
    one_hot = is_label.astype(dual.dtype)
    p = jnp.where(usable, jnp.maximum(dual + one_hot, 0.0), 0.0)
    total = jnp.sum(p, axis=axis, keepdims=True)
    return jnp.where(total > 0.0, p / jnp.where(total > 0.0, total, 1.0), one_hot) - one_hot


def conjugate(loss: Known, dual: jax.Array, labels: jax.Array, axis: int = -1) -> jax.Array:
    """`L*` of feasible rows (N, C), (N,).

    >>> from jaxlin.losses import weston_watkins_hinge
    >>> conjugate(weston_watkins_hinge, jnp.array([[-1.5, 1.0, 0.5]]), jnp.array([0])).tolist()
    [-1.5]
    """
    is_label = label_mask(labels, dual.shape[axis], axis)
    if isinstance(loss, SoftmaxCrossEntropy):
        p = dual + is_label.astype(dual.dtype)
        logs = jnp.log(jnp.where(p > 0.0, p, 1.0))
        return jnp.sum(jnp.where(p > 0.0, p, 0.0) * logs, axis=axis)
    beta = jnp.where(is_label, 0.0, dual)
    value = -loss.margin * beta
    if isinstance(loss, SquaredWestonWatkinsHinge):
        value = value + 0.25 * beta * beta
    return jnp.sum(value, axis=axis)


class Curvature(NamedTuple):
    """The second derivative of each example's loss by its scores, without its C x C numbers.

    It is `T (diag(slopes) - coupling slopes slopes^T) T^T`: for softmax T is the identity, for the
    hinges the step from beta to a.

    Attributes:
      slopes: (N, C); 0 for the label of a hinge.
      coupling: (N, 1).
    """

    slopes: jax.Array
    coupling: jax.Array


def curvature(
    loss: Known, dual: jax.Array, labels: jax.Array, width: jax.Array, axis: int = -1
) -> Curvature:
    """At the point whose slope is `dual` (`dual_point` with the same width)."""
    is_label = label_mask(labels, dual.shape[axis], axis)
    none = jnp.zeros_like(jnp.expand_dims(labels, axis), dual.dtype)
    if isinstance(loss, SoftmaxCrossEntropy):
        return Curvature(dual + is_label.astype(dual.dtype), none + 1.0)
    beta = jnp.where(is_label, 0.0, dual)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        return Curvature(jnp.where(beta > 0.0, 2.0, jnp.zeros_like(beta)), none)
    if isinstance(loss, WestonWatkinsHinge):
        return Curvature(jnp.where((beta > 0.0) & (beta < 1.0), 1.0 / width, 0.0 * beta), none)
    slopes = jnp.where(beta > 0.0, 1.0 / width, 0.0 * beta)
    total = jnp.sum(beta, axis=axis, keepdims=True)
    full = total >= 1.0 - 8.0 * jnp.finfo(beta.dtype).eps
    return Curvature(slopes, jnp.where(full, 1.0 / jnp.sum(slopes, axis, keepdims=True), none))


def bent(
    loss: Known, curve: Curvature, step: jax.Array, is_label: jax.Array, axis: int = -1
) -> jax.Array:
    """The second derivatives times a step of the scores (N, C): by how much the slopes change."""
    slopes, coupling = curve
    if not isinstance(loss, SoftmaxCrossEntropy):
        step = step - jnp.sum(jnp.where(is_label, step, 0.0), axis=axis, keepdims=True)
    change = slopes * step
    change = change - coupling * slopes * jnp.sum(change, axis=axis, keepdims=True)
    return change if isinstance(loss, SoftmaxCrossEntropy) else rows_of(change, is_label, axis)


def mean_curvature(
    loss: Known, curve: Curvature, labels: jax.Array, weight: jax.Array, axis: int = -1
) -> jax.Array:
    """`sum_i weight_i` of the second derivatives, (C, C); `axis` is -1 or -2."""
    slopes, coupling = curve

    def products(a: jax.Array, b: jax.Array) -> jax.Array:
        """Summed over the examples, for each pair of classes."""
        by_class = (a, b) if axis == -2 else (jnp.swapaxes(a, -1, -2), jnp.swapaxes(b, -1, -2))
        found = by_class[0] @ jnp.swapaxes(by_class[1], -1, -2)
        return jnp.sum(found, axis=tuple(range(found.ndim - 2)))

    weighted = slopes * jnp.expand_dims(weight, axis)
    others = tuple(k for k in range(slopes.ndim) if k != axis % slopes.ndim)
    inner = jnp.diag(jnp.sum(weighted, axis=others))
    is_coupled = isinstance(loss, CrammerSingerHinge | SoftmaxCrossEntropy)
    if is_coupled:
        inner = inner - products(weighted * coupling, slopes)
    if isinstance(loss, SoftmaxCrossEntropy):
        return inner
    one_hot = label_mask(labels, slopes.shape[axis], axis).astype(slopes.dtype)
    if is_coupled:
        weighted = weighted * (1.0 - coupling * jnp.sum(slopes, axis=axis, keepdims=True))
    crossed = products(one_hot, weighted)
    return inner - crossed - crossed.T + jnp.diag(jnp.sum(crossed, axis=1))


def shifted_point(
    loss: Known,
    dual: jax.Array,
    labels: jax.Array,
    width: jax.Array,
    shift: jax.Array,
    allowed: jax.Array,
    axis: int = -1,
) -> jax.Array:
    """`dual_point` after all scores have moved by so small a `shift` (C,), to first order.

    The scores need not be able to hold the shift: `a` (N, C) may feel less than their last bit.
    """
    is_label = label_mask(labels, dual.shape[axis], axis)
    curve = curvature(loss, dual, labels, width, axis)
    step = jnp.broadcast_to(along(shift, dual, axis), dual.shape)
    return feasible(loss, dual + bent(loss, curve, step, is_label, axis), labels, allowed, axis)


def score_hessians(curve: Curvature, is_label: jax.Array) -> jax.Array:
    """The second derivative of each example's hinge by its scores, (N, C, C)."""
    slopes, coupling = curve
    one_hot = is_label.astype(slopes.dtype)
    eye = jnp.eye(slopes.shape[1], dtype=slopes.dtype)[None]
    inner = eye * slopes[:, :, None] - (coupling * slopes)[:, :, None] * slopes[:, None, :]
    row_sums = slopes * (1.0 - coupling * jnp.sum(slopes, axis=1, keepdims=True))
    crossed = one_hot[:, :, None] * row_sums[:, None, :]
    total = jnp.sum(row_sums, axis=1, keepdims=True)
    at_label = (one_hot * total)[:, :, None] * one_hot[:, None, :]
    return inner - crossed - jnp.swapaxes(crossed, 1, 2) + at_label
