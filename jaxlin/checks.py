"""Arguments at the library's door: what comes in is checked here, and converted here.

Whatever passes is a private copy (NumPy arrays can be written to by their owner while JAX still
reads them; JAX arrays cannot) in the form the engine keeps. Where scikit-learn has words for the
same mistake, they are used.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxlin.errors import InputError
from jaxlin.precision import float64_scope

_BLOCK_BYTES = 1 << 24


def as_features(
    x: Any, compute_dtype: Any, *, name: str = "X", num_features: int | None = None
) -> jax.Array:
    """Features (N, D) as the engine keeps them, or an error that says what is wrong with them.

    Integers up to 32 bits, booleans and half-width floats stay as they are. Everything else
    becomes `compute_dtype`.

    Args:
      x: anything array-like.
      compute_dtype: float32 or float64.
      name: what to call it in messages.
      num_features: D, where it is known.

    Raises:
      InputError: not two-dimensional, empty, not numeric, not finite, or too large.
      TypeError: `np.matrix`.
    """
    if isinstance(x, Tracer):
        raise InputError(f"{name} is being traced by JAX: fit runs on arrays, outside of jit.")
    array = x if isinstance(x, jax.Array) else _numeric_array(x, name)
    _check_two_dimensional(array, name)
    if num_features is not None and array.shape[1] != num_features:
        raise InputError(
            f"{name} has {array.shape[1]} features, but {num_features} features are expected."
        )
    kept = _kept_dtype(array.dtype, compute_dtype)
    if isinstance(array, jax.Array):
        converted = array.astype(kept)
        finite = bool(jnp.isfinite(converted).all()) if _is_floating(kept) else True
    else:
        with np.errstate(over="ignore"):
            converted = np.array(array, dtype=kept, order="C", copy=True)
        finite = not _is_floating(kept) or all(
            np.isfinite(block.astype(np.float32) if block.dtype.itemsize < 4 else block).all()
            for block in _row_blocks(converted)
        )
    if not finite:
        _raise_not_finite(array, kept, name)
    with float64_scope(kept == np.float64):
        return jnp.asarray(converted)


def _numeric_array(x: Any, name: str) -> np.ndarray:
    """A NumPy array of a native numeric dtype."""
    if isinstance(x, np.matrix):
        raise TypeError(
            "np.matrix is not supported. Please convert to a numpy array with np.asarray."
        )
    if isinstance(x, np.ma.MaskedArray):
        raise InputError(
            f"{name} is a masked array, whose mask would be ignored. Fill it first: "
            f"{name}.filled(value)."
        )
    if hasattr(x, "toarray"):
        size = 8 * int(np.prod(x.shape))
        raise InputError(
            f"{name} is a sparse matrix; pass a dense array: {name}.toarray() (takes {size:,} "
            "bytes)."
        )
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise InputError(f"{name} cannot be made into an array: {error}") from None
    if array.dtype == object:
        array = _numbers_from_objects(array, name)
    kind = array.dtype.kind
    if kind == "c":
        raise InputError(f"Complex data not supported\n{array}\n")
    if kind in "USTMmV" and not _is_floating(array.dtype):
        if kind in "UST" and array.size:
            raise InputError(
                f"{name} holds text (could not convert string to float: "
                f"{str(array.flat[0])[:40]!r}). Convert it to numbers first."
            )
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}.")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array


def _numbers_from_objects(array: np.ndarray, name: str) -> np.ndarray:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError):
        pass
    for index, value in np.ndenumerate(array):
        try:
            float(value)
        except (TypeError, ValueError) as error:
            if value is None or type(value).__name__ in ("NAType", "NaTType"):
                raise InputError(f"Input {name} contains NaN.") from None
            where = tuple(map(int, index))
            raise InputError(f"{name} is not numeric at index {where}: {error}") from None
    raise InputError(f"{name} of dtype object cannot be converted to numbers.")


def _check_two_dimensional(array: Any, name: str) -> None:
    if array.ndim < 2:
        got = "scalar array" if array.ndim == 0 else "1D array"
        raise InputError(
            f"Expected 2D array, got {got} instead:\narray={np.asarray(array)}.\nReshape your data "
            "either using array.reshape(-1, 1) if your data has a single feature or "
            "array.reshape(1, -1) if it contains a single sample."
        )
    if array.ndim > 2:
        raise InputError(
            f"Found array with dim {array.ndim}, while dim <= 2 is required: {name} has shape "
            f"{tuple(array.shape)}. Images are flattened with {name}.reshape(len({name}), -1)."
        )
    shape = tuple(int(size) for size in array.shape)
    for size, what in zip(shape, ("sample", "feature"), strict=True):
        if size == 0:
            raise InputError(
                f"Found array with 0 {what}(s) (shape={shape}) while a minimum of 1 is required."
            )


def _is_floating(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating))


def _kept_dtype(dtype: Any, compute_dtype: Any) -> np.dtype:
    """The dtype that features stay in memory in."""
    dtype = np.dtype(dtype)
    narrow_integer = dtype.kind in "iub" and dtype.itemsize <= 4
    half = _is_floating(dtype) and dtype.itemsize <= 2
    return dtype if narrow_integer or half else np.dtype(compute_dtype)


def _row_blocks(array: np.ndarray) -> Iterator[np.ndarray]:
    rows = max(1, _BLOCK_BYTES // max(1, array.shape[1] * array.itemsize))
    for start in range(0, len(array), rows):
        yield array[start : start + rows]


def _raise_not_finite(array: Any, kept: np.dtype, name: str) -> None:
    values = np.asarray(array).astype(np.float64)
    if np.isnan(values).any():
        raise InputError(f"Input {name} contains NaN.")
    hint = ""
    if np.isfinite(values).all() and kept != np.float64:
        hint = f" Its largest value is {np.abs(values).max():.3g}; pass dtype=jnp.float64."
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
    if isinstance(labels, np.ma.MaskedArray):
        raise InputError(f"{name} are a masked array, whose mask would be ignored. Fill it first.")
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise InputError(f"{name} cannot be made into an array: {error}") from None
    if array.ndim != 1:
        raise InputError(f"{name} must have shape (N,), got {array.shape}. Use {name}.ravel()?")
    if len(array) != num_examples:
        raise InputError(
            "Found input variables with inconsistent numbers of samples: "
            f"{[num_examples, len(array)]}"
        )
    if array.dtype == object:
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{name} must be integers 0..C-1, got objects. {encode}") from None
    if array.dtype.kind == "f" or _is_floating(array.dtype):
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


def as_sample_weight(weight: Any, num_examples: int) -> np.ndarray:
    """Weights as float64 (N,): finite, not negative, not all zero. None gives ones."""
    if weight is None:
        return np.ones(num_examples)
    try:
        array = np.asarray(weight).astype(np.float64)
    except (TypeError, ValueError):
        raise InputError("sample_weight must be numeric.") from None
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
    if not array.any():
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
    try:
        number = float("nan") if isinstance(value, str | bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (np.isfinite(number) and number > 0):
        raise InputError(f"{name} must be a positive, finite number, got {value!r}.")
    return number


def check_count(name: str, value: Any) -> int:
    """`value` as an int, if it is a whole number of at least 1."""
    try:
        if isinstance(value, bool):
            raise TypeError
        count = operator.index(value)
    except TypeError:
        raise InputError(f"{name} must be a whole number, got {value!r}.") from None
    if count < 1:
        raise InputError(f"{name} must be at least 1, got {count}.")
    return count
