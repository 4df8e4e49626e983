"""Anything array-like as an array of real numbers, with nothing lost on the way.

What NumPy and JAX would drop in silence, or with a warning, is refused: a mask, an imaginary part,
numbers written as text. Objects that are numbers are converted.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.errors import InputError
from jaxlin.file_rows import FileRows
from jaxlin.lazy_rows import LazyRows


def is_floating_dtype(dtype: Any) -> bool:
    """Whether a dtype is floating, bfloat16 and the like among them."""
    return bool(jnp.issubdtype(dtype, jnp.floating))


def numeric_array(x: Any, name: str) -> Any:
    """JAX arrays and rows that are read or made later as they are, all else as a NumPy array."""
    if isinstance(x, FileRows | LazyRows):
        return x
    array = x if isinstance(x, jax.Array) else as_numpy(x, name)
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise InputError(f"Complex data not supported\n{array}\n")
    if isinstance(array, jax.Array):
        if jnp.issubdtype(array.dtype, jax.dtypes.extended):
            raise InputError(f"{name} must be numeric, got dtype {array.dtype}.")
        return array
    refuse_text(array, name)
    if array.dtype == object:
        array = numbers_from_objects(array, name)
    if array.dtype.kind in "MmV" and not is_floating_dtype(array.dtype):
        raise InputError(f"{name} must be numeric, got dtype {array.dtype}.")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def as_numpy(x: Any, name: str) -> np.ndarray:
    """Anything array-like as a NumPy array, of whatever dtype, with nothing lost on the way."""
    if isinstance(x, np.matrix):
        raise TypeError(
            "np.matrix is not supported. Please convert to a numpy array with np.asarray."
        )
    parts = x if isinstance(x, list | tuple) else [x]
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise InputError(
            f"{name} is a masked array, whose mask would be ignored. Fill it first: "
            f"{name}.filled(value)."
        )
    if hasattr(x, "toarray"):
        size = 8 * int(np.prod(np.shape(x)))
        raise InputError(
            f"{name} is a sparse matrix; pass a dense array: {name}.toarray() (takes {size:,} "
            "bytes)."
        )
    try:
        return np.asarray(x)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} cannot be made into an array: {error}") from None


def refuse_text(array: np.ndarray, name: str) -> None:
    """Text is not converted, whatever it says and whatever holds it."""
    if array.dtype == object:
        where = next((i for i, v in enumerate(array.flat) if isinstance(v, str | bytes)), None)
    else:
        where = 0 if array.dtype.kind in "UST" and array.size else None
    if where is not None:
        index = tuple(map(int, np.unravel_index(where, array.shape)))
        raise InputError(
            f"{name} holds text at index {index}: could not convert string to float: "
            f"{str(array.flat[where])[:40]!r}. Convert your data to numeric values explicitly "
            "instead."
        )


def numbers_from_objects(array: np.ndarray, name: str) -> np.ndarray:
    """Objects as float64; the first that is no number, or is missing, is named."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    for index, value in np.ndenumerate(array):
        try:
            float(value)
        except OverflowError:
            raise InputError(
                f"Input {name} contains infinity or a value too large for {np.dtype(np.float64)!r}."
            ) from None
        except (TypeError, ValueError) as error:
            if value is None or type(value).__name__ in ("NAType", "NaTType"):
                raise InputError(f"Input {name} contains NaN.") from None
            if isinstance(value, complex | np.complexfloating):
                raise InputError(f"Complex data not supported\n{array}\n") from None
            where = tuple(map(int, index))
            raise InputError(f"{name} is not numeric at index {where}: {error}") from None
    raise InputError(f"{name} of dtype object cannot be converted to numbers.")


def check_two_dimensional(array: Any, name: str) -> None:
    """Raises `InputError` for what has no rows and columns, or none of either."""
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
