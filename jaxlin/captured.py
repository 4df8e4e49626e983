"""Functions that hold arrays of their own, and JAX's memory of them.

JAX remembers the dtype that it gave a NumPy array inside of a traced function, by the array's
identity and not by the float64 setting (jax 0.10.2): int64 labels that a loss closes over, seen
first in a float64 scope, stay int64 for its owner's own `jax.jit` outside of it, which then fails.
So a function that holds arrays is examined between two clearings of JAX's caches. Arrays that are
passed as arguments need none of this, and cost no compilation either.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxlin.precision import float64_scope

_PLAIN = (int, float, complex, str, bytes, type(None), type, types.ModuleType)
_DEEPEST = 4


def holds_arrays(function: Callable[..., Any], depth: int = 0) -> bool:
    """Whether a function refers to arrays, or to anything that may hold some, that are not passed.

    Args:
      function: any callable; of objects with a `__call__` nothing is known, which counts as yes.
      depth: how many calls away it is from the function that was asked about.

    >>> import numpy as np
    >>> labels = np.arange(3)
    >>> holds_arrays(lambda p: p.sum()), holds_arrays(lambda p: p[labels])
    (False, True)
    """
    function = inspect.unwrap(function)
    if isinstance(function, functools.partial):
        inner = (*function.args, *function.keywords.values())
        return holds_arrays(function.func, depth) or any(map(_may_hold_arrays, inner))
    if dataclasses.is_dataclass(function) and not isinstance(function, type):
        # An objective: its loss and its penalty are what may hold something.
        parts = [getattr(function, field.name) for field in dataclasses.fields(function)]
        return any(holds_arrays(part, depth) for part in parts if callable(part))
    if not isinstance(function, types.FunctionType):
        # A builtin, a ufunc, a compiled function of JAX's own: nothing of the user's is in it.
        return not isinstance(function, types.BuiltinFunctionType | type)
    if (function.__module__ or "").split(".")[0] in ("jax", "jaxlib", "numpy", "optax"):
        return False
    variables = inspect.getclosurevars(function)
    held = [*variables.nonlocals.values(), *variables.globals.values()]
    for value in held:
        inner = inspect.unwrap(value) if callable(value) else value
        if isinstance(inner, types.FunctionType):
            if depth < _DEEPEST and value is not function and holds_arrays(value, depth + 1):
                return True
        elif _may_hold_arrays(value):
            return True
    return False


def _may_hold_arrays(value: Any) -> bool:
    module = type(value).__module__.split(".")[0]
    # jnp.ufunc and the like are objects of JAX's; JAX's arrays are typed, and no trouble.
    return not isinstance(value, _PLAIN) and not (module in ("jax", "jaxlib") or callable(value))


@contextlib.contextmanager
def float64_scope_for(function: Callable[..., Any], wanted: bool = True) -> Iterator[None]:
    """`precision.float64_scope`, after which JAX knows as much of a function's arrays as before.

    Args:
      function: what is called inside.
      wanted: whether float64 is to stay float64.
    """
    x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    forget = wanted and not x64 and holds_arrays(function)
    if forget:
        jax.clear_caches()
    try:
        with float64_scope(wanted):
            yield
    finally:
        if forget:
            jax.clear_caches()
