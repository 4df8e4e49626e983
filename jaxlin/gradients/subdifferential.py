"""The kinks of the multiclass hinges, exactly.

A hinge has a kink where a margin is zero, and Crammer and Singer's also where two wrong classes
share the largest margin. There the function has many subgradients: one for each choice of how much
of a tied margin's slope counts. The choices of different margins are free of each other, so that
the set of all subgradients is the image of a box (or of a simplex an example) under a linear map:
one-sided derivatives are sums, and whether a gradient belongs to it is a small convex problem
(`jaxlin.gradients.membership`).

Source: R. T. Rockafellar, "Convex Analysis", Princeton 1970, section 23.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from jaxlin.gradients.closed_form import (
    EPS,
    ROUNDING,
    HostProblem,
    Margins,
    has_kinks,
    smooth_score_gradients,
    with_label,
)
from jaxlin.losses import CrammerSingerHinge


@dataclasses.dataclass(frozen=True, eq=False)
class Ties:
    """What is known of the score gradients, and what is free, at T examples with ties.

    The score gradient of a tied example is `shares * beta` in its tied classes and the negative sum
    of that for its label. Each beta lies between 0 and 1; with `is_simplex` those of an example sum
    to at most 1, and to exactly 1 where `is_whole`.

    Attributes:
      fixed: the score gradients that ties have no part in, weighted (N, C).
      rounding: by how many eps a program's score gradients may be off, weighted (N, C).
      rows: the examples with ties (T,).
      tied: which of their classes (T, C).
      shares: their weights (T,).
      labels: theirs (T,).
      is_simplex: whether the loss takes the largest margin, not the sum.
      is_whole: where one of the tied classes surely has the largest margin (T,).
    """

    fixed: np.ndarray
    rounding: np.ndarray
    rows: np.ndarray
    tied: np.ndarray
    shares: np.ndarray
    labels: np.ndarray
    is_simplex: bool
    is_whole: np.ndarray

    @property
    def count(self) -> int:
        """How many margins are tied."""
        return int(self.tied.sum())

    def score_gradient(self, beta: np.ndarray) -> np.ndarray:
        """The tied examples' own part of the score gradients (T, C), of beta (T, C)."""
        own = self.shares[:, None] * np.where(self.tied, beta, 0.0)
        return with_label(own, self.labels, own.sum(axis=1))

    def element(self, beta: np.ndarray) -> np.ndarray:
        """All score gradients (N, C), of beta (T, C)."""
        full = self.fixed.copy()
        full[self.rows] += self.score_gradient(beta)
        return full

    def library(self) -> np.ndarray:
        """The multipliers that the library takes (T, C): 0 at zero, else the lowest class."""
        beta = np.zeros(self.tied.shape)
        if self.is_simplex:
            whole = np.flatnonzero(self.is_whole)
            beta[whole, np.argmax(self.tied[whole], axis=1)] = 1.0
        return beta

    def conventions(self) -> list[tuple[str, np.ndarray]]:
        """Multipliers (T, C) that programs are known to take, by name, the library's first."""
        at_zero = [("0 at the tie", 0.0), ("1 at the tie, as `>=` gives", 1.0)]
        at_zero.append(("1/2 at the tie, as `jnp.maximum` gives", 0.5))
        if not self.is_simplex:
            return [(name, np.where(self.tied, value, 0.0)) for name, value in at_zero]
        first = np.zeros(self.tied.shape)
        first[np.arange(len(first)), np.argmax(self.tied, axis=1)] = 1.0
        last = np.zeros(self.tied.shape)
        at = self.tied.shape[1] - 1 - np.argmax(self.tied[:, ::-1], axis=1)
        last[np.arange(len(last)), at] = 1.0
        even = self.tied / np.maximum(self.tied.sum(axis=1, keepdims=True), 1)
        shared = [("the lowest class", first), ("equal shares, as `jnp.max` gives", even)]
        shared.append(("the highest class", last))
        several = bool((self.tied.sum(axis=1) > 1).any())
        found = []
        for name, value in at_zero if not self.is_whole.all() else at_zero[:1]:
            for which, beta in shared if several else shared[:1]:
                words = [] if self.is_whole.all() else [name]
                words += [f"{which} among equal maxima"] if several else []
                counts = np.where(self.is_whole, 1.0, value)[:, None]
                found.append((" and ".join(words), counts * beta))
        return found


