"""Rows of numbers that stay in their file: features larger than memory, or than one wants there.

Blocks are read into buffers of their own, never mapped: a file that is cut short under a memory map
ends the process (SIGBUS), and one that is cut short while it is read is an error like any other. A
file that is no longer the one that was opened is refused, so that no two passes over the data
see different numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import mmap
import os
import stat
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxlin.errors import DataFormatError

# Features from this size on stay in their file; smaller ones are read when it is opened.
LARGE_BYTES = 1 << 26

_BLOCK_BYTES = 1 << 24
# Rows that lie further apart are read each for itself: about what a disk reads at one go.
_GAP_BYTES = 1 << 17


@dataclasses.dataclass(frozen=True, eq=False)
class FileRows(np.lib.mixins.NDArrayOperatorsMixin):
    """Features (N, D) in a file, read when they are asked for.

    Slices and rows of it are NumPy arrays, private copies; `np.asarray` reads all of it. `fit` and
    `sweep` read it once, straight into the memory that they train from.

    Attributes:
      path: the file.
      stored: the dtype in the file, of whichever byte order.
      num_stored: how many rows the file has.
      num_features: D.
      offset: where in the file the first number stands, in bytes.
      mark: what `file_mark` gave when the file was opened.
      is_column_major: whether the numbers of a feature, and not those of a row, lie together.
      rows: which rows of the file, (N,); None is all of them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/x.bin"
    ...     np.arange(6, dtype="<f4").tofile(path)
    ...     x = FileRows(path, np.dtype("<f4"), 3, 2, 0, file_mark(path))
    ...     x.shape, x[1:].tolist(), x.select(np.array([2, 0])).read(0, 1).tolist()
    ((3, 2), [[2.0, 3.0], [4.0, 5.0]], [[4.0, 5.0]])
    """

    path: str
    stored: np.dtype
    num_stored: int
    num_features: int
    offset: int
    mark: tuple[int, ...]
    is_column_major: bool = False
    rows: np.ndarray | None = None

    @property
    def dtype(self) -> np.dtype:
        """Of the arrays that it gives: that of the file, in the machine's byte order."""
        return self.stored if self.stored.isnative else self.stored.newbyteorder("=")

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self), self.num_features

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def size(self) -> int:
        """N * D."""
        return len(self) * self.num_features

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return self.stored.itemsize

    @property
    def nbytes(self) -> int:
        """What it would take in memory."""
        return self.size * self.itemsize

    def __len__(self) -> int:
        return self.num_stored if self.rows is None else len(self.rows)

    def select(self, rows: np.ndarray) -> FileRows:
        """These rows of it, (n,) whole numbers: nothing is read yet."""
        rows = self._row_numbers(rows)
        return dataclasses.replace(self, rows=rows if self.rows is None else self.rows[rows])

    def read(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows start to stop as a private array (n, D), C-ordered.

        Raises:
          DataFormatError: the file has changed since it was opened, or cannot be read.
        """
        start, stop, _ = slice(start, stop).indices(len(self))
        stop = max(start, stop)
        with self._opened() as file:
            if self.rows is None:
                return self._span(file, start, stop)
            return self._picked(file, self.rows[start:stop])

    def blocks(self, block_rows: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """All rows, so many at a time: where each block begins, and its rows (n, D)."""
        step = block_rows or max(1, _BLOCK_BYTES // max(1, self.num_features * self.itemsize))
        for start in range(0, len(self), step):
            yield start, self.read(start, start + step)

    def __getitem__(self, key: Any) -> Any:
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if isinstance(first, slice):
            start, stop, step = first.indices(len(self))
            if step == 1:
                found = self.read(start, stop)
            else:
                found = self.select(np.arange(start, stop, step)).read()
            return found[(slice(None), *rest)] if rest else found
        if np.ndim(first) == 0 and not isinstance(first, bool | np.bool_):
            found = self.select(np.array([first])).read()[0]
            return found[tuple(rest)] if rest else found
        found = self.select(np.asarray(first)).read()
        return found[(slice(None), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self.path} is on the disk: it cannot be an array without a copy.")
        whole = np.empty(self.shape, self.dtype if dtype is None else dtype)
        for start, block in self.blocks():
            whole[start : start + len(block)] = block
        return whole

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = (np.asarray(one) if isinstance(one, FileRows) else one for one in inputs)
        return getattr(ufunc, method)(*arrays, **options)

    def astype(self, dtype: Any) -> np.ndarray:
        """All of it in memory, in that dtype."""
        return self.__array__(dtype)

    def min(self) -> Any:
        """The smallest number, found block by block."""
        return np.min([block.min() for _, block in self.blocks()])

    def max(self) -> Any:
        """The largest number, found block by block."""
        return np.max([block.max() for _, block in self.blocks()])

    def _row_numbers(self, rows: np.ndarray) -> np.ndarray:
        """Whole numbers or a mask as row numbers from 0."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if rows.shape != (len(self),):
                raise IndexError(f"a mask of shape {rows.shape} for {len(self)} rows")
            return np.flatnonzero(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise IndexError(f"rows are whole numbers of shape (n,), got {rows!r:.80}")
        rows = rows.astype(np.int64)
        outside = (rows < -len(self)) | (rows >= len(self))
        if outside.any():
            raise IndexError(f"there is no row {rows[outside][0]} among {len(self)}")
        return np.where(rows < 0, rows + len(self), rows)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[io.FileIO]:
        try:
            # Nothing that has taken the file's place, a pipe say, is waited for.
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                if file_mark(descriptor) != self.mark:
                    raise DataFormatError("has changed since it was opened", path=self.path)
                yield file  # pyright: ignore[reportReturnType]
        except OSError as error:
            reason = error.strerror or error
            raise DataFormatError(f"cannot be read: {reason}", path=self.path) from error

    def _span(self, file: io.FileIO, first: int, last: int) -> np.ndarray:
        """Rows first to last of the file, which lie together."""
        if self.is_column_major:
            columns = np.empty((self.num_features, last - first), self.stored)
            for number, column in enumerate(columns):
                self._fill(file, column, number * self.num_stored + first)
            block = np.ascontiguousarray(columns.T)
        else:
            block = np.empty((last - first, self.num_features), self.stored)
            self._fill(file, block, first * self.num_features)
        return block if self.stored.isnative else block.astype(self.dtype)

    def _picked(self, file: io.FileIO, rows: np.ndarray) -> np.ndarray:
        """Any rows of the file: what lies close together is read together."""
        block = np.empty((len(rows), self.num_features), self.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        row_bytes = max(1, self.num_features * self.itemsize)
        is_far = np.diff(ascending) > max(1, _GAP_BYTES // row_bytes)
        ends = [*(np.flatnonzero(is_far) + 1).tolist(), len(rows)]
        most = max(1, _BLOCK_BYTES // row_bytes)
        begin = 0
        for end in ends:
            while begin < end:
                first = int(ascending[begin])
                until = min(end, int(np.searchsorted(ascending, first + most)))
                span = self._span(file, first, int(ascending[until - 1]) + 1)
                block[order[begin:until]] = span[ascending[begin:until] - first]
                begin = until
        return block

    def _fill(self, file: io.FileIO, array: np.ndarray, place: int) -> None:
        """Fills an array with the numbers of the file from number `place` on."""
        left = array.reshape(-1).view(np.uint8).data
        file.seek(self.offset + place * self.itemsize)
        while left:
            count = file.readinto(left)
            if not count:
                raise DataFormatError("was cut off while it was read", path=self.path)
            left = left[count:]


def file_mark(file: str | int) -> tuple[int, ...]:
    """What tells a file, by path or descriptor, from what may take its place: size, times, inode.

    >>> file_mark(os.curdir) == file_mark(os.curdir)
    True
    """
    about = os.stat(file)
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, stat.S_IFMT(about.st_mode)


def held(rows: FileRows) -> np.ndarray | FileRows:
    """Small features as an array; large ones stay in their file."""
    return rows if rows.nbytes >= LARGE_BYTES else rows.read()


def check_map(array: np.ndarray) -> None:
    """Raises where the file behind a memory map has become shorter than the map.

    To touch what is no longer there would end the process (SIGBUS). Whoever copies out of a map
    asks before each block.

    Raises:
      DataFormatError: the file was cut short.

    >>> check_map(np.zeros(3))
    """
    base: Any = array
    path, wanted = "a memory map", 0
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            path, wanted = str(base.filename or path), int(base.offset) + base.nbytes
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    # A map's own size() asks the system for that of its file.
    if isinstance(base, mmap.mmap) and base.size() < max(wanted, len(base)):
        raise DataFormatError(
            f"was cut short while it was read: it has {base.size():,} bytes, and "
            f"{max(wanted, len(base)):,} were mapped",
            path=path,
        )
