"""Derivatives from the left and from the right: what tells a kink from a slope.

A smooth function's two difference quotients approach each other as the step shrinks; at a kink they
stay apart, by the same amount at every step. The smallest step that rounding allows bounds how near
a kink has to be to count as one at the parameters themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.gradients.extrapolation import extrapolate
from jaxlin.gradients.finite_differences import moved_both_ways, values_eps
from jaxlin.gradients.moves import Moved, evaluate_moves

# How many times their estimated errors two derivatives must differ by to be two, and by what share
# of the larger.
_ERRORS, _SHARE, _UNCLEAR = 10.0, 1e-8, 2.0

# The two quotients have to be as far apart, up to a fifth, at the smallest steps, as many as this,
# at which rounding blurs no more than a tenth of that.
_SAME, _STEPS, _BLURRED = 0.2, 2, 0.1


class OneSided(NamedTuple):
    """Derivatives along K coordinates or directions, NumPy arrays.

    Attributes:
      value: the two-sided derivative (K,), where there is one.
      error: its estimated error (K,).
      step: the smallest step it is made of (K,).
      left: the derivative from the left (K,).
      right: the derivative from the right (K,).
      side_error: the larger of their estimated errors (K,).
      jumps: right quotient - left quotient at each step (L, K), the largest step first.
      steps: those steps (L, K).
      blur: what rounding does to the jumps (L, K).
    """

    value: np.ndarray
    error: np.ndarray
    step: np.ndarray
    left: np.ndarray
    right: np.ndarray
    side_error: np.ndarray
    jumps: np.ndarray
    steps: np.ndarray
    blur: np.ndarray

    @property
    def is_kink(self) -> np.ndarray:
        """Where the two sides differ, and stay apart at the smallest steps (K,)."""
        size = np.maximum(np.abs(self.right), np.abs(self.left))
        smallest = self._smallest
        stays = np.all(self._same() | ~smallest, axis=0) & (smallest.sum(axis=0) == _STEPS)
        return self._differ & (np.abs(self.right - self.left) > _SHARE * size) & stays

    @property
    def _differ(self) -> np.ndarray:
        """Where the two sides differ by more than their errors (K,)."""
        return np.abs(self.right - self.left) > _ERRORS * self.side_error

    @property
    def _smallest(self) -> np.ndarray:
        """The smallest steps at which rounding does not blur the jump (L, K)."""
        jump = np.abs(self.right - self.left)
        usable = np.isfinite(self.jumps) & (self.blur <= _BLURRED * jump[None])
        # Which of the usable steps each one is, counted from the smallest.
        place = np.cumsum(usable[::-1], axis=0)[::-1]
        return usable & (place <= _STEPS)

    @property
    def _drift(self) -> np.ndarray:
        """By how much the jump changes over those steps: a kink a little way off does that (K,)."""
        smallest = self._smallest
        with np.errstate(invalid="ignore"):
            high = np.max(np.where(smallest, self.jumps, -np.inf), axis=0)
            low = np.min(np.where(smallest, self.jumps, np.inf), axis=0)
            return np.where(smallest.any(axis=0), high - low, 0.0)

    def _same(self) -> np.ndarray:
        """At which steps the quotients are as far apart as the derivatives (L, K)."""
        jump = (self.right - self.left)[None]
        with np.errstate(invalid="ignore"):
            return np.abs(self.jumps - jump) <= _SAME * np.abs(jump) + self.blur

    @property
    def low(self) -> np.ndarray:
        """The smaller of the two sides at a kink, else the derivative (K,)."""
        return np.where(self.is_kink, np.minimum(self.left, self.right), self.value)

    @property
    def high(self) -> np.ndarray:
        """The larger of the two sides at a kink, else the derivative (K,)."""
        return np.where(self.is_kink, np.maximum(self.left, self.right), self.value)

    @property
    def bound(self) -> np.ndarray:
        """The estimated error of `low` and `high` (K,).

        Where the sides differ without the makings of a kink, the two-sided derivative is no surer
        than they are.
        """
        jump = np.abs(self.right - self.left)
        unclear = np.where(jump > _UNCLEAR * self.side_error, jump, 0.0)
        return np.where(self.is_kink, self.side_error + 2.0 * self._drift, self.error + unclear)

    def certainty(self, index: int) -> str:
        """How sure a kink is: over which steps the two sides stay as far apart."""
        same = self._same()[:, index]
        steps = self.steps[same, index]
        return (
            f"the two sides stay as far apart at {int(same.sum())} of {len(same)} steps, from "
            f"{steps.max():.1g} down to {steps.min():.1g}"
        )


def one_sided_derivatives(
    call: Callable[..., Any],
    numbers: Any,
    params: Any,
    arrays: tuple[Any, ...],
    which: np.ndarray,
    steps: jax.Array,
    directions: np.ndarray | None = None,
) -> OneSided:
    """The derivatives along coordinates or directions, from both sides.

    Args:
      call: the static part of the function (`moves.split_callable`).
      numbers: its numbers.
      params: where.
      arrays: its further arguments.
      which: coordinates or directions (K,).
      steps: the largest step for each (K,).
      directions: (K, P), or None for coordinates.
    """
    along = None if directions is None else jnp.asarray(directions)

    def moved(which: jax.Array, steps: jax.Array) -> Moved:
        return evaluate_moves(call, numbers, params, arrays, which, steps, along, None)

    sides = moved_both_ways(moved, jnp.asarray(which), steps)
    eps = values_eps(lambda params: call(numbers, params, *arrays), params)
    with np.errstate(all="ignore"):  # what is not finite does not count
        (left, _), (right, sizes) = sides.left, sides.right
        noise = sides.noise(eps)
        central = extrapolate(*sides.central, noise, is_central=True)
        from_left = extrapolate(*sides.left, noise, is_central=False)
        from_right = extrapolate(*sides.right, noise, is_central=False)
        jumps = right - left
    return OneSided(
        value=central.value,
        error=central.error,
        step=central.step,
        left=from_left.value,
        right=from_right.value,
        side_error=np.maximum(from_left.error, from_right.error),
        jumps=jumps,
        steps=sizes,
        blur=2.0 * noise[None] / np.abs(sizes),
    )
