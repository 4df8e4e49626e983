"""The bias that a dual point needs: minimised over stored scores, without the features.

Scores are stored a block of rows after the other and the classes first in each, (M, C, B): a
processor then does the same to many examples at once, and sums of sums round less.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Known

_HALVINGS = 30
# Steps without progress after which only rounding is left.
_IDLE = 3
# How much of a slope may be left where a step ends.
_FLAT = 0.1


class Scored(NamedTuple):
    """Rows without their features, for one loss.

    Attributes:
      products: `W x` (M, C, B).
      labels: (M, B).
      weight: (M, B); 0 where an earlier block has counted the row.
      allowed: (C,) bool, classes that may have a part.
    """

    products: jax.Array
    labels: jax.Array
    weight: jax.Array
    allowed: jax.Array

    def total(self, values: jax.Array) -> jax.Array:
        """The weighted sum of one value an example, (M, B)."""
        return jnp.sum(jnp.einsum("mb,mb->m", values, self.weight))

    def class_totals(self, values: jax.Array) -> jax.Array:
        """The weighted sums (C,) of values (M, C, B)."""
        return jnp.sum(jnp.einsum("mcb,mb->mc", values, self.weight), axis=0)


class Bias(NamedTuple):
    """A bias, and what it lacks.

    Attributes:
      b: (C,).
      shifts: (R, C) beyond the last bit of the scores, for `conjugates.shifted_point`.
    """

    b: jax.Array
    shifts: jax.Array


def dual_rows(
    loss: Known,
    products: jax.Array,
    labels: jax.Array,
    width: jax.Array,
    bias: Bias,
    allowed: jax.Array,
) -> jax.Array:
    """The slopes (..., C, B) of the rounded loss at scores (..., C, B) and a bias."""
    a = conjugates.dual_point(
        loss, products + conjugates.along(bias.b, products, -2), labels, width, allowed, -2
    )
    for shift in bias.shifts:
        a = conjugates.shifted_point(loss, a, labels, width, shift, allowed, -2)
    return a


class _Point(NamedTuple):
    b: jax.Array
    gradient: jax.Array
    hessian: jax.Array


class _Search(NamedTuple):
    at: _Point
    best: jax.Array
    smallest: jax.Array
    steps: jax.Array
    idle: jax.Array


def balanced(
    loss: Known,
    scored: Scored,
    width: jax.Array,
    start: jax.Array,
    most_steps: int,
    enough: float,
) -> jax.Array:
    """The b (C,) that minimises the rounded loss over stored scores.

    Newton's method: a step costs one look at the scores, and more only where it went too far.

    Args:
      loss: what is minimised.
      scored: the scores.
      width: over which a hinge's kink is rounded off.
      start: where to start (C,).
      most_steps: after which it ends anywhere.
      enough: the size of the gradient at which it ends.
    """

    def rows(b: jax.Array) -> jax.Array:
        s = scored.products + conjugates.along(b, scored.products, -2)
        return conjugates.dual_point(loss, s, scored.labels, width, scored.allowed, -2)

    def evaluated(b: jax.Array) -> _Point:
        a = rows(b)
        return _Point(b, scored.class_totals(a), _hessian(loss, scored, a, width))

    def step(search: _Search) -> _Search:
        at = search.at
        direction = _newton_step(at.gradient, at.hessian)
        slope = at.gradient @ direction
        there = evaluated(at.b + direction)
        too_far = there.gradient @ direction
        ends_well = ~(too_far > _FLAT * jnp.abs(slope))

        def nearer(there: _Point) -> _Point:
            t = _where_flat(
                lambda t: scored.class_totals(rows(at.b + t * direction)) @ direction,
                slope,
                too_far,
            )
            return evaluated(at.b + t * direction)

        there = jax.lax.cond(ends_well, lambda there: there, nearer, there)
        size = jnp.max(jnp.abs(there.gradient))
        better = size < search.smallest
        idle = jnp.where(size < 0.5 * search.smallest, 0, search.idle + 1)
        return _Search(
            there,
            jnp.where(better, there.b, search.best),
            jnp.where(better, size, search.smallest),
            search.steps + 1,
            jnp.where(jnp.any(there.b != at.b), idle, _IDLE),
        )

    def goes_on(search: _Search) -> jax.Array:
        unfinished = (search.smallest > enough) & (search.idle < _IDLE)
        return unfinished & (search.steps < most_steps)

    first, none = evaluated(start), jnp.asarray(0, jnp.int32)
    search = _Search(first, start, jnp.max(jnp.abs(first.gradient)), none, none)
    return jax.lax.while_loop(goes_on, step, search).best


def with_shifts(loss: Known, scored: Scored, width: jax.Array, b: jax.Array) -> Bias:
    """A balanced bias with what its scores could not hold, where the loss can feel it."""
    none = jnp.zeros((0, *b.shape), b.dtype)
    if not conjugates.is_hinge(loss):
        return Bias(b, none)
    a = dual_rows(loss, scored.products, scored.labels, width, Bias(b, none), scored.allowed)
    hessian = _hessian(loss, scored, a, width)
    first = _newton_step(scored.class_totals(a), hessian)
    a = conjugates.shifted_point(loss, a, scored.labels, width, first, scored.allowed, -2)
    # Another step with the same second derivative, for what is left.
    return Bias(b, jnp.stack([first, _newton_step(scored.class_totals(a), hessian)]))


def _hessian(loss: Known, scored: Scored, a: jax.Array, width: jax.Array) -> jax.Array:
    curve = conjugates.curvature(loss, a, scored.labels, width, -2)
    return conjugates.mean_curvature(loss, curve, scored.labels, scored.weight, -2)


def _newton_step(gradient: jax.Array, hessian: jax.Array) -> jax.Array:
    # A common shift of b changes nothing, and a kink may have no curvature at all.
    ridge = 1e-12 * jnp.trace(hessian) + 1e-9
    return -jnp.linalg.solve(hessian + ridge * jnp.eye(len(gradient)), gradient)


class _Bracket(NamedTuple):
    """Two steps, a derivative's values there (one of them halved), and the last that was tried."""

    low: jax.Array
    high: jax.Array
    at_low: jax.Array
    at_high: jax.Array
    t: jax.Array
    found: jax.Array
    tries: jax.Array


