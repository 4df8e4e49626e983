"""The numerical gradient: move one coordinate a little, see how much the function moves.

Two evaluations a coordinate (one, for the forward scheme) is what makes it slow: a 10 x 784 model
needs 15,680 passes over the data for one gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from jaxlin.errors import InputError
from jaxlin.precision import float64_scope

Tree = TypeVar("Tree")
Scheme = Literal["central", "forward"]


def numerical(
    f: Callable[[Tree], jax.typing.ArrayLike],
    params: Tree,
    step: float | None = None,
    scheme: Scheme = "central",
) -> Tree:
    """The gradient of `f` at `params` by finite differences, one coordinate at a time.

    `"central"` is `(f(p + h) - f(p - h)) / 2h`, wrong by a term in h^2; `"forward"`, the lecture's,
    is `(f(p + h) - f(p)) / h`, wrong by a term in h. The difference is divided by the step that
    rounding really took.

    Where a leaf is float64 (a NumPy array will do) everything is computed in float64, whatever
    JAX's global setting is.

    Args:
      f: a function of `params` alone that returns a scalar and that JAX can trace.
      params: any pytree of floating-point arrays.
      step: h, in the units of the parameters. None chooses it by coordinate: the dtype's eps to
        the power 1/3 (central) or 1/2 (forward), times max(1, |p|).
      scheme: `"central"` or `"forward"`.

    Returns:
      A pytree like `params`.

    Raises:
      InputError: an unknown scheme, a step that is not positive, a leaf that is not floating,
        an `f` that does not return a scalar.

    >>> gradient = numerical(lambda p: p["w"] @ p["w"], {"w": jnp.array([1.0, -2.0])})
    >>> [round(g, 2) for g in gradient["w"].tolist()]
    [2.0, -4.0]
    """
    if scheme not in ("central", "forward"):
        raise InputError(f'scheme must be "central" or "forward", got {scheme!r}.')
    if step is not None and not (np.isfinite(step) and step > 0):
        raise InputError(f"step must be positive and finite, or None, got {step!r}.")
    leaves = jax.tree.leaves(params)
    for leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise InputError(
                f"params must be floating-point arrays, got a leaf of dtype {jnp.result_type(leaf)}"
                ": a step cannot be taken in it."
            )
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)
    wants_float64 = any(getattr(leaf, "dtype", None) == np.float64 for leaf in leaves)
    with float64_scope(wants_float64 and not traced):
        return _differences(f, jax.tree.map(jnp.asarray, params), step, scheme)


def _differences(
    f: Callable[[Any], jax.typing.ArrayLike], params: Tree, step: float | None, scheme: Scheme
) -> Tree:
    flat, unravel = ravel_pytree(params)
    if flat.size == 0:
        return params
    if step is None:
        power = 1 / 3 if scheme == "central" else 1 / 2
        relative = float(jnp.finfo(flat.dtype).eps) ** power
        steps = relative * jnp.maximum(1.0, jnp.abs(flat))
    else:
        steps = jnp.full_like(flat, step)
        lost = flat + steps == flat
        if not isinstance(flat, Tracer) and bool(jnp.any(lost)):
            raise InputError(
                f"step={step} is too small for {flat.dtype} parameters as large as "
                f"{float(jnp.max(jnp.abs(flat))):.3g}: adding it changes nothing. Use a larger "
                "step, or step=None."
            )

    def value(point: jax.Array) -> jax.Array:
        result = jnp.asarray(f(unravel(point)))
        if result.shape != ():
            raise InputError(f"f must return a scalar, got an array of shape {result.shape}.")
        return result

    @functools.partial(jax.jit, static_argnames="scheme")
    def differences(flat: jax.Array, steps: jax.Array, scheme: Scheme) -> jax.Array:
        base = value(flat) if scheme == "forward" else None

        def one_coordinate(index: jax.Array) -> jax.Array:
            here, h = flat[index], steps[index]
            up = jax.lax.optimization_barrier(here + h)
            down = here if base is not None else jax.lax.optimization_barrier(here - h)
            value_up = value(flat.at[index].set(up))
            value_down = base if base is not None else value(flat.at[index].set(down))
            return ((value_up - value_down) / (up - down)).astype(flat.dtype)

        return jax.lax.map(one_coordinate, jnp.arange(flat.size, dtype=jnp.int32))

    return unravel(differences(flat, steps, scheme))
