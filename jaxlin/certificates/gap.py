"""The duality gap: a bound of the optimum from below, from sums over the data."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks, conjugates
from jaxlin.certificates.bounds import certified
from jaxlin.certificates.certificate import Certificate, as_features
from jaxlin.certificates.dual_points import Given
from jaxlin.conjugates import Known
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.weights import shares


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
        return certified(loss, given, l2, dual=dual)


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
