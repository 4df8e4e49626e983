"""The lowest point of a smooth convex function along a line, about.

A step that merely goes down does not do for a squared hinge: its curvature jumps where rows come in
or leave, and the point may be far from where those rows would have it. What is looked at is the
slope, whose zero is bracketed, by the line through the ends of the bracket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

Place = TypeVar("Place")

# A point is low enough where the slope is so much of the first one, and the objective is lower by
# so much of what that slope promised.
_LEVEL, _ENOUGH = 0.25, 1e-4
# Looks at the line; how much further the next one is if the last one was not far enough; and how
# far inside of a bracket the next one is at least.
_LOOKS, _FURTHER, _INSIDE = 30, 4.0, 0.1


class _Search(NamedTuple, Generic[Place]):
    """The zero of the slope lies between `low`, where it is `falling`, and `high`."""

    t: jax.Array
    low: jax.Array
    high: jax.Array
    falling: jax.Array
    rising: jax.Array
    there: Place
    taken: jax.Array
    is_there: jax.Array
    looks: jax.Array


def lowest_on_line(
    seen_at: Callable[[jax.Array], tuple[Place, jax.Array, jax.Array]],
    start: Place,
    value: jax.Array,
    slope: jax.Array,
    slack: jax.Array,
) -> tuple[Place, jax.Array]:
    """A point on a line that is no higher than its start, and how far along it is.

    Args:
      seen_at: what is at a t, a place, the objective there, and its slope along the line.
      start: the place at t = 0.
      value: of the objective there, scalar.
      slope: there, negative.
      slack: what rounding may be of the objective.

    Returns:
      The place, and its t: that of Newton's step, 1, if that will do; 0 where nothing is lower.
    """

    def goes_on(search: _Search[Place]) -> jax.Array:
        return ~search.is_there & (search.looks < _LOOKS)

    def look(search: _Search[Place]) -> _Search[Place]:
        # The last is where the objective still fell, and so has fallen all the way.
        taken = jnp.where(search.looks == _LOOKS - 1, search.low, search.t)
        there, new_value, new = seen_at(taken)
        is_low = new_value <= value + _ENOUGH * taken * slope + slack
        is_level = (jnp.abs(new) <= _LEVEL * jnp.abs(slope)) | (taken * jnp.abs(new) <= slack)
        falls = is_low & (new < 0.0)
        low, falling = jnp.where(falls, taken, search.low), jnp.where(falls, new, search.falling)
        high, rising = jnp.where(falls, search.high, taken), jnp.where(falls, search.rising, new)
        wide = high - low
        level = low + wide * falling / (falling - rising)
        # Every third look halves the bracket: the line through its ends may miss a kink for long.
        halves = (search.looks % 3 == 2) | ~jnp.isfinite(level)
        level = jnp.where(halves, low + 0.5 * wide, level)
        level = jnp.clip(level, low + _INSIDE * wide, high - _INSIDE * wide)
        t = jnp.where(jnp.isfinite(high), level, _FURTHER * taken)
        found = is_low & is_level
        return _Search(t, low, high, falling, rising, there, taken, found, search.looks + 1)

    zero, none = jnp.zeros_like(slope), jnp.zeros((), jnp.int32)
    first = _Search(
        zero + 1.0, zero, zero + jnp.inf, slope, zero, start, zero, jnp.asarray(False), none
    )
    end = jax.lax.while_loop(goes_on, look, first)
    return end.there, end.taken
