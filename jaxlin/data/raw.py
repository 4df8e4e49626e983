"""What a reader gives: the arrays of a file in the dtype they came in, labels as written."""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxlin.file_rows import FileRows


@dataclasses.dataclass(frozen=True, eq=False)
class RawData:
    """The content of a file or folder of examples.

    Attributes:
      x: features (N, D), in the dtype of the file; large ones of .npy and safetensors files stay
        there, as `FileRows`.
      labels: as written, (N,): integers, text, ...; None where there are none.
      test_x: features of a test set that the file brings with it (N', D), or None.
      test_labels: its labels (N',), or None.
      class_names: all classes in the order of their indices, where the source has such a list; the
        labels are then among them.
      image_shape: (H, W) or (H, W, 3) where a row is an image, channel last, else None.
      feature_names: D names from a header line, or None.

    >>> RawData(np.zeros((2, 3)), np.array(["cat", "dog"])).labels.tolist()
    ['cat', 'dog']
    """

    x: np.ndarray | FileRows
    labels: np.ndarray | None = None
    test_x: np.ndarray | FileRows | None = None
    test_labels: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
