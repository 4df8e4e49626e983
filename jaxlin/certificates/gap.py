"""The duality gap: a bound of the optimum from below, from sums over the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks, conjugates
from jaxlin.certificates.certificate import Certificate, as_features
from jaxlin.certificates.dual_points import Given, Sums, measure
from jaxlin.conjugates import Known
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import SoftmaxCrossEntropy, SquaredWestonWatkinsHinge
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import BLOCK_ROWS, number_of_blocks
from jaxlin.weights import shares

# Shares of the margin over which the kinks of a hinge are rounded off.
_WIDTHS = (*(10.0**k for k in range(1, -7, -1)), conjugates.FINEST_WIDTH)
_EPS = float(np.finfo(np.float64).eps)


def duality_gap(
    objective: Objective,
    params: LinearParams,
    x: Any,
    labels: Any,
    sample_weight: Any = None,
    dual: Any = None,
    scaling: Scaling | None = None,
) -> Certificate:
    """Bounds how far the objective at some parameters is from its minimum.

    The minimum is over W, and over b where `params` has one. Costs about an objective and a
    gradient in float64; integer and half-width features are converted a block of rows at a time.

    Args:
      objective: with one of the losses of `jaxlin.losses`, `l2 > 0` and no penalty.
      params: W (C, D) and b (C,) or None, from any solver.
      x: features (N, D) of any real dtype.
      labels: integers 0..C-1, (N,).
      sample_weight: (N,), not negative.
      dual: rows a_i (N, C) to build the bound from, made feasible where they are not; None makes
        them from the scores.
      scaling: what the features go through first, or None.

    Returns:
      A `Certificate`.

    Raises:
      InputError: there is no certificate for this objective, or an argument is wrong.

    >>> from jaxlin.losses import weston_watkins_hinge
    >>> x, labels = np.array([[1.0], [-1.0]]), np.array([0, 1])
    >>> zero = LinearParams(jnp.zeros((2, 1)), jnp.zeros(2))
    >>> duality_gap(Objective(weston_watkins_hinge, l2=10.0), zero, x, labels).primal
    1.0
    """
    loss, l2 = _certifiable(objective)
    with float64_scope(True):
        given = _checked(params, x, labels, sample_weight, scaling)
        num_examples, num_classes = len(given.labels), params.num_classes
        if dual is not None:
            dual = checks.as_features(dual, jnp.float64, name="dual", num_features=num_classes)
            if len(dual) != num_examples:
                raise InputError(f"dual must have {num_examples} rows, got {len(dual)}.")
            dual = dual.astype(jnp.float64)
        widths = np.array(_WIDTHS if conjugates.is_hinge(loss) and dual is None else (1.0,))
        if conjugates.is_hinge(loss):
            widths = widths * loss.margin  # pyright: ignore[reportAttributeAccessIssue]
        sums = jax.device_get(measure(loss, given, jnp.asarray(widths), dual))
    sums = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), sums)
    has_bias = params.b is not None
    primal = float(sums.primal + l2 * np.sum(np.square(np.asarray(given.params.W))))
    unit = 4.0 * _EPS * (min(num_examples, BLOCK_ROWS) + number_of_blocks(num_examples) + 64.0)
    bounds = [_bound(sums, k, loss, l2, unit, has_bias) for k in range(len(widths))]
    best = int(np.argmax([bound.value for bound in bounds]))
    rounding = unit * primal + 4.0 * _EPS * float(sums.noise)
    return Certificate(
        primal=primal,
        # No loss is negative, so that the zeros bound the optimum too.
        dual=max(bounds[best].value - rounding, 0.0),
        how=_how(loss, dual is not None, float(widths[best]), bounds[best]),
        l2=l2,
        has_bias=has_bias,
    )


def _certifiable(objective: Objective) -> tuple[Known, float]:
    loss = conjugates.known_conjugate(objective.loss)
    if objective.penalty is not None:
        raise InputError(
            "There is no certificate with a penalty of your own: its convex conjugate is unknown. "
            "Only l2 can be certified."
        )
    l2 = np.asarray(objective.l2, np.float64)
    if l2.shape != ():
        raise InputError(f"l2 must be one number, got shape {l2.shape}.")
    if not l2 > 0.0:
        raise InputError(
            "There is no certificate with l2 = 0: the dual bound divides by l2, and the optimum "
            "need not even exist. Use a small l2."
        )
    return loss, float(l2)


def _checked(
    params: LinearParams, x: Any, labels: Any, sample_weight: Any, scaling: Scaling | None
) -> Given:
    if not isinstance(params, LinearParams):
        raise InputError(f"params must be LinearParams(W, b), got {params!r}.")
    features = as_features(x, params.num_features)
    codes = checks.as_labels(labels, len(features), num_classes=params.num_classes)
    weight = checks.as_sample_weight(sample_weight, len(features))
    weight = shares(weight, len(features), jnp.float64)
    wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(wide)):
        raise InputError("params hold NaN or infinity.")
    return Given(wide, features, jnp.asarray(codes), weight, scaling)


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


def _bound(sums: Sums, k: int, loss: Known, l2: float, unit: float, has_bias: bool) -> _Bound:
    """The best bound on the line from no dual point to the k-th; `unit` bounds a sum's rounding."""
    value, V, theta = float(sums.bound[k]), sums.V[k], 0.0
    noise = unit * abs(value)
    if has_bias:
        present = sums.share > 0.0
        share, balance = sums.share[present], sums.balance[k][present]
        theta, q = _mixture(balance, share)
        full = np.zeros_like(sums.share)
        full[present] = q
        pull = full[:, None] * sums.mean[None, :] - sums.class_sums
        gain = _value_of_mixture(loss, q, share)
        # The balance itself is known to `error` only, and a repair of so much is not seen.
        error = unit * len(share) * float(np.max(sums.size[k][present] / share))
        reach = float(np.linalg.norm(sums.mean) + np.linalg.norm(sums.class_sums))
        noise += error * (abs(value) + 1.0 + abs(gain))
        noise += error * reach * (2.0 * float(np.linalg.norm(V)) + error * reach) / (4.0 * l2)
        value, V = (1.0 - theta) * value + theta * gain, (1.0 - theta) * V + theta * pull
    norm = float(np.linalg.norm(V))
    quadratic = norm * norm / (4.0 * l2)
    rounding_of_V = unit * (float(sums.reach[k]) + 2.0 * theta * float(sums.length))
    noise += rounding_of_V * (2.0 * norm + rounding_of_V) / (4.0 * l2)
    # D(t A) >= t value - t^2 quadratic, because L* is convex and L*(0) = 0.
    t = 1.0 if quadratic == 0.0 else min(1.0, max(0.0, value / (2.0 * quadratic)))
    return _Bound(t * (value - t * quadratic - noise), theta, t)


