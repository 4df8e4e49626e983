"""chex's assertions about shapes, for the inside of pure functions: free once a program is traced.

chex brings test frameworks along, and its import takes as long as that of everything here: it waits
for the first assertion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def assert_shape(array: Any, shape: Sequence[int]) -> None:
    """The array has exactly this shape."""
    import chex

    chex.assert_shape(array, shape)


def assert_rank(array: Any, rank: int) -> None:
    """The array has so many axes."""
    import chex

    chex.assert_rank(array, rank)


def assert_axis_dimension(array: Any, axis: int, size: int) -> None:
    """The array has an axis of this size."""
    import chex

    chex.assert_axis_dimension(array, axis, size)


def assert_axis_dimension_gt(array: Any, axis: int, bound: int) -> None:
    """The array has an axis of more than this size."""
    import chex

    chex.assert_axis_dimension_gt(array, axis, bound)
