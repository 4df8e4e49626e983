"""Setting examples apart: seeded, and with the same share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxlin.data.labels import Label, shortened
from jaxlin.errors import InputError


def split_rows(
    labels: np.ndarray,
    share: float | int,
    seed: int = 0,
    *,
    classes: Sequence[Label] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay and rows set apart, stratified by class, each in ascending order.

    The draw is scikit-learn's `StratifiedShuffleSplit`: a class's share is exact up to rounding.

    Args:
      labels: class indices (N,).
      share: of the examples to set apart, between 0 and 1; or a whole number of them.
      seed: a whole number from 0 to 2**32 - 1; the same seed gives the same rows.
      classes: what to call the classes in messages; None calls them by their indices.

    Returns:
      Row numbers that stay and row numbers set apart.

    Raises:
      InputError: a share outside of 0 to 1, or too few examples of a class.

    >>> stay, apart = split_rows(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 0.25)
    >>> len(stay), len(apart)
    (6, 2)
    """
    labels = np.asarray(labels)
    is_count = isinstance(share, int) and not isinstance(share, bool)
    if not 0 < share < (len(labels) if is_count else 1.0):
        raise InputError(
            f"share must be between 0 and 1, or a whole number below {len(labels)}, got {share!r}."
        )
    counts = np.bincount(labels)
    alone = np.flatnonzero(counts == 1)
    if len(alone):
        label = alone[0] if classes is None else shortened(classes[alone[0]])
        raise InputError(
            f"a stratified split needs 2 examples of every class; class {label} has 1. Leave that "
            "class out, give what is to be set apart in a file of its own, or set nothing apart (a "
            "share of 0)."
        )
    num_classes = int(np.count_nonzero(counts))
    apart = int(share) if is_count else int(np.ceil(share * len(labels)))
    if min(apart, len(labels) - apart) < num_classes:
        raise InputError(
            f"{apart} of {len(labels)} examples set apart leaves {len(labels) - apart}: a "
            f"stratified split needs one of each of the {num_classes} classes on both sides. Set "
            "another share apart, or nothing (a share of 0)."
        )
    return _draw(np.unique(labels, return_inverse=True)[1], apart, seed)


def _draw(codes: np.ndarray, apart: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The draw of scikit-learn's `StratifiedShuffleSplit`, whose import takes over a second.

    Args:
      codes: class indices (N,), every class with an example.
      apart: how many rows to set apart.
      seed: of the generator, which NumPy has promised to leave as it is.
    """
    generator = np.random.RandomState(seed)
    counts = np.bincount(codes)
    staying = _shares(counts, len(codes) - apart, generator)
    leaving = _shares(counts - staying, apart, generator)
    ends = np.cumsum(counts)
    by_class = np.split(np.argsort(codes, kind="stable"), ends[:-1])
    shuffled = [rows[generator.permutation(len(rows))] for rows in by_class]
    stay = [rows[:n] for rows, n in zip(shuffled, staying, strict=True)]
    chosen = [rows[n : n + m] for rows, n, m in zip(shuffled, staying, leaving, strict=True)]
    return np.sort(np.concatenate(stay)), np.sort(np.concatenate(chosen))


def _shares(counts: np.ndarray, total: int, generator: np.random.RandomState) -> np.ndarray:
    """How many of each class make `total`: in proportion, what is left over to the largest rests.

    Among equal rests chance decides.
    """
    exact = counts / counts.sum() * total
    whole = np.floor(exact)
    rest = exact - whole
    missing = int(total - whole.sum())
    for value in np.unique(rest)[::-1]:
        if missing == 0:
            break
        (equal,) = np.nonzero(rest == value)
        lucky = generator.choice(equal, size=min(len(equal), missing), replace=False)
        whole[lucky] += 1
        missing -= len(lucky)
    return whole.astype(int)
