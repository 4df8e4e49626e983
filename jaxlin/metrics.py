"""What a classifier is judged by, apart from its loss."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from jaxlin.precision import compute_dtype, keeps_float64


def is_correct(scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the highest score (the lowest index among equals) is the label's, (...,).

    >>> is_correct(jnp.array([[3.0, 1.0], [0.0, 2.0]]), jnp.array([0, 0])).tolist()
    [True, False]
    """
    chex.assert_shape(labels, scores.shape[:-1])
    # Labels of few bits would wrap a class number.
    return jnp.argmax(scores, axis=-1) == labels.astype(jnp.int32)


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

    >>> scores = jnp.array([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0]])
    >>> round(float(accuracy(scores, jnp.array([0, 1, 1]))), 3)
    0.667
    """
    scores, labels = jnp.asarray(scores), jnp.asarray(labels)
    correct = is_correct(scores, labels).astype(compute_dtype(scores.dtype))
    if sample_weight is None:
        return jnp.mean(correct)
    weight = jnp.asarray(sample_weight).astype(correct.dtype)
    chex.assert_equal_shape([weight, correct])
    weight = weight / weight.size  # so that no sum overflows
    return jnp.sum(correct * weight) / jnp.sum(weight)
