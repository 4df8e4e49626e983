"""Splits that keep groups whole: what belongs together (a patient, a video, a page) is on one side.

Examples of one group resemble each other more than they should: with some of them to learn from and
others to judge by, a score tells how well the groups were remembered.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxlin.data.labels import Label, encode_labels, shortened
from jaxlin.errors import InputError

_MOST_ROUNDS = 5
_EPS = 1e-12  # what is nearer by less is so by rounding


def split_groups(
    labels: np.ndarray,
    groups: Any,
    share: float,
    seed: int = 0,
    *,
    classes: Sequence[Label] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay and rows set apart, no group on both sides, each in ascending order.

    Groups are looked at in a random order, a few times over. One changes sides if that brings the
    examples that are apart nearer to `share` of every class, and leaves each class an example on
    the other side: so the draw is stratified as well as the groups allow.

    Args:
      labels: class indices (N,).
      groups: which group each example is of (N,): text, whole numbers or any other labels.
      share: of the examples to set apart, between 0 and 1.
      seed: a whole number from 0 to 2**32 - 1; the same seed gives the same rows.
      classes: what to call the classes in messages; None calls them by their indices.

    Returns:
      Row numbers that stay and row numbers set apart.

    Raises:
      InputError: a share outside of 0 to 1, groups that are no labels, or too few of them.

    >>> groups = np.array(["ann", "ann", "bob", "bob", "eve", "eve", "ida", "ida"])
    >>> stay, apart = split_groups(np.array([0, 1, 0, 1, 0, 1, 0, 1]), groups, 0.25)
    >>> groups[stay].tolist(), groups[apart].tolist()
    (['ann', 'ann', 'bob', 'bob', 'ida', 'ida'], ['eve', 'eve'])
    """
    labels = np.asarray(labels)
    if isinstance(share, bool) or not 0.0 < share < 1.0:
        raise InputError(f"share must be between 0 and 1, got {share!r}.")
    codes = _group_codes(groups, len(labels))
    class_of = np.unique(labels, return_inverse=True)[1]
    counts = _counts(codes, class_of)
    total = counts.sum(axis=0)
    is_apart = _chosen(counts, share * total, np.random.RandomState(seed))
    if not is_apart.any():
        held = np.count_nonzero(counts, axis=0)
        alone = np.unique(labels)[np.argmin(held)]
        name = alone if classes is None else shortened(classes[alone])
        raise InputError(
            f"no group can be set apart: there are {len(counts)}, and each class needs one that "
            f"stays (class {name} has {held.min()}). Set nothing apart (a share of 0), or give the "
            "other examples in a file of their own."
        )
    return np.flatnonzero(~is_apart[codes]), np.flatnonzero(is_apart[codes])


def group_folds(labels: np.ndarray, groups: Any, folds: int, seed: int = 0) -> np.ndarray:
    """Which of the folds each example is in, no group in two: what `sweep` takes as `folds`.

    The draw is scikit-learn's `StratifiedGroupKFold`.

    Args:
      labels: class indices (N,).
      groups: which group each example is of (N,): text, whole numbers or any other labels.
      folds: how many, at least 2.
      seed: a whole number from 0 to 2**32 - 1; the same seed gives the same folds.

    Returns:
      Numbers 0..folds-1, int32 (N,).

    Raises:
      InputError: fewer than 2 folds, groups that are no labels, or fewer groups than folds.

    >>> groups = ["ann", "ann", "bob", "bob", "eve", "eve"]
    >>> folds = group_folds(np.array([0, 1, 0, 1, 0, 1]), groups, 3)
    >>> sorted(folds[::2].tolist()), folds[::2].tolist() == folds[1::2].tolist()
    ([0, 1, 2], True)
    """
    labels = np.asarray(labels)
    codes = _group_codes(groups, len(labels))
    num_groups = int(codes.max()) + 1
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or folds < 2:
        raise InputError(f"folds must be a whole number of at least 2, got {folds!r}.")
    if folds > num_groups:
        raise InputError(
            f"folds={folds} needs as many groups, there are {num_groups}. Pass fewer folds."
        )
    from sklearn.model_selection import StratifiedGroupKFold

    class_of = np.unique(labels, return_inverse=True)[1]
    # A class with fewer examples than folds cannot be in all of them, which it would refuse or warn
    # of; whether that matters is the caller's to say. Such classes count as one.
    rare = np.bincount(class_of) < folds
    if rare.any():
        class_of = np.where(rare[class_of], -1, class_of)
    if np.unique(class_of, return_counts=True)[1].max() < folds:
        raise InputError(f"folds={folds} needs as many examples, and there are {len(labels)}.")
    numbers = np.full(len(labels), -1, np.int32)
    splitter = StratifiedGroupKFold(int(folds), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        for number, (_, apart) in enumerate(splitter.split(class_of, class_of, codes)):
            numbers[apart] = number
    empty = [number for number in range(folds) if not (numbers == number).any()]
    if empty:
        raise InputError(f"folds={folds} leaves a fold without a group. Pass fewer folds.")
    return numbers


def _group_codes(groups: Any, num_examples: int) -> np.ndarray:
    """Groups as numbers 0..G-1 (N,)."""
    try:
        _, codes = encode_labels(groups)
    except InputError as error:
        raise InputError(f"groups: {str(error).replace('labels', 'groups')}") from None
    if len(codes) != num_examples:
        raise InputError(f"groups must be one an example, {num_examples}, got {len(codes)}.")
    return codes


def _counts(codes: np.ndarray, class_of: np.ndarray) -> np.ndarray:
    """How many examples of each class each group has, (G, C)."""
    num_groups, num_classes = int(codes.max()) + 1, int(class_of.max()) + 1
    flat = np.bincount(codes * num_classes + class_of, minlength=num_groups * num_classes)
    return flat.reshape(num_groups, num_classes)


def _chosen(counts: np.ndarray, wanted: np.ndarray, generator: np.random.RandomState) -> np.ndarray:
    """Which groups (G,) are set apart, to have `wanted` (C,) examples of each class there."""
    is_apart = np.zeros(len(counts), bool)
    total = counts.sum(axis=0)
    weight = 1.0 / total
    missing = wanted.astype(float)
    left = total.copy()
    order = generator.permutation(len(counts))
    for _ in range(_MOST_ROUNDS):
        has_moved = False
        for group in order:
            own = counts[group] * (-1 if is_apart[group] else 1)  # what a move sets apart
            # Nearer: |missing - own|^2 < |missing|^2, a class counting by its share.
            is_nearer = (own * (own - 2.0 * missing) * weight).sum() < -_EPS
            if is_nearer and (left > own).all():
                is_apart[group] ^= True
                missing -= own
                left -= own
                has_moved = True
        if not has_moved:
            break
    if not is_apart.any():  # each is too large: the one that is the least so
        away = ((wanted - counts) ** 2 * weight).sum(axis=1)
        away[~(total > counts).all(axis=1)] = np.inf
        nearest = order[np.argmin(away[order])]
        is_apart[nearest] = np.isfinite(away[nearest])
    return is_apart
