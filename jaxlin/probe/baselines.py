"""Classifiers that need no training to speak of: what a probe has to beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.data.scaling import Scaling
from jaxlin.probe.measures import means_over_classes
from jaxlin.probe.problem import Block, Part, Problem, normalized


def majority(problem: Problem) -> dict[str, Any]:
    """The class that is most frequent among the training rows, whatever the features."""
    counts = np.bincount(problem.train.labels, minlength=len(problem.classes))
    most = int(np.argmax(counts))

    def predict(part: Part) -> np.ndarray:
        return np.full(len(part), most)

    return {"name": "majority class", "class": most, **_judged(predict, problem)}


def nearest_mean(
    block: Block, problem: Problem, word: str, scaling: Scaling | None, normalize: bool
) -> dict[str, Any]:
    """The class whose mean, over the training rows, is nearest.

    Args:
      block: features.
      problem: which rows are for what.
      word: the scaling's name.
      scaling: of the features, or None: distances are between scaled ones.
      normalize: whether rows are divided by their norms first.
    """
    means, counts = class_means(block, problem.train, len(problem.classes), normalize)
    shift, scale = (0.0, 1.0) if scaling is None else (scaling.shift, scaling.scale)
    means = (means - np.asarray(shift)) * np.asarray(scale)
    # `|x - m|^2` is least where `x m - |m|^2 / 2` is largest: a linear classifier, of raw rows.
    W = means * np.asarray(scale)
    b = -0.5 * np.sum(means * means, axis=1) - W @ np.broadcast_to(shift, W.shape[1:])
    b[counts == 0] = -np.inf  # a class without a mean is never the nearest

    def predict(part: Part) -> np.ndarray:
        pieces = (_rows(piece, normalize) @ W.T + b for piece in block.pieces(part))
        return np.concatenate([scores.argmax(axis=1) for scores in pieces])

    return {
        "name": "nearest class mean",
        "scaling": word,
        "normalize": normalize,
        **_judged(predict, problem),
    }


def _rows(piece: np.ndarray, normalize: bool) -> np.ndarray:
    """Rows as float64, divided by their norms where that is asked for."""
    return normalized(piece) if normalize else piece.astype(np.float64)


def class_means(
    block: Block, part: Part, num_classes: int, normalize: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The mean of each class's rows, float64 (C, D), and how many they are (C,), in one pass."""
    sums = np.zeros((num_classes, block.num_features))
    begin = 0
    for piece in block.pieces(part):
        labels = part.labels[begin : begin + len(piece)]
        begin += len(piece)
        order = np.argsort(labels, kind="stable")
        there, starts = np.unique(labels[order], return_index=True)
        sums[there] += np.add.reduceat(_rows(piece[order], normalize), starts, axis=0)
    counts = np.bincount(part.labels, minlength=num_classes)
    return sums / np.maximum(counts, 1)[:, None], counts


def _judged(predict: Any, problem: Problem) -> dict[str, Any]:
    """How good predictions are on the validation and the test rows."""
    validation = problem.validation
    told: dict[str, Any] = {
        "validation_accuracy": float(np.mean(predict(validation) == validation.labels)),
        "test": None,
    }
    test = problem.test
    if test is not None:
        predicted = predict(test)
        told["test"] = {
            "accuracy": float(np.mean(predicted == test.labels)),
            **means_over_classes(test.labels, predicted, len(problem.classes)),
        }
    return told
