"""What a classifier is judged by, apart from its loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxlin.precision import (
    as_floats,
    class_indices,
    compute_dtype,
    first_largest,
    keeps_float64,
)
from jaxlin.shapes import assert_rank, assert_shape
from jaxlin.weights import shares


def is_correct(scores: jax.Array, labels: jax.typing.ArrayLike) -> jax.Array:
    """Whether the highest score (the lowest index among equals) is the label's, (...,).

    >>> is_correct(jnp.array([[3.0, 1.0], [0.0, 2.0]]), jnp.array([0, 0])).tolist()
    [True, False]
    """
    labels = class_indices(labels, scores.shape[-1])
    assert_shape(labels, scores.shape[:-1])
    return first_largest(scores) == labels


@keeps_float64
def accuracy(
    scores: jax.typing.ArrayLike,
    labels: jax.typing.ArrayLike,
    sample_weight: jax.typing.ArrayLike | None = None,
) -> jax.Array:
    """The share of examples whose highest score is the label's.

    Args:
      scores: (N, C).
      labels: integers (N,).
      sample_weight: (N,), not negative; None counts every example once.

    Returns:
      A scalar between 0 and 1.

    Raises:
      InputError: labels that are not integers, or that can be seen not to be in 0..C-1.

    >>> scores = jnp.array([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    >>> round(float(accuracy(scores, jnp.array([0, 1, 1]))), 3)
    0.667
    """
    scores = as_floats(scores, jnp.float32)
    correct = is_correct(scores, labels).astype(compute_dtype(scores.dtype))
    if sample_weight is None:
        return jnp.mean(correct)
    assert_rank(correct, 1)
    share = shares(sample_weight, correct.size, correct.dtype)
    return jnp.sum(correct * share) / jnp.sum(share)