def _where_flat(
    derivative: Callable[[jax.Array], jax.Array], at_zero: jax.Array, at_one: jax.Array
) -> jax.Array:
    """A step in (0, 1) where the derivative of a convex function is small; it is > 0 at 1.

    False position, the end that stays giving way by half: exact at once where the derivative is
    straight.
    """

    def goes_on(state: _Bracket) -> jax.Array:
        return (jnp.abs(state.found) > _FLAT * jnp.abs(at_zero)) & (state.tries < _HALVINGS)

    def narrowed(state: _Bracket) -> _Bracket:
        low, high, at_low, at_high, *_ = state
        t = low + (high - low) * at_low / (at_low - at_high)
        # Far from straight, where it would hardly move, halves are better.
        t = jnp.where(state.tries % 3 == 2, 0.5 * (low + high), t)
        found = derivative(t)
        falls = found < 0.0
        return _Bracket(
            jnp.where(falls, t, low),
            jnp.where(falls, high, t),
            jnp.where(falls, found, 0.5 * at_low),
            jnp.where(falls, 0.5 * at_high, found),
            t,
            found,
            state.tries + 1,
        )

    zero, one = jnp.zeros_like(at_zero), jnp.ones_like(at_zero)
    start = _Bracket(zero, one, at_zero, at_one, one, at_one, jnp.asarray(0, jnp.int32))
    return jax.lax.while_loop(goes_on, narrowed, start).t
