"""Whether scores stay within the range of their dtype, told before they are summed up.

Where products of W and X are beyond the range, their sum comes out as NaN, as infinity or as a
number, by the order in which a machine adds and by whether it rounds in between. So that the answer
is the same everywhere, what counts is the sum of their absolute values: while it is in range, so is
every part of every sum.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxlin.linear import LinearParams


class Reach(NamedTuple):
    """How far scores can go.

    Attributes:
      weights: the largest sum of |W| of a class.
      bias: the largest |b|.
      limit: what they may come to; a half of what the dtype holds leaves room for rounding.
    """

    weights: float
    bias: float
    limit: float

    @classmethod
    def of(cls, params: LinearParams) -> Reach:
        """That of W (C, D) and b (C,) or None."""
        W = np.asarray(params.W)
        with np.errstate(over="ignore"):
            weights = float(np.abs(W).sum(axis=1, dtype=np.float64).max())
        bias = 0.0 if params.b is None else float(np.abs(np.asarray(params.b)).max())
        return cls(weights, bias, float(np.finfo(W.dtype).max) / 2.0)

    def is_within(self, largest: float) -> bool:
        """Whether features of up to `largest` stay in range, whichever they are."""
        return largest * self.weights + self.bias <= self.limit  # not so where it is NaN


def too_large(params: LinearParams, rows: Any, limit: float) -> np.ndarray:
    """Which rows (n, D) have products of W and x whose absolute values sum to more; bool (n,).

    >>> W = np.array([[3e38, -3e38]], np.float32)
    >>> too_large(LinearParams(W), np.array([[3.0, 3.0], [0.1, 0.1]]), 1.7e38).tolist()
    [True, False]
    """
    W = np.abs(np.asarray(params.W, np.float64))
    with np.errstate(over="ignore"):
        sums = np.abs(np.asarray(rows, np.float64)) @ W.T
        if params.b is not None:
            sums += np.abs(np.asarray(params.b, np.float64))
    return np.logical_not((sums <= limit).all(axis=1))
