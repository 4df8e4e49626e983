"""The error of a difference quotient against its step: the V that every step is chosen from.

Large steps see the curve of the function, small ones drown in rounding. For the forward quotient
the two meet at about `sqrt(eps)`, for the central one at `eps^(1/3)`, and lower.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.gradients.evaluation import Function
from jaxlin.gradients.finite_differences import largest_steps
from jaxlin.gradients.moves import evaluate_moves
from jaxlin.precision import float64_scope

_HALF_DECADES = 10.0 ** np.arange(-13.0, 0.1, 0.5)


class StepErrors(NamedTuple):
    """How wrong one scheme is at many steps.

    Attributes:
      scheme: `"forward"` or `"central"`.
      dtype: that the values were computed in.
      steps: (S,), ascending.
      errors: norm of the error over that of the gradient, at some coordinates (S,).
      chosen: the step that `numerical` takes where none is given.
      chosen_error: the error there.
    """

    scheme: str
    dtype: str
    steps: np.ndarray
    errors: np.ndarray
    chosen: float
    chosen_error: float


def step_errors(
    f: Callable[..., Any],
    params: Any,
    *args: Any,
    dtype: Any = np.float64,
    count: int = 16,
    seed: int = 0,
) -> tuple[StepErrors, StepErrors]:
    """The errors of forward and central differences, against `jax.grad` in float64.

    Args:
      f: `f(params, *args)` gives a scalar.
      params: a pytree of floating-point arrays.
      *args: whatever else `f` takes.
      dtype: to compute the values in.
      count: how many coordinates to look at, drawn at random.
      seed: of the draw.

    Returns:
      `StepErrors` of `"forward"` and of `"central"`.

    >>> forward, central = step_errors(lambda p: jnp.sum(jnp.exp(p)), np.ones(3))
    >>> bool(central.errors.min() < 1e-9 < 1e-8 < central.errors[0])
    True
    """
    with float64_scope(True):
        wide = Function.of(f, params, args)
        exact = wide.gradient().flat
    drawn = np.random.default_rng(seed).choice(exact.size, min(count, exact.size), replace=False)
    which = np.sort(drawn).astype(np.int32)
    with float64_scope(np.dtype(dtype) == np.float64):
        seen = _narrowed(wide, dtype)
        # A step that hardly changes the numbers it is added to is none.
        largest = float(np.max(np.abs(wide.flat), initial=0.0))
        steps = _HALF_DECADES[4.0 * np.finfo(dtype).eps * max(1.0, largest) < _HALF_DECADES]
        errors = {}
        for scheme in ("forward", "central"):
            chosen = largest_steps(seen.params, jnp.asarray(which), None, None, scheme)
            # Steps (S + 1, K): the last row is what would be chosen.
            ladder = np.concatenate(
                [
                    np.broadcast_to(steps[:, None], (len(steps), len(which))),
                    np.asarray(chosen)[None],
                ]
            )
            quotients = _quotients(seen, which, ladder, is_central=scheme == "central")
            size = np.linalg.norm(exact[which]) or np.max(np.abs(exact)) or 1.0
            errors[scheme] = np.linalg.norm(quotients - exact[which], axis=1) / size
            errors[scheme] = StepErrors(
                scheme,
                np.dtype(dtype).name,
                steps,
                errors[scheme][:-1],
                float(np.median(np.asarray(chosen))),
                float(errors[scheme][-1]),
            )
    return errors["forward"], errors["central"]


def _narrowed(function: Function, dtype: Any) -> Function:
    """The same function with its floating-point numbers in a dtype."""

    def narrow(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    numbers, params, arrays = jax.tree.map(
        narrow, (function.numbers, function.params, function.arrays)
    )
    return dataclasses.replace(function, numbers=numbers, params=params, arrays=arrays)


def _quotients(
    function: Function, which: np.ndarray, steps: np.ndarray, *, is_central: bool
) -> np.ndarray:
    """Difference quotients (S, K) along K coordinates at steps (S, K), float64."""
    rows, count = steps.shape
    moves = np.tile(which, 2 * rows)
    other = -steps if is_central else np.zeros_like(steps)
    found = evaluate_moves(
        function.call,
        function.numbers,
        function.params,
        function.arrays,
        jnp.asarray(moves),
        jnp.asarray(
            np.stack([steps, other]).ravel(), jnp.result_type(*jax.tree.leaves(function.params))
        ),
        None,
        None,
    )
    shape = (2, rows, count)
    values = np.asarray(found.values).astype(np.float64).reshape(shape)
    distances = np.asarray(found.steps).astype(np.float64).reshape(shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (values[0] - values[1]) / (distances[0] - distances[1])
