"""Badly conditioned: directions whose scales fall as 1/k, turned so that no feature shows them."""

from __future__ import annotations

import numpy as np

from bench.harness.parts import BaseDataset, Data

_NOISE = 0.5  # of the scores, whose own deviation is 1


class Dataset(BaseDataset):
    """Normal features; the planted model needs the small directions as much as the large ones."""

    name = "falling-scales"
    parameters = {"n": (5_000,), "d": (200,), "c": (5,)}  # noqa: RUF012

    def size(self) -> int:
        """Bytes of the features."""
        return 4 * self.values["n"] * self.values["d"]

    def get_data(self) -> Data:
        """The condition number of the covariance is about `d**2`."""
        n, d, c = (self.values[name] for name in "ndc")
        rng = np.random.default_rng(20_002)
        turn = np.linalg.qr(rng.standard_normal((d, d)))[0]
        z = rng.standard_normal((n, d))
        scores = z @ rng.standard_normal((d, c)) / np.sqrt(d)
        scores += _NOISE * rng.standard_normal((n, c))
        x = (z / np.arange(1, d + 1)) @ turn
        labels = scores.argmax(axis=1).astype(np.int32)
        labels[:c] = np.arange(c)  # each class is there
        return Data(self.label, x.astype(np.float32), labels, c)
