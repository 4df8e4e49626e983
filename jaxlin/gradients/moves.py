"""Evaluating a function where its parameters have been moved a little: all that a difference needs.

A move is a step along one coordinate or one direction. The moves of a whole gradient are evaluated
in batches by one compiled loop, and each says how far rounding really let it go.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxlin.errors import InputError

# What a batch of moves may take for its intermediate results: about a core's second-level cache.
_BATCH_BYTES = 1 << 21
_LARGEST_BATCH = 64


class Moved(NamedTuple):
    """What was seen after each of E moves: JAX or NumPy arrays.

    Attributes:
      values: of the function (E,).
      steps: how far each move went (E,), in units of its coordinate or direction.
    """

    values: Any
    steps: Any


@dataclasses.dataclass(frozen=True, eq=False)
class Static:
    """A plain function as a static argument of a compiled program: known by its identity."""

    function: Callable[..., Any]

    def __call__(self, numbers: Any, *args: Any) -> Any:
        """Calls the function; `numbers` is empty."""
        return self.function(*args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and self.function is other.function

    def __hash__(self) -> int:
        return id(self.function)


def call_with_numbers(numbers: Any, *args: Any) -> Any:
    """Calls a callable pytree, `jaxlin.Objective` say, that was passed as an argument."""
    return numbers(*args)


def split_callable(function: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    """A callable as numbers, which a program takes as an argument, and a static part to call.

    So that a program compiled for an objective serves for another l2. A plain function has no
    numbers.
    """
    leaves = jax.tree.leaves(function)
    is_plain = len(leaves) == 1 and leaves[0] is function
    if is_plain or not all(isinstance(v, jax.Array | np.ndarray | float | int) for v in leaves):
        return (), Static(function)
    return function, call_with_numbers


def scalar(value: Any) -> jax.Array:
    """What `f` returned, if it is one number."""
    value = jnp.asarray(value)
    if value.shape != ():
        raise InputError(f"f must return a scalar, got an array of shape {value.shape}.")
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise InputError(f"f must return a floating-point number, got one of dtype {value.dtype}.")
    return value


def moved_values(
    f: Callable[[Any], Any],
    params: Any,
    which: jax.Array,
    steps: jax.Array,
    *,
    directions: jax.Array | None = None,
    batch_size: int,
) -> Moved:
    """The values of `f` after each of E moves of `params`.

    Args:
      f: a function of a pytree like `params` that returns a scalar.
      params: a pytree of floating-point arrays, P numbers in all.
      which: the coordinate (in the order of `ravel_pytree`) or the direction of each move (E,).
      steps: how far to go (E,), with a sign.
      directions: (K, P); None moves along coordinates. A move that rounding turns aside by more
        than half of the digits gives NaN.
      batch_size: how many moves to evaluate at once.

    Returns:
      `Moved`.
    """
    flat, unravel = ravel_pytree(params)

    def one_move(move: tuple[jax.Array, jax.Array]) -> Moved:
        index, step = move
        along = None if directions is None else directions[index]
        wanted = flat.at[index].add(step) if along is None else flat + step * along
        # The barrier keeps the rounding: what is divided by is the step that was taken, in the
        # dtype of the leaf that it was taken in.
        point = jax.lax.optimization_barrier(unravel(wanted))
        distance = ravel_pytree(point)[0] - flat
        value = scalar(f(point))
        if along is None:
            return Moved(value, distance[index])
        taken = jnp.vdot(distance, along) / jnp.vdot(along, along)
        aside = jnp.linalg.norm(distance - taken * along)
        is_straight = aside <= float(jnp.finfo(flat.dtype).eps) ** 0.5 * jnp.abs(taken)
        return Moved(jnp.where(is_straight, value, jnp.nan), taken)

    count = which.shape[0]
    size = min(batch_size, count)
    padding = -count % size  # a remainder would be compiled a second time
    moves = (jnp.pad(which, (0, padding)), jnp.pad(steps, (0, padding)))
    moved = jax.lax.map(one_move, moves, batch_size=size if size > 1 else None)
    return Moved(moved.values[:count], moved.steps[:count])


@functools.partial(jax.jit, static_argnames=("call", "batch_size"))
def evaluate_moves(
    call: Callable[..., Any],
    numbers: Any,
    params: Any,
    arrays: tuple[Any, ...],
    which: jax.Array,
    steps: jax.Array,
    directions: jax.Array | None,
    batch_size: int | None,
) -> Moved:
    """`moved_values` of `call(numbers, params, *arrays)`, compiled once for `call` and the shapes.

    Args:
      call: the static part of a function (`split_callable`).
      numbers: its numbers.
      params: as for `moved_values`.
      arrays: further arguments.
      which: as for `moved_values`.
      steps: as for `moved_values`.
      directions: as for `moved_values`.
      batch_size: as for `moved_values`; None takes `suggested_batch_size`.
    """

    def f(params: Any) -> Any:
        return call(numbers, params, *arrays)

    size = suggested_batch_size(f, params) if batch_size is None else batch_size
    return moved_values(f, params, which, steps, directions=directions, batch_size=size)


def suggested_batch_size(f: Callable[[Any], Any], params: Any) -> int:
    """How many moves to evaluate at once: as many as keep their intermediate results in the cache.

    Wide enough that matrix products are no longer skinny, where the data are few.
    """
    return max(1, min(_LARGEST_BATCH, _BATCH_BYTES // max(intermediate_bytes(f, params), 1)))


def intermediate_bytes(f: Callable[[Any], Any], params: Any) -> int:
    """Bytes of every intermediate array of a function, loops counted once."""
    return _bytes_of(jax.make_jaxpr(f)(params).jaxpr)


def _bytes_of(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        inner = [p for value in equation.params.values() for p in _traced_functions(value)]
        if inner:
            total += max(_bytes_of(p) for p in inner)
        else:
            arrays = (variable.aval for variable in equation.outvars)
            total += sum(int(a.size) * int(a.dtype.itemsize) for a in arrays if hasattr(a, "size"))
    return total


def _traced_functions(value: Any) -> list[Any]:
    parts = value if isinstance(value, tuple | list) else (value,)
    inner = (getattr(part, "jaxpr", part) for part in parts)
    return [part for part in inner if hasattr(part, "eqns")]
