"""Random features and the labels of a planted model, some of them wrong: any N, D, C."""

from __future__ import annotations

import numpy as np

from bench.harness.parts import BaseDataset, Data

_ROWS = 20_000
_NOISE = 0.5  # of the scores, whose own deviation is 1


class Dataset(BaseDataset):
    """Uniform features, as float32 from 0 to 1 or as bytes with the scale 1/255."""

    name = "synthetic"
    parameters = {  # noqa: RUF012
        "n": (100_000, 10_000, 1_000_000),
        "d": (784, 64, 2048),
        "c": (10, 2, 100, 1000),
        "dtype": ("float32", "uint8"),
    }

    def size(self) -> int:
        """Bytes of the features."""
        return self.values["n"] * self.values["d"] * np.dtype(self.values["dtype"]).itemsize

    def get_data(self) -> Data:
        """Made in blocks: nothing as large as the features is needed beside them."""
        n, d, c = (self.values[name] for name in "ndc")
        rng = np.random.default_rng(20_001)
        W = rng.normal(size=(d, c)).astype(np.float32) * np.float32((12 / d) ** 0.5)
        is_bytes = self.values["dtype"] == "uint8"
        x = np.empty((n, d), self.values["dtype"])
        labels = np.empty(n, np.int32)
        for start in range(0, n, _ROWS):
            block = x[start : start + _ROWS]
            if is_bytes:
                block[:] = rng.integers(0, 256, block.shape, np.uint8)
                centred = block.astype(np.float32) * np.float32(1 / 255) - np.float32(0.5)
            else:
                block[:] = rng.random(block.shape, np.float32)
                centred = block - np.float32(0.5)
            scores = centred @ W
            scores += _NOISE * rng.standard_normal(scores.shape, np.float32)
            labels[start : start + _ROWS] = scores.argmax(axis=1)
        labels[:c] = np.arange(c)  # each class is there
        scale = float(np.float32(1 / 255)) if is_bytes else None
        return Data(self.label, x, labels, c, scale)
