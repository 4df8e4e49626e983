"""A data set ready for training: features as they came, labels as class indices, and its parts."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxlin.data.labels import Label
from jaxlin.file_rows import FileRows


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """Some of the examples.

    Attributes:
      x: features (N, D), in the dtype of the source; large ones stay in their file.
      labels: class indices 0..C-1, int32 (N,).

    >>> len(Split(np.zeros((3, 2)), np.zeros(3, np.int32)))
    3
    """

    x: np.ndarray | FileRows
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Split:
        """The examples in these rows."""
        x = self.x.select(rows) if isinstance(self.x, FileRows) else self.x[rows]
        return Split(x, self.labels[rows])


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Examples to train on, and examples kept apart from training.

    Attributes:
      name: where it came from.
      classes: the label of each class 0..C-1.
      train: what to train on.
      validation: kept apart to choose by, or None.
      test: kept apart to judge by, or None.
      has_own_test: whether the source itself says which examples the test set is.
      image_shape: (H, W) or (H, W, 3), channel last, where a row is an image; else None.
      feature_names: D names, or None.

    >>> from jaxlin import data
    >>> digits = data.load("digits")
    >>> digits.train.x.shape, digits.train.x.dtype, len(digits.test), digits.image_shape
    ((1347, 64), dtype('uint8'), 450, (8, 8))
    """

    name: str
    classes: tuple[Label, ...]
    train: Split
    validation: Split | None = None
    test: Split | None = None
    has_own_test: bool = False
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    @property
    def num_features(self) -> int:
        """D."""
        return self.train.x.shape[1]

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.classes)
