"""What certificates are computed from: two half passes over the data, in float64.

The first gives the scores, which are kept. The dual points are made of them, without the features;
the second half adds up what the bounds need of all of them, in one product.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Known
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.row_blocks import map_blocks, sum_over_blocks

_BIAS_STEPS, _HALVINGS, _SHIFTS = 30, 30, 2
# Steps without progress after which only rounding is left.
_IDLE = 3
# A mean of a_i so far from zero costs the bound about as much: nothing.
_BALANCED = 1e-14


class Given(NamedTuple):
    """Checked arguments: params and weight (sum 1) in float64, x as it came, labels int32."""

    params: LinearParams
    x: jax.Array
    labels: jax.Array
    weight: jax.Array
    scaling: Scaling | None


class Sums(NamedTuple):
    """What one pass over the data adds up, for each of K dual points.

    Attributes:
      primal: `sum w L`, scalar.
      bound: `-sum w L*` (K,).
      V: `sum w a x^T` (K, C, D).
      balance: `sum w a` (K, C).
      class_sums: `sum w y x^T` (C, D), y one-hot.
      mean: `sum w x` (D,).
      share: `sum w y` (C,).
      size: `sum w |a|` (K, C).
      reach: `sum w ||a|| ||x||` (K,): what the rounding of V is measured by.
      length: `sum w ||x||`, scalar.
      noise: `sum w` times the size of what is added up in a score, scalar.
    """

    primal: Any
    bound: Any
    V: Any
    balance: Any
    class_sums: Any
    mean: Any
    share: Any
    size: Any
    reach: Any
    length: Any
    noise: Any


def wide(x: jax.Array, scaling: Scaling | None) -> jax.Array:
    """A block of features in float64, scaled."""
    x = x.astype(jnp.float64)
    return x if scaling is None else scaling(x)


@functools.partial(jax.jit, static_argnames="loss")
def measure(loss: Known, given: Given, widths: jax.Array, dual: jax.Array | None) -> Sums:
    """Scores in a first half pass, dual points from them, their sums in a second."""
    params, x, labels, weight, scaling = given
    num_classes = params.num_classes
    products = map_blocks(lambda rows: wide(rows, scaling) @ params.W.T, x)
    share = jnp.zeros(num_classes).at[labels].add(weight)
    bias = jnp.zeros(num_classes) if params.b is None else params.b
    allowed = share > 0.0 if params.b is not None else jnp.ones(num_classes, bool)
    biases = jnp.broadcast_to(bias[None, :], (len(widths), num_classes))
    shifts = jnp.zeros((len(widths), 0, num_classes))
    if params.b is not None and dual is None:
        biases, shifts = jax.lax.map(
            lambda width: _balanced(loss, products, labels, weight, width, allowed, bias), widths
        )

    def block(rows: Any, is_new: jax.Array) -> Sums:
        features, s, y, w, points = rows
        features, w = wide(features, scaling), jnp.where(is_new, w, 0.0)

        def point(width: jax.Array, b: jax.Array, small: jax.Array) -> jax.Array:
            if points is not None:
                return conjugates.feasible(loss, points, y, allowed)
            a = conjugates.dual_point(loss, s + b[None, :], y, width, allowed)
            for shift in small:
                a = conjugates.shifted_point(loss, a, y, width, shift, allowed)
            return a

        a = jax.vmap(point)(widths, biases, shifts)  # (K, B, C)
        wa = a * w[None, :, None]
        columns = jnp.swapaxes(wa, 1, 2).reshape(-1, len(y))  # all dual points in one product
        one_hot = conjugates.label_mask(y, num_classes).astype(jnp.float64)
        length = jnp.sqrt(jnp.sum(features * features, axis=1))
        star = jax.vmap(lambda rows_: conjugates.conjugate(loss, rows_, y))(a)
        at_scores = (one_hot * w[:, None]).T @ features
        # The loss changes by at most its slope times the error of the scores: its slope where every
        # margin is larger by more than any error.
        near = s + bias[None, :] + 1e-6 * (1.0 - one_hot)
        all_classes = jnp.ones(num_classes, bool)
        slope = conjugates.dual_point(loss, near, y, widths[-1], all_classes)
        steepest = jnp.sum(jnp.abs(slope), axis=1)
        largest_bias = jnp.max(jnp.abs(bias))
        size_of_scores = length * jnp.sqrt(jnp.max(jnp.sum(params.W**2, axis=1)))
        return Sums(
            primal=jnp.sum(w * loss(s + bias[None, :], y)),
            bound=-jnp.sum(star * w[None, :], axis=1),
            V=(columns @ features).reshape(len(widths), num_classes, -1),
            balance=jnp.sum(wa, axis=1),
            class_sums=at_scores,
            mean=w @ features,
            share=w @ one_hot,
            size=jnp.sum(jnp.abs(wa), axis=1),
            reach=jnp.sum(jnp.sqrt(jnp.sum(wa * wa, axis=2)) * length[None, :], axis=1),
            length=w @ length,
            noise=jnp.sum(w * steepest * (features.shape[1] * size_of_scores + largest_bias)),
        )

    return sum_over_blocks(block, (x, products, labels, weight, dual))


def _balanced(
    loss: Known,
    products: jax.Array,
    labels: jax.Array,
    weight: jax.Array,
    width: jax.Array,
    allowed: jax.Array,
    start: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The b (C,) that minimises the rounded loss over stored scores: Newton, and bisection.

    Shifts (R, C) beyond the last bit of the scores follow, for `conjugates.shifted_point`.
    """

    def point(b: jax.Array) -> jax.Array:
        return conjugates.dual_point(loss, products + b[None, :], labels, width, allowed)

    def newton(a: jax.Array) -> jax.Array:
        curve = conjugates.curvature(loss, a, labels, width)
        hessian = conjugates.mean_curvature(loss, curve, labels, weight)
        # A common shift of b changes nothing, and a kink may have no curvature at all.
        ridge = 1e-12 * jnp.trace(hessian) + 1e-9
        return -jnp.linalg.solve(hessian + ridge * jnp.eye(len(start)), weight @ a)

    def step(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        b, best, smallest, count, idle = carry
        a = point(b)
        gradient = weight @ a
        size = jnp.max(jnp.abs(gradient))
        smallest_before, better = smallest, size < smallest
        best, smallest = jnp.where(better, b, best), jnp.where(better, size, smallest)
        direction = newton(a)
        t = _where_flat(
            lambda t: (weight @ point(b + t * direction)) @ direction, gradient @ direction
        )
        moved = b + t * direction
        idle = jnp.where(size < 0.5 * smallest_before, 0, idle + 1)
        return moved, best, smallest, count + 1, jnp.where(jnp.any(moved != b), idle, _IDLE)

    def goes_on(carry: tuple[jax.Array, ...]) -> jax.Array:
        _, _, smallest, count, idle = carry
        return (smallest > _BALANCED) & (count < _BIAS_STEPS) & (idle < _IDLE)

    none = jnp.asarray(0, jnp.int32)
    carry = (start, start, jnp.asarray(jnp.inf), none, none)
    best = jax.lax.while_loop(goes_on, step, carry)[1]
    a, shifts = point(best), []
    for _ in range(_SHIFTS):
        shifts.append(newton(a))
        a = conjugates.shifted_point(loss, a, labels, width, shifts[-1], allowed)
    return best, jnp.stack(shifts)


def _where_flat(derivative: Any, at_zero: jax.Array) -> jax.Array:
    """A step in [0, 1] where the derivative of a convex function is small, 1 if it may be."""

    def goes_on(carry: tuple[jax.Array, ...]) -> jax.Array:
        low, high, _, found, count = carry
        return (jnp.abs(found) > 0.1 * jnp.abs(at_zero)) & (count < _HALVINGS) & (low < high)

    def halve(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        low, high, middle, found, count = carry
        falls = found < 0.0
        low, high = jnp.where(falls, middle, low), jnp.where(falls, high, middle)
        middle = 0.5 * (low + high)
        return low, high, middle, derivative(middle), count + 1

    one = jnp.ones_like(at_zero)
    start = (0.0 * one, one, one, derivative(one), jnp.asarray(0, jnp.int32))
    return jax.lax.while_loop(goes_on, halve, start)[2]
