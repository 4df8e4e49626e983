"""Scaling of features, applied inside the compiled program and folded back into the model.

Features stay in memory as they came; each batch becomes `(x - shift) * scale` after its conversion
to floating point. A model trained so is a linear model of the raw features too: `fold` gives it.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.precision import float64_scope

_BLOCK_BYTES = 1 << 24


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

    def __call__(self, x: jax.typing.ArrayLike) -> jax.Array:
        """Scaled features, in the dtype of x where it is floating, else in float32.

        Args:
          x: (..., D).
        """
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            x = x.astype(jnp.float32)
        row = (1,) * (x.ndim - 1) + (-1,)
        shift = jnp.asarray(self.shift, x.dtype).reshape(row)
        return (x - shift) * jnp.asarray(self.scale, x.dtype).reshape(row)

    def fold(self, params: LinearParams) -> LinearParams:
        """The same classifier for raw features.

        Args:
          params: W (C, D) and b (C,) or None, for scaled features.

        Returns:
          W (C, D) and b (C,) for raw features; b is None only if there was none and no shift.
        """
        dtype = params.W.dtype
        scale, shift = np.asarray(self.scale, np.float64), np.asarray(self.shift, np.float64)
        W = np.asarray(params.W, np.float64) * scale
        shifts = W @ np.broadcast_to(shift, W.shape[1:])
        if params.b is None and not np.any(shift):
            b = None
        else:
            b = (0.0 if params.b is None else np.asarray(params.b, np.float64)) - shifts
        with float64_scope(dtype == jnp.float64):
            return LinearParams(
                jnp.asarray(W.astype(dtype)), None if b is None else jnp.asarray(b.astype(dtype))
            )

    @staticmethod
    def standardize(x: np.ndarray) -> Scaling:
        """Mean 0 and variance 1 for every feature; a constant feature becomes 0.

        Computed in float64, block by block, in two passes.

        Args:
          x: features (N, D) of any real dtype.

        >>> scaling = Scaling.standardize(np.array([[1.0, 7.0], [3.0, 7.0]]))
        >>> scaling(np.array([[1.0, 7.0], [3.0, 7.0]])).tolist()
        [[-1.0, 0.0], [1.0, 0.0]]
        """
        x = np.asarray(x)
        blocks = _row_blocks(x)
        mean = sum(np.sum(b.astype(np.float64), axis=0) for b in blocks()) / len(x)
        variance = sum(np.sum((b.astype(np.float64) - mean) ** 2, axis=0) for b in blocks()) / len(
            x
        )
        deviation = np.sqrt(variance)
        # A constant feature has a deviation of rounding errors: dividing by it would blow them up.
        noise = 8 * np.finfo(np.float64).eps * np.abs(mean)
        is_constant = np.all([np.all(b == x[:1], axis=0) for b in blocks()], axis=0)
        varies = ~is_constant & (deviation > noise)
        scale = 1.0 / np.where(varies, deviation, 1.0)
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all()):
            raise InputError("X is too large to be standardised in float64. Rescale it first.")
        return Scaling(mean, scale)

    @staticmethod
    def unit_range(x: np.ndarray) -> Scaling:
        """One factor for all features, so that |x| is at most 1: images go from 0 to 1.

        Everything is divided by the largest absolute value.

        Args:
          x: features (N, D) of any real dtype.

        >>> float(Scaling.unit_range(np.array([[0, 16]], np.uint8)).scale)
        0.0625
        """
        x = np.asarray(x)
        top = max(float(np.max(np.abs(b.astype(np.float64)))) for b in _row_blocks(x)())
        return Scaling(0.0, 1.0 / top if top > 0.0 else 1.0)


def _row_blocks(x: np.ndarray):
    """A function that iterates over x in blocks of whole rows, small enough to convert."""
    rows = max(1, _BLOCK_BYTES // max(1, 8 * int(np.prod(x.shape[1:]))))

    def blocks():
        for start in range(0, len(x), rows):
            yield x[start : start + rows]

    return blocks
