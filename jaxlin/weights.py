"""Sample weights as shares: only their proportions count, however large or small they are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jaxlin.checks import as_sample_weight
from jaxlin.precision import as_floats
from jaxlin.shapes import assert_shape


def shares(sample_weight: Any, num_examples: int, dtype: jax.typing.DTypeLike) -> jax.Array:
    """Weights with sum 1, (N,).

    Args:
      sample_weight: (N,), not negative and not all zero; None counts every example once.
      num_examples: N.
      dtype: of what is returned; wider weights are brought to size before they are rounded to it.

    Raises:
      InputError: weights that are no JAX array and not what they have to be.

    >>> shares([1e300, 3e300], 2, jnp.float32).tolist()
    [0.25, 0.75]
    """
    if sample_weight is None:
        return jnp.full((num_examples,), 1.0 / max(num_examples, 1), dtype)
    if isinstance(sample_weight, jax.Array):
        weight = as_floats(sample_weight, dtype)
    else:
        wide = as_sample_weight(sample_weight, num_examples)
        weight = jnp.asarray((wide / wide.max()).astype(dtype))
    assert_shape(weight, (num_examples,))
    weight = weight.astype(jnp.promote_types(weight.dtype, dtype))
    # The largest is divided out before the sum, which could overflow; and before that it is brought
    # near 1, because XLA divides by multiplying with the reciprocal, and that of 3e38 is flushed
    # to 0.
    largest = jnp.max(weight)
    exponent = jnp.finfo(weight.dtype).maxexp
    much = jnp.asarray(2.0 ** (exponent // 2), weight.dtype)
    is_huge, is_tiny = largest > much * 2.0 ** (exponent // 4), largest < 2.0 ** (-exponent // 2)
    factor = jnp.where(is_huge, 1.0 / much, jnp.where(is_tiny, much, 1.0)).astype(weight.dtype)
    weight = (weight * factor) / (largest * factor)
    return (weight / jnp.sum(weight)).astype(dtype)
