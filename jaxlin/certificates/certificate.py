"""A certificate."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.losses import Loss


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A proof of how far from the optimum some parameters can be.

    Attributes:
      primal: the objective at the parameters.
      dual: a lower bound of the optimum, rounding errors taken off.
      how: how the dual point was made.
      l2: of the objective.
      has_bias: whether the objective is minimised over a bias too.
      loss: of the objective; None where that is not known, and then less can be concluded.

    >>> proof = Certificate(primal=0.5, dual=0.49, how="", l2=1e-2, has_bias=False)
    >>> round(proof.gap, 12), round(proof.relative_gap, 12), round(proof.radius, 12)
    (0.01, 0.02, 1.0)
    """

    primal: float
    dual: float
    how: str
    l2: float
    has_bias: bool
    loss: Loss | None = None

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


def as_features(x: Any, num_features: int, name: str = "X") -> jax.Array:
    """Checked features; those of 32 bits stay so in memory, like all that are narrower."""
    narrow = getattr(x, "dtype", None) == np.float32
    dtype = jnp.float32 if narrow else jnp.float64
    return checks.as_features(x, dtype, name=name, num_features=num_features)
