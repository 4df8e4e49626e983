"""A hinge's optimum in the dtype of a fit, with what its margins lose by the rounding made up for.

Where l2 is small next to every example can have its margin just met, and the objective is hardly
more than l2 ||W||^2. Rounding W then leaves margins unmet, each by about a rounding unit, which
costs more than all of the objective; a W that is longer by some units meets them, for next to
nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxlin.certificates.certificate import Certificate
from jaxlin.linear import LinearParams

# How much longer, in rounding units.
_UNITS = (0.0, 1.0, 4.0, 16.0, 64.0)
# Of the gap that will do: what rounding may cost where the proof falls short by itself.
_UNSEEN = 0.1


def in_dtype(
    exact: LinearParams,
    proof: Certificate,
    tol: float,
    dtype: Any,
    certificate_of: Callable[[LinearParams], Certificate],
) -> tuple[LinearParams, Certificate]:
    """The parameters rounded, and what is proved of these.

    Args:
      exact: in float64.
      proof: of these.
      tol: relative gap that will do.
      dtype: to round to.
      certificate_of: of any parameters.
    """
    if dtype == jnp.float64:
        return exact, proof
    best, found, dual = exact, None, proof.dual
    for units in _UNITS:
        factor = 1.0 + units * float(jnp.finfo(dtype).eps)
        params = jax.tree.map(lambda leaf, by=factor: (by * leaf).astype(dtype), exact)
        rounded = certificate_of(params)
        # At a hinge's kinks the last bits of W decide what the dual point is; but a bound of the
        # optimum holds whatever parameters it was found at.
        dual = max(dual, rounded.dual)
        if found is None or rounded.primal < found.primal:
            best, found = params, rounded
        found = dataclasses.replace(found, dual=dual, how=proof.how)
        if found.relative_gap <= tol or found.primal <= (1.0 + _UNSEEN * tol) * proof.primal:
            break
    assert found is not None
    return best, found
