"""A linear classifier's gradient in float64 NumPy, computed apart from the code that is judged.

The bias is a column of W whose feature is 1: gradients are arrays (C, E), E = D + 1 with a bias and
D without. Every sum over examples goes block by block, so that no float64 copy of the features is
made, and is as cheap as a matrix product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from jaxlin.gradients.comparison import Leaves
from jaxlin.losses import (
    CrammerSingerHinge,
    Loss,
    SoftmaxCrossEntropy,
    SquaredWestonWatkinsHinge,
    WestonWatkinsHinge,
)

EPS = float(np.finfo(np.float64).eps)

# A margin counts as zero, and a gradient as right, within so many eps of the terms it is made of.
ROUNDING = 64.0

_BLOCK_NUMBERS, _PIECE = 1 << 20, 64

_HINGES = (WestonWatkinsHinge, CrammerSingerHinge)
_MARGIN_LOSSES = (*_HINGES, SquaredWestonWatkinsHinge)


def has_closed_form(loss: Loss) -> bool:
    """Whether the loss is one of the library's own. A subclass may have changed anything."""
    return type(loss) in (*_MARGIN_LOSSES, SoftmaxCrossEntropy)


def has_kinks(loss: Loss) -> bool:
    """Whether the loss is a hinge that is not squared."""
    return type(loss) in _HINGES


