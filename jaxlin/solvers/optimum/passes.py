"""The two products with all of the features: scores, and the gradient from slopes.

Everything else that a fit to the optimum does works on scores, which it keeps: a step costs one of
each, and a line search costs neither. A class lies after the other, as everywhere in the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.data.scaling import Scaling
from jaxlin.kernels import may_pay, row_gradient, row_scores
from jaxlin.precision import compute_dtype, product
from jaxlin.row_blocks import BLOCK_ROWS, number_of_blocks

# Rows of a block that the kernel takes: their scores stay in the cache.
_KERNEL_ROWS = 2048


class Data(NamedTuple):
    """What is fitted.

    Attributes:
      x: features (N, D) in the dtype that they came in.
      labels: (N,) int32.
      weight: (N,) float64, with sum 1.
      scaling: applied to a block after its conversion, or None.
    """

    x: jax.Array
    labels: jax.Array
    weight: jax.Array
    scaling: Scaling | None

    def prepared(self, x: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
        """Some rows as the model sees them."""
        x = x.astype(compute_dtype(dtype))
        return x if self.scaling is None else self.scaling(x)


def all_scores(W: jax.Array, data: Data) -> jax.Array:
    """`W x_i` of every example (C, N), in W's dtype."""
    num_rows = data.x.shape[0]

    def fill(filled: jax.Array, start: jax.Array, size: int) -> jax.Array:
        part = _block_scores(W, data, start, size)
        return jax.lax.dynamic_update_slice_in_dim(filled, part, start, 1)

    return _over_blocks(fill, jnp.zeros((W.shape[0], num_rows), W.dtype), W, data)


def all_gradient(slopes: jax.Array, data: Data) -> jax.Array:
    """`sum_i slopes_i x_i^T` (C, D): products in the dtype of the slopes (C, N), blocks in float64.

    Added up in float64, because a sum over 60,000 rows in float32 is off by more than the gradient
    of a good model.
    """
    num_classes, num_rows = slopes.shape

    def add(total: jax.Array, start: jax.Array, size: int, is_new: jax.Array) -> jax.Array:
        part = jax.lax.dynamic_slice_in_dim(slopes, start, size, 1)
        part = jnp.where(is_new[None, :], part, 0.0)
        return total + _block_gradient(part, data, start, size).astype(total.dtype)

    def step(total: jax.Array, start: jax.Array, size: int, index: jax.Array) -> jax.Array:
        is_new = start + jnp.arange(size, dtype=jnp.int32) >= index * size
        return add(total, start, size, is_new)

    zero = jnp.zeros((num_classes, data.x.shape[1]), jnp.float64)
    size = min(_block_rows(slopes, data), num_rows)
    return _scan(step, zero, size, num_rows)


def _over_blocks(
    fill: Callable[[jax.Array, jax.Array, int], jax.Array],
    start: jax.Array,
    matrix: jax.Array,
    data: Data,
) -> jax.Array:
    num_rows = data.x.shape[0]
    size = min(_block_rows(matrix, data), num_rows)
    return _scan(lambda carry, at, size, _: fill(carry, at, size), start, size, num_rows)


def _scan(
    step: Callable[[jax.Array, jax.Array, int, jax.Array], jax.Array],
    start: jax.Array,
    size: int,
    num_rows: int,
) -> jax.Array:
    """Runs `step(carry, first row, rows, block's number)` over all blocks; the last moves back."""

    def body(carry: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        return step(carry, jnp.minimum(index * size, num_rows - size), size, index), None

    indices = jnp.arange(number_of_blocks(num_rows, size), dtype=jnp.int32)
    return jax.lax.scan(body, start, indices)[0]


def _block_rows(matrix: jax.Array, data: Data) -> int:
    return _KERNEL_ROWS if may_pay(matrix, data.x) else BLOCK_ROWS


def _numbers(start: jax.Array, size: int, num_rows: int) -> tuple[jax.Array, jax.Array]:
    """The rows of a block and of the next."""
    now = start + jnp.arange(size, dtype=jnp.int32)
    return now, jnp.minimum(now + size, num_rows - 1)


def _rows(data: Data, start: jax.Array, size: int, dtype: jax.typing.DTypeLike) -> jax.Array:
    return data.prepared(jax.lax.dynamic_slice_in_dim(data.x, start, size), dtype)


def _block_scores(W: jax.Array, data: Data, start: jax.Array, size: int) -> jax.Array:
    if may_pay(W, data.x):
        now, soon = _numbers(start, size, data.x.shape[0])
        return row_scores(W, data.x, now, data.scaling, soon)
    return product(W, _rows(data, start, size, W.dtype), (1, 1))


def _block_gradient(slopes: jax.Array, data: Data, start: jax.Array, size: int) -> jax.Array:
    if may_pay(slopes, data.x):
        now, soon = _numbers(start, size, data.x.shape[0])
        return row_gradient(slopes, data.x, now, data.scaling, soon)
    return product(slopes, _rows(data, start, size, slopes.dtype), (1, 0))
