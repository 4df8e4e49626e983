"""Numerical precision, said once.

Matrix products ask for their precision explicitly: left alone, a GPU rounds float32 factors to
TensorFloat-32 and a TPU to bfloat16. Half-width and integer features are widened before any
arithmetic, because uint8 wraps and float16 overflows in silence.

JAX turns float64 into float32 unless a global setting is on. `float64_scope` turns that setting on
for the length of one call, where the call was given float64 JAX arrays, and leaves the user's own
setting as it was. What `jax.grad` computes backwards runs after that call has ended, but in the
dtypes of what was computed forwards: it stays float64 as long as nothing on the way names a dtype
of 64 bits by itself. So no operation here does: `product` names no accumulator that is its factors'
own dtype, and indices are int32. What the caller computes around a call, `jax.hessian`'s identity
matrix among it, is under the caller's setting.

The same setting cuts integers: `jnp.asarray(np.int64(2**32 + 3))` is 3. `as_floats` converts
features, and `class_indices` labels, before that happens.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeGuard, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxlin.errors import InputError

MATMUL_PRECISION = jax.lax.Precision.HIGHEST

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compute_dtype(dtype: Any) -> Any:
    """The dtype that arithmetic on `dtype` is done in: float32, or float64 for float64.

    >>> compute_dtype(jnp.bfloat16), compute_dtype(jnp.uint8)
    (<class 'jax.numpy.float32'>, <class 'jax.numpy.float32'>)
    """
    return jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32


def product(a: jax.Array, b: jax.Array, axes: tuple[int, int]) -> jax.Array:
    """Sums `a * b` over one axis of each, in full precision; half-width factors give float32.

    >>> product(jnp.ones((2, 3), jnp.bfloat16), jnp.ones((4, 3), jnp.bfloat16), (1, 1)).dtype
    dtype('float32')
    """
    wide = compute_dtype(a.dtype)
    return jax.lax.dot_general(
        a,
        b,
        (((axes[0],), (axes[1],)), ((), ())),
        precision=MATMUL_PRECISION,
        preferred_element_type=None if a.dtype == wide else wide,
    )


def first_largest(values: jax.Array, axis: int = -1) -> jax.Array:
    """Index of the largest along an axis, the lowest among equals, int32; the first NaN wins.

    `jnp.argmax` of float64 is made into a program when the scope that it was called in has ended,
    and then fails for the dtype of its constants.

    >>> first_largest(jnp.array([[0.0, 2.0, 2.0], [1.0, 0.0, 0.0]])).tolist()
    [1, 0]
    """
    values = jax.lax.stop_gradient(values)
    axis %= values.ndim
    if values.shape[axis] == 0:
        raise InputError("There are no classes to choose from.")

    def larger(a: Any, b: Any) -> Any:
        (first, i), (second, j) = a, b
        is_first = (first > second) | (first != first)
        goes_first = is_first | ((first == second) & (i < j))
        return jax.lax.select(is_first, first, second), jax.lax.select(goes_first, i, j)

    indices = jax.lax.broadcasted_iota(jnp.int32, values.shape, axis)
    smallest = np.asarray(-np.inf, values.dtype)
    return jax.lax.reduce((values, indices), (smallest, np.int32(0)), larger, (axis,))[1]


def is_floating(x: jax.typing.ArrayLike) -> bool:
    """Whether `x` holds floating-point numbers, of any width."""
    dtype = getattr(x, "dtype", None)
    return jnp.issubdtype(np.asarray(x).dtype if dtype is None else dtype, jnp.floating)


def as_floats(x: jax.typing.ArrayLike, dtype: jax.typing.DTypeLike) -> jax.Array:
    """`x` as a JAX array: floats as they are, whole numbers as `dtype`, before JAX cuts them.

    >>> as_floats(np.array([2**40]), jnp.float32).tolist() == [2.0**40]
    True
    """
    if is_floating(x):
        return jnp.asarray(x)
    if isinstance(x, jax.Array):
        return x.astype(dtype)
    return jnp.asarray(np.asarray(x).astype(dtype))


def class_indices(labels: jax.typing.ArrayLike, num_classes: int) -> jax.Array:
    """Labels of any integer dtype as int32; where they are traced, what names no class is outside.

    Raises:
      InputError: not integers, or values that can be seen and are not in 0..C-1.

    >>> class_indices(np.array([2, 0], np.uint64), 3).dtype
    dtype('int32')
    """
    if not isinstance(labels, Tracer):
        seen = np.asarray(labels)
        _check_class_indices(seen, num_classes)
        return labels if _is_int32(labels) else jnp.asarray(seen.astype(np.int32))
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise InputError(f"labels must be integers 0..C-1, got dtype {labels.dtype}.")
    if labels.dtype.itemsize == 8:
        with float64_scope(True):
            labels = jnp.where((labels >= 0) & (labels < num_classes), labels, -1)
    return labels.astype(jnp.int32)


def _is_int32(labels: Any) -> TypeGuard[jax.Array]:
    return isinstance(labels, jax.Array) and labels.dtype == jnp.int32


def _check_class_indices(labels: np.ndarray, num_classes: int) -> None:
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels must be integers 0..C-1, got dtype {labels.dtype}.")
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        where = tuple(int(index) for index in np.argwhere(outside)[0])
        raise InputError(
            f"labels must lie in 0..{num_classes - 1} (there are {num_classes} scores an "
            f"example), got {labels[where]} at index {where}."
        )


def float64_scope(wanted: bool) -> contextlib.AbstractContextManager[Any]:
    """A context in which float64 stays float64, if it is `wanted`; else no change at all."""
    if wanted and not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        return jax.enable_x64(True)
    return contextlib.nullcontext()


def holds_float64(tree: Any) -> bool:
    """Whether a pytree has a float64 JAX array among its leaves.

    NumPy's float64 does not count: it is what every list of numbers becomes, not a wish.
    """
    leaves = jax.tree.leaves(tree)
    return any(isinstance(leaf, jax.Array) and leaf.dtype == jnp.float64 for leaf in leaves)


def keeps_float64(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorates a pure function so that float64 JAX arrays stay so, whatever the global setting."""

    @functools.wraps(function)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
            return function(*args, **kwargs)
        with float64_scope(holds_float64((args, kwargs))):
            return function(*args, **kwargs)

    return wrapped