def find_ties(
    problem: HostProblem, margins: Margins | None, eps: float = EPS, *, of_scores: bool = False
) -> Ties:
    """The ties of a loss: margins that rounding cannot tell from zero, or from one another.

    Args:
      problem: the objective.
      margins: of a hinge; None for a smooth loss, which has no ties.
      eps: of the dtype whose rounding counts.
      of_scores: whether to allow for the rounding of the scores themselves, whose common part
        cancels in the margins.
    """
    none = np.zeros(0, np.int64)
    if margins is None or not has_kinks(problem.loss):
        smooth = smooth_score_gradients(problem, eps)
        nothing = np.zeros((0, problem.shape[1]), bool)
        return Ties(
            smooth.value,
            smooth.rounding,
            none,
            nothing,
            np.zeros(0),
            none,
            False,
            np.zeros(0, bool),
        )
    bound = ROUNDING * eps * (margins.score_size if of_scores else margins.size)
    is_simplex = isinstance(problem.loss, CrammerSingerHinge)
    state = (_largest if is_simplex else _each)(margins.value, bound, problem.is_wrong)
    # What has no weight, or no features, has no kink.
    felt = problem.shares > 0.0
    if not problem.has_bias:
        felt &= np.any(problem.x != 0, axis=1)
    has_ties = state.has_ties & felt
    rows = np.flatnonzero(has_ties)
    shares = problem.shares[:, None]
    active = shares * state.sure
    fixed = with_label(active, problem.labels, active.sum(axis=1))
    reached = shares * (state.sure | state.tied)
    return Ties(
        fixed=fixed,
        rounding=np.abs(with_label(reached, problem.labels, reached.sum(axis=1))),
        rows=rows,
        tied=state.tied[rows],
        shares=problem.shares[rows],
        labels=problem.labels[rows],
        is_simplex=is_simplex,
        is_whole=state.is_whole[rows],
    )


class _State(NamedTuple):
    sure: np.ndarray
    tied: np.ndarray
    has_ties: np.ndarray
    is_whole: np.ndarray


def _each(value: np.ndarray, bound: np.ndarray, is_wrong: np.ndarray) -> _State:
    """Every margin for itself."""
    tied = is_wrong & (np.abs(value) <= bound)
    sure = is_wrong & (value > 0.0) & ~tied
    return _State(sure, tied, np.any(tied, axis=1), np.zeros(len(value), bool))


def _largest(value: np.ndarray, bound: np.ndarray, is_wrong: np.ndarray) -> _State:
    """The largest margin alone, and zero."""
    among = np.where(is_wrong, value, -np.inf)
    top = among.max(axis=1)
    of_top = bound[np.arange(len(value)), among.argmax(axis=1)]
    is_near = is_wrong & (among >= top[:, None] - bound - of_top[:, None])
    is_reached = top >= -of_top
    is_whole = top > of_top
    pieces = is_near & is_reached[:, None]
    has_ties = np.asarray(is_reached & (~is_whole | (pieces.sum(axis=1) > 1)))
    return _State(pieces & ~has_ties[:, None], pieces & has_ties[:, None], has_ties, is_whole)


def rounding_side(ties: Ties, score_gradient: np.ndarray) -> np.ndarray:
    """The multipliers (T, C) that a program took, seen from its own score gradients (N, C)."""
    return np.where(ties.tied, score_gradient[ties.rows] > 0, 0.0).astype(np.float64)


class OneSidedGradients(NamedTuple):
    """The derivatives along every coordinate, from both sides, (C, E)."""

    left: np.ndarray
    right: np.ndarray


def one_sided_gradients(problem: HostProblem, ties: Ties) -> OneSidedGradients:
    """The one-sided derivatives along each coordinate, in closed form.

    A step along W[c, d] moves the margins of class c by x_d, and those of every class by -x_d in
    the examples that are labelled c. A tied margin counts in the direction in which it grows.
    """
    own = ties.shares[:, None] * ties.tied
    at = np.arange(len(ties.rows))
    base, down = ties.fixed.copy(), np.zeros_like(own)
    if ties.is_simplex:
        # Where one class surely counts, the label's score moves all of them: no kink along it.
        base[ties.rows[ties.is_whole], ties.labels[ties.is_whole]] -= ties.shares[ties.is_whole]
        down[at, ties.labels] = np.where(ties.is_whole, 0.0, ties.shares)
    else:
        down[at, ties.labels] = own.sum(axis=1)
    smooth = problem.gradient(base) + problem.penalty
    left, right = smooth.copy(), smooth.copy()
    for block, x in problem.blocks(ties.rows):
        forwards, backwards = np.maximum(x, 0.0), np.maximum(-x, 0.0)
        right += own[block].T @ forwards + down[block].T @ backwards
        left -= own[block].T @ backwards + down[block].T @ forwards
    return OneSidedGradients(left, right)


