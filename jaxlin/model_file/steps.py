"""What a model does to raw features before W and b: steps that cannot be folded into these."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxlin.precision import as_floats, compute_dtype, keeps_float64


@keeps_float64
def unit_rows(x: jax.typing.ArrayLike) -> jax.Array:
    """Every row divided by its l2 norm; a row of zeros stays zeros.

    Squares of large and of tiny numbers are out of range before the numbers are: a row is brought
    to a largest value of 1 first.

    Args:
      x: features (..., D) of any real dtype.

    Returns:
      The same shape, in the dtype of x where that is float32 or float64, else in float32.

    >>> unit_rows(jnp.array([[3.0, 4.0], [0.0, 0.0], [3e30, 4e30]])).round(3).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0], [0.6000000238418579, 0.800000011920929]]
    """
    x = as_floats(x, jnp.float32)
    wide = x.astype(compute_dtype(x.dtype))
    largest = jnp.max(jnp.abs(wide), axis=-1, keepdims=True)
    near_one = wide / jnp.where(largest > 0, largest, 1)
    norm = jnp.sqrt(jnp.sum(jnp.square(near_one), axis=-1, keepdims=True))
    return near_one / jnp.where(norm > 0, norm, 1)
