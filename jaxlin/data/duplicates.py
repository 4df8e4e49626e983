"""Examples that are in two parts of the data: what was learned by heart is then judged as known.

A row is found by a hash of its bytes: a sum of its 32-bit words, each times a random 64-bit number,
modulo 2^64. The upper half of such a sum is the same for two different rows with a chance of
2^-32 (M. Dietzfelbinger, "Universal hashing and k-wise independent random variables via integer
arithmetic without primes", 1996). Rows with the same hash are then compared as they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxlin.arrays import check_two_dimensional, numeric_array
from jaxlin.data.streaming import row_blocks
from jaxlin.errors import InputError
from jaxlin.file_rows import FileRows, check_map
from jaxlin.lazy_rows import LazyRows

_BLOCK_BYTES = 1 << 22  # a block, and what it is multiplied into, stay in the caches


@dataclasses.dataclass(frozen=True, eq=False)
class Duplicates:
    """Rows of one array that are in another; as an array, their numbers.

    Attributes:
      rows: which rows of the second are in the first, ascending.
      twins: for each of them the first row of the first that is equal to it.
      share: of the rows of the second.

    >>> len(Duplicates(np.array([3]), np.array([0]), 0.25))
    1
    """

    rows: np.ndarray
    twins: np.ndarray
    share: float

    def __len__(self) -> int:
        return len(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.rows, dtype, copy=copy)


def duplicate_rows(a: Any, b: Any) -> Duplicates:
    """Which rows of b are in a, bit for bit: examples to judge by that were there to learn from.

    Where dtypes differ, both are converted to the one that holds either. It is looked for
    block by block: beside the arrays there are eight bytes a row in memory.

    Args:
      a: features (N, D), an array, a memory map or features in a file.
      b: features (N', D).

    Returns:
      `Duplicates(rows, twins, share)`.

    Raises:
      InputError: one of them is no array of numbers (N, D), or D differs.

    >>> train = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    >>> test = np.array([[5, 6], [3, 4], [1, 2], [2, 1]])
    >>> found = duplicate_rows(train, test)
    >>> found.rows.tolist(), found.twins.tolist(), found.share
    ([1, 2], [1, 0], 0.5)
    """
    a, b = _matrix(a, "a"), _matrix(b, "b")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"a has {a.shape[1]} features, and b has {b.shape[1]}.")
    dtype = _common_dtype(a.dtype, b.dtype)
    seen, asked = _hashes(a, dtype), _hashes(b, dtype)
    order = np.argsort(seen, kind="stable")
    ordered = seen[order]
    place, end = (np.searchsorted(ordered, asked, side) for side in ("left", "right"))
    twins = np.full(len(b), -1, np.int64)
    open_rows = np.flatnonzero(place < end)
    while len(open_rows):  # once, unless two different rows have one hash
        candidates = order[place[open_rows]]
        is_equal = _are_equal(a, candidates, b, open_rows, dtype)
        twins[open_rows[is_equal]] = candidates[is_equal]
        open_rows = open_rows[~is_equal]
        place[open_rows] += 1
        open_rows = open_rows[place[open_rows] < end[open_rows]]
    rows = np.flatnonzero(twins >= 0)
    return Duplicates(rows, twins[rows], len(rows) / len(b))


def _matrix(x: Any, name: str) -> Any:
    array = numeric_array(x, name)
    check_two_dimensional(array, name)
    return array if isinstance(array, FileRows | LazyRows) else np.asarray(array)


def _common_dtype(a: np.dtype, b: np.dtype) -> np.dtype:
    try:
        return np.result_type(a, b)
    except TypeError:  # two half-width floats, neither of which holds the other
        return np.dtype(np.float32)


def _words(block: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The bytes of rows in that dtype as 32-bit words (n, W), zeros at the end."""
    own = np.ascontiguousarray(block, dtype).view(np.uint8)
    missing = -own.shape[1] % 4
    if missing:
        own = np.pad(own, ((0, 0), (0, missing)))
    return own.view(np.uint32)


def _blocks(x: Any) -> Iterator[np.ndarray]:
    return row_blocks(x, max(1, _BLOCK_BYTES // max(1, x.shape[1] * x.dtype.itemsize)))


def _hashes(x: Any, dtype: np.dtype) -> np.ndarray:
    """The hash of each row, uint64 (N,)."""
    num_words = -(-x.shape[1] * dtype.itemsize // 4)
    generator = np.random.Generator(np.random.PCG64(0))
    factors = generator.integers(0, 2**64, num_words, np.uint64)
    parts = [np.einsum("nw,w->n", _words(block, dtype), factors) for block in _blocks(x)]
    return np.concatenate(parts)


def _are_equal(
    a: Any, rows_a: np.ndarray, b: Any, rows_b: np.ndarray, dtype: np.dtype
) -> np.ndarray:
    """Whether pairs of rows are equal, bool (n,)."""
    step = max(1, _BLOCK_BYTES // max(1, a.shape[1] * dtype.itemsize))
    result = np.zeros(len(rows_a), bool)
    for start in range(0, len(rows_a), step):
        part = slice(start, start + step)
        ours, theirs = (
            _words(_picked(x, rows[part]), dtype) for x, rows in ((a, rows_a), (b, rows_b))
        )
        result[part] = (ours == theirs).all(axis=1)
    return result


def _picked(x: Any, rows: np.ndarray) -> np.ndarray:
    if isinstance(x, np.ndarray):
        check_map(x)
    return x[rows]