def _mixture(balance: np.ndarray, share: np.ndarray) -> tuple[float, np.ndarray]:
    """How much of which `1 q^T - Y` brings the mean of the a_i to zero: theta, q."""
    rho = max(float(np.max(balance / share)), 0.0)
    if rho == 0.0:
        return 0.0, share
    q = np.maximum(share - balance / rho, 0.0)
    return rho / (1.0 + rho), q / q.sum()


def _value_of_mixture(loss: Known, q: np.ndarray, share: np.ndarray) -> float:
    """The mean of `-L*` of the rows of `1 q^T - Y`."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return float(-np.sum(q * np.log(np.where(q > 0.0, q, 1.0))))
    value = loss.margin * (1.0 - float(share @ q))
    if isinstance(loss, SquaredWestonWatkinsHinge):
        value -= 0.25 * float((1.0 - share) @ (q * q))
    return value


def _how(loss: Known, was_given: bool, width: float, bound: _Bound) -> str:
    if was_given:
        sentence = "The dual point was given, and made feasible"
    elif conjugates.is_hinge(loss):
        sentence = f"The dual point is the slope of the hinge, its kink rounded over {width:.0e}"
    else:
        sentence = "The dual point is the slope of the loss at the scores"
    if bound.theta > 1e-12:
        sentence += f"; balanced over the classes by mixing in {bound.theta:.1e}"
    if bound.scale < 1.0:
        sentence += f"; scaled back to {bound.scale:.2g} of itself"
    return sentence + "."
