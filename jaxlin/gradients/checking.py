"""The gradient check: of a function by what can be seen, of an objective by what is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxlin.gradients.function_check import check_function
from jaxlin.gradients.objective_check import check_objective, knows_kinks_of
from jaxlin.gradients.report import GradientReport
from jaxlin.objective import Objective


def check(
    f: Callable[..., Any],
    params: Any,
    *args: Any,
    by_hand: Callable[..., Any] | None = None,
    coordinates: int | None = None,
    directions: int = 16,
    key: Any = None,
) -> GradientReport:
    """Whether the gradients of a scalar function are right, and if not, where and why.

    `jax.grad` (reverse mode), forward mode, the numerical gradient (Richardson extrapolation) and,
    where given, the gradient written by hand are compared in float64, whatever JAX's global setting
    is. The numerical gradient is the referee: it estimates its own error, and sees from both sides
    whether the function has a kink. For an `Objective` with one of the library's losses this is
    `check_objective`, which knows the kinks exactly.

    Args:
      f: `f(params, *args)` gives a scalar; JAX can trace it.
      params: any pytree of floating-point arrays. Where they are float32 or narrower, the gradients
        are judged in that dtype as well, in units of its eps.
      *args: whatever else `f` takes. Floating-point arrays are widened to float64, all else stays
        as it is. With `x (N, D)` and integer `labels (N,)` among them more mistakes are known.
      by_hand: `by_hand(params, *args)` gives a pytree like `params`. It is called as it is, outside
        of jit, with NumPy arrays where NumPy arrays came.
      coordinates: of how many coordinates to take the numerical gradient; None is all of them where
        that is quickly done, else a random sample. Those where the gradients differ most are among
        them.
      directions: along how many random directions to take it besides. An objective of the library
        needs none.
      key: a `jax.random` key or a seed, of all that is random; None is 0.

    Returns:
      A `GradientReport`; it is false where the verdict is `"disagrees"`, and prints as tables.

    Raises:
      InputError: `params` are not floating, `f` does not return a scalar, or `by_hand` returns a
        pytree of another structure.

    >>> import jax.numpy as jnp, numpy as np
    >>> def loss(p):
    ...     return jnp.sum(p["w"] ** 2)
    >>> params = {"w": np.array([1.0, -2.0])}
    >>> report = check(loss, params, by_hand=lambda p: {"w": p["w"]})
    >>> report.verdict, report.cause
    ('disagrees', 'factor')
    >>> print(report.explanation)
    The gradient by hand of w is 0.5 times the right one.
    """
    if isinstance(f, Objective) and knows_kinks_of(f) and len(args) in (2, 3):
        return check_objective(f, params, *args, by_hand=by_hand, coordinates=coordinates, key=key)
    return check_function(
        f,
        params,
        *args,
        by_hand=by_hand,
        coordinates=coordinates,
        directions=directions,
        key=key,
    )
