"""The 1,797 handwritten digits that scikit-learn brings, 8 x 8 pixels from 0 to 1."""

from __future__ import annotations

import numpy as np

import jaxlin
from bench.harness.parts import BaseDataset, Data


class Dataset(BaseDataset):
    """Three quarters to train on, the rest is the test set."""

    name = "digits"

    def size(self) -> int:
        """Bytes of the features."""
        return 4 * 64 * 1_347

    def get_data(self) -> Data:
        """Pixels as float32."""
        read = jaxlin.data.load("digits")
        test = read.test
        if test is None:
            raise RuntimeError("The digits have come without their test set.")
        parts = (
            (part.x.astype(np.float32) / np.float32(16), np.asarray(part.labels, np.int32))
            for part in (read.train, test)
        )
        (x, labels), of_test = parts
        return Data(self.label, x, labels, 10, test=of_test)
