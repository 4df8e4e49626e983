"""Whether a gradient is one of the subgradients of a hinge.

The subgradients are `fixed + A beta`, with the multipliers beta in a box or in a simplex an example
(`jaxlin.gradients.subdifferential`). Around a gradient lies a box of what rounding may have done to
it; either some beta reaches that box, which proves that the gradient is a subgradient, or the
direction from the nearest point to it separates the two, which proves that it is not: along that
direction V the gradient claims a slope above the one-sided derivative f'(p; V), by more than
rounding. An accelerated projected gradient method finds one or the other.

Source: A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear
inverse problems", SIAM Journal on Imaging Sciences 2 (1), 2009; the restart is that of
B. O'Donoghue and E. Candes, "Adaptive restart for accelerated gradient schemes", Foundations of
Computational Mathematics 15, 2015.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from jaxlin.gradients.closed_form import HostProblem
from jaxlin.gradients.subdifferential import Ties, support

_ROUNDS, _STEPS, _LOOK_EVERY, _POWER_STEPS = 10, 200, 10, 30

# Multipliers this near to a bound lie on it; what a least squares problem may hold.
_ON_BOUND, _MOST_NUMBERS, _MOST_FREE = 1e-10, 4_000_000, 2_000

# By what part of the box a gradient has to be separated from it.
_SEPARATION = 0.05

# Moments below this share of the largest are no better known than rounding; the cost of finding
# them grows with the cube of the features.
_SMALLEST_MOMENT, _MOST_FEATURES = 1e-12, 2_000

ANOTHER = "another element"


class Membership(NamedTuple):
    """Whether a gradient is a subgradient.

    Attributes:
      answer: `"member"`, `"outside"` or `"undecided"`, each but the last proven.
      nearest: the subgradient nearest to it that was found (C, E).
      distance: the largest difference from it, in units of the tolerance.
      convention: how the ties were counted, in words; empty where there are none or the gradient
        is outside.
      separation: the direction V (C, E) that proves it to be outside; else None.
    """

    answer: Literal["member", "outside", "undecided"]
    nearest: np.ndarray
    distance: float
    convention: str
    separation: np.ndarray | None = None


class _Image:
    """The linear map A from multipliers to gradients, and the metric that distances are taken in.

    Any metric gives the same answer. In that of the features' own second moments A is nearly
    orthogonal, however unlike or correlated the features are, and few steps are enough.
    """

    def __init__(
        self, problem: HostProblem, ties: Ties, gradient: np.ndarray, tolerance: np.ndarray
    ) -> None:
        self.problem, self.ties, self.tolerance = problem, ties, tolerance
        self.smooth = problem.gradient(ties.fixed) + problem.penalty
        self.target = gradient - self.smooth

    def __call__(self, beta: np.ndarray) -> np.ndarray:
        """`A beta` (C, E)."""
        return self.problem.gradient(self.ties.score_gradient(beta), self.ties.rows)

    def distance(self, residual: np.ndarray) -> float:
        """The largest entry of a residual (C, E) in units of the tolerance."""
        return float(np.max(np.abs(residual) / self.tolerance, initial=0.0))

    @functools.cached_property
    def metric(self) -> np.ndarray:
        """The inverse of `sum_i w_i^2 x_i x_i^T` over the tied examples (E, E), made invertible."""
        width = self.tolerance.shape[1]
        moments = np.zeros((width, width))
        for block, x in self.problem.blocks(self.ties.rows):
            x *= self.ties.shares[block, None]
            moments += x.T @ x
        scale = np.sqrt(np.diagonal(moments))
        scale = np.where(scale > 0.0, scale, np.max(scale, initial=0.0))
        scale = np.where(scale > 0.0, scale, 1.0)
        if width > _MOST_FEATURES:
            return np.diag(1.0 / scale**2)
        values, vectors = np.linalg.eigh(moments / np.outer(scale, scale))
        vectors /= scale[:, None]
        return (vectors / np.maximum(values, _SMALLEST_MOMENT * values[-1])) @ vectors.T

    def slopes(self, direction: np.ndarray) -> np.ndarray:
        """`A^T V` (T, C), each example's not yet times its weight."""
        found = np.empty(self.ties.tied.shape)
        for block, x in self.problem.blocks(self.ties.rows):
            moved = x @ direction.T
            moved -= moved[np.arange(len(moved)), self.ties.labels[block], None]
            found[block] = np.where(self.ties.tied[block], moved, 0.0)
        return found

    def separates(self, direction: np.ndarray) -> bool:
        """Whether the gradient and all of its box lie beyond every subgradient."""
        reach = float(self.ties.shares @ support(self.ties, slice(None), self.slopes(direction)))
        claimed = float(np.vdot(self.target, direction))
        slack = float(np.vdot(np.abs(direction), self.tolerance))
        return claimed - reach > (1.0 + _SEPARATION) * slack

    def squared_norm(self) -> float:
        """The largest eigenvalue of `A^T A`, from above as far as power steps can tell."""
        v = self.ties.tied * np.random.default_rng(0).uniform(1.0, 2.0, self.ties.tied.shape)
        value = 0.0
        for _ in range(_POWER_STEPS):
            length = float(np.linalg.norm(v))
            if length == 0.0:
                break
            v = self.ties.shares[:, None] * self.slopes(self(v / length) @ self.metric)
            value = float(np.linalg.norm(v))
        return 1.1 * value

    def columns(self, rows: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The columns of A of some multipliers (C * E, K), in units of the tolerance."""
        labels = self.ties.labels[rows]
        found = np.zeros((len(rows), *self.tolerance.shape))
        at = np.arange(len(rows))
        for block, x in self.problem.blocks(self.ties.rows[rows]):
            x *= self.ties.shares[rows[block], None]
            found[at[block], classes[block]] += x
            found[at[block], labels[block]] -= x
        return (found / self.tolerance).reshape(len(rows), -1).T


def membership(
    problem: HostProblem,
    ties: Ties,
    gradient: np.ndarray,
    tolerance: np.ndarray,
    candidates: Sequence[tuple[str, np.ndarray]],
) -> Membership:
    """Whether a gradient is a subgradient, up to rounding.

    Args:
      problem: the objective.
      ties: its ties.
      gradient: (C, E).
      tolerance: what rounding may do to each coordinate (C, E), positive.
      candidates: multipliers (T, C) to try first, with a name.

    Returns:
      `Membership`.
    """
    image = _Image(problem, ties, gradient, tolerance)
    if not ties.count:
        distance = image.distance(image.target)
        if distance <= 1.0:
            return Membership("member", image.smooth, distance, "")
        beyond = np.where(np.abs(image.target) > tolerance, image.target, 0.0)
        return Membership("outside", image.smooth, distance, "", beyond)
    best, least = np.zeros(ties.tied.shape), np.inf
    for name, beta in candidates:
        element = image(beta)
        distance = image.distance(image.target - element)
        if distance <= 1.0:
            return Membership("member", image.smooth + element, distance, name)
        if distance < least:
            best, least = beta, distance
    return _projected(image, best)


def _projected(image: _Image, beta: np.ndarray) -> Membership:
    """The nearest subgradient, until it is near enough or separated."""
    norm = image.squared_norm()
    step = 1.0 / norm if norm > 0.0 else 0.0

    def verdict(beta: np.ndarray, *, is_last: bool = False) -> Membership | None:
        element = image(beta)
        residual = image.target - element
        distance, nearest = image.distance(residual), image.smooth + element
        if distance <= 1.0:
            return Membership("member", nearest, distance, ANOTHER)
        # The first direction is the projection's own; the second does better where most of the
        # residual is rounding. The third is known at once: a data term's rows sum to zero.
        beyond = np.sign(residual) * np.maximum(np.abs(residual) - image.tolerance, 0.0)
        common = np.broadcast_to(residual.sum(axis=0), residual.shape)
        is_felt = np.abs(common) > image.tolerance.sum(axis=0)
        directions = (residual @ image.metric, beyond / image.tolerance**2, common * is_felt)
        for separation in directions:
            if image.separates(separation):
                return Membership("outside", nearest, distance, "", separation)
        return Membership("undecided", nearest, distance, "") if is_last else None

    for _ in range(_ROUNDS):
        at, momentum = beta, 1.0
        for count in range(_STEPS):
            if count % _LOOK_EVERY == 0 and (found := verdict(beta)):
                return found
            direction = (image.target - image(at)) @ image.metric
            slope = image.ties.shares[:, None] * image.slopes(direction)
            after = project(image.ties, at + step * slope)
            if np.vdot(at - after, after - beta) > 0.0:
                momentum = 1.0
            grown = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
            at = after + (momentum - 1.0) / grown * (after - beta)
            beta, momentum = after, grown
        beta = _polished(image, beta)
    found = verdict(beta, is_last=True)
    assert found is not None
    return found


def project(ties: Ties, beta: np.ndarray) -> np.ndarray:
    """The nearest multipliers that are allowed (T, C)."""
    clipped = np.where(ties.tied, np.clip(beta, 0.0, 1.0), 0.0)
    if not ties.is_simplex:
        return clipped
    # The nearest point of a simplex takes the same amount off everywhere, and what is left above 0.
    ordered = -np.sort(-np.where(ties.tied, beta, -np.inf), axis=1)
    counts = np.arange(1, beta.shape[1] + 1)
    finite = np.isfinite(ordered)
    excess = (np.cumsum(np.where(finite, ordered, 0.0), axis=1) - 1.0) / counts
    used = (finite & (ordered > excess)).sum(axis=1)
    amount = excess[np.arange(len(beta)), np.maximum(used, 1) - 1, None]
    onto = np.where(ties.tied, np.maximum(beta - amount, 0.0), 0.0)
    positive = np.where(ties.tied, np.maximum(beta, 0.0), 0.0)
    is_inside = ~ties.is_whole & (positive.sum(axis=1) <= 1.0)
    return np.where(is_inside[:, None], positive, onto)


def _polished(image: _Image, beta: np.ndarray) -> np.ndarray:
    """Least squares over the multipliers that lie on no bound, where these are few."""
    ties = image.ties
    for _ in range(_ROUNDS):
        rows, classes, partners = _free(ties, beta)
        size = image.tolerance.size
        if not len(rows) or len(rows) > _MOST_FREE or len(rows) * size > _MOST_NUMBERS:
            return beta
        columns = image.columns(rows, classes)
        has_partner = partners >= 0
        if has_partner.any():
            columns[:, has_partner] -= image.columns(rows[has_partner], partners[has_partner])
        residual = ((image.target - image(beta)) / image.tolerance).ravel()
        change = np.linalg.lstsq(columns, residual, rcond=1e-12)[0]
        move = np.zeros(beta.shape)
        np.add.at(move, (rows, classes), change)
        np.add.at(move, (rows[has_partner], partners[has_partner]), -change[has_partner])
        length = _room(ties, beta, move)
        beta = project(ties, beta + min(length, 1.0) * move)
        if length >= 1.0:
            break
    return beta


def _free(ties: Ties, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Multipliers off their bounds, and the class that gives what another takes, or -1."""
    if not ties.is_simplex:
        rows, classes = np.nonzero(ties.tied & (beta > _ON_BOUND) & (beta < 1.0 - _ON_BOUND))
        return rows, classes, np.full(len(rows), -1)
    is_full = ties.is_whole | (beta.sum(axis=1) > 1.0 - _ON_BOUND)
    giver = np.argmax(beta, axis=1)
    free = ties.tied & (beta > _ON_BOUND)
    free[is_full, giver[is_full]] = False
    rows, classes = np.nonzero(free)
    return rows, classes, np.where(is_full[rows], giver[rows], -1)


def _room(ties: Ties, beta: np.ndarray, move: np.ndarray) -> float:
    """How far a move can go until the first multiplier meets a bound."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = np.where(move < 0.0, beta / -move, np.inf)
        if not ties.is_simplex:
            upper = np.where(move > 0.0, (1.0 - beta) / move, np.inf)
        else:
            total, moved = beta.sum(axis=1), move.sum(axis=1)
            upper = np.where(moved > _ON_BOUND, (1.0 - total) / moved, np.inf)
    return float(min(lower.min(initial=np.inf), upper.min(initial=np.inf)))