def directional_derivative(
    problem: HostProblem, ties: Ties, direction: np.ndarray, smooth: np.ndarray | None = None
) -> float:
    """The derivative along a direction (C, E), from the right; minus that along -V is the left one.

    Args:
      problem: the objective.
      ties: its ties.
      direction: V.
      smooth: the gradient of everything that is not tied, where it is known already.
    """
    if smooth is None:
        smooth = problem.gradient(ties.fixed) + problem.penalty
    total = float(np.vdot(smooth, direction))
    for block, x in problem.blocks(ties.rows):
        moved = x @ direction.T
        moved -= moved[np.arange(len(moved)), ties.labels[block], None]
        total += float(ties.shares[block] @ support(ties, block, moved))
    return total


def support(ties: Ties, block: slice, slopes: np.ndarray) -> np.ndarray:
    """The most that tied margins (K, C) with some slopes can add to an example's slope (K,)."""
    tied = ties.tied[block]
    if not ties.is_simplex:
        return np.where(tied, np.maximum(slopes, 0.0), 0.0).sum(axis=1)
    largest = np.where(tied, slopes, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(ties.is_whole[block], largest, np.maximum(largest, 0.0))


class Crossing(NamedTuple):
    """Margins that a step along one coordinate takes to a kink or across it.

    Attributes:
      rows: the examples (K,).
      classes: whose margins they are (K,).
      jump: by how much the derivative changes on the way, at most.
    """

    rows: np.ndarray
    classes: np.ndarray
    jump: float


def crossing_coordinate(
    problem: HostProblem, margins: Margins, index: tuple[int, int], step: float
) -> Crossing:
    """The kinks within a step, either way, along coordinate (c, e) of (C, E).

    Args:
      problem: the objective.
      margins: its margins.
      index: c, e.
      step: how far to go.
    """
    direction = np.zeros_like(problem.weights)
    direction[index] = 1.0
    return crossing(problem, margins, direction, step)


def crossing(
    problem: HostProblem, margins: Margins, direction: np.ndarray, step: float
) -> Crossing:
    """The kinks within a step, either way, along a direction (C, E).

    Every margin is linear in the step. For Crammer and Singer's hinge an example's kinks are where
    its largest margin changes hands, or passes zero.
    """
    rows, classes, jump = [], [], 0.0
    moving = np.flatnonzero(np.any(direction != 0.0, axis=0))
    for block, x in problem.blocks(columns=moving):
        slopes = x @ direction[:, moving].T
        labels = problem.labels[block]
        slopes -= slopes[np.arange(len(labels)), labels, None]
        wrong = labels[:, None] != np.arange(len(direction))[None]
        reach = step * np.abs(slopes)
        value = margins.value[block]
        if isinstance(problem.loss, CrammerSingerHinge):
            # What can become the largest within the step, zero among the candidates.
            surely = np.where(wrong, value - reach, -np.inf).max(axis=1, initial=-np.inf)
            candidates = wrong & (value + reach >= np.maximum(surely, 0.0)[:, None])
            zero = (surely <= 0.0).astype(np.int64)
            hit = candidates & ((candidates.sum(axis=1) + zero) > 1)[:, None]
            low = np.minimum(np.where(hit, slopes, np.inf).min(axis=1, initial=np.inf), 0.0)
            whole = np.where(hit, slopes, np.inf).min(axis=1, initial=np.inf)
            high = np.where(hit, slopes, -np.inf).max(axis=1, initial=-np.inf)
            low = np.where(zero > 0, low, whole)
            high = np.where(zero > 0, np.maximum(high, 0.0), high)
            some = hit.any(axis=1) & (high > low)
            hit &= some[:, None]
            jump += float(problem.shares[block][some] @ (high - low)[some])
        else:
            hit = wrong & (np.abs(value) <= reach) & (slopes != 0.0)
            jump += float(problem.shares[block] @ np.where(hit, np.abs(slopes), 0.0).sum(axis=1))
        found = np.nonzero(hit & (problem.shares[block] > 0.0)[:, None])
        rows.append(found[0] + block.start)
        classes.append(found[1])
    return Crossing(np.concatenate(rows), np.concatenate(classes), jump)
