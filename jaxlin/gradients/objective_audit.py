"""Judging the gradients of an objective against its closed form, on the host."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxlin.gradients.closed_form import ROUNDING, HostProblem, has_kinks, margins
from jaxlin.gradients.comparison import Leaves
from jaxlin.gradients.extrapolation import RATIO
from jaxlin.gradients.membership import Membership, membership
from jaxlin.gradients.subdifferential import (
    Ties,
    crossing_coordinate,
    find_ties,
    one_sided_gradients,
    rounding_side,
)
from jaxlin.losses import SquaredWestonWatkinsHinge

# How many of its estimated errors the numerical derivative may be off by.
_ERRORS = 20.0

# How many kinks beside the parameters to name.
_MOST_NEAR = 1_000

BY_HAND, AUTODIFF = "by hand", "jax.grad"


class Seen(NamedTuple):
    """What a program made of the objective in some dtype.

    Attributes:
      dtype: its name.
      eps: of it.
      tiny: its smallest normal number.
      value: of the objective.
      gradients: by name, `"by hand"` first where it is there.
      eps_of: of the dtype that each is in.
      score_gradient: each example's (N, C).
    """

    dtype: str
    eps: float
    tiny: float
    value: float
    gradients: dict[str, Leaves]
    eps_of: dict[str, float]
    score_gradient: np.ndarray


class Witness(NamedTuple):
    """Derivatives along K coordinates, float64 arrays (K,).

    Attributes:
      coordinates: which, in the order of the parameters.
      forward: in forward mode.
      numerical: from values alone.
      error: its estimated error.
      step: the smallest step it is made of.
    """

    coordinates: np.ndarray
    forward: np.ndarray
    numerical: np.ndarray
    error: np.ndarray
    step: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """A gradient, and whether it is one.

    Attributes:
      name: `"by hand"` or `"jax.grad"`.
      seen: in which dtype.
      gradient: (C, E).
      tolerance: what rounding may do to it (C, E).
      found: whether it is a subgradient.
    """

    name: str
    seen: Seen
    gradient: np.ndarray
    tolerance: np.ndarray
    found: Membership

    @property
    def excess(self) -> np.ndarray:
        """The difference from the nearest subgradient in units of the tolerance (C, E)."""
        difference = np.abs(self.gradient - self.found.nearest) / self.tolerance
        return np.where(np.isfinite(difference), difference, np.inf)


class NearKink(NamedTuple):
    """A margin that the numerical derivative meets: the coordinate, the example and the class."""

    coordinate: int
    row: int
    wrong_class: int


class Numerical(NamedTuple):
    """The numerical derivatives, judged.

    Attributes:
      excess: how far each lies beyond what rounding and kinks explain (K,), 0 where it does not.
      near: kinks within the steps.
    """

    excess: np.ndarray
    near: tuple[NearKink, ...]


class Audit:
    """Everything that is known of an objective's gradients but the numerical ones.

    Attributes:
      problem: the objective, in float64.
      margins: of a hinge, else None.
      bends: margins of a squared hinge, whose second derivative jumps where one is zero; else None.
      ties: in float64.
      left: the one-sided derivatives (C, E).
      right: the one-sided derivatives (C, E).
      scale: what errors are measured by: the largest of the sums that a coordinate is, its terms
        taken absolutely.
      judged: in float64, then in the narrower dtype.
      other_side: margins whose sign differs in the narrower dtype (N, C).
    """

    def __init__(self, problem: HostProblem, seen: Seen, narrow: Seen | None) -> None:
        self.problem, self.seen, self.narrow = problem, seen, narrow
        self.margins = margins(problem) if has_kinks(problem.loss) else None
        is_bent = isinstance(problem.loss, SquaredWestonWatkinsHinge)
        self.bends = margins(problem) if is_bent else None
        self.ties = find_ties(problem, self.margins)
        self.left, self.right = one_sided_gradients(problem, self.ties)
        self.library = self.ties.element(self.ties.library())
        terms = problem.contributions(self.library)
        self.scale = float(max(np.max(a, initial=0.0) for a in (terms, np.abs(problem.penalty))))
        self.narrow_ties = (
            self.ties if narrow is None else find_ties(problem, self.margins, narrow.eps)
        )
        self.judged = [self._judged(seen, name) for name in seen.gradients]
        self.other_side = np.zeros(problem.shape, bool)
        if narrow is not None:
            self.judged += [self._judged(narrow, name) for name in narrow.gradients]
            if self.margins is not None:
                self.other_side = self._on_other_side(narrow)

    @property
    def is_finite(self) -> bool:
        """Whether there is anything to compare with."""
        return bool(np.isfinite(self.left).all() and np.isfinite(self.seen.value))

    @property
    def narrow_overflows(self) -> bool:
        """Whether the narrower dtype cannot hold the objective or its gradient."""
        if self.narrow is None:
            return False
        autodiff = self.narrow.gradients[AUTODIFF].flat
        return not (np.isfinite(self.narrow.value) and np.isfinite(autodiff).all())

    def _on_other_side(self, narrow: Seen) -> np.ndarray:
        wrong = self.problem.is_wrong & (self.problem.shares > 0.0)[:, None]
        differs = wrong & ((narrow.score_gradient > 0) != (self.library > 0))
        differs[self.ties.rows] &= ~self.ties.tied
        return differs

    def _tolerance(self, seen: Seen, name: str, ties: Ties) -> np.ndarray:
        sizes = self.problem.contributions(ties.rounding) + np.abs(self.problem.penalty)
        eps, factor = max(seen.eps, seen.eps_of[name]), ROUNDING
        if seen is self.narrow:
            # The promise is by leaf: long sums round by the size of their partial sums.
            columns = self.problem.weights.shape[1] - int(self.problem.has_bias)
            for leaf in (sizes[:, :columns], sizes[:, columns:]):
                leaf[...] = np.max(leaf, initial=0.0)
        else:
            factor += np.sqrt(len(self.problem.labels))
        return factor * (eps * sizes + max(seen.tiny, np.finfo(np.float64).tiny))

    def _judged(self, seen: Seen, name: str) -> Judged:
        gradient = self.problem.joined(seen.gradients[name])
        is_narrow = seen is self.narrow
        ties = self.narrow_ties if is_narrow else self.ties
        tolerance = self._tolerance(seen, name, ties)
        if not np.isfinite(gradient).all():
            nearest = self.problem.gradient(self.library) + self.problem.penalty
            return Judged(
                name, seen, gradient, tolerance, Membership("outside", nearest, np.inf, "")
            )
        found = self._membership(gradient, seen, tolerance, ties)
        if found.answer == "outside" and self.margins is not None:
            # A part that the rows of W have in common makes scores large and cancels in margins.
            eps = seen.eps
            wide = find_ties(self.problem, self.margins, eps, of_scores=True)
            if wide.count > ties.count:
                again = self._membership(gradient, seen, tolerance, wide)
                found = found if again.answer == "outside" else again._replace(answer="undecided")
        return Judged(name, seen, gradient, tolerance, found)

    def _membership(
        self, gradient: np.ndarray, seen: Seen, tolerance: np.ndarray, ties: Ties
    ) -> Membership:
        side = ("the side that rounding took", rounding_side(ties, seen.score_gradient))
        named = ties.conventions() if ties.count else []
        candidates = [side, *named] if seen is self.narrow else [*named, side]
        return membership(self.problem, ties, gradient, tolerance, candidates)

    def suspects(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Coordinates to take the numerical derivative of: half the worst, half at random (K,)."""
        size = self.problem.weights.size
        if count >= size:
            return np.arange(size)
        worst = self.by_excess()[: (count + 1) // 2]
        others = np.setdiff1d(np.arange(size), worst)
        drawn = rng.choice(others, count - len(worst), replace=False)
        return np.sort(np.concatenate([worst, drawn]))

    def by_excess(self) -> np.ndarray:
        """All coordinates, the worst first."""
        return np.argsort(-self.problem.flat(self.excess()), kind="stable")

    def excess(self) -> np.ndarray:
        """The largest error of any gradient in units of the tolerance (C, E)."""
        return np.max([one.excess for one in self.judged], axis=0)

    def numerical(self, witness: Witness) -> Numerical:
        """The numerical derivatives, held against the interval that kinks within a step make."""
        left, right = self.problem.flat(self.left), self.problem.flat(self.right)
        tolerance = self.problem.flat(self.judged[0].tolerance)
        excess, near = np.zeros(len(witness.coordinates)), []
        named = np.zeros(self.problem.shape, bool)
        for at, coordinate in enumerate(witness.coordinates):
            middle = 0.5 * (left[coordinate] + right[coordinate])
            reach = 0.5 * (right[coordinate] - left[coordinate])
            if self.margins is not None:
                met = crossing_coordinate(
                    self.problem, self.margins, self._index(int(coordinate)), witness.step[at]
                )
                reach += met.jump
                new = np.flatnonzero(~named[met.rows, met.classes])[: _MOST_NEAR - len(near)]
                named[met.rows[new], met.classes[new]] = True
                pairs = zip(met.rows[new].tolist(), met.classes[new].tolist(), strict=True)
                near.extend(NearKink(int(coordinate), row, j) for row, j in pairs)
            reach += self._bend(self._index(int(coordinate)), float(witness.step[at]))
            slack = reach + _ERRORS * witness.error[at] + tolerance[coordinate]
            difference = abs(witness.numerical[at] - middle)
            if np.isfinite(slack) and not difference <= slack:
                excess[at] = difference - slack
        return Numerical(excess, tuple(near))

    def _bend(self, index: tuple[int, int], step: float) -> float:
        """What jumps of the second derivative near the step do to the numerical derivative.

        Each margin of a squared hinge that becomes zero within a central quotient's step puts the
        quotient off by at most `w_i * slope^2 * step`, and the extrapolation, which expects a
        smooth function, can miss that by chance. Of the next larger step's a small part is left.
        """
        if self.bends is None:
            return 0.0
        met = crossing_coordinate(self.problem, self.bends, index, RATIO * step)
        column = index[1]
        largest = 1.0
        if column < self.problem.x.shape[1]:
            largest = float(np.max(np.abs(self.problem.x[met.rows, column]), initial=0.0))
        return met.jump * largest * step

    def _index(self, coordinate: int) -> tuple[int, int]:
        """Where a coordinate of the parameters stands in (C, E)."""
        num_classes, width = self.problem.weights.shape
        columns = width - int(self.problem.has_bias)
        if coordinate >= num_classes * columns:
            return coordinate - num_classes * columns, columns
        return coordinate // columns, coordinate % columns
