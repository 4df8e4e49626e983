"""A block of rows at a time: what every pass over the data is made of.

Features stay in memory in the dtype that they came in; only a block of them is ever converted. The
last block is moved back to end with the data, and is told which of its rows an earlier block has
counted: no remainder to compile, no padding to copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Rows a pass converts and multiplies at a time. Large enough for the matrix product, small enough
# that a converted block of images stays in the cache; and below the 32,768 rows above which some
# jaxlib releases miscompile a product followed by a reduction on CPU (jax issue 39103).
BLOCK_ROWS = 4096


# Few columns of scores (of all models together) leave the cache to the rows: so many of them are
# still there when the gradient comes to them. With more columns the products are better the longer.
_NARROW_ROWS, _NARROW_COLUMNS = 512, 64


def minibatch_block_rows(batch_size: int, columns: int) -> int:
    """How many rows of a minibatch to take at a time.

    Args:
      batch_size: B.
      columns: M * C.

    >>> minibatch_block_rows(2048, 10), minibatch_block_rows(2048, 320)
    (512, 2048)
    """
    return min(batch_size, _NARROW_ROWS if columns <= _NARROW_COLUMNS else BLOCK_ROWS)


def number_of_blocks(num_rows: int, block_rows: int = BLOCK_ROWS) -> int:
    """How many blocks a pass has.

    >>> number_of_blocks(2 * BLOCK_ROWS + 1)
    3
    """
    return -(-num_rows // block_rows)


def sum_over_blocks(
    block: Callable[..., Any], rows: Any, block_rows: int = BLOCK_ROWS, of_block: Any = None
) -> Any:
    """Sums `block(rows of a block, is_new)` over the data.

    Args:
      block: gives any pytree of arrays; rows that are not new (B,) bool must count for nothing.
      rows: a pytree of arrays with a leading axis N.
      block_rows: how many at a time.
      of_block: what `stack_blocks` gave for the same blocks; `block` then gets its part of that as
        well.

    >>> sum_over_blocks(lambda x, new: jnp.sum(jnp.where(new, x, 0)), jnp.ones(5000)).item()
    5000.0
    """
    num_rows = jax.tree.leaves(rows)[0].shape[0]

    def given(part: Any) -> tuple[Any, ...]:
        return () if of_block is None else (part,)

    one = jax.tree.map(lambda a: a[0], of_block)
    if num_rows <= block_rows:
        return block(rows, jnp.ones(num_rows, bool), *given(one))

    def add_block(total: Any, at: tuple[jax.Array, Any]) -> tuple[Any, None]:
        part = block(*_block(rows, at[0], num_rows, block_rows), *given(at[1]))
        return jax.tree.map(jnp.add, total, part), None

    first = jax.tree.map(lambda a: a[:block_rows], rows)
    shapes = jax.eval_shape(block, first, jnp.ones(block_rows, bool), *given(one))
    zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    indices = jnp.arange(number_of_blocks(num_rows, block_rows), dtype=jnp.int32)
    return jax.lax.scan(add_block, zero, (indices, of_block))[0]


def stack_blocks(block: Callable[[Any, jax.Array], Any], rows: Any, block_rows: int) -> Any:
    """`block(rows of a block, is_new)` of every block, along a new first axis.

    >>> stack_blocks(lambda x, new: x * new, jnp.ones(5), 4).tolist()
    [[1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0]]
    """
    num_rows = jax.tree.leaves(rows)[0].shape[0]
    if num_rows <= block_rows:
        one = block(rows, jnp.ones(num_rows, bool))
        return jax.tree.map(lambda a: a[None], one)
    indices = jnp.arange(number_of_blocks(num_rows, block_rows), dtype=jnp.int32)
    return jax.lax.map(lambda index: block(*_block(rows, index, num_rows, block_rows)), indices)


def map_blocks(block: Callable[[Any], jax.Array], rows: Any) -> jax.Array:
    """`block(rows of a block)`, whose result has a row for each of them, for all of the data.

    >>> map_blocks(lambda x: 2 * x, jnp.ones(5000)).shape
    (5000,)
    """
    num_rows = jax.tree.leaves(rows)[0].shape[0]
    if num_rows <= BLOCK_ROWS:
        return block(rows)

    def fill_block(filled: jax.Array, index: jax.Array) -> tuple[jax.Array, None]:
        part = block(_block(rows, index, num_rows)[0])
        start = jnp.minimum(index * BLOCK_ROWS, num_rows - BLOCK_ROWS)
        return jax.lax.dynamic_update_slice_in_dim(filled, part, start, 0), None

    shape = jax.eval_shape(block, jax.tree.map(lambda a: a[:BLOCK_ROWS], rows))
    empty = jnp.zeros((num_rows, *shape.shape[1:]), shape.dtype)
    indices = jnp.arange(number_of_blocks(num_rows), dtype=jnp.int32)
    return jax.lax.scan(fill_block, empty, indices)[0]


def _block(
    rows: Any, index: jax.Array, num_rows: int, block_rows: int = BLOCK_ROWS
) -> tuple[Any, jax.Array]:
    start = jnp.minimum(index * block_rows, num_rows - block_rows)
    part = jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, block_rows), rows)
    return part, start + jnp.arange(block_rows, dtype=start.dtype) >= index * block_rows
