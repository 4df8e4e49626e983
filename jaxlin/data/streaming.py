"""Features a block of rows at a time, for files that are larger than memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlin.checks import check_count
from jaxlin.data.readers.arrow import arrow_blocks
from jaxlin.data.readers.svmlight import svmlight_blocks
from jaxlin.data.readers.table import table_blocks
from jaxlin.data.reading import check_options, check_width, kind_of, read_kind
from jaxlin.data.values import check_finite
from jaxlin.errors import DataFormatError, InputError
from jaxlin.file_rows import FileRows, check_map


class RowStream(NamedTuple):
    """The rows of a file, in their order.

    Attributes:
      blocks: features (n, D), finite; all but the last have as many rows as was asked for.
      part: `"test"`, `"train"` or `"all"`: which part of the data they are.
      feature_names: D names, or None.
    """

    blocks: Iterator[np.ndarray]
    part: str
    feature_names: tuple[str, ...] | None


def stream(
    source: str | os.PathLike[str],
    *,
    num_features: int,
    block_rows: int = 4096,
    split: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    label_column: str | int | None = None,
    layer: str | None = None,
    feature_names: Sequence[str] | None = None,
) -> RowStream:
    """The features of a file, a block of rows at a time; no more of it is in memory.

    Of `.npy` files (those that are not gzipped), safetensors, Parquet, CSV, TSV and svmlight text
    that is so whatever their size. Of Arrow files one batch is in memory, as it was written. All
    else is read first: `.npz` archives, folders of images, built-in data.

    Args:
      source: as for `read`.
      num_features: D.
      block_rows: how many rows at a time.
      split: `"test"` or `"train"` of data in two parts; None is the test set where there is one.
      labels: as for `read`; looked at, but not given.
      label_column: as for `read`: the column that holds no feature.
      layer: as for `read`.
      feature_names: as for `read`.

    Returns:
      A `RowStream`.

    Raises:
      DataFormatError: as for `read`; what is wrong with a row is said when its block is reached.
      InputError: an option that this kind of file does not take.

    >>> found = stream("digits", num_features=64, block_rows=300)
    >>> found.part, [len(block) for block in found.blocks]
    ('test', [300, 150])
    """
    name, block_rows = os.fspath(source), check_count("block_rows", block_rows)
    if split not in (None, "test", "train"):
        raise InputError(f"split must be 'test', 'train' or None, got {split!r}.")
    kind = kind_of(name)
    check_options(name, kind, labels=labels, label_column=label_column, layer=layer)
    part, names = "all", None
    if kind in ("table", "svmlight", "arrow"):
        if split == "test":
            raise _no_test(name)
        part = split or "all"
        if kind == "svmlight":
            blocks = svmlight_blocks(name, num_features, block_rows)
        elif kind == "arrow":
            blocks, names = arrow_blocks(name, label_column, layer, block_rows, feature_names)
        else:
            tables = table_blocks(name, label_column, block_rows, feature_names)
            first = next(tables)
            blocks, names = (one.x for one in itertools.chain([first], tables)), first.names
    else:
        raw = read_kind(kind, name, labels, label_column, num_features, layer, feature_names)
        if split == "test" and raw.test_x is None:
            raise _no_test(name)
        part = split or ("all" if raw.test_x is None else "test")
        x = raw.test_x if part == "test" else raw.x
        blocks, names = _parts(x, block_rows), raw.feature_names
    return RowStream(_checked(_regrouped(blocks, block_rows), num_features, name), part, names)


def row_blocks(x: Any, block_rows: int) -> Iterator[np.ndarray]:
    """Features (N, D), so many rows at a time, each block a private array (n, D).

    Of memory maps it is asked before each block whether their file is as long as it was; `FileRows`
    are read.

    Args:
      x: an array, a memory map or `FileRows`.
      block_rows: how many rows at a time; the last block may have fewer.

    Raises:
      DataFormatError: the file behind x was cut short.

    >>> [len(block) for block in row_blocks(np.zeros((5, 2)), 2)]
    [2, 2, 1]
    """
    block_rows = check_count("block_rows", block_rows)
    return _parts(x, block_rows)


def _parts(x: Any, block_rows: int) -> Iterator[np.ndarray]:
    for start in range(0, len(x), block_rows):
        if isinstance(x, FileRows):
            yield x.read(start, start + block_rows)
        else:
            if isinstance(x, np.ndarray):
                check_map(x)
            yield np.array(x[start : start + block_rows])


def _no_test(name: str) -> DataFormatError:
    return DataFormatError("has no test set of its own; leave --split away", path=name)


def _regrouped(blocks: Iterator[np.ndarray], block_rows: int) -> Iterator[np.ndarray]:
    """The same rows in blocks of one size, but for the last."""
    waiting: list[np.ndarray] = []
    for block in blocks:
        waiting.append(block)
        while sum(map(len, waiting)) >= block_rows:
            joined = np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
            yield joined[:block_rows]
            waiting = [joined[block_rows:]] if len(joined) > block_rows else []
    if waiting:
        yield np.concatenate(waiting) if len(waiting) > 1 else waiting[0]


def _checked(blocks: Iterator[np.ndarray], num_features: int, name: str) -> Iterator[np.ndarray]:
    first = 0
    for block in blocks:
        check_width(block.shape[1], num_features, name)
        check_finite(block, name, first=first)
        yield block
        first += len(block)
