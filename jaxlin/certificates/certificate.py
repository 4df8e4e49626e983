"""A certificate, and what it says about predictions."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks, conjugates
from jaxlin.certificates.dual_points import wide
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.precision import first_largest, float64_scope
from jaxlin.row_blocks import map_blocks

_EPS = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A proof of how far from the optimum some parameters can be.

    Attributes:
      primal: the objective at the parameters.
      dual: a lower bound of the optimum, rounding errors taken off.
      how: how the dual point was made.
      l2: of the objective.
      has_bias: whether the objective is minimised over a bias too.

    >>> proof = Certificate(primal=0.5, dual=0.49, how="", l2=1e-2, has_bias=False)
    >>> round(proof.gap, 12), round(proof.relative_gap, 12), round(proof.radius, 12)
    (0.01, 0.02, 1.0)
    """

    primal: float
    dual: float
    how: str
    l2: float
    has_bias: bool

    @property
    def gap(self) -> float:
        """The objective exceeds the optimum by at most this."""
        return self.primal - self.dual

    @property
    def relative_gap(self) -> float:
        """The gap over the objective."""
        if self.gap <= 0.0:
            return 0.0
        return self.gap / self.primal if self.primal > 0.0 else math.inf

    @property
    def radius(self) -> float:
        """`sqrt(gap / l2)`: W lies within this distance of the optimum's, in Frobenius norm."""
        return math.sqrt(max(self.gap, 0.0) / self.l2)


def certain_predictions(
    certificate: Certificate, params: LinearParams, x: Any, scaling: Scaling | None = None
) -> np.ndarray:
    """Which predictions of a model the exact optimum is sure to share.

    Without a bias, W lies within `radius` of the optimum's, so that the difference of two scores of
    x changes by at most `sqrt(2) * radius * ||x||`: where the highest score leads by more, the
    optimum predicts the same. With a free bias nothing is claimed and all is False: the optimum's
    bias need not be near, and for a hinge need not even be unique.

    Args:
      certificate: of these parameters.
      params: W (C, D) and b (C,) or None.
      x: features (N, D); they need not be those that the certificate was made of.
      scaling: what the features go through first, or None.

    Returns:
      (N,) bool.

    >>> x = np.array([[1.0], [0.001]])
    >>> proof = Certificate(primal=0.51, dual=0.5, how="", l2=1.0, has_bias=False)
    >>> certain_predictions(proof, LinearParams(jnp.array([[1.0], [-1.0]])), x).tolist()
    [True, True]
    >>> certain_predictions(proof, LinearParams(jnp.array([[0.05], [-0.05]])), x).tolist()
    [False, False]
    """
    with float64_scope(True):
        features = as_features(x, params.num_features)
        if certificate.has_bias or params.b is not None:
            return np.zeros(len(features), bool)
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        return np.asarray(_is_certain(wide, features, scaling, certificate.radius))


@jax.jit
def _is_certain(
    params: LinearParams, x: jax.Array, scaling: Scaling | None, radius: jax.Array
) -> jax.Array:
    def block(rows: jax.Array) -> jax.Array:
        features = wide(rows, scaling)
        scores = features @ params.W.T
        length = jnp.sqrt(jnp.sum(features * features, axis=1))
        template = jnp.sqrt(jnp.max(jnp.sum(params.W * params.W, axis=1)))
        rounding = 4.0 * _EPS * (features.shape[1] + 8.0) * length * (template + radius)
        best = conjugates.label_mask(first_largest(scores), scores.shape[1])
        others = jnp.max(jnp.where(best, -jnp.inf, scores), axis=1)
        lead = jnp.max(scores, axis=1) - others
        return lead > math.sqrt(2.0) * radius * length + rounding

    return map_blocks(block, x)


def as_features(x: Any, num_features: int) -> jax.Array:
    """Checked features; those of 32 bits stay so in memory, like all that are narrower."""
    narrow = getattr(x, "dtype", None) == np.float32
    return checks.as_features(x, jnp.float32 if narrow else jnp.float64, num_features=num_features)
