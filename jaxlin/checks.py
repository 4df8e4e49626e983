"""Arguments at the library's door: what comes in is checked here, and converted here.

Whatever passes is a private copy (NumPy arrays can be written to by their owner while JAX still
reads them; JAX arrays cannot) in the form the engine keeps. Where scikit-learn has words for the
same mistake, they are used.
"""

from __future__ import annotations

import concurrent.futures
import operator
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxlin.arrays import (
    as_numpy,
    check_two_dimensional,
    is_floating_dtype,
    numbers_from_objects,
    numeric_array,
    refuse_text,
)
from jaxlin.errors import InputError
from jaxlin.file_rows import FileRows, check_map
from jaxlin.lost_digits import refuse_lost_digits
from jaxlin.precision import float64_scope

_BLOCK_BYTES = 1 << 24
_ALIGNMENT = 64  # what XLA asks for on a CPU
_COPYING_THREADS = 4


def as_features(
    x: Any,
    compute_dtype: Any,
    *,
    name: str = "X",
    num_features: int | None = None,
    order: np.ndarray | None = None,
) -> jax.Array:
    """Features (N, D) as the engine keeps them, or an error that says what is wrong with them.

    They are copied once: rows in a file (`FileRows`) are read to where they stay. Integers up to 32
    bits, booleans and half-width floats stay as they are. Everything else becomes `compute_dtype`.

    Args:
      x: anything array-like.
      compute_dtype: float32 or float64.
      name: what to call it in messages.
      num_features: D, where it is known.
      order: a permutation of the rows (N,) to keep them in; None keeps them as they come.

    Raises:
      InputError: not two-dimensional, empty, not numeric, not finite, or too large.
      TypeError: `np.matrix`.
      DataFormatError: the file that they are in was changed or cut short.
    """
    if isinstance(x, Tracer):
        raise InputError(f"{name} is being traced by JAX: fit runs on arrays, outside of jit.")
    array = numeric_array(x, name)
    check_two_dimensional(array, name)
    if num_features is not None and array.shape[1] != num_features:
        raise InputError(
            f"{name} has {array.shape[1]} features, but {num_features} features are expected."
        )
    kept = _kept_dtype(array.dtype, compute_dtype)
    with float64_scope(kept == np.float64 or array.dtype.itemsize == 8):
        if isinstance(array, jax.Array) and order is None:
            converted = array.astype(kept)
            finite = bool(jnp.isfinite(converted).all()) if is_floating_dtype(kept) else True
        else:
            source = array if isinstance(array, FileRows) else np.asarray(array)
            converted = _aligned_copy(source, kept, order)
            finite = not is_floating_dtype(kept) or all(
                np.isfinite(block.astype(np.float32) if block.dtype.itemsize < 4 else block).all()
                for block in _row_blocks(converted)
            )
        if not finite:
            _raise_not_finite(array, kept, name)
        if isinstance(array, np.ndarray):
            refuse_lost_digits(array, kept, name)
        # It is nobody else's, so that the device may keep it where it is.
        return jax.device_put(converted)


def _aligned_copy(
    array: np.ndarray | FileRows, dtype: np.dtype, order: np.ndarray | None
) -> np.ndarray:
    """A private C-ordered copy that begins where a device can take it over without another copy."""
    size = array.size * dtype.itemsize
    buffer = np.empty(size + _ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % _ALIGNMENT
    copy = buffer[start : start + size].view(dtype).reshape(array.shape)
    place = None  # of each row, in the copy
    if order is not None:
        place = np.empty_like(order)
        place[order] = np.arange(len(order), dtype=order.dtype)
    if isinstance(array, FileRows):  # in the order of the file, whatever that of the copy
        for start, block in array.blocks():
            part = slice(start, start + len(block))
            with np.errstate(over="ignore"):
                copy[part if place is None else place[part]] = block
        return copy
    if order is None or place is None:
        for part in _row_parts(array, _BLOCK_BYTES):
            check_map(array)
            with np.errstate(over="ignore"):
                copy[part] = array[part]
        return copy

    can_take = array.dtype == dtype and array.flags.c_contiguous and array.flags.aligned

    def fill(part: slice) -> None:
        check_map(array)
        if can_take:  # another mode would fill a buffer of its own first
            np.take(array, order[part], axis=0, out=copy[part], mode="clip")
        else:  # which `take` would copy, all of it, for each part
            with np.errstate(over="ignore"):
                copy[place[part]] = array[part].astype(dtype, order="C")

    block_bytes = _BLOCK_BYTES if can_take else _BLOCK_BYTES // 4  # in the caches
    # NumPy lets go of the interpreter while it copies; memory answers two readers twice as fast.
    with concurrent.futures.ThreadPoolExecutor(_COPYING_THREADS) as threads:
        list(threads.map(fill, _row_parts(array, block_bytes)))
    return copy


def _kept_dtype(dtype: Any, compute_dtype: Any) -> np.dtype:
    """The dtype that features stay in memory in."""
    dtype = np.dtype(dtype)
    narrow_integer = dtype.kind in "iub" and dtype.itemsize <= 4
    half = is_floating_dtype(dtype) and dtype.itemsize <= 2
    return dtype if narrow_integer or half else np.dtype(compute_dtype)


def _row_parts(array: np.ndarray | FileRows, block_bytes: int) -> Iterator[slice]:
    rows = max(1, block_bytes // max(1, array.shape[1] * array.itemsize))
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def _row_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    for part in _row_parts(array, _BLOCK_BYTES):
        yield array[part]


def _raise_not_finite(array: Any, kept: np.dtype, name: str) -> None:
    rows = array if isinstance(array, FileRows) else np.asarray(array)
    largest = 0.0
    for part in _row_parts(rows, _BLOCK_BYTES):
        with np.errstate(over="ignore"):
            values = rows[part].astype(np.float64)
        if np.isnan(values).any():
            raise InputError(f"Input {name} contains NaN.")
        largest = max(largest, float(np.abs(values).max()))
    hint = ""
    if np.isfinite(largest) and kept != np.float64:
        hint = f" Its largest value is {largest:.3g}; pass dtype=jnp.float64."
    raise InputError(f"Input {name} contains infinity or a value too large for {kept!r}.{hint}")


def as_labels(
    labels: Any, num_examples: int, *, num_classes: int | None = None, name: str = "labels"
) -> np.ndarray:
    """Class indices 0..C-1 as int32 (N,), or an error that says what is wrong with them.

    Args:
      labels: whole numbers, (N,).
      num_examples: N.
      num_classes: C, where it is known.
      name: what to call them in messages.
    """
    encode = "Encode labels of your own with classes, labels = jaxlin.data.encode_labels(labels)."
    if labels is None:
        raise InputError(f"{name} must be given: integers 0..C-1, one an example.")
    array = as_numpy(labels, name)
    if array.ndim != 1:
        raise InputError(f"{name} must have shape (N,), got {array.shape}. Use {name}.ravel()?")
    if len(array) != num_examples:
        raise InputError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[num_examples, len(array)]}"
        )
    if array.dtype == object:
        try:
            refuse_text(array, name)
        except InputError as error:
            raise InputError(f"{name} must be integers 0..C-1. {error} {encode}") from None
        array = numbers_from_objects(array, name)
    if array.dtype.kind == "f" or is_floating_dtype(array.dtype):
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
        if np.isnan(array).any():
            raise InputError(f"Input {name} contains NaN.")
        if np.isinf(array).any():
            raise InputError(f"Input {name} contains infinity.")
        if (array != np.floor(array)).any():
            raise InputError(f"Unknown label type: continuous. {name} must be integers 0..C-1.")
    elif array.dtype.kind not in "iub":
        raise InputError(f"{name} must be integers 0..C-1, got dtype {array.dtype}. {encode}")
    top = 2**31 - 1 if num_classes is None else num_classes - 1
    outside = (array < 0) | (array > top)
    if outside.any():
        index = int(np.argmax(outside))
        raise InputError(
            f"{name} must be integers 0..{'C-1' if num_classes is None else top}, got "
            f"{array[index]} at index {index}. {encode}"
        )
    return array.astype(np.int32)


