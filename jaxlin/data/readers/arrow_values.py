"""Columns of Arrow's as NumPy arrays: numbers, lists of numbers, labels; nothing is missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.errors import DataFormatError


def _stored(kind: Any) -> Any:
    """A type without the name that an extension gives it: tensors are lists of one length."""
    import pyarrow

    return kind.storage_type if isinstance(kind, pyarrow.BaseExtensionType) else kind


def is_number(kind: Any) -> bool:
    """Whether a column holds numbers or booleans."""
    from pyarrow import types

    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def is_list(kind: Any) -> bool:
    """Whether a column holds lists of numbers."""
    from pyarrow import types

    kind = _stored(kind)
    is_any = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return is_any and is_number(kind.value_type)


def feature_rows(column: Any, name: str, first: int, width: int | None, path: str) -> np.ndarray:
    """Numbers (n, 1) or lists of numbers (n, D), in the dtype that they have.

    Args:
      column: a pyarrow array of either.
      name: its name, for messages.
      first: which example its first entry is.
      width: D, where it is known.
      path: of the file, for messages.

    Raises:
      DataFormatError: something is missing, or lists differ in length.
    """
    import pyarrow
    from pyarrow import types

    column = column.storage if isinstance(column, pyarrow.ExtensionArray) else column
    _check_present(column, name, first, path)
    if is_number(column.type):
        return column.to_numpy(zero_copy_only=False).reshape(-1, 1)
    if types.is_fixed_size_list(column.type):
        lengths = np.full(len(column), column.type.list_size)
    else:
        lengths = np.diff(column.offsets.to_numpy())
    width = int(lengths[0]) if width is None else width
    if (lengths != width).any():
        row = int(np.argmax(lengths != width))
        raise DataFormatError(
            f"{name[:40]} must have as many numbers in every example: example {first + row} (from "
            f"0) has {lengths[row]}, expected {width}",
            path=path,
        )
    if width == 0:
        raise DataFormatError(f"{name[:40]} has no features: its lists are empty", path=path)
    numbers = column.flatten()
    if numbers.null_count:
        place = int(np.argmax(numbers.is_null().to_numpy(zero_copy_only=False)))
        raise DataFormatError(
            f"{name[:40]} lacks a number (null) in example {first + place // width}, feature "
            f"{place % width} (from 0)",
            path=path,
        )
    return numbers.to_numpy(zero_copy_only=False).reshape(len(column), width)


def label_values(column: Any, name: str, first: int, path: str) -> np.ndarray:
    """Labels (n,) as they are written: whole numbers, text, booleans, dates.

    Args:
      column: a pyarrow array.
      name: its name, for messages.
      first: which example its first entry is.
      path: of the file, for messages.

    Raises:
      DataFormatError: one is missing, or they are of another kind.
    """
    from pyarrow import types

    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    _check_present(column, name, first, path)
    kind = column.type
    if is_number(kind) or types.is_date(kind) or types.is_timestamp(kind):
        return column.to_numpy(zero_copy_only=False)
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)):
        raise DataFormatError(
            f"column {name[:40]!r} must hold labels, text or whole numbers, it holds "
            f"{str(kind)[:80]}",
            path=path,
        )
    labels = np.empty(len(column), object)
    labels[:] = column.to_pylist()
    return labels


def _check_present(column: Any, name: str, first: int, path: str) -> None:
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise DataFormatError(
            f"{name[:40]} is missing (null) in example {first + row} (from 0)", path=path
        )
