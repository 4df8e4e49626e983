"""The scores of a minibatch, straight from the rows of the whole data.

A product with few columns, and the gradient that belongs to it, keep XLA's CPU products at less
than half of the machine's rate, and the gathered batch is one more copy on the way. The kernel
reads each row where it lies, converts and scales it in the cache, and fetches the next rows from
memory meanwhile. Wide products (many models at once, many classes) XLA does well: they are left to
it, as is everything on other platforms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxlin.data.scaling import Scaling
from jaxlin.kernels import building
from jaxlin.precision import compute_dtype, product

_DTYPES = ("float32", "uint8", "int8", "float16", "bfloat16")

# With more columns, XLA's product is as fast.
_MOST_COLUMNS = 128

# Of the data: below, a whole fit takes less time than compiling the kernel, once, does.
_FEWEST_NUMBERS = 1 << 22
_FEWEST_FEATURES = 16


def row_scores(
    W: jax.Array,
    x: jax.Array,
    rows: jax.Array,
    scaling: Scaling | None,
    upcoming: jax.Array | None = None,
) -> jax.Array:
    """`W @ prepared(x[rows]).T`, differentiable in W alone.

    Args:
      W: (C, D) float32 or float64; under `vmap`, M models share one product.
      x: features (N, D) of any real dtype, which are not differentiated.
      rows: (B,) int32, each in 0..N-1.
      scaling: applied to each row after its conversion, or None.
      upcoming: (B,), the rows that are asked for next: they may be fetched from memory already.

    Returns:
      Scores without a bias (C, B), a class after the other: what follows works on many examples at
      once.

    >>> x = jnp.array([[1, 2], [3, 4]], jnp.uint8)
    >>> row_scores(jnp.ones((1, 2)), x, jnp.array([1], jnp.int32), None).tolist()
    [[7.0]]
    """
    if not may_pay(W, x):
        return _by_xla(W, x, rows, scaling)
    ahead = rows[:0] if upcoming is None else upcoming
    return _scores(W, x, rows, ahead, *_as_rows(scaling, x.shape[1]))


def row_gradient(
    slopes: jax.Array,
    x: jax.Array,
    rows: jax.Array,
    scaling: Scaling | None,
    upcoming: jax.Array | None = None,
) -> jax.Array:
    """`slopes @ prepared(x[rows])` (C, D): what `row_scores` is differentiated by.

    Args:
      slopes: of some objective by each score (C, B), float32 or float64.
      x: as for `row_scores`, like all that follows.
      rows: (B,) int32.
      scaling: or None.
      upcoming: (B,) int32, or None.

    >>> x = jnp.array([[1, 2], [3, 4]], jnp.uint8)
    >>> row_gradient(jnp.ones((1, 1)), x, jnp.array([1], jnp.int32), None).tolist()
    [[3.0, 4.0]]
    """
    if not may_pay(slopes, x):
        return _gradient_by_xla(slopes, x, rows, rows, *_as_rows(scaling, x.shape[1]))
    ahead = rows[:0] if upcoming is None else upcoming
    return _gradient(slopes, x, rows, ahead, *_as_rows(scaling, x.shape[1]))


def may_pay(matrix: jax.Array, x: jax.Array) -> bool:
    """Whether the kernel takes products of a matrix (C, ...) with rows of x, and is worth it."""
    is_handled = matrix.dtype == jnp.float32 and x.dtype.name in _DTYPES
    is_large = x.size >= _FEWEST_NUMBERS and x.shape[1] >= _FEWEST_FEATURES
    is_narrow = matrix.shape[0] <= _MOST_COLUMNS
    is_here = jax.default_backend() == "cpu"  # beside an accelerator it would be compiled in vain
    return is_handled and is_large and is_narrow and is_here and building.why_not() is None


def _by_xla(W: jax.Array, x: jax.Array, rows: jax.Array, scaling: Scaling | None) -> jax.Array:
    batch = x.at[rows].get(mode="promise_in_bounds").astype(compute_dtype(W.dtype))
    return product(W, batch if scaling is None else scaling(batch), (1, 1))


def _as_rows(scaling: Scaling | None, size: int) -> tuple[jax.Array, jax.Array]:
    """Shift and scale of every feature (D,); of none (0,) where nothing is scaled."""
    if scaling is None:
        return jnp.zeros(0, jnp.float32), jnp.zeros(0, jnp.float32)
    shift, scale = (jnp.asarray(v, jnp.float32) for v in (scaling.shift, scaling.scale))
    return jnp.broadcast_to(shift, (size,)), jnp.broadcast_to(scale, (size,))


def _as_scaling(shift: jax.Array, scale: jax.Array) -> Scaling | None:
    return Scaling(shift, scale) if scale.size else None


# What the two kernels and their twins take: (matrix (C, ...), x, rows, upcoming, shift, scale).
_Product = Callable[..., jax.Array]


def _scores_by_xla(
    W: jax.Array, x: jax.Array, rows: jax.Array, _: jax.Array, shift: jax.Array, scale: jax.Array
) -> jax.Array:
    return _by_xla(W, x, rows, _as_scaling(shift, scale))


def _gradient_by_xla(
    slopes: jax.Array,
    x: jax.Array,
    rows: jax.Array,
    _: jax.Array,
    shift: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    batch = x.at[rows].get(mode="promise_in_bounds").astype(compute_dtype(slopes.dtype))
    scaling = _as_scaling(shift, scale)
    return product(slopes, batch if scaling is None else scaling(batch), (1, 0))


def _call(target: str, shape: tuple[int, int], *arguments: jax.Array) -> jax.Array:
    matrix, *others = arguments
    return jax.ffi.ffi_call(target, jax.ShapeDtypeStruct(shape, jnp.float32))(*others, matrix)


def _scores_by_kernel(W: jax.Array, *others: jax.Array) -> jax.Array:
    return _call("jaxlin_row_scores", (W.shape[0], others[1].shape[0]), W, *others)


def _gradient_by_kernel(slopes: jax.Array, *others: jax.Array) -> jax.Array:
    return _call("jaxlin_row_gradient", (slopes.shape[0], others[0].shape[1]), slopes, *others)


def _of_models(kernel: _Product, by_xla: _Product) -> _Product:
    """A product for one matrix or, under `vmap`, for those of many models at once."""

    @jax.custom_batching.custom_vmap
    def one(matrix: jax.Array, *others: jax.Array) -> jax.Array:
        return jax.lax.platform_dependent(matrix, *others, cpu=kernel, default=by_xla)

    @one.def_vmap
    def _(num_models: int, in_batched: list[bool], matrix: jax.Array, *others: jax.Array) -> Any:
        is_shared = in_batched[0] and not any(in_batched[1:])
        if not is_shared or num_models * matrix.shape[1] > _MOST_COLUMNS:
            axes = [0 if batched else None for batched in in_batched]
            return jax.vmap(by_xla, axes)(matrix, *others), True
        flat = one(matrix.reshape(-1, matrix.shape[2]), *others)
        return flat.reshape(*matrix.shape[:2], -1), True

    return one


_scores_of_models = _of_models(_scores_by_kernel, _scores_by_xla)
_gradient_of_models = _of_models(_gradient_by_kernel, _gradient_by_xla)


@jax.custom_vjp
def _scores(W: jax.Array, *others: jax.Array) -> jax.Array:
    return _scores_of_models(W, *others)


def _forward(W: jax.Array, *others: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return _scores(W, *others), others


def _backward(others: tuple[jax.Array, ...], slopes: jax.Array) -> Any:
    return _gradient(slopes, *others), None, None, None, None, None


_scores.defvjp(_forward, _backward)


# Each of the two products is the other's derivative: so there are second derivatives too.
@jax.custom_vjp
def _gradient(slopes: jax.Array, *others: jax.Array) -> jax.Array:
    return _gradient_of_models(slopes, *others)


def _gradient_forward(
    slopes: jax.Array, *others: jax.Array
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    return _gradient(slopes, *others), others


def _gradient_backward(others: tuple[jax.Array, ...], direction: jax.Array) -> Any:
    return _scores(direction, *others), None, None, None, None, None


_gradient.defvjp(_gradient_forward, _gradient_backward)