def as_sample_weight(weight: Any, num_examples: int, *, can_be_zero: bool = False) -> np.ndarray:
    """Weights as float64 (N,): finite, not negative, not all zero. None gives ones.

    Args:
      weight: (N,), or None.
      num_examples: N.
      can_be_zero: whether all may be zero.
    """
    if weight is None:
        return np.ones(num_examples)
    with np.errstate(over="ignore"):
        array = np.asarray(numeric_array(weight, "sample_weight")).astype(np.float64)
    if array.ndim != 1:
        raise InputError(
            f"Sample weights must be 1D array, got {array.ndim}D array. Expected a 1D array of "
            f"length {num_examples}."
        )
    if array.shape != (num_examples,):
        raise InputError(f"sample_weight.shape == {array.shape}, expected {(num_examples,)}!")
    if np.isnan(array).any():
        raise InputError("Input sample_weight contains NaN.")
    if np.isinf(array).any():
        raise InputError("Input sample_weight contains infinity.")
    if (array < 0).any():
        index = int(np.argmax(array < 0))
        raise InputError(
            f"sample_weight must not be negative, got {array[index]} at index {index}."
        )
    if not (can_be_zero or array.any()):
        raise InputError("Sample weights must contain at least one non-zero number.")
    return array


def as_key(key: Any) -> jax.Array:
    """A `jax.random` key from a key, a whole number 0..2^32-1, or None (which is 0)."""
    if key is None:
        return jax.random.key(0)
    if isinstance(key, jax.Array):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            if key.shape == ():
                return key
        elif key.dtype == jnp.uint32 and key.ndim == 1:
            return jax.random.wrap_key_data(key)
    try:
        if isinstance(key, bool):
            raise TypeError
        seed = operator.index(key)
    except TypeError:
        raise InputError(
            f"key must be jax.random.key(seed), or a whole number from 0 to 2**32 - 1, got {key!r}."
        ) from None
    if not 0 <= seed < 2**32:
        raise InputError(f"key must be a seed from 0 to 2**32 - 1, got {seed}.")
    return jax.random.key(np.uint32(seed))


def check_positive(name: str, value: Any) -> float:
    """`value` as a float, if it is a positive finite number."""
    number = _as_number(value)
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} must be a positive, finite number, got {value!r}.")
    return number


def check_not_negative(name: str, value: Any) -> float:
    """`value` as a float, if it is a finite number of at least 0."""
    number = _as_number(value)
    if not (np.isfinite(number) and number >= 0):
        raise InputError(f"{name} must be finite and not negative, got {value!r}.")
    return number


def _as_number(value: Any) -> float:
    """A scalar as a float; NaN for what is no number."""
    try:
        array = np.asarray(value)
        is_number = array.shape == () and (
            array.dtype.kind in "iuO" or is_floating_dtype(array.dtype)
        )
        return float(value) if is_number else float("nan")
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def check_count(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int, if it is a whole number of at least so much."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be a whole number, got {value!r}.") from None
    if count < least:
        raise InputError(f"{name} must be at least {least}, got {count}.")
    return count
