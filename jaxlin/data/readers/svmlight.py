"""Svmlight and LIBSVM text: `label index:value index:value ...`, indices from 1 upwards."""

from __future__ import annotations

import math
import os

import numpy as np

from jaxlin.data.opening import read_bytes
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError

_MAX_DENSE_BYTES = 1 << 31
_MAX_INDEX = 1 << 31
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
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        fields = line.split(b"#", 1)[0].split()
        if not fields:
            continue
        try:
            labels.append(_label(fields[0]))
            last = 0
            for field in fields[1:]:
                index, value = _pair(field, last, num_features)
                rows.append(len(labels) - 1)
                columns.append(index - 1)
                values.append(value)
                last = index
        except ValueError as error:
            raise DataFormatError(str(error), path=name, line=number) from None
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


def _shown(field: bytes) -> str:
    return repr(field[:40].decode(errors="replace"))


def _number(field: bytes) -> float:
    if not set(field) <= _NUMBER:
        raise ValueError(f"{_shown(field)} is no finite decimal number")
    try:
        value = float(field)
    except ValueError:
        raise ValueError(f"{_shown(field)} is no finite decimal number") from None
    if abs(value) > np.finfo(np.float32).max:
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
