"""Folds: the rows cut into k parts, of which each model leaves one out.

Every part is a row of a table of weights (k + 1, N), the last row being all of the data: the
features exist once, and models differ in which row of the table is theirs.
"""

from __future__ import annotations

import operator
from typing import Any

import jax
import numpy as np

from jaxlin.arrays import as_numpy
from jaxlin.checks import check_count
from jaxlin.data.order import key_words
from jaxlin.errors import InputError
from jaxlin.training.arguments import as_shares


def fold_numbers(folds: Any, labels: np.ndarray, key: jax.Array) -> np.ndarray:
    """Which fold each example is in, 0..k-1, int32 (N,).

    Args:
      folds: how many (scikit-learn's `StratifiedKFold` draws them by the key), or the numbers.
      labels: class indices (N,).
      key: a `jax.random` key.

    Raises:
      InputError: neither; fewer than 2; more than a class has examples; a number without examples.

    >>> fold_numbers([0, 1, 1, 0], np.array([0, 0, 1, 1]), jax.random.key(0)).tolist()
    [0, 1, 1, 0]
    """
    try:
        operator.index(folds)
    except TypeError:
        return _given(folds, len(labels))
    count = check_count("folds", folds)
    if count < 2:
        raise InputError(f"folds must be at least 2, got {count}.")
    counts = np.bincount(labels)
    rare = np.flatnonzero((counts > 0) & (counts < count))
    if len(rare):
        rarest = min(rare, key=lambda label: counts[label])
        most = counts[rarest]
        # Fewer than 2 folds there are not.
        advice = f"Pass at most {most}" if most > 1 else "Leave that class out, pass validation="
        raise InputError(
            f"folds={count} needs {count} examples of every class; class {rarest} has {most}. "
            f"{advice}, or the fold of each example, an array (N,)."
        )
    from sklearn.model_selection import StratifiedKFold

    seed = np.random.RandomState(np.array(key_words(key), np.uint32))
    numbers = np.empty(len(labels), np.int32)
    splitter = StratifiedKFold(count, shuffle=True, random_state=seed)
    for number, (_, left_out) in enumerate(splitter.split(labels, labels)):
        numbers[left_out] = number
    return numbers


def _given(folds: Any, num_examples: int) -> np.ndarray:
    numbers = as_numpy(folds, "folds")
    if numbers.dtype.kind not in "iu" or numbers.shape != (num_examples,):
        raise InputError(
            f"folds must be a whole number of at least 2, or whole numbers 0..k-1 of shape "
            f"({num_examples},), got {folds!r:.80}."
        )
    present = np.unique(numbers)
    if present[0] != 0 or present[-1] != len(present) - 1 or len(present) < 2:
        raise InputError(
            "folds must use each of the numbers 0..k-1, k at least 2; it has "
            f"{present[:10].tolist()}."
        )
    return numbers.astype(np.int32)


def fold_weights(
    numbers: np.ndarray, weight: np.ndarray, dtype: Any
) -> tuple[np.ndarray, np.ndarray]:
    """What every row counts for a model that leaves a fold out, and in the fold itself.

    Args:
      numbers: the fold of each example (N,).
      weight: of each example, float64 (N,).
      dtype: of the tables.

    Returns:
      Two tables (k + 1, N), sum 1 a row. The last row of the first is all of the data, and of the
      second nothing.

    Raises:
      InputError: a fold, or all the others, has no weight.
    """
    count = int(numbers.max()) + 1
    kept, left_out = (np.zeros((count + 1, len(numbers)), dtype) for _ in range(2))
    for fold in range(count):
        inside = np.where(numbers == fold, weight, 0.0)
        outside = np.where(numbers == fold, 0.0, weight)
        if not inside.any() or not outside.any():
            raise InputError(f"all weight is {'outside' if outside.any() else 'in'} fold {fold}.")
        left_out[fold], kept[fold] = as_shares(inside, dtype), as_shares(outside, dtype)
    kept[count] = as_shares(weight, dtype)
    return kept, left_out
