"""Data that come with an installation."""

from __future__ import annotations

import numpy as np

from jaxlin.data.raw import RawData
from jaxlin.data.splitting import split_rows

_TEST_SHARE = 0.25


def digits() -> RawData:
    """1,797 handwritten digits of 8 x 8 pixels, grey from 0 to 16, as uint8 (N, 64).

    They are the test part of the Optical Recognition of Handwritten Digits data (E. Alpaydin and
    C. Kaynak, UCI Machine Learning Repository, 1998), as scikit-learn has them. The same quarter of
    every class is always the test set.
    """
    from sklearn.datasets import load_digits

    pixels, codes = load_digits(return_X_y=True)
    x, labels = np.asarray(pixels, np.uint8), np.asarray(codes, np.int64)
    stay, apart = split_rows(labels, _TEST_SHARE, seed=0)
    return RawData(x[stay], labels[stay], x[apart], labels[apart], image_shape=(8, 8))


BUILTIN = {"digits": digits}
