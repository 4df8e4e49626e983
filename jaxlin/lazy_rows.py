"""Rows of numbers that are made when they are asked for."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np


class LazyRows(abc.ABC):
    """Features (N, D) that are made when they are asked for, whatever they are made of.

    Whoever derives from it has `dtype`, `shape`, `len` and `x[rows]`, for whole numbers (n,) or a
    slice, which gives an array (n, D). What takes arrays of features for their rows one block at a
    time takes these too (`jaxlin.arrays.numeric_array`).

    >>> class Squares(LazyRows):
    ...     dtype, shape = np.dtype(np.int64), (4, 1)
    ...     def __getitem__(self, rows):
    ...         return np.arange(4)[rows, None] ** 2
    >>> len(Squares()), Squares().ndim, Squares()[2:].tolist()
    (4, 2, [[4], [9]])
    """

    dtype: np.dtype
    shape: tuple[int, int]

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    def __len__(self) -> int:
        return self.shape[0]

    @abc.abstractmethod
    def __getitem__(self, rows: Any) -> np.ndarray:
        """These rows as an array (n, D)."""
