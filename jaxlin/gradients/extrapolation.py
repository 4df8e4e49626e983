"""Richardson extrapolation: difference quotients at shrinking steps, and the limit they tend to.

The error of a difference quotient is a series in its step, in even powers for the central one.
Two quotients at steps h and h / r give one whose leading term is gone, two of those the next, and
so on: a triangular table. Its entries are judged by how far they are from the entries that they
were made of, and by what rounding does at their step. The best entry that no smaller step refutes
is the answer, and that distance the estimate of its error.

Source: C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering
Software 4 (2), 1982.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# From one step to the next. A small ratio gains less with each step, a large one leaves gaps where
# a function of an unexpected scale has no good step.
RATIO = 8.0

# How many times further off than a larger step, and than rounding, a smaller step may be.
_NEARER = 4.0


class Limit(NamedTuple):
    """Derivatives as limits, each (K,).

    Attributes:
      value: the derivative.
      error: an estimate of its error, infinite where no step gave a finite quotient.
      step: the smallest step that it is made of.
    """

    value: Any
    error: Any
    step: Any


def num_steps(dtype: Any) -> int:
    """How many steps there are, from 1 to where three quarters of the digits are lost."""
    return 1 + math.ceil(0.75 * math.log(1.0 / float(jnp.finfo(dtype).eps)) / math.log(RATIO))


def extrapolate(
    quotients: jax.Array | np.ndarray,
    steps: jax.Array | np.ndarray,
    noise: jax.Array | np.ndarray,
    *,
    is_central: bool,
) -> Limit:
    """The limits of difference quotients whose steps shrink by `RATIO`.

    NumPy arrays are worked on by NumPy: the table is small, and takes long to compile.

    Args:
      quotients: (L, K), the largest step first; those that are not finite do not count.
      steps: (L, K).
      noise: what rounding does to the function's values (K,).
      is_central: whether the quotients are central, their error even in the step.

    Returns:
      `Limit`.
    """
    xp: Any = np if isinstance(quotients, np.ndarray) else jnp
    rounding = noise[None] / xp.abs(steps)
    power = RATIO**2 if is_central else RATIO
    best = Limit(quotients[-1], xp.full_like(noise, xp.inf), xp.abs(steps[-1]))

    def better(best: Limit, value: Any, distance: Any, level: int) -> Limit:
        error = xp.where(xp.isfinite(distance), distance, xp.inf) + rounding[level]
        # Whoever is right at some step is not far wrong at smaller ones, but for rounding: a
        # function may look straight from afar, and a kink may lie nearer than the step.
        reach = _NEARER * xp.maximum(xp.abs(quotients[level] - value), error)
        nearer = xp.abs(quotients[level + 1 :] - value[None])
        is_refuted = xp.any(nearer > reach[None] + _NEARER * rounding[level + 1 :], axis=0)
        take = (error < best.error) & ~is_refuted
        new = Limit(value, error, xp.abs(steps[level]))
        return Limit(*(xp.where(take, n, b) for n, b in zip(new, best, strict=True)))

    above: list[Any] = []
    for level in range(quotients.shape[0]):
        row = [quotients[level]]
        if level:
            best = better(best, row[0], xp.abs(row[0] - above[0]), level)
        for column in range(1, level + 1):
            gain = power**column - 1.0
            value = row[-1] + (row[-1] - above[column - 1]) / gain
            distance = xp.maximum(xp.abs(value - row[-1]), xp.abs(value - above[column - 1]))
            best = better(best, value, distance, level)
            row.append(value)
        above = row
    return best
