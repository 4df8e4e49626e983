"""What scores say of each row, found a block of rows at a time.

Scores of 100,000 rows and 10,000 classes are 4 GB; their probabilities in float64 would be twice
that, and are looked at but once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_BLOCK_NUMBERS = 1 << 20  # scores in a block


class Judged(NamedTuple):
    """Rows with their labels and what was predicted.

    Attributes:
      labels: class indices (N,).
      num_classes: C.
      predicted: the class with the highest score, the first among equals (N,).
      confidence: its probability, softmax of the scores, float64 (N,).
      place: of the true class among all (N,), 0 the first; of equal scores the lowest class, so
        that the first is what is predicted.
      log_loss: `-ln p` of the true class, float64 (N,).
    """

    labels: np.ndarray
    num_classes: int
    predicted: np.ndarray
    confidence: np.ndarray
    place: np.ndarray
    log_loss: np.ndarray


def judged(scores: np.ndarray, labels: np.ndarray) -> Judged:
    """What scores (N, C) say of rows with these labels (N,).

    >>> found = judged(np.zeros((3, 6)), np.array([0, 4, 5]))
    >>> found.predicted.tolist(), found.place.tolist()
    ([0, 0, 0], [0, 4, 5])
    >>> judged(np.array([[1000.0, 0.0]]), np.array([1])).log_loss.tolist()  # p itself would be 0
    [1000.0]
    """
    count, num_classes = scores.shape
    predicted, place = np.empty(count, np.intp), np.empty(count, np.intp)
    confidence, log_loss = np.empty(count), np.empty(count)
    for rows in blocks_of_rows(count, num_classes):
        wide, label = scores[rows].astype(np.float64), labels[rows, None]
        best = wide.argmax(axis=1)[:, None]
        own, top = (np.take_along_axis(wide, index, axis=1) for index in (label, best))
        is_before = np.arange(num_classes) < label
        place[rows] = np.sum((wide > own) | ((wide == own) & is_before), axis=1)
        wide -= top
        np.exp(wide, out=wide)
        np.put_along_axis(wide, best, 0.0, axis=1)
        # Of a sum with the 1 of the best in it the small parts would be lost.
        rest = wide.sum(axis=1)
        predicted[rows], confidence[rows] = best[:, 0], 1.0 / (1.0 + rest)
        log_loss[rows] = (top - own)[:, 0] + np.log1p(rest)
    return Judged(labels, num_classes, predicted, confidence, place, log_loss)


def blocks_of_rows(count: int, num_classes: int) -> Iterator[slice]:
    """So many rows in blocks whose scores are few megabytes.

    >>> list(blocks_of_rows(3, 1 << 19))
    [slice(0, 2, None), slice(2, 4, None)]
    """
    step = max(1, _BLOCK_NUMBERS // num_classes)
    for start in range(0, count, step):
        yield slice(start, start + step)
