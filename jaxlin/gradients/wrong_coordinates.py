"""Where a gradient is wrong: its difference from the right one, coordinate by coordinate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxlin.gradients.comparison import leaves_like
from jaxlin.gradients.evaluation import ByHand, Function, widened
from jaxlin.precision import float64_scope


class WrongLeaf(NamedTuple):
    """The leaf that a gradient is most wrong in.

    Attributes:
      name: of the leaf.
      error: `|by hand - jax.grad|` in float64, in the shape of the leaf.
      size: the largest |jax.grad| in it.
    """

    name: str
    error: np.ndarray
    size: float


def wrong_coordinates(
    f: Callable[..., Any], params: Any, *args: Any, by_hand: Callable[..., Any]
) -> WrongLeaf | None:
    """The leaf where a gradient by hand differs most from `jax.grad`.

    Args:
      f: as for `check`.
      params: as for `check`.
      *args: as for `check`.
      by_hand: as for `check`.

    Returns:
      `WrongLeaf`; None where the gradients are alike, or have other shapes.

    >>> f = lambda p: (p["w"] ** 2).sum()
    >>> found = wrong_coordinates(f, {"w": np.array([1.0, -2.0])}, by_hand=lambda p: {"w": p["w"]})
    >>> found.name, found.error.tolist()
    ('w', [1.0, 2.0])
    """
    with float64_scope(True):
        function = Function.of(f, params, args)
        right = function.gradient()
        given = leaves_like(ByHand(by_hand, params, widened(args))(function), right, "by_hand")
    worst = None
    for name, a, b in zip(right.names, given.arrays, right.arrays, strict=True):
        if a.shape != b.shape:
            return None
        error = np.abs(a - b)
        top = np.max(error, initial=0.0)
        if top > 0.0 and (worst is None or top > worst.error.max()):
            worst = WrongLeaf(name, error, float(np.max(np.abs(b), initial=0.0)))
    return worst
