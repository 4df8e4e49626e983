"""A function under examination: everything that is computed of it, in float64, compiled once.

What is static and what is an argument of the compiled programs is decided here: arrays are
arguments (another data set of the same shape compiles nothing), Python numbers and everything else
stay what they are, since a function may branch on them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxlin.errors import InputError
from jaxlin.gradients.comparison import Leaves, leaves_of
from jaxlin.gradients.finite_differences import largest_steps
from jaxlin.gradients.moves import intermediate_bytes, scalar, split_callable
from jaxlin.gradients.one_sided import OneSided, one_sided_derivatives

# Draws of the rounding noise, and by how many units in the last place they move the inputs.
_NOISE_DRAWS, _NOISE_ULPS = 4, 2.0


def is_array(leaf: Any) -> bool:
    """Whether it is an array, or a NumPy number, rather than a Python object."""
    return isinstance(leaf, jax.Array | np.ndarray | np.generic)


def widened(tree: Any) -> Any:
    """A copy of the pytree with its floating-point arrays in float64; NumPy stays NumPy."""

    def widen(leaf: Any) -> Any:
        if is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf.astype(np.float64)
        return leaf.copy() if isinstance(leaf, np.ndarray) else leaf

    return jax.tree.map(widen, tree)


@dataclasses.dataclass(frozen=True)
class _Call:
    """A function with all of its arguments that are no arrays: the static part of a program."""

    call: Callable[..., Any]
    structure: Any
    statics: tuple[tuple[bool, Any], ...]

    def __call__(self, numbers: Any, params: Any, *arrays: Any) -> jax.Array:
        rest = iter(arrays)
        leaves = [value if is_static else next(rest) for is_static, value in self.statics]
        return scalar(self.call(numbers, params, *jax.tree.unflatten(self.structure, leaves)))


@dataclasses.dataclass(frozen=True, eq=False)
class Function:
    """A scalar function at some parameters.

    Attributes:
      call: its static part.
      numbers: of the function itself, where it is a pytree.
      params: float64.
      arrays: the arguments that are arrays, widened.
    """

    call: Callable[..., Any]
    numbers: Any
    params: Any
    arrays: tuple[Any, ...]

    @staticmethod
    def of(f: Callable[..., Any], params: Any, args: tuple[Any, ...]) -> Function:
        """The function `f(params, *args)`, to be used inside of a float64 scope."""
        for leaf in jax.tree.leaves(params):
            if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
                raise InputError(
                    "params must be floating-point arrays, got a leaf of dtype "
                    f"{jnp.result_type(leaf)}: there is no gradient by it."
                )
        numbers, call = split_callable(f)
        leaves, structure = jax.tree.flatten(args, is_leaf=lambda leaf: leaf is None)
        statics = tuple((not is_array(leaf), None if is_array(leaf) else leaf) for leaf in leaves)
        arrays = tuple(jnp.asarray(widened(leaf)) for leaf in leaves if is_array(leaf))
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(jnp.float64), (numbers, params))
        return Function(_Call(call, structure, statics), wide[0], wide[1], arrays)

    @functools.cached_property
    def leaves(self) -> Leaves:
        """The parameters by name."""
        return leaves_of(self.params)

    @property
    def flat(self) -> np.ndarray:
        """The parameters (P,)."""
        return self.leaves.flat

    def at(self, flat: np.ndarray) -> Function:
        """The same function at other parameters (P,)."""
        _, unravel = ravel_pytree(self.params)
        return dataclasses.replace(self, params=unravel(jnp.asarray(flat)))

    def value(self) -> float:
        """The function's value."""
        return float(_value(self.call, self.numbers, self.params, self.arrays))

    def gradient(self) -> Leaves:
        """By `jax.grad`."""
        found = _gradient(self.call, self.numbers, self.params, self.arrays)
        return Leaves(self.leaves.names, leaves_of(found).arrays)

    def noise(self, gradient: Leaves) -> np.ndarray:
        """How much rounding of the inputs alone can change the gradient (P,).

        The parameters and arguments are moved by a unit or two in their last place, at random.

        Args:
          gradient: where nothing is moved.
        """
        rng = np.random.default_rng(0)
        here, most = gradient.flat, np.zeros(self.flat.size)

        def moved(leaf: jax.Array) -> jax.Array:
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                return leaf
            ulps = _NOISE_ULPS * np.finfo(np.float64).eps * rng.uniform(-1.0, 1.0, leaf.shape)
            return leaf * (1.0 + ulps)

        for _ in range(_NOISE_DRAWS):
            params, arrays = jax.tree.map(moved, (self.params, self.arrays))
            there = dataclasses.replace(self, params=params, arrays=arrays).gradient().flat
            most = np.fmax(most, np.abs(there - here))
        return most

    def forward_mode(self, coordinates: np.ndarray) -> np.ndarray | None:
        """The derivatives by some coordinates (K,), in forward mode; None where there is none.

        A function with a `jax.custom_vjp` has only a reverse mode.
        """
        try:
            found = _forward(
                self.call, self.numbers, self.params, self.arrays, jnp.asarray(coordinates)
            )
        except TypeError:
            return None
        return np.asarray(found)

    def one_sided(
        self, *, coordinates: np.ndarray | None = None, directions: np.ndarray | None = None
    ) -> OneSided:
        """The numerical derivatives along coordinates (K,) or directions (K, P)."""
        if coordinates is not None:
            which = np.asarray(coordinates, np.int32)
        else:
            assert directions is not None
            which = np.arange(len(directions), dtype=np.int32)
        along = None if directions is None else jnp.asarray(directions)
        steps = largest_steps(self.params, jnp.asarray(which), along, None, "richardson")
        return one_sided_derivatives(
            self.call, self.numbers, self.params, self.arrays, which, steps, directions
        )

    def bytes_of_one_value(self) -> int:
        """Bytes that one evaluation writes, moved parameters included: a measure of its cost."""
        results = intermediate_bytes(
            lambda params: self.call(self.numbers, params, *self.arrays), self.params
        )
        return results + 4 * self.flat.nbytes


