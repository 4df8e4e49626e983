"""What a classifier is worth on rows that it has never seen.

All but the losses come from the confusion matrix, as scikit-learn's do, which takes seconds to
load; its functions are the tests' oracle. Of many classes most of that matrix is 0, and it is never
made: what counts is how often classes occur. Classes that do not occur among the rows count for
nothing in the means over classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.certificates import Certificate
from jaxlin.probe.judging import Judged
from jaxlin.sweeps.scoring import share_interval

_BINS = 15
_TOP = 5
_MOST_CLASSES, _MOST_PAIRS = 100, 200


def measure(found: Judged) -> dict[str, Any]:
    """All measures of some scores.

    Args:
      found: what the scores say of each row.

    Returns:
      Part of the record of a test, as JSON has it.

    >>> from jaxlin.probe.judging import judged
    >>> scores = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]])
    >>> told = measure(judged(scores, np.array([0, 1, 1])))
    >>> round(told["accuracy"], 3), told["confusion"]["counts"]
    (0.667, [[1, 0], [1, 1]])
    """
    labels, predicted, num_classes = found.labels, found.predicted, found.num_classes
    count, is_right = len(labels), predicted == labels
    right = int(np.sum(is_right))
    (low,), (high,) = share_interval(np.array([right / count]), count)
    hits, examples, of_class = _counts(labels, predicted, num_classes)
    recall, precision, f1 = (
        _shares(some, of)
        for some, of in ((hits, examples), (hits, of_class), (2 * hits, examples + of_class))
    )
    calibration, error = _calibration(found.confidence, is_right)
    top = None
    if num_classes > _TOP:
        top = {"k": _TOP, "accuracy": float(np.mean(found.place < _TOP))}
    return {
        "examples": count,
        "accuracy": right / count,
        "accuracy_low": low,
        "accuracy_high": high,
        "confidence": 0.95,
        # How many of n drawn rows are right is a binomial count: its quantiles need no drawing.
        "bootstrap_draws": None,
        "top_k": top,
        **means_over_classes(labels, predicted, num_classes),
        "log_loss": float(np.mean(found.log_loss)),
        "calibration_error": error,
        "calibration": calibration,
        "confusion": {
            "counts": _confusion(labels, predicted, num_classes),
            "pairs": _pairs(labels[~is_right], predicted[~is_right], num_classes),
        },
        "classes": [
            {
                "class": index,
                "examples": int(examples[index]),
                "predicted": int(of_class[index]),
                "accuracy": recall[index],
                "precision": precision[index],
                "recall": recall[index],
                "f1": f1[index],
            }
            for index in range(num_classes)
        ],
    }


def means_over_classes(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> dict[str, float]:
    """Mean accuracy of the classes, and macro F1.

    Args:
      labels: class indices (N,).
      predicted: likewise.
      num_classes: C.

    >>> means_over_classes(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 3)["mean_class_accuracy"]
    0.5
    """
    hits, examples, of_class = _counts(labels, predicted, num_classes)
    recall, f1 = _shares(hits, examples), _shares(2 * hits, examples + of_class)

    def mean(values: list[float | None]) -> float:
        return float(np.mean([value for value in values if value is not None]))

    return {"mean_class_accuracy": mean(recall), "macro_f1": mean(f1)}


def _counts(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> tuple[np.ndarray, ...]:
    """Of each class: how often it was predicted rightly, occurs, and was predicted, (C,) each."""
    groups = labels[labels == predicted], labels, predicted
    hits, examples, of_class = (np.bincount(group, minlength=num_classes) for group in groups)
    return hits, examples, of_class


def _confusion(
    labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> list[list[int]] | None:
    """How often a class (row) was taken for which (column); None where they are too many."""
    if num_classes > _MOST_CLASSES:
        return None
    flat = np.bincount(labels.astype(np.int64) * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes).tolist()


def _shares(some: np.ndarray, every: np.ndarray) -> list[float | None]:
    """Quotients; None where there is nothing to divide by."""
    return [float(s / e) if e else None for s, e in zip(some, every, strict=True)]


def _calibration(confidence: np.ndarray, is_right: np.ndarray) -> tuple[dict[str, Any], float]:
    """The calibration curve, and the expected calibration error.

    `ECE = sum_k n_k / N * |accuracy_k - mean confidence_k|` over 15 bins of equal width; a
    confidence at the border of two is in the lower one (Guo et al., 2017,
    https://arxiv.org/abs/1706.04599).
    """
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    bins = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, _BINS - 1)
    counts = np.bincount(bins, minlength=_BINS)
    sums = np.bincount(bins, confidence, _BINS)
    right = np.bincount(bins, is_right, _BINS)
    error = float(np.sum(np.abs(right - sums)) / len(confidence))

    curve = {
        "edges": edges.tolist(),
        "count": counts.tolist(),
        "confidence": _shares(sums, counts),
        "accuracy": _shares(right, counts),
    }
    return curve, error


def _pairs(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> list[dict[str, int]]:
    """Of mistakes: what was taken for what, the most frequent first."""
    pairs, counts = np.unique(labels.astype(np.int64) * num_classes + predicted, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_PAIRS]
    return [
        {"true": pair // num_classes, "predicted": pair % num_classes, "count": count}
        for pair, count in zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    ]


def certain(certificate: Certificate | None, count: int, sure: np.ndarray | None) -> dict[str, Any]:
    """How many predictions the exact optimum is sure to share.

    Args:
      certificate: of the classifier, or None.
      count: of rows.
      sure: which are (N,), or None where nothing can be claimed.
    """
    if certificate is None:
        words = "There is no certificate, so that nothing is claimed of the exact optimum."
    elif sure is None:
        words = (
            "Of single predictions nothing is claimed: the model has a free bias, and that of the "
            "exact optimum of a hinge need not be near. Without a bias (--no-bias), and with "
            "softmax for up to 300 classes, they can be counted."
        )
    else:
        number = int(sure.sum())
        words = f"Of {count:,} predictions {number:,} are proved to be those of the exact optimum."
        return {"count": number, "examples": count, "sentence": words}
    return {"count": None, "examples": count, "sentence": words}
