"""Whether the numbers of a file can be computed with, and where the first is that cannot."""

from __future__ import annotations

import os

import numpy as np

from jaxlin.errors import DataFormatError

_BLOCK_BYTES = 1 << 24


def check_finite(x: np.ndarray, path: str | os.PathLike[str], name: str = "x") -> None:
    """Raises `DataFormatError` where features (N, D) hold NaN or infinity; says in which example.

    >>> check_finite(np.array([[1.0, 2.0]]), "flowers.npz")
    """
    if x.dtype.kind != "f":
        return
    step = max(1, _BLOCK_BYTES // (x.shape[1] * x.itemsize))
    for start in range(0, len(x), step):
        is_finite = np.isfinite(x[start : start + step])
        if not is_finite.all():
            row, column = np.unravel_index(int(np.argmin(is_finite)), is_finite.shape)
            what = "NaN" if np.isnan(x[start + row, column]) else "infinity"
            raise DataFormatError(
                f"{name} contains {what}: in example {start + row}, feature {column} (from 0)",
                path=path,
            )


def check_range(x: np.ndarray, dtype: str, path: str | os.PathLike[str], remedy: str) -> None:
    """Raises `DataFormatError` where features are finite, but beyond what `dtype` can hold.

    >>> check_range(np.array([[1e30]]), "float32", "flowers.npz", "Divide them.")
    """
    if x.dtype.kind != "f" or x.dtype.itemsize <= np.dtype(dtype).itemsize:
        return
    largest = max(abs(x.min()), abs(x.max()))
    if largest > np.finfo(dtype).max:
        raise DataFormatError(
            f"holds {largest:.4g}, which is too large for {dtype}. {remedy}", path=path
        )
