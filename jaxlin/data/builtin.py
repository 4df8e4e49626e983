"""Data that come with an installation."""

from __future__ import annotations

import contextlib
import gzip
import importlib.util
import os
import zlib

import numpy as np

from jaxlin.data.raw import RawData
from jaxlin.data.splitting import split_rows

_TEST_SHARE = 0.25
_PLACE = ("datasets", "data", "digits.csv.gz")
_SHAPE = (1797, 65)


def digits() -> RawData:
    """1,797 handwritten digits of 8 x 8 pixels, grey from 0 to 16, as uint8 (N, 64).

    They are the test part of the Optical Recognition of Handwritten Digits data (E. Alpaydin and
    C. Kaynak, UCI Machine Learning Repository, 1998), as scikit-learn has them. The same quarter of
    every class is always the test set.
    """
    table = _digits_table()
    x, labels = table[:, :-1].astype(np.uint8), table[:, -1]
    stay, apart = split_rows(labels, _TEST_SHARE, seed=0)
    return RawData(x[stay], labels[stay], x[apart], labels[apart], image_shape=(8, 8))


def _digits_table() -> np.ndarray:
    """Pixels and, last, the digit that they show, whole numbers (1797, 65)."""
    # Only the file is wanted: the import takes longer than to train on what is in it.
    package = importlib.util.find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package else ():
        with contextlib.suppress(OSError, EOFError, zlib.error, ValueError):
            with gzip.open(os.path.join(folder, *_PLACE), "rt", encoding="ascii") as file:
                table = np.loadtxt(file, np.float64, delimiter=",")
            if table.shape == _SHAPE:
                return table.astype(np.int64)
    from sklearn.datasets import load_digits

    pixels, codes = load_digits(return_X_y=True)
    return np.column_stack([pixels, codes]).astype(np.int64)


BUILTIN = {"digits": digits}
