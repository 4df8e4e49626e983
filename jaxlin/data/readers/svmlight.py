"""Svmlight and LIBSVM text: `label index:value index:value ...`, indices from 1 upwards."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxlin.data.opening import byte_lines
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError

_MAX_DENSE_BYTES = 1 << 31
_MAX_INDEX = 1 << 31
_LARGEST = float(np.finfo(np.float32).max)
_NUMBER = set(b"0123456789+-.eE")


def read_svmlight(path: str | os.PathLike[str], num_features: int | None = None) -> RawData:
    """Features as a dense float32 array, absent ones 0, and integer labels.

    Args:
      path: the file.
      num_features: D; None is the largest index.

    Raises:
      DataFormatError: it cannot be read, a line is not of that form, or the dense array would take
        more than 2 GiB.
    """
    name = os.fspath(path)
    labels: list[int] = []
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for example in _examples(path, num_features):
        rows.extend([len(labels)] * len(example.columns))
        labels.append(example.label)
        columns.extend(example.columns)
        values.extend(example.values)
    if not labels:
        raise DataFormatError("has no examples", path=name)
    width = max(columns, default=-1) + 1 if num_features is None else num_features
    if width == 0:
        raise DataFormatError("has no features", path=name)
    size = 4 * len(labels) * width
    if size > _MAX_DENSE_BYTES:
        raise DataFormatError(
            f"would take {size:,} bytes as a dense array of {len(labels):,} x {width:,}; at most "
            f"{_MAX_DENSE_BYTES:,} are made. Is an index wrong?",
            path=name,
        )
    x = np.zeros((len(labels), width), np.float32)
    x[rows, columns] = values
    return RawData(x, np.array(labels))


def svmlight_blocks(
    path: str | os.PathLike[str], num_features: int, block_rows: int
) -> Iterator[np.ndarray]:
    """Features as `read_svmlight` gives them, so many rows at a time: float32 (n, D).

    Raises:
      DataFormatError: as for `read_svmlight`, when the line is reached.
    """
    examples = _examples(path, num_features)
    is_empty = True
    while part := list(itertools.islice(examples, block_rows)):
        is_empty = False
        x = np.zeros((len(part), num_features), np.float32)
        for row, example in zip(x, part, strict=True):
            row[example.columns] = example.values
        yield x
    if is_empty:
        raise DataFormatError("has no examples", path=path)


class _Example(NamedTuple):
    label: int
    columns: list[int]
    values: list[float]


def _examples(path: str | os.PathLike[str], num_features: int | None) -> Iterator[_Example]:
    """The lines that hold an example."""
    for number, line in enumerate(byte_lines(path), start=1):
        fields = line.split(b"#", 1)[0].split()
        if not fields:
            continue
        example = _Example(0, [], [])
        try:
            example = example._replace(label=_label(fields[0]))
            last = 0
            for field in fields[1:]:
                last, value = _pair(field, last, num_features)
                example.columns.append(last - 1)
                example.values.append(value)
        except ValueError as error:
            raise DataFormatError(str(error), path=path, line=number) from None
        yield example


def _shown(field: bytes) -> str:
    return repr(field[:40].decode(errors="replace"))


def _number(field: bytes) -> float:
    if not set(field) <= _NUMBER:
        raise ValueError(f"{_shown(field)} is no finite decimal number")
    try:
        value = float(field)
    except ValueError:
        raise ValueError(f"{_shown(field)} is no finite decimal number") from None
    if abs(value) > _LARGEST:
        raise ValueError(f"{_shown(field)} is too large for float32")
    return value


def _label(field: bytes) -> int:
    value = _number(field)
    if value != math.floor(value) or abs(value) >= 2**53:
        raise ValueError(f"the label must be a whole number, got {_shown(field)}")
    return int(value)


def _pair(field: bytes, last: int, num_features: int | None) -> tuple[int, float]:
    index, colon, value = field.partition(b":")
    if not colon:
        raise ValueError(f"expected index:value, got {_shown(field)}")
    if not index.isdigit() or len(index) > 10 or not 1 <= int(index) <= _MAX_INDEX:
        raise ValueError(f"an index must be a whole number from 1 on, got {_shown(index)}")
    if int(index) <= last:
        raise ValueError(f"indices must increase along a line, got {int(index)} after {last}")
    if num_features is not None and int(index) > num_features:
        raise ValueError(f"index {int(index)} is above the number of features, {num_features}")
    return int(index), _number(value)
