"""Dual points whose mean is not quite zero, made so: by a little of `1 q^T - Y` mixed in.

Y are the labels, one column a class, and q is the distribution that makes it come out. The bound of
a mixture is at least the mixture of the bounds, because L* is convex.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.certificates.balance import Scored
from jaxlin.conjugates import Known
from jaxlin.losses import SoftmaxCrossEntropy, SquaredWestonWatkinsHinge


class Repair(NamedTuple):
    """`(1 - theta) a + theta (1 q^T - Y)` has a mean of zero.

    Attributes:
      theta: scalar.
      q: (C,).
      gain: the mean of `-L*` of what is mixed in, scalar.
    """

    theta: jax.Array
    q: jax.Array
    gain: jax.Array

    def value(self, value: jax.Array) -> jax.Array:
        """At least the mean of `-L*` of the repaired rows, by that of the rows."""
        return (1.0 - self.theta) * value + self.theta * self.gain

    def rows(self, a: jax.Array, is_label: jax.Array) -> jax.Array:
        """The repaired rows of rows (..., C, B)."""
        q = conjugates.along(self.q, a, -2)
        return (1.0 - self.theta) * a + self.theta * (q - is_label.astype(a.dtype))


def repair_of(loss: Known, scored: Scored, a: jax.Array, share: jax.Array) -> Repair:
    """How much of what to mix into rows (M, C, B); classes that are absent stay out."""
    balance = scored.class_totals(a)
    present = share > 0.0
    safe = jnp.where(present, share, 1.0)
    rho = jnp.maximum(jnp.max(jnp.where(present, balance / safe, 0.0)), 0.0)
    q = jnp.maximum(share - balance / jnp.where(rho > 0.0, rho, 1.0), 0.0)
    # All of a balance that is only rounding may have one sign, and then nothing is left.
    q = jnp.where(present & (rho > 0.0) & (jnp.sum(q) > 0.0), q, share)
    q = q / jnp.sum(q)
    return Repair(rho / (1.0 + rho), q, _value_of_mixture(loss, q, share))


def _value_of_mixture(loss: Known, q: jax.Array, share: jax.Array) -> jax.Array:
    """The mean of `-L*` of the rows of `1 q^T - Y`."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return -jnp.sum(q * jnp.log(jnp.where(q > 0.0, q, 1.0)))
    value = loss.margin * (1.0 - share @ q)
    if isinstance(loss, SquaredWestonWatkinsHinge):
        value = value - 0.25 * ((1.0 - share) @ (q * q))
    return value
