"""Numerical precision, said once.

Matrix products ask for their precision explicitly: left alone, a GPU rounds float32 factors to
TensorFloat-32 and a TPU to bfloat16. Half-width and integer features are widened before any
arithmetic, because uint8 wraps and float16 overflows in silence.

JAX turns float64 into float32 unless a global setting is on. `float64_scope` turns that setting on
for the length of one call, where the call was given float64 JAX arrays, and leaves the user's own
setting as it was.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

MATMUL_PRECISION = jax.lax.Precision.HIGHEST

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compute_dtype(dtype: Any) -> Any:
    """The dtype that arithmetic on `dtype` is done in: float32, or float64 for float64.

    >>> compute_dtype(jnp.bfloat16), compute_dtype(jnp.uint8)
    (<class 'jax.numpy.float32'>, <class 'jax.numpy.float32'>)
    """
    return jnp.float64 if jnp.dtype(dtype) == jnp.float64 else jnp.float32


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