@dataclasses.dataclass(frozen=True, eq=False)
class ByHand:
    """A gradient by hand, called as the user wrote it: with all arguments, outside of jit.

    Attributes:
      call: `call(params, *args)`.
      params: as they came; those of a `Function` take their place.
      args: widened.
    """

    call: Callable[..., Any]
    params: Any
    args: tuple[Any, ...]

    def __call__(self, function: Function) -> Any:
        """The gradient at the parameters of a function, as NumPy arrays where such came."""

        def like(leaf: Any, value: jax.Array) -> Any:
            return value if isinstance(leaf, jax.Array) else np.array(value)

        return self.call(jax.tree.map(like, self.params, function.params), *self.args)


@functools.partial(jax.jit, static_argnames="call")
def _value(call: Callable[..., Any], numbers: Any, params: Any, arrays: Any) -> jax.Array:
    return call(numbers, params, *arrays)


@functools.partial(jax.jit, static_argnames="call")
def _gradient(call: Callable[..., Any], numbers: Any, params: Any, arrays: Any) -> Any:
    return jax.grad(lambda params: call(numbers, params, *arrays))(params)


@functools.partial(jax.jit, static_argnames="call")
def _forward(
    call: Callable[..., Any], numbers: Any, params: Any, arrays: Any, coordinates: jax.Array
) -> jax.Array:
    flat, unravel = ravel_pytree(params)

    def one(coordinate: jax.Array) -> jax.Array:
        tangent = unravel(jnp.zeros_like(flat).at[coordinate].set(1.0))
        return jax.jvp(lambda params: call(numbers, params, *arrays), (params,), (tangent,))[1]

    return jax.lax.map(one, coordinates)
