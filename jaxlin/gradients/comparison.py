"""Gradients as lists of float64 arrays with names: what every comparison works on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlin.errors import InputError
from jaxlin.gradients.report import Coordinate, Pair


class Leaves(NamedTuple):
    """The leaves of a pytree, on the host.

    Attributes:
      names: of each leaf, as one would write it: `"W"`, `"layers.0.b"`.
      arrays: float64.
    """

    names: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]

    @property
    def flat(self) -> np.ndarray:
        """All numbers in one array, in the order of `ravel_pytree`."""
        return np.concatenate([array.ravel() for array in self.arrays] or [np.zeros(0)])

    def replace(self, flat: np.ndarray) -> Leaves:
        """The same leaves with other numbers."""
        ends = np.cumsum([array.size for array in self.arrays])[:-1]
        parts = np.split(np.asarray(flat), ends)
        pairs = zip(parts, self.arrays, strict=True)
        return Leaves(self.names, tuple(part.reshape(like.shape) for part, like in pairs))

    def by_leaf(self, values: Sequence[float]) -> np.ndarray:
        """One value a leaf, repeated for each of its numbers (P,)."""
        pairs = zip(values, self.arrays, strict=True)
        return np.concatenate([np.full(array.size, value) for value, array in pairs])

    def place(self, coordinate: int) -> tuple[str, tuple[int, ...]]:
        """The leaf and the index of a coordinate in the flat array."""
        for name, array in zip(self.names, self.arrays, strict=True):
            if coordinate < array.size:
                index = np.unravel_index(coordinate, array.shape)
                return name, tuple(int(i) for i in index)
            coordinate -= array.size
        raise IndexError(coordinate)


def leaves_of(tree: Any) -> Leaves:
    """The leaves of a pytree of numbers.

    >>> leaves_of({"W": np.ones((2, 3)), "b": np.zeros(2)}).names
    ('W', 'b')
    """
    found = jax.tree_util.tree_leaves_with_path(tree)
    names = tuple(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in found)
    arrays = tuple(np.asarray(leaf).astype(np.float64) for _, leaf in found)
    return Leaves(tuple(name or "params" for name in names), arrays)


def leaves_like(tree: Any, like: Leaves, name: str) -> Leaves:
    """The leaves of a gradient, under the names of the parameters that it belongs to.

    Raises:
      InputError: it has another number of leaves.
    """
    found = leaves_of(tree)
    if len(found.arrays) != len(like.arrays):
        raise InputError(
            f"{name} must return a pytree like params, with leaves {', '.join(like.names)}; it has "
            f"{len(found.arrays)}: {', '.join(found.names) or 'none'}."
        )
    return Leaves(like.names, found.arrays)


def compared(
    first: str,
    a: Leaves,
    second: str,
    b: Leaves,
    *,
    scale: float,
    eps: float,
    coordinates: np.ndarray | None = None,
) -> Pair:
    """Two gradients compared.

    Args:
      first: name of a.
      a: a gradient, its leaves shaped like those of b.
      second: name of b.
      b: what it is compared with.
      scale: what errors are measured by.
      eps: of the narrower dtype.
      coordinates: of the flat arrays, where not all are known; None for all.
    """
    difference = np.abs(a.flat - b.flat)
    known = np.zeros(difference.shape, bool)
    known[slice(None) if coordinates is None else coordinates] = True
    difference[~known] = 0.0
    leaf_errors = {}
    for name, error, base in zip(b.names, b.replace(difference).arrays, b.arrays, strict=True):
        top, size = (float(np.max(np.abs(v), initial=0.0)) for v in (error, base))
        leaf_errors[name] = top / size if size > 0.0 else (0.0 if top == 0.0 else np.inf)
    largest = float(np.max(difference, initial=0.0))
    unit = scale * eps
    in_eps = largest / unit if unit > 0.0 else (0.0 if largest == 0.0 else np.inf)
    return Pair(first, second, largest, in_eps, leaf_errors, int(known.sum()))


def coordinate(at: int, autodiff: Leaves, **known: np.ndarray | None) -> Coordinate:
    """What every gradient says of a coordinate of the flat arrays.

    Args:
      at: which.
      autodiff: the gradient by `jax.grad`.
      **known: the other fields of `Coordinate` as flat arrays, NaN where they are not known; None
        for those that are known nowhere.
    """
    leaf, index = autodiff.place(at)
    values = {
        name: None if array is None or np.isnan(array[at]) else float(array[at])
        for name, array in known.items()
    }
    return dataclasses.replace(Coordinate(leaf, index, float(autodiff.flat[at])), **values)
