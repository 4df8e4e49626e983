"""Fashion-MNIST, 60,000 x 784; also sorted by label, which a real shuffle does not mind."""

from __future__ import annotations

import functools
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

import jaxlin
from bench.harness.parts import BaseDataset, Data

_PROJECT = Path(__file__).resolve().parents[3]
SCALE = float(np.float32(1 / 255))


@functools.cache
def folder() -> Path:
    """Where the files are, brought by `scripts/fashion-mnist` where they are not there yet."""
    found = Path(os.environ.get("FASHION_MNIST") or _PROJECT / ".bench" / "fashion-mnist")
    subprocess.run(
        [_PROJECT / "scripts" / "fashion-mnist", found], check=True, stdout=subprocess.DEVNULL
    )
    return found


@functools.cache
def _read() -> Any:
    return jaxlin.data.load(folder())


class Dataset(BaseDataset):
    """Pixels from 0 to 1, or as bytes with the scale 1/255."""

    name = "fashion-mnist"
    parameters = {"dtype": ("float32", "uint8"), "order": ("shuffled", "sorted")}  # noqa: RUF012

    def size(self) -> int:
        """Bytes of the features."""
        return 60_000 * 784 * np.dtype(self.values["dtype"]).itemsize

    def get_data(self) -> Data:
        """The training set in its own order, or class after class."""
        read = _read()
        x, labels, test = read.train.x, read.train.labels, read.test
        if self.values["order"] == "sorted":
            order = np.argsort(labels, kind="stable")
            x, labels = x[order], labels[order]
        if self.values["dtype"] == "uint8":
            return Data(self.label, x, labels, 10, SCALE, (test.x, test.labels))
        scale = np.float32(SCALE)
        of_test = (test.x.astype(np.float32) * scale, test.labels)
        return Data(self.label, x.astype(np.float32) * scale, labels, 10, None, of_test)
