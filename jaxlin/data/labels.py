"""Labels as people write them (text, any integers, booleans) and as the maths needs them: 0..C-1.

Encoded at the edge, on the host, before JAX sees anything: JAX would narrow 64 bits in silence.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from jaxlin.errors import InputError

Label = str | int | float | bool


def encode_labels(
    labels: Any, classes: Sequence[Label] | None = None
) -> tuple[tuple[Label, ...], np.ndarray]:
    """Class indices for labels of any kind.

    Args:
      labels: (N,) text, integers, booleans, whole floats, dates (which become text) or a pandas
        column of these.
      classes: the labels of classes 0..C-1 where they are known; None takes those that occur, in
        sorted order.

    Returns:
      The classes, C Python values, and the class of each label, int32 (N,).

    Raises:
      InputError: labels are missing, mixed, continuous or not one-dimensional, or one of them is
        not among `classes`.

    >>> classes, indices = encode_labels(["dog", "cat", "dog"])
    >>> classes, indices.tolist()
    (('cat', 'dog'), [1, 0, 1])
    """
    array = _label_array(labels)
    found, indices = np.unique(array, return_inverse=True)
    values = tuple(value.item() if isinstance(value, np.generic) else value for value in found)
    indices = indices.reshape(array.shape)
    if classes is None:
        return values, indices.astype(np.int32)
    place = {label: index for index, label in enumerate(classes)}
    unknown = [value for value in values if value not in place]
    if unknown:
        known = ", ".join(shortened(label) for label in list(classes)[:10])
        more = ", ..." if len(classes) > 10 else ""
        raise InputError(
            f"labels must be among the classes {known}{more}; got {shortened(unknown[0])} at index "
            f"{int(np.argmax(indices == values.index(unknown[0])))}."
        )
    return tuple(classes), np.array([place[value] for value in values], np.int32)[indices]


def shortened(label: object) -> str:
    """A label for a message.

    >>> shortened("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    text = repr(label)
    return text if len(text) <= 42 else f"{text[:39]}..."


def _label_array(labels: Any) -> np.ndarray:
    """Labels as an array of one kind that sorts, with nothing missing."""
    if isinstance(labels, np.ma.MaskedArray):
        raise InputError("labels are a masked array, whose mask would be ignored. Fill it first.")
    if isinstance(labels, str | bytes | Set | Mapping) or not hasattr(labels, "__len__"):
        raise InputError(
            f"labels must be a list or an array of them, one an example, got {shortened(labels)}."
        )
    try:
        # A list of mixed kinds would become text: [1, "a"] -> ["1", "a"].
        is_array = hasattr(labels, "__array__") or hasattr(labels, "dtype")
        array = np.asarray(labels) if is_array else np.array(list(labels), dtype=object)
    except (TypeError, ValueError) as error:
        raise InputError(f"labels cannot be made into an array: {error}") from None
    if array.ndim != 1:
        raise InputError(f"labels must have shape (N,), got {array.shape}. Use labels.ravel()?")
    if len(array) == 0:
        raise InputError("labels are empty: there must be at least one.")
    if array.dtype == object:
        array = _from_objects(array)
    kind = array.dtype.kind
    if kind == "f":
        _check_whole(array)
    elif kind == "M":
        if np.isnat(array).any():
            raise InputError("Input labels contains NaN.")
        array = array.astype(str)
    elif kind == "S":
        raise InputError("labels are bytes: decode them, labels.astype(str).")
    elif kind not in "biuUO":
        raise InputError(f"labels must be text, integers or booleans, got dtype {array.dtype}.")
    return array


def _from_whole(values: list[int]) -> np.ndarray:
    """Python integers of any size; those that no 64 bits hold stay objects, which sort as well."""
    for dtype in (np.int64, np.uint64, object):
        with contextlib.suppress(OverflowError):
            return np.array(values, dtype=dtype)
    raise AssertionError("an object holds any integer")


def _check_whole(array: np.ndarray) -> None:
    if np.isnan(array).any():
        raise InputError("Input labels contains NaN.")
    if np.isinf(array).any():
        raise InputError("Input labels contains infinity.")
    if (array != np.floor(array)).any():
        value = array[int(np.argmax(array != np.floor(array)))]
        raise InputError(
            f"Unknown label type: continuous. labels must name classes, got {float(value)!r}."
        )


def _from_objects(array: np.ndarray) -> np.ndarray:
    """Python objects of one kind as an array of that kind; text of any length stays objects."""
    values = [value.item() if isinstance(value, np.generic) else value for value in array.tolist()]
    for value in values:
        is_nan = isinstance(value, float) and math.isnan(value)
        if value is None or is_nan or type(value).__name__ in ("NAType", "NaTType"):
            raise InputError("Input labels contains NaN.")
    kinds = {type(value) for value in values}
    if kinds == {int}:
        return _from_whole(values)
    if kinds <= {int, float}:
        return np.array(values, dtype=np.float64)
    if len(kinds) > 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise InputError(f"labels must all be of one kind, got {' and '.join(names)}.")
    (kind,) = kinds
    if issubclass(kind, bool):
        return np.array(values)
    if issubclass(kind, str):
        result = np.empty(len(values), dtype=object)
        result[:] = [str(value) for value in values]
        return result
    if issubclass(kind, bytes):
        raise InputError("labels are bytes: decode them, for example [b.decode() for b in labels].")
    if hasattr(values[0], "isoformat"):
        return np.array([value.isoformat() for value in values])
    raise InputError(f"labels must be text, integers or booleans, got {kind.__name__}.")
