"""The certificate of a fit whose solver makes none: made when it is first asked for.

It costs about an objective and a gradient, and the first one of a shape some seconds of compiling:
a fit by minibatches should not take so long where nobody looks.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.bounds import certified
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given
from jaxlin.conjugates import known_conjugate
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.training.optimum import why_no_certificate


class LateCertificate:
    """A certificate to be, which keeps what it is made from until it is made."""

    def __init__(
        self,
        objective: Objective,
        params: LinearParams,
        examples: Examples,
        scaling: Scaling | None,
    ) -> None:
        """Nothing is computed yet.

        Args:
          objective: that was minimised.
          params: W (C, D) and b (C,) or None, finite.
          examples: all rows that it is the mean over, weights of any dtype, NumPy or JAX.
          scaling: what the features went through first, or None.
        """
        given = objective, params, examples, scaling
        self._given: Any = given if why_no_certificate(objective) is None else None
        self._made: Certificate | None = None

    def certificate(self) -> Certificate | None:
        """The certificate; None where there is none for the objective."""
        if self._given is not None:
            self._made = _certificate(*self._given)
            self._given = None
        return self._made


def _certificate(
    objective: Objective, params: LinearParams, examples: Examples, scaling: Scaling | None
) -> Certificate:
    with float64_scope(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        weight = jnp.asarray(examples.weight, jnp.float64)
        weight = weight / jnp.sum(weight)
        given = Given(params, examples.x, examples.labels, weight, scaling)
        return certified(known_conjugate(objective.loss), given, float(np.asarray(objective.l2)))
