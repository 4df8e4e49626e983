"""Mistakes in the derivative of a loss by the scores, and the gradients that they lead to.

The derivative by the scores is where a gradient written by hand most often goes wrong: the true
class's row is forgotten, the margin left out, another loss's formula taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxlin.gradients.comparison import Leaves


class LinearProblem(NamedTuple):
    """The examples that a linear classifier's gradient was taken on.

    Attributes:
      x: features (N, D), float64.
      labels: class indices (N,).
      weight: (N,), with sum 1.
      l2: lambda; None where it is not known.
      margin: of a hinge.
    """

    x: np.ndarray
    labels: np.ndarray
    weight: np.ndarray
    l2: float | None = None
    margin: float = 1.0


class Form(NamedTuple):
    """What a mistake makes of a leaf, and what to call it."""

    predicted: np.ndarray
    cause: str
    words: str


def projection_factor(a: np.ndarray, b: np.ndarray) -> float:
    """The number c for which c * b is nearest to a."""
    square = float(np.vdot(b, b))
    return float(np.vdot(a, b)) / square if square > 0.0 else 0.0


def wrong_score_gradients(
    leaf: int,
    h: np.ndarray,
    g: np.ndarray,
    params: Leaves,
    problem: LinearProblem,
    matrix: int,
) -> Iterator[Form]:
    """What mistakes in the derivative by the scores would have made of a leaf, for all losses.

    Args:
      leaf: which leaf of the parameters.
      h: the gradient given for it.
      g: the right one: what it is itself is no mistake.
      params: where it was taken.
      problem: the examples.
      matrix: which leaf is W, (C, D) or (D, C).
    """
    W = params.arrays[matrix]
    x, labels, weight = problem.x, problem.labels, problem.weight
    num_features = x.shape[1]
    if W.shape[1] != num_features:
        W = W.T
    if W.shape[1] != num_features or labels.max() >= W.shape[0]:
        return
    num_classes = W.shape[0]
    biases = [array for array in params.arrays if array.shape == (num_classes,)]
    scores = x @ W.T + (biases[0] if biases else 0.0)
    p = params.arrays[leaf]
    for dscores, cause, words in _wrong_derivatives(scores, labels, problem.margin):
        for factor in (1.0, float(len(labels))):
            by_scores = factor * weight[:, None] * dscores
            data = by_scores.T @ x if leaf == matrix else by_scores.sum(axis=0)
            if data.shape != h.shape:
                data = data.T
            if data.shape != h.shape:
                continue
            penalty = projection_factor(h - data, p) * p if leaf == matrix else 0.0
            rest = projection_factor(g - data, p) * p if leaf == matrix else 0.0
            if np.allclose(g, data + rest, rtol=1e-6, atol=1e-9 * np.max(np.abs(g), initial=0.0)):
                continue
            also = "" if factor == 1.0 else ", and a sum where the mean belongs"
            yield Form(data + penalty, cause, words + also)


def _wrong_derivatives(
    scores: np.ndarray, labels: np.ndarray, margin: float
) -> Iterator[tuple[np.ndarray, str, str]]:
    rows = np.arange(len(labels))
    margins = scores - scores[rows, labels][:, None] + margin
    is_label = np.zeros(scores.shape, bool)
    is_label[rows, labels] = True
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    active = ((margins > 0) & ~is_label).astype(np.float64)
    violation = 2.0 * active * margins
    forgotten = "forgotten true-class row"
    lacks = "lacks the true class's row"
    for name, wrong_classes in (("hinge", active), ("squared hinge", violation)):
        yield wrong_classes, forgotten, f"{lacks}: minus the sum over the wrong classes ({name})"
        once = np.where(is_label, -np.sign(wrong_classes.sum(axis=1, keepdims=True)), wrong_classes)
        yield once, "true-class row once", f"counts the true class once an example ({name})"
        total = wrong_classes.sum(axis=1, keepdims=True)
        plus = np.where(is_label, total, wrong_classes)
        yield plus, "sign of the true-class row", f"adds the true class's row ({name})"
    counted = np.where(is_label, 1.0 - active.sum(axis=1, keepdims=True), active)
    yield counted, "true class counted", "counts the true class among the wrong ones"
    close = ((margins - margin > 0) & ~is_label).astype(np.float64)
    no_margin = np.where(is_label, -close.sum(axis=1, keepdims=True), close)
    yield no_margin, "missing margin", "lacks the margin: it looks at s_j - s_y > 0"
    everything = np.where(is_label, -active.sum(axis=1, keepdims=True), active)
    yield everything, "another hinge", "is that of the sum over the classes (Weston-Watkins)"
    worst = np.argmax(np.where(is_label, -np.inf, margins), axis=1)
    largest = np.zeros_like(active)
    largest[rows, worst] = active[rows, worst]
    yield largest, forgotten, f"{lacks}: minus 1 where the margin is violated (Crammer-Singer)"
    largest = np.where(is_label, -largest.sum(axis=1, keepdims=True), largest)
    yield largest, "another hinge", "is that of the largest margin alone (Crammer-Singer)"
    yield probabilities, forgotten, f"{lacks}: the 1 that is taken off its probability (softmax)"
    plus_one = probabilities + is_label
    yield plus_one, "sign of the true-class row", "adds 1 to the true class's probability"
    yield probabilities - is_label, "another loss", "is that of the softmax loss"
