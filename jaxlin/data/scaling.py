"""Scaling of features, applied inside the compiled program and folded back into the model.

Features stay in memory as they came; each batch becomes `(x - shift) * scale` after its conversion
to floating point. A model trained so is a linear model of the raw features too: `fold` gives it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.arrays import check_two_dimensional, numeric_array
from jaxlin.errors import InputError
from jaxlin.file_rows import FileRows
from jaxlin.linear import LinearParams
from jaxlin.precision import as_floats, compute_dtype, float64_scope, keeps_float64

_BLOCK_BYTES = 1 << 24
_FLOAT64 = np.dtype(np.float64)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Scaling:
    """`x -> (x - shift) * scale`, feature by feature.

    Attributes:
      shift: what is subtracted, (D,) or a scalar, in the units of x.
      scale: what is multiplied by, (D,) or a scalar.

    >>> Scaling(shift=np.float32(1.0), scale=np.float32(0.5))(np.array([[3.0, 1.0]])).tolist()
    [[1.0, 0.0]]
    """

    shift: jax.Array | np.ndarray | np.generic | float = 0.0
    scale: jax.Array | np.ndarray | np.generic | float = 1.0

    @keeps_float64
    def __call__(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Scaled features, in the dtype of x where it is floating, else in float32.

        Half-width features are scaled in float32.

        Args:
          x: (..., D).
        """
        x = as_floats(x, jnp.float32)
        wide = x.astype(compute_dtype(x.dtype))
        row = (1,) * (x.ndim - 1) + (-1,)
        shift, scale = (jnp.asarray(v, wide.dtype).reshape(row) for v in (self.shift, self.scale))
        return ((wide - shift) * scale).astype(x.dtype)

    def fold(self, params: LinearParams) -> LinearParams:
        """The same classifier for raw features.

        Args:
          params: W (C, D) and b (C,) or None, for scaled features.

        Returns:
          W (C, D) and b (C,) for raw features; b is None only if there was none and no shift.

        Raises:
          InputError: the dtype of W cannot hold the result.
        """
        dtype = params.W.dtype
        scale, shift = np.asarray(self.scale, np.float64), np.asarray(self.shift, np.float64)
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            W = np.asarray(params.W, np.float64) * scale
            if params.b is None and not np.any(shift):
                b = None
            else:
                b = np.zeros(len(W)) if params.b is None else np.asarray(params.b, np.float64)
                b = (b - W @ np.broadcast_to(shift, W.shape[1:])).astype(dtype)
            W = W.astype(dtype)
        if not all(np.isfinite(leaf).all() for leaf in (W, b) if leaf is not None):
            raise InputError(
                f"Parameters for raw features are too large for {np.dtype(dtype)!r}. Rescale X by "
                "hand, or compute in float64."
            )
        with float64_scope(dtype == jnp.float64):
            return LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))

    @staticmethod
    def standardize(x: np.ndarray | FileRows) -> Scaling:
        """Mean 0 and variance 1 for every feature; a constant feature becomes 0.

        Computed in float64, block by block, in three passes: range, mean, variance.

        Args:
          x: features (N, D) of any real dtype.

        Raises:
          InputError: not two-dimensional, empty, not numeric or not finite.

        >>> scaling = Scaling.standardize(np.array([[1.0, 7.0], [3.0, 7.0]]))
        >>> scaling(np.array([[1.0, 7.0], [3.0, 7.0]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
        """
        x = _matrix(x)
        low, high = _column_range(x)
        # Squares of 1e200 and of 1e-200 are beyond float64: a feature of such a size is brought to
        # about 1, by a power of two, which is exact.
        _, exponent = np.frexp(np.maximum(-low, high))
        is_extreme = np.abs(exponent) > 400
        factor = np.ldexp(1.0, np.where(is_extreme, -np.clip(exponent, -1022, 1022), 0))

        def wide_blocks() -> Iterator[np.ndarray]:
            for block in _row_blocks(x):
                wide = block.astype(np.float64)
                if is_extreme.any():
                    wide *= factor
                yield wide

        mean = np.asarray(sum(np.sum(block, axis=0) for block in wide_blocks())) / len(x)
        variance = sum(_squares(block, mean) for block in wide_blocks()) / len(x)
        deviation = np.sqrt(variance)
        # A constant feature has a deviation of rounding errors: dividing by it would blow them up.
        varies = (low < high) & (deviation > 8 * np.finfo(np.float64).eps * np.abs(mean))
        scale = np.where(varies, _quotient(factor, np.where(varies, deviation, 1.0)), 1.0)
        return Scaling(mean / factor, scale)

    @staticmethod
    def unit_range(x: np.ndarray | FileRows) -> Scaling:
        """One factor for all features, so that |x| is at most 1: images go from 0 to 1.

        Everything is divided by the largest absolute value.

        Args:
          x: features (N, D) of any real dtype.

        Raises:
          InputError: not two-dimensional, empty, not numeric or not finite.

        >>> float(Scaling.unit_range(np.array([[0, 16]], np.uint8)).scale)
        0.0625
        """
        low, high = _column_range(_matrix(x))
        top = float(np.maximum(-low, high).max())
        return Scaling(0.0, float(_quotient(1.0, top)) if top > 0.0 else 1.0)


def _matrix(x: Any) -> np.ndarray | FileRows:
    """Features as a NumPy array (N, D), or where they are on the disk; not empty."""
    array = numeric_array(x, "X")
    array = array if isinstance(array, FileRows) else np.asarray(array)
    check_two_dimensional(array, "X")
    return array


def _quotient(a: np.ndarray | float, b: np.ndarray | float) -> np.ndarray:
    """`a / b`, but at most the largest float: the inverse of a denormal number is infinite."""
    with np.errstate(over="ignore"):
        return np.minimum(np.asarray(a) / np.asarray(b), np.finfo(np.float64).max)


def _column_range(x: np.ndarray | FileRows) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest value of every feature, float64 (D,)."""
    low, high = np.inf, -np.inf
    with np.errstate(invalid="ignore", over="ignore"):  # NaN in bfloat16, beyond float64
        for block in _row_blocks(x):
            low = np.minimum(low, block.min(axis=0).astype(np.float64))
            high = np.maximum(high, block.max(axis=0).astype(np.float64))
    if np.isnan(low).any():
        raise InputError("Input X contains NaN.")
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise InputError(f"Input X contains infinity or a value too large for {_FLOAT64!r}.")
    return np.asarray(low), np.asarray(high)


def _squares(block: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """`sum (x - mean)^2` of every column; the block is overwritten."""
    np.subtract(block, mean, out=block)
    return np.sum(np.square(block, out=block), axis=0)


def _row_blocks(x: np.ndarray | FileRows) -> Iterator[np.ndarray]:
    """Blocks of whole rows, small enough to convert."""
    rows = max(1, _BLOCK_BYTES // max(1, 8 * x.shape[1]))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
