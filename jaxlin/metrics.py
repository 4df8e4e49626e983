"""What a classifier is judged by, apart from its loss."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.precision import (
    as_floats,
    class_indices,
    compute_dtype,
    keeps_float64,
)
from jaxlin.shapes import assert_rank, assert_shape
from jaxlin.weights import shares


def is_correct(scores: jax.Array, labels: jax.typing.ArrayLike, axis: int = -1) -> jax.Array:
    """Whether the highest score (the lowest index among equals) is the label's, (...,).

    Where there is NaN among the scores, it is not.

    Args:
      scores: (..., C), or with the classes along another axis.
      labels: (...,).
      axis: of the classes.

    >>> is_correct(jnp.array([[3.0, 1.0], [0.0, 2.0]]), jnp.array([0, 0])).tolist()
    [True, False]
    """
    num_classes = scores.shape[axis]
    labels = class_indices(labels, num_classes)
    assert_shape(labels, np.delete(scores.shape, axis).tolist())
    label = jnp.expand_dims(labels, axis)
    along = [1] * scores.ndim
    along[axis] = num_classes
    classes = jnp.arange(num_classes, dtype=jnp.int32).reshape(along)
    scores = jax.lax.stop_gradient(scores)
    # A label that names no class has the score NaN, which is above nothing.
    of_label = jnp.take_along_axis(scores, label, axis=axis, mode="fill", fill_value=jnp.nan)
    # Comparisons, as a search for the largest one's index is many times slower on a CPU.
    is_lower = jnp.where(classes < label, scores < of_label, scores <= of_label)
    return jnp.all(is_lower, axis=axis) & (labels >= 0)


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
