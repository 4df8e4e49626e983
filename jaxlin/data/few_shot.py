"""A few examples of each class: what few-shot probes learn from."""

from __future__ import annotations

import numpy as np

from jaxlin.checks import check_count
from jaxlin.errors import InputError


def few_shot_rows(labels: np.ndarray, per_class: int, repeat_seed: int = 0) -> np.ndarray:
    """Some examples of each class, as many of each; all of a class that has fewer.

    `scarce_classes` says which have fewer.

    Draws of one seed are nested: the two of a class that it draws have the one among them that it
    draws where one is asked for. The draw of a class does not hang on the other classes.

    Args:
      labels: class indices (N,).
      per_class: how many of each class, at least 1.
      repeat_seed: a whole number from 0 to 2**32 - 1; the same seed gives the same rows.

    Returns:
      Row numbers, ascending.

    Raises:
      InputError: labels that are no class indices, fewer than 1 of each, or a seed that is none.

    >>> labels = np.array([0, 0, 0, 1, 1, 2])
    >>> one, two = few_shot_rows(labels, 1), few_shot_rows(labels, 2)
    >>> set(one) <= set(two), labels[two].tolist()
    (True, [0, 0, 1, 1, 2])
    """
    labels = _class_indices(labels)
    per_class = check_count("per_class", per_class)
    is_whole = isinstance(repeat_seed, int | np.integer) and not isinstance(repeat_seed, bool)
    if not is_whole or not 0 <= repeat_seed < 2**32:
        raise InputError(
            f"repeat_seed must be a whole number from 0 to 2**32 - 1, got {repeat_seed!r}."
        )
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    drawn = []
    for label, rows in zip(present.tolist(), np.split(order, starts[1:]), strict=True):
        # A generator that NumPy has promised to leave as it is, one for each class.
        generator = np.random.RandomState([repeat_seed, label])
        drawn.append(rows[generator.permutation(len(rows))[:per_class]])
    return np.sort(np.concatenate(drawn))


def scarce_classes(labels: np.ndarray, per_class: int) -> dict[int, int]:
    """Classes that have examples, but fewer than so many: class index -> how many.

    Args:
      labels: class indices (N,).
      per_class: how many of each class are wanted.

    Raises:
      InputError: labels that are no class indices, or fewer than 1 of each.

    >>> scarce_classes(np.array([0, 0, 0, 1, 1, 2]), 2)
    {2: 1}
    """
    present, counts = np.unique(_class_indices(labels), return_counts=True)
    is_scarce = counts < check_count("per_class", per_class)
    return dict(zip(present[is_scarce].tolist(), counts[is_scarce].tolist(), strict=True))


def _class_indices(labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        raise InputError(f"labels must be class indices of shape (N,), got {labels!r:.80}.")
    return labels
