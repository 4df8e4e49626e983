"""Whether the numbers of a file can be computed with, and where the first is that cannot."""

from __future__ import annotations

import os

import numpy as np

from jaxlin.arrays import is_floating_dtype
from jaxlin.errors import DataFormatError
from jaxlin.file_rows import FileRows

_BLOCK_BYTES = 1 << 24


def check_finite(
    x: np.ndarray | FileRows, path: str | os.PathLike[str], name: str = "x", first: int = 0
) -> None:
    """Raises `DataFormatError` where features (N, D) hold NaN or infinity; says in which example.

    Args:
      x: features (N, D).
      path: of the file, for messages.
      name: what to call x in messages.
      first: which example its first row is.

    >>> check_finite(np.array([[1.0, 2.0]]), "flowers.npz")
    """
    if not is_floating_dtype(x.dtype):
        return
    step = max(1, _BLOCK_BYTES // (x.shape[1] * x.itemsize))
    for start in range(0, len(x), step):
        block = x[start : start + step]
        # Half-width numbers of JAX's own have no `isfinite` that is fast.
        is_finite = np.isfinite(block if block.dtype.kind == "f" else block.astype(np.float32))
        if not is_finite.all():
            row, column = np.unravel_index(int(np.argmin(is_finite)), is_finite.shape)
            what = "NaN" if np.isnan(block[row, column]) else "infinity"
            raise DataFormatError(
                f"{name} contains {what}: in example {first + start + row}, feature {column} "
                "(from 0)",
                path=path,
            )


def check_range(
    x: np.ndarray | FileRows, dtype: str, path: str | os.PathLike[str], remedy: str
) -> None:
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
