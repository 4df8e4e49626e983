"""A certificate from checked arguments: what solvers call, as often as they like."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import BLOCK_ROWS, Given, Sums, measure
from jaxlin.conjugates import Known
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import number_of_blocks

# Shares of the margin over which the kinks of a hinge are rounded off. The finest comes first: the
# bias of an exact optimum suits it, and no other width may do.
SEARCHED_WIDTHS = (conjugates.FINEST_WIDTH, 1e-6, 1e-4, 1e-2, 1.0)
_EPS = float(np.finfo(np.float64).eps)


def certified(
    loss: Known,
    given: Given,
    l2: float,
    *,
    widths: Sequence[float] | None = None,
    dual: jax.Array | None = None,
    around: jax.Array | None = None,
) -> Certificate:
    """The certificate of some parameters; nothing is checked.

    One program is compiled for each loss, shape of the data and number of widths; other parameters,
    l2 and widths are numbers in it. The caller may be in a float64 scope or not.

    Args:
      loss: one whose conjugate is known.
      given: params and weight in float64; x as it lies on the device.
      l2: positive.
      widths: for a hinge, those to round its kinks off over, in the units of the scores: a solver
        that has minimised a rounded hinge knows its own. None looks for the best itself.
      dual: rows (N, C), float64, to build the bound from instead.
      around: slopes (N, C) that a hinge is rounded around, float64; None are zeros.

    >>> from jaxlin.linear import LinearParams
    >>> from jaxlin.losses import softmax_cross_entropy
    >>> with float64_scope(True):
    ...     params, weight = LinearParams(jnp.zeros((2, 1))), jnp.array([0.5, 0.5])
    >>> x, labels = jnp.array([[1.0], [-1.0]]), jnp.array([0, 1], jnp.int32)
    >>> proof = certified(softmax_cross_entropy, Given(params, x, labels, weight, None), 0.5)
    >>> round(proof.primal, 4), round(proof.dual, 4)
    (0.6931, 0.4431)
    """
    is_hinge = conjugates.is_hinge(loss)
    is_search = is_hinge and widths is None and dual is None
    if not is_hinge or dual is not None:
        widths = (1.0,)
    elif widths is None:
        widths = [width * loss.margin for width in SEARCHED_WIDTHS]  # pyright: ignore[reportAttributeAccessIssue]
    with float64_scope(True):
        of_widths = jnp.asarray(np.array(widths, np.float64))
        sums = measure(loss, given, jnp.asarray(float(l2)), of_widths, dual, is_search, around)
        sums = Sums(*(np.asarray(leaf, np.float64) for leaf in jax.device_get(sums)))
    made_by = "given" if dual is not None else "slopes" if around is None else "multipliers"
    return concluded(loss, given, sums, float(l2), made_by=made_by)


MadeBy = Literal["given", "slopes", "multipliers"]


def concluded(loss: Known, given: Given, sums: Sums, l2: float, *, made_by: MadeBy) -> Certificate:
    """The certificate that sums over the data prove.

    Args:
      loss: what is minimised.
      given: what the sums are of.
      sums: as NumPy arrays.
      l2: positive.
      made_by: what the dual point is: somebody else's, the loss's slopes, or those of a hinge
        that is rounded around others.
    """
    num_examples, num_classes = len(given.labels), given.params.num_classes
    primal = float(sums.primal + l2 * np.sum(np.square(np.asarray(given.params.W))))
    unit = min(num_examples, BLOCK_ROWS) + number_of_blocks(num_examples, BLOCK_ROWS) + 64.0
    unit = 4.0 * _EPS * unit
    # A balance is known to this only, and a repair of so much is not seen.
    unseen = unit * num_classes * sums.size
    bounds = [_bound(sums, k, l2, unit, float(unseen[k])) for k in range(len(sums.width))]
    # A point that is not finite bounds nothing; the others may.
    values = np.nan_to_num([bound.value for bound in bounds], nan=-np.inf, posinf=-np.inf)
    best = int(np.argmax(values))
    rounding = unit * primal + 4.0 * _EPS * float(sums.noise)
    return Certificate(
        primal=primal,
        # No loss is negative, so that the zeros bound the optimum too.
        dual=max(float(values[best]) - rounding, 0.0),
        how=_how(loss, made_by, float(sums.width[best]), bounds[best]),
        l2=l2,
        has_bias=given.params.b is not None,
        loss=loss,
    )


class _Bound(NamedTuple):
    """A lower bound of the optimum, the part of the repair in it, and how far it was scaled back.

    Attributes:
      value: rounding errors of its own taken off.
      theta: 0 where there was nothing to repair.
      scale: from 0 to 1.
    """

    value: float
    theta: float
    scale: float


def _bound(sums: Sums, k: int, l2: float, unit: float, unseen: float) -> _Bound:
    """The best bound on the line from no dual point to the k-th; `unit` bounds a sum's rounding."""
    value, norm = float(sums.value[k]), float(np.linalg.norm(sums.V[k]))
    length = float(sums.length)
    noise = unit * abs(value)
    # What the unseen repair would cost: its value, and a V that is at most twice the length.
    noise += unseen * (abs(value) + 1.0 + abs(float(sums.gain[k])))
    # A row's entries are off by rounding units of 1, however small they are; their conjugate too.
    num_classes = sums.V.shape[1]
    noise += 8.0 * _EPS * num_classes
    rounding_of_V = unit * float(sums.steepness[k]) * length + 2.0 * unseen * length
    rounding_of_V += 4.0 * _EPS * math.sqrt(num_classes) * length
    noise += rounding_of_V * (2.0 * norm + rounding_of_V) / (4.0 * l2)
    quadratic = norm * norm / (4.0 * l2)
    # D(t A) >= t value - t^2 quadratic, because L* is convex and L*(0) = 0.
    t = 1.0 if quadratic == 0.0 else min(1.0, max(0.0, value / (2.0 * quadratic)))
    return _Bound(t * (value - t * quadratic - noise), float(sums.theta[k]), t)


def _how(loss: Known, made_by: MadeBy, width: float, bound: _Bound) -> str:
    if made_by == "given":
        sentence = "The dual point was given, and made feasible"
    elif made_by == "multipliers":
        sentence = "The dual point is the solver's own, from its slopes at the hinge's kinks"
    elif conjugates.is_hinge(loss):
        sentence = f"The dual point is the slope of the hinge, its kink rounded over {width:.0e}"
    else:
        sentence = "The dual point is the slope of the loss at the scores"
    if bound.theta > 1e-12:
        sentence += f"; balanced over the classes by mixing in {bound.theta:.1e}"
    if bound.scale < 1.0:
        sentence += f"; scaled back to {bound.scale:.2g} of itself"
    return sentence + "."
