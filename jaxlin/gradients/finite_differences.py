"""The numerical gradient: move one coordinate a little, see how much the function moves.

Two evaluations a coordinate (one, for the forward scheme) is what makes it slow: a 10 x 784 model
needs 15,700 passes over the data for one gradient. Moving several coordinates at once, each in its
own copy of the parameters, makes of many skinny matrix products one wide one; one at a time, as in
the lecture, is `batch_size=1`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.flatten_util import ravel_pytree

from jaxlin.captured import float64_scope_for
from jaxlin.checks import check_count
from jaxlin.errors import InputError
from jaxlin.gradients.extrapolation import RATIO, Limit, extrapolate, num_steps
from jaxlin.gradients.moves import Moved, evaluate_moves, split_callable

Tree = TypeVar("Tree")
Scheme = Literal["central", "forward", "richardson"]
# Rounding of a sum of many terms, in units of eps times its value, and in units of the second
# differences that are nothing else.
_ROUNDING, _FLUTTER = 4.0, 2.0
SCHEMES: tuple[Scheme, ...] = ("central", "forward", "richardson")


class NumericalGradient(NamedTuple):
    """A gradient, its estimated error and the steps: pytrees like the parameters.

    >>> found = numerical_with_error(lambda p: p**3, np.array(2.0))
    >>> round(float(found.gradient), 9)
    12.0
    """

    gradient: Any
    error: Any
    step: Any


def numerical(
    f: Callable[[Tree], jax.typing.ArrayLike],
    params: Tree,
    step: float | None = None,
    scheme: Scheme = "central",
    *,
    batch_size: int | None = None,
) -> Tree:
    """The gradient of `f` at `params` by finite differences, one coordinate after the other.

    `"central"` is `(f(p + h) - f(p - h)) / 2h`, wrong by a term in h^2; `"forward"`, the lecture's,
    is `(f(p + h) - f(p)) / h`, wrong by a term in h; `"richardson"` extrapolates central
    differences at several steps (see `numerical_with_error`). A difference is divided by the step
    that rounding really took.

    Where a leaf is float64 (a NumPy array will do) everything is computed in float64, whatever
    JAX's global setting is.

    Args:
      f: a function of `params` alone that returns a scalar and that JAX can trace.
      params: any pytree of floating-point arrays.
      step: h, in the units of the parameters; for `"richardson"` the largest. None chooses it by
        coordinate: the dtype's eps to the power 1/3 (central) or 1/2 (forward), or 1 (richardson),
        times max(1, |p|).
      scheme: `"central"`, `"forward"` or `"richardson"`.
      batch_size: how many evaluations to run at once; 1 is the lecture's loop. None takes as many
        as the cache can hold.

    Returns:
      A pytree like `params`.

    Raises:
      InputError: an unknown scheme, a step that is not positive, a leaf that is not floating,
        an `f` that does not return a scalar.

    >>> gradient = numerical(lambda p: p["w"] @ p["w"], {"w": jnp.array([1.0, -2.0])})
    >>> [round(g, 2) for g in gradient["w"].tolist()]
    [2.0, -4.0]
    """
    return _all_coordinates(f, params, step, scheme, batch_size).gradient


def numerical_with_error(
    f: Callable[[Tree], jax.typing.ArrayLike],
    params: Tree,
    step: float | None = None,
    scheme: Scheme = "richardson",
    *,
    batch_size: int | None = None,
) -> NumericalGradient:
    """The numerical gradient, with an estimate of the error of each coordinate.

    Richardson extrapolation knows its error from the differences between its steps
    (`jaxlin.gradients.extrapolation`). The plain schemes have one step and cannot know: their error
    is given as NaN.

    Args:
      f: as for `numerical`.
      params: as for `numerical`.
      step: as for `numerical`.
      scheme: as for `numerical`.
      batch_size: as for `numerical`.

    Returns:
      `NumericalGradient(gradient, error, step)`, pytrees like `params`, of NumPy arrays.

    Raises:
      InputError: as for `numerical`.

    >>> found = numerical_with_error(lambda p: jnp.exp(p[0]), np.array([1.0]))
    >>> bool(abs(found.gradient[0] - np.e) < 1e-10), bool(found.error[0] < 1e-10)
    (True, True)
    """
    found = _all_coordinates(f, params, step, scheme, batch_size)
    return NumericalGradient(*(jax.tree.map(np.asarray, part) for part in found))


def _all_coordinates(
    f: Callable[[Any], Any],
    params: Any,
    step: float | None,
    scheme: Scheme,
    batch_size: int | None,
) -> NumericalGradient:
    with checked_scope(f, params):
        params = jax.tree.map(jnp.asarray, params)
        flat, unravel = ravel_pytree(params)
        if flat.size == 0:
            return NumericalGradient(params, params, params)
        coordinates = jnp.arange(flat.size, dtype=jnp.int32)
        limit = derivatives(f, params, step, scheme, coordinates, None, batch_size)
        flats = (jnp.asarray(part, flat.dtype) for part in limit)
        return NumericalGradient(*(unravel(part) for part in flats))


def checked_scope(f: Callable[..., Any], params: Any) -> Any:
    """Checks the leaves; float64 stays float64, unless JAX is tracing already."""
    leaves = jax.tree.leaves(params)
    for leaf in leaves:
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise InputError(
                f"params must be floating-point arrays, got a leaf of dtype {jnp.result_type(leaf)}"
                ": a step cannot be taken in it."
            )
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)
    wants_float64 = any(getattr(leaf, "dtype", None) == np.float64 for leaf in leaves)
    return float64_scope_for(f, wants_float64 and not traced)


def derivatives(
    f: Callable[[Any], Any],
    params: Any,
    step: float | None,
    scheme: Scheme,
    which: jax.Array,
    directions: jax.Array | None,
    batch_size: int | None,
) -> Limit:
    """Derivatives along some coordinates or directions, inside of `checked_scope`.

    Args:
      f: as for `numerical`.
      params: a pytree of JAX arrays, P numbers in all.
      step: as for `numerical`.
      scheme: as for `numerical`.
      which: coordinates, or rows of `directions` (K,).
      directions: (K, P), or None.
      batch_size: as for `numerical`.
    """
    if scheme not in SCHEMES:
        raise InputError(f"scheme must be one of {', '.join(SCHEMES)}, got {scheme!r}.")
    if step is not None and not (
        isinstance(step, int | float | np.number) and np.isfinite(step) and step > 0
    ):
        raise InputError(f"step must be positive and finite, or None, got {step!r}.")
    if batch_size is not None:
        check_count("batch_size", batch_size)
    steps = largest_steps(params, which, directions, step, scheme)
    if step is not None and scheme != "richardson":
        _check_step_is_felt(params, step)
    numbers, call = split_callable(f)
    return _differences(call, numbers, params, which, steps, directions, scheme, batch_size)


def largest_steps(
    params: Any,
    which: jax.Array,
    directions: jax.Array | None,
    step: float | None,
    scheme: Scheme,
) -> jax.Array:
    """The step for each coordinate or direction (K,), the largest one for `"richardson"`."""
    flat, _ = ravel_pytree(params)
    if step is not None:
        return jnp.full(which.shape, step, flat.dtype)
    power = {"central": 1 / 3, "forward": 1 / 2, "richardson": 0.0}[scheme]
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(params)]
    relative = [np.full(leaf.size, float(jnp.finfo(leaf.dtype).eps) ** power) for leaf in leaves]
    scale = jnp.asarray(np.concatenate(relative), flat.dtype) * jnp.maximum(1.0, jnp.abs(flat))
    if directions is None:
        return scale[which]
    # Along a unit direction no coordinate moves further than along its own axis.
    return jnp.full(which.shape, jnp.min(scale), flat.dtype)


def _check_step_is_felt(params: Any, step: float) -> None:
    for leaf in map(jnp.asarray, jax.tree.leaves(params)):
        if isinstance(leaf, Tracer) or not leaf.size:
            continue
        if bool(jnp.any(leaf + jnp.asarray(step, leaf.dtype) == leaf)):
            raise InputError(
                f"step={step} is too small for {leaf.dtype} parameters as large as "
                f"{float(jnp.max(jnp.abs(leaf))):.3g}: adding it changes nothing. Use a larger "
                "step, or step=None."
            )


def _differences(
    call: Callable[..., Any],
    numbers: Any,
    params: Any,
    which: jax.Array,
    steps: jax.Array,
    directions: jax.Array | None,
    scheme: Scheme,
    batch_size: int | None,
) -> Limit:
    """Derivatives along K coordinates or directions."""

    def moved(which: jax.Array, steps: jax.Array) -> Moved:
        return evaluate_moves(call, numbers, params, (), which, steps, directions, batch_size)

    if scheme == "richardson":
        sides = moved_both_ways(moved, which, steps)
        eps = values_eps(lambda params: call(numbers, params), params)
        return extrapolate(*sides.central, sides.noise(eps), is_central=True)
    unknown = jnp.full_like(steps, jnp.nan)
    if scheme == "forward":
        # The value at the parameters themselves is a move of no length, the first of all.
        nothing = jnp.zeros(1, steps.dtype)
        seen = moved(jnp.append(which[:1], which), jnp.append(nothing, steps))
        distance = seen.steps[1:]
        return Limit((seen.values[1:] - seen.values[0]) / distance, unknown, distance)
    both = moved(jnp.tile(which, 2), jnp.concatenate([steps, -steps]))
    values, distances = both.values.reshape(2, -1), both.steps.reshape(2, -1)
    width = distances[0] - distances[1]
    return Limit((values[0] - values[1]) / width, unknown, 0.5 * width)


def values_eps(f: Callable[[Any], Any], params: Any) -> float:
    """Of the dtype that `f` returns, where it is narrower than its parameters."""
    dtypes = [jax.eval_shape(f, params).dtype, ravel_pytree(params)[0].dtype]
    return max(float(jnp.finfo(d).eps) for d in dtypes if jnp.issubdtype(d, jnp.floating))


class BothWays(NamedTuple):
    """Values at the parameters and after moves both ways: NumPy arrays, unless JAX is tracing.

    Attributes:
      base: at the parameters, scalar.
      up: after steps forward, the largest first (L, K).
      down: after steps back (L, K).
    """

    base: Any
    up: Moved
    down: Moved

    def noise(self, eps: float) -> Any:
        """What rounding does to the values (K,): by their size, and by how much they flutter.

        At the smallest step the second difference of a function is nothing but rounding, which may
        be far larger than that of its value where it is the difference of large numbers.

        Args:
          eps: of the dtype that they were computed in.
        """
        xp: Any = np if isinstance(self.up.values, np.ndarray) else jnp
        both = xp.concatenate([self.up.values, self.down.values])
        size = xp.max(xp.where(xp.isfinite(both), xp.abs(both), 0.0), axis=0)
        flutter = xp.abs(self.up.values[-1] + self.down.values[-1] - 2.0 * self.base)
        usual = xp.median(xp.where(xp.isfinite(flutter), flutter, 0.0))
        return xp.maximum(_ROUNDING * eps * size, _FLUTTER * usual)

    @property
    def central(self) -> tuple[Any, Any]:
        """Central quotients and their steps, each (L, K)."""
        width = self.up.steps - self.down.steps
        return (self.up.values - self.down.values) / width, 0.5 * width

    @property
    def left(self) -> tuple[Any, Any]:
        """Quotients from the left and their steps, each (L, K)."""
        return (self.down.values - self.base) / self.down.steps, self.down.steps

    @property
    def right(self) -> tuple[Any, Any]:
        """Quotients from the right and their steps, each (L, K)."""
        return (self.up.values - self.base) / self.up.steps, self.up.steps


def moved_both_ways(
    moved: Callable[[jax.Array, jax.Array], Moved], which: jax.Array, steps: jax.Array
) -> BothWays:
    """Moves along K coordinates or directions, by steps that shrink by `RATIO`, both ways."""
    levels = num_steps(steps.dtype)
    shrink = jnp.asarray(RATIO ** -np.arange(levels), steps.dtype)
    ladder = (shrink[:, None] * steps[None]).ravel()
    signed = jnp.concatenate([jnp.zeros(1, steps.dtype), ladder, -ladder])
    repeated = jnp.concatenate([which[:1], jnp.tile(which, 2 * levels)])
    seen = moved(repeated, signed)
    if not isinstance(seen.values, Tracer):
        seen = Moved(np.asarray(seen.values), np.asarray(seen.steps))
    shape = (2, levels, -1)
    values, distances = seen.values[1:].reshape(shape), seen.steps[1:].reshape(shape)
    up, down = (Moved(values[side], distances[side]) for side in (0, 1))
    return BothWays(seen.values[0], up, down)