@dataclasses.dataclass(frozen=True, eq=False)
class HostProblem:
    """An objective of a linear classifier, on the host.

    Attributes:
      loss: one for which `has_closed_form`.
      weights: W, and b as its last column where there is one (C, E), float64.
      x: features (N, D), of any real dtype.
      labels: (N,).
      shares: sample weights with sum 1 (N,), float64.
      penalty: gradient of all penalties (C, E), float64.
      has_bias: whether E is D + 1.
      has_own_penalty: whether a penalty of the user's is among the penalties.
    """

    loss: Loss
    weights: np.ndarray
    x: np.ndarray
    labels: np.ndarray
    shares: np.ndarray
    penalty: np.ndarray
    has_bias: bool
    has_own_penalty: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """N, C."""
        return len(self.labels), len(self.weights)

    @property
    def margin(self) -> float:
        """Of the loss; 1 where it has none."""
        return float(getattr(self.loss, "margin", 1.0))

    @property
    def is_wrong(self) -> np.ndarray:
        """Which classes are not the label (N, C)."""
        return self.labels[:, None] != np.arange(self.shape[1])[None]

    def blocks(
        self, rows: np.ndarray | None = None, columns: np.ndarray | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Slices of the rows, or of some of them, and their features, all E or some of them."""
        count = len(self.labels) if rows is None else len(rows)
        width = self.weights.shape[1] if columns is None else len(columns)
        size = max(1, _BLOCK_NUMBERS // max(width, 1))
        for start in range(0, count, size):
            block = slice(start, min(start + size, count))
            yield block, self._features(block if rows is None else rows[block], columns)

    def _features(self, rows: np.ndarray | slice, columns: np.ndarray | None) -> np.ndarray:
        """Features and the 1 that the bias is multiplied by: (K, E), float64."""
        num_features = self.x.shape[1]
        chosen = self.x[rows]
        has_one = self.has_bias
        if columns is not None:
            has_one = has_one and bool(len(columns)) and columns[-1] == num_features
            chosen = chosen[:, columns[columns < num_features]]
        chosen = chosen.astype(np.float64)
        return np.concatenate([chosen, np.ones((len(chosen), 1))], 1) if has_one else chosen

    def gradient(self, score_gradient: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """`dS.T @ x` (C, E), over all rows or those that `dS` is of.

        In pieces of a few rows, whose sums are added with what rounding lost: a referee should
        not round like those that it judges.
        """
        total, lost = np.zeros_like(self.weights), np.zeros_like(self.weights)
        for block, x in self.blocks(rows):
            padding = ((0, -len(x) % _PIECE), (0, 0))
            left = np.pad(score_gradient[block], padding).reshape(-1, _PIECE, len(total))
            right = np.pad(x, padding).reshape(-1, _PIECE, x.shape[1])
            for piece in np.matmul(left.transpose(0, 2, 1), right):
                after = total + piece
                large = np.abs(total) >= np.abs(piece)
                lost += np.where(large, (total - after) + piece, (piece - after) + total)
                total = after
        return total + lost

    def contributions(self, score_gradient: np.ndarray) -> np.ndarray:
        """`sum_i |dS_ic| |x_ie|` (C, E): the size of the terms that a coordinate is the sum of."""
        total = np.zeros_like(self.weights)
        for block, x in self.blocks():
            total += np.abs(score_gradient[block]).T @ np.abs(x)
        return total

    def flat(self, gradient: np.ndarray) -> np.ndarray:
        """A (C, E) array in the order of the parameters: W, then b."""
        if not self.has_bias:
            return gradient.ravel()
        return np.concatenate([gradient[:, :-1].ravel(), gradient[:, -1]])

    def joined(self, leaves: Leaves) -> np.ndarray:
        """Leaves W and b as a (C, E) array."""
        return joined(*leaves.arrays)


def joined(W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """W with b as its last column."""
    return W if b is None else np.concatenate([W, b[:, None]], 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Margins:
    """The margins of every example and class; what is said of the label itself means nothing.

    Attributes:
      value: `s_j - s_y + margin` (N, C).
      size: of the terms it is the sum of, `margin + sum_d |W_jd - W_yd| |x_d| + |b_j - b_y|`.
      score_size: of those of the scores, `margin + |s_j| + |s_y|` with every term taken absolutely:
        what a program that computes scores first may round by.
    """

    value: np.ndarray
    size: np.ndarray
    score_size: np.ndarray


def margins(problem: HostProblem) -> Margins:
    """The margins, from differences of rows of W: nothing cancels that these have in common."""
    value, size, score_size = (np.empty(problem.shape) for _ in range(3))
    for block, x in problem.blocks():
        absolute = np.abs(x)
        of_score = absolute @ np.abs(problem.weights).T
        for label in np.unique(problem.labels[block]):
            mine = np.flatnonzero(problem.labels[block] == label)
            rows = block.start + mine
            difference = problem.weights - problem.weights[label]
            value[rows] = x[mine] @ difference.T + problem.margin
            size[rows] = absolute[mine] @ np.abs(difference).T + problem.margin
            score_size[rows] = of_score[mine] + of_score[mine, label, None] + problem.margin
    return Margins(value, size, score_size)


@dataclasses.dataclass(frozen=True, eq=False)
class ScoreGradients:
    """The derivatives of a smooth loss by its scores, weighted.

    Attributes:
      value: (N, C).
      rounding: by how many eps a program that computes the scores first may be off (N, C).
    """

    value: np.ndarray
    rounding: np.ndarray


def smooth_score_gradients(problem: HostProblem, eps: float = EPS) -> ScoreGradients:
    """Derivatives of the squared hinge or of softmax by the scores (N, C), weighted.

    Args:
      problem: the objective.
      eps: of the dtype whose rounding counts.
    """
    shares = problem.shares[:, None]
    if isinstance(problem.loss, SquaredWestonWatkinsHinge):
        found = margins(problem)
        wrong = problem.is_wrong
        slope = np.where(wrong, 2.0 * np.maximum(found.value, 0.0), 0.0)
        reached = wrong & (found.value > -ROUNDING * eps * found.score_size)
        rounding = np.where(reached, 2.0 * found.score_size, 0.0)
        return ScoreGradients(
            shares * with_label(slope, problem.labels, slope.sum(axis=1)),
            shares * np.abs(with_label(rounding, problem.labels, rounding.sum(axis=1))),
        )
    scores, sizes = np.empty(problem.shape), np.empty(problem.shape)
    for block, x in problem.blocks():
        scores[block] = x @ problem.weights.T
        sizes[block] = np.abs(x) @ np.abs(problem.weights).T
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    is_label = ~problem.is_wrong
    # Taken from the other probabilities: 1 - p has lost its digits where p is nearly 1.
    rest = np.where(is_label, p, 0.0)
    value = np.where(is_label, -(p - rest).sum(axis=1, keepdims=True), p)
    others = np.maximum(p.sum(axis=1, keepdims=True) - p, 0.0)
    felt = p * (others * (1.0 + sizes) + (p * (1.0 + sizes)).sum(axis=1, keepdims=True))
    felt -= p * p * (1.0 + sizes)
    return ScoreGradients(shares * value, shares * (p + is_label + np.maximum(felt, 0.0)))


def with_label(wrong: np.ndarray, labels: np.ndarray, of_label: np.ndarray) -> np.ndarray:
    """Rows (N, C) of the wrong classes, less `of_label` (N,) for the label."""
    full = wrong.copy()
    full[np.arange(len(labels)), labels] = -of_label
    return full
