"""Certificates of many models at once, from dual points that their solver knows."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.bounds import concluded
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given, Sums, measure
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams


def sums_of_many(loss: Known, given: Given, dual: jax.Array, *, shares_rows: bool) -> Sums:
    """What the certificates of M models are made of: a pure function, for a float64 scope.

    Args:
      loss: one whose conjugate is known, and smooth.
      given: params and weight with a leading axis M; x and labels with one too, unless all have the
        same rows.
      dual: rows (M, N, C), float64, to build the bounds from; made feasible where they are not.
      shares_rows: whether all have the same rows.

    Returns:
      `Sums` with a leading axis M, of V only the lengths of its rows (M, 1, C, 1).
    """
    of_rows = None if shares_rows else 0
    axes = Given(0, of_rows, of_rows, 0, None)  # pyright: ignore[reportArgumentType]
    # Of no use to a smooth loss, whose dual point is given: a width and l2.
    widths, l2 = jnp.ones(1, jnp.float64), jnp.ones((), jnp.float64)

    def one(given: Given, dual: jax.Array) -> Sums:
        sums = measure(loss, given, l2, widths, dual, False)
        # Squares of small numbers would be flushed to 0, and a bound be above the optimum.
        top = jnp.max(jnp.abs(sums.V), axis=-1, keepdims=True)
        parts = sums.V / jnp.where(top > 0.0, top, 1.0)
        return sums._replace(V=top * jnp.sqrt(jnp.sum(parts * parts, axis=-1, keepdims=True)))

    return jax.vmap(one, in_axes=(axes, 0))(given, dual)


def certificates_of_many(
    loss: Known, params: LinearParams, num_rows: int, sums: Sums, l2: float
) -> list[Certificate]:
    """The certificates that `sums_of_many` proves.

    Args:
      loss: as there.
      params: of the models, NumPy arrays with a leading axis M, float64.
      num_rows: N.
      sums: as NumPy arrays.
      l2: positive.
    """
    labels = np.empty(num_rows, np.int32)  # only their number counts
    found = []
    for model in range(len(params.W)):
        own = LinearParams(params.W[model], None if params.b is None else params.b[model])
        given = Given(own, labels, labels, labels, None)  # pyright: ignore[reportArgumentType]
        of_one = Sums(*(np.asarray(leaf)[model] for leaf in sums))
        found.append(concluded(loss, given, of_one, l2, made_by="slopes"))
    return found
