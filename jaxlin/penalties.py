"""What the objective adds to the mean loss so that, of all W that fit, it prefers a small one.

A penalty is any function of W alone. `Objective` has the square of W built in (its `l2`); anything
else goes into its `penalty` slot and is added as it is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxlin.precision import as_floats, compute_dtype, keeps_float64


@keeps_float64
def l2(W: jax.typing.ArrayLike) -> jax.Array:
    """`R(W) = sum_kl W_kl^2`: the sum of squares, without a factor 1/2.

    Args:
      W: weights (C, D).

    Returns:
      A scalar in the dtype of W.

    >>> float(l2(jnp.array([[1.0, 2.0], [0.0, -1.0]])))
    6.0
    """
    W = as_floats(W, jnp.float32)
    return scaled_l2(W, 1.0).astype(W.dtype)


def scaled_l2(W: jax.Array, strength: jax.typing.ArrayLike) -> jax.Array:
    """`strength * R(W)` in float32 or wider, finite wherever it can be, also in its derivatives.

    The strength is multiplied in before the square, which may overflow: 0 times infinity is NaN.

    >>> float(scaled_l2(jnp.array([[1e30, 2e30]]), 0.0))
    0.0
    """
    wide = W.astype(compute_dtype(W.dtype))
    return jnp.sum((jnp.asarray(strength).astype(wide.dtype) * wide) * wide)
