"""The numerical derivatives as a referee: what they allow, and where they cannot tell.

At a coordinate where the function has a slope, a gradient has to be the derivative, up to its
estimated error. At a kink it has to lie between the derivatives from the left and from the right.
"""

from __future__ import annotations

import numpy as np

from jaxlin.gradients.comparison import Leaves
from jaxlin.gradients.evaluation import Function
from jaxlin.gradients.one_sided import OneSided
from jaxlin.gradients.report import Kink

# How far a numerical derivative is trusted: as a share of the largest entry of its leaf, and in
# units of its estimated error.
_SHARE, _ERRORS = 1e-7, 10.0

# Gradients close by differ by what the function curves in between.
_CLOSE = 1e-4

# An error of this share of what is there to be seen is no better than a guess.
_GUESS = 1e-2


def leaf_sizes(gradient: Leaves) -> np.ndarray:
    """The largest finite |entry| of the leaf that each number belongs to (P,)."""
    sizes = [np.max(np.abs(a[np.isfinite(a)]), initial=0.0) for a in gradient.arrays]
    return gradient.by_leaf([float(size) for size in sizes])


class Referee:
    """The numerical derivatives of a function, along K coordinates and along some directions.

    Attributes:
      coordinates: (K,), of the flat parameters.
      directions: unit vectors (J, P).
      along: the derivatives by the coordinates.
      across: those along the directions; None where there are none.

    Args:
      function: whose derivatives are taken.
      autodiff: its gradient by `jax.grad`, for the size of what is to be seen.
      coordinates: (K,).
      directions: (J, P).
      noise: what rounding makes of the gradient (P,).
    """

    def __init__(
        self,
        function: Function,
        autodiff: Leaves,
        coordinates: np.ndarray,
        directions: np.ndarray,
        noise: np.ndarray,
    ) -> None:
        self.coordinates, self.directions = coordinates, directions
        self.along = function.one_sided(coordinates=coordinates)
        self.across = function.one_sided(directions=directions) if len(directions) else None
        sizes = leaf_sizes(autodiff)
        self._size = sizes[coordinates]
        # A gradient of rounding noise need not be told from zero; any other has to be seen.
        largest = float(np.max(sizes, initial=0.0))
        is_zero = largest <= 1e3 * float(np.max(noise, initial=0.0))
        self._least = 1e-8 * abs(function.value()) if is_zero else 1e-4 * largest

    @property
    def is_kink(self) -> np.ndarray:
        """At which coordinates the two sides differ (K,)."""
        return self.along.is_kink

    @property
    def sees_kinks(self) -> bool:
        """Whether the two sides differ anywhere."""
        return bool(self.is_kink.any() or (self.across is not None and self.across.is_kink.any()))

    @property
    def cannot_tell(self) -> np.ndarray:
        """At which coordinates the numerical derivative is no better than a guess (K,)."""
        with np.errstate(invalid="ignore"):
            seen = np.maximum(np.abs(self.along.low), np.abs(self.along.high))
            reach = np.maximum(seen, np.maximum(self._size, self._least))
            return ~(self.along.bound <= _GUESS * reach)

    def bounds(self, close: list[np.ndarray]) -> bool:
        """Whether the sides of the kinks bound the gradients, as far as can be seen.

        They do where the function is convex, or concave: all kinks open to one side, and every
        gradient taken close by lies between them.

        Args:
          close: gradients very close to the parameters, each (P,).
        """
        sides = (self.along,) if self.across is None else (self.along, self.across)
        jumps = np.concatenate([(s.right - s.left)[s.is_kink] for s in sides])
        is_mixed = bool((jumps > 0.0).any() and (jumps < 0.0).any())
        return not is_mixed and not any((self.excess(g, _CLOSE) > 0.0).any() for g in close)

    def excess(self, gradient: np.ndarray, share: float = _SHARE) -> np.ndarray:
        """How far a gradient (P,) is from what is allowed at each coordinate (K,).

        Args:
          gradient: (P,).
          share: of the largest entry of a leaf that is no difference.
        """
        slack = _ERRORS * self.along.bound + share * self._size
        values = gradient[self.coordinates]
        excess = _outside(values, self.along, slack)
        return np.where(self.cannot_tell, 0.0, excess)

    def excess_across(self, gradient: np.ndarray) -> np.ndarray:
        """The same along the directions (J,)."""
        across = self.across
        if across is None or not np.isfinite(gradient).all():
            return np.zeros(len(self.directions))
        slack = _ERRORS * across.bound + _SHARE * np.linalg.norm(gradient)
        return _outside(self.directions @ gradient, across, slack)

    def is_wrong(self, gradient: np.ndarray) -> bool:
        """Whether a gradient is not allowed, along some coordinate or direction."""
        return bool((self.excess(gradient) > 0.0).any() or (self.excess_across(gradient) > 0).any())

    def kinks(self, names: Leaves) -> tuple[Kink, ...]:
        """The kinks at the coordinates, or else along the directions."""
        found = []
        for index in np.flatnonzero(self.is_kink):
            leaf, at = names.place(int(self.coordinates[index]))
            place = f"{leaf}[{', '.join(map(str, at))}]" if at else leaf
            found.append(_kink(self.along, int(index), place))
        if not found and self.across is not None:
            found = [
                _kink(self.across, int(index), f"random direction {index}")
                for index in np.flatnonzero(self.across.is_kink)
            ]
        return tuple(found)


def _kink(sides: OneSided, index: int, place: str) -> Kink:
    return Kink(
        place,
        True,
        left=float(sides.left[index]),
        right=float(sides.right[index]),
        certainty=sides.certainty(index),
    )


def _outside(values: np.ndarray, sides: OneSided, slack: np.ndarray) -> np.ndarray:
    """How far values lie outside of what the sides and the slack allow; infinite for NaN."""
    with np.errstate(invalid="ignore"):
        excess = np.maximum(sides.low - slack - values, values - sides.high - slack)
        excess = np.where(np.isfinite(values), excess, np.inf)
        return np.where(np.isfinite(sides.bound), np.maximum(excess, 0.0), 0.0)
