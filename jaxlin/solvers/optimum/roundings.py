"""How a hinge is rounded off: wide at first, then narrower, then around the slopes that it has.

A narrow rounding bends so sharply that no quadratic model holds for long. The kinks are therefore
left as round as they are while that serves, and what they are rounded around is renewed instead,
from the slopes at each rounding's optimum: the method of multipliers. On Fashion-MNIST at l2 = 1e-4
the Weston-Watkins hinge takes 66 passes to a certified gap of 1e-3 and 330 to 1e-6; with widths
that shrink to the end and no slopes to go around, 138 passes lead to 1e-3 and 600 to 1e-4.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.conjugates import Known
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.rounded import Multipliers, rounding_cost
from jaxlin.solvers.optimum.steps import Terms, multipliers_at

# Of the margin: where a hinge starts, and how much narrower it is each time at the most and least.
_FIRST_WIDTH, _NARROWER, _LEAST_NARROWER = 2.0, 0.3, 0.7
# Of the margin: from here on it is rounded around its slopes, and narrower, by so much, where that
# brings what the rounding costs down by less than this. (Passes to 1e-3 and 1e-6 on Fashion-MNIST,
# from 0.02 / 0.07 / 0.2 / 0.7 of the margin on: 138, 138, 70, 66 and 372, 340, 340, 330.)
_FINE_ENOUGH = 0.7
_NARROWER_AROUND, _BRINGS = 0.25, 1.5
# The cost of a rounding around zero falls about as this power of its width.
_COST_POWER = 1.25
# Where a hinge starts again for another l2: not below this multiple of its last width, and with a
# rounding that costs this share of the objective for each unit of log l2 between them.
_WIDER, _COST_OF_A_WAY = 3.0, 0.1


class Last(NamedTuple):
    """An optimum that another one may be near to.

    Attributes:
      scores: (C, N).
      value: of the objective.
      l2: whose optimum it is.
      width: of its rounding.
    """

    scores: jax.Array
    value: float
    l2: float
    width: float


def first_terms(
    loss: Known, num_classes: int, data: Data, l2: float, last: Last | None = None
) -> Terms:
    """As wide as the way to the optimum is long; rounded around zero."""
    number, one = jnp.asarray(l2, jnp.float64), jnp.ones((), jnp.float64)
    if not conjugates.is_hinge(loss):
        return Terms(number, one, one)
    width = _FIRST_WIDTH * loss.margin  # pyright: ignore[reportAttributeAccessIssue]
    if last is not None:
        far = _COST_OF_A_WAY * abs(np.log(l2 / last.l2)) * last.value
        while width > _WIDER * last.width and _cost(loss, last.scores, data, width) > far:
            width *= _NARROWER
    nothing = jnp.zeros((num_classes, data.x.shape[0]), jnp.float64)
    around = Multipliers(nothing, jnp.zeros((), jnp.float64))
    return Terms(number, jnp.asarray(width, jnp.float64), one, around)


def cost_of_rounding(loss: Known, scores: jax.Array, data: Data, terms: Terms) -> float:
    """What it adds to the gap at some scores (C, N): nothing where the loss has no kink."""
    if not conjugates.is_hinge(loss):
        return 0.0
    return float(rounding_cost(loss, scores, data, terms.width, terms.around))


def _cost(loss: Known, scores: jax.Array, data: Data, width: float) -> float:
    return float(rounding_cost(loss, scores, data, jnp.asarray(width, jnp.float64)))


class Costs(NamedTuple):
    """What the rounding adds to the gap, as a share of the objective: now, and of the last one."""

    now: float
    before: float


def is_around_slopes(terms: Terms) -> bool:
    """Whether a hinge is rounded around anything else than zero."""
    return terms.around is not None and float(terms.around.square) > 0.0


def finer(
    loss: Known, scores: jax.Array, data: Data, terms: Terms, tol: float, costs: Costs
) -> Terms:
    """A rounding that costs less, at the optimum of the last: narrower, or around its slopes.

    Args:
      loss: a hinge.
      scores: of that optimum (C, N).
      data: what is fitted.
      terms: of the last rounding.
      tol: the relative gap that is wanted in the end.
      costs: of the last rounding, and of the one before.
    """
    margin, width = loss.margin, float(terms.width)  # pyright: ignore[reportAttributeAccessIssue]
    if width <= _FINE_ENOUGH * margin:
        is_slow = costs.now * _BRINGS > costs.before and width > conjugates.FINEST_WIDTH * margin
        factor = _NARROWER_AROUND if is_slow else 1.0
        around = multipliers_at(loss, scores, data, terms)
        return terms._replace(around=around, width=terms.width * factor)
    wanted = (0.4 * tol / max(costs.now, 1e-300)) ** (1.0 / _COST_POWER)
    width *= float(np.clip(wanted, _NARROWER, _LEAST_NARROWER))
    if width <= _FINE_ENOUGH * margin:
        # A power of two: width times slopes is then exact, in whatever order it is computed.
        width = 2.0 ** np.floor(np.log2(width))
    return terms._replace(width=jnp.asarray(width, jnp.float64))
