"""What a classifier is worth on rows that it has never seen.

Scikit-learn has the measures, but for the calibration error. Classes that do not occur among the
rows count for nothing in the means over classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.certificates import Certificate
from jaxlin.sweeps.scoring import share_interval

_BINS = 15
_TOP = 5
_MOST_CLASSES, _MOST_PAIRS = 100, 200


def _metrics() -> Any:
    """Scikit-learn's, which take a while to load; their stubs know fewer arguments than they."""
    from sklearn import metrics

    return metrics


def probabilities_of(scores: np.ndarray) -> np.ndarray:
    """Softmax of the scores, float64 (N, C)."""
    from scipy.special import softmax

    return softmax(scores.astype(np.float64), axis=1)


def measure(scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """All measures of some scores.

    Args:
      scores: (N, C).
      labels: class indices (N,).

    Returns:
      Part of the record of a test, as JSON has it.

    >>> told = measure(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), np.array([0, 1, 1]))
    >>> round(told["accuracy"], 3), told["confusion"]["counts"]
    (0.667, [[1, 0], [1, 1]])
    """
    metrics = _metrics()
    count, num_classes = scores.shape
    every = np.arange(num_classes)
    predicted = scores.argmax(axis=1)
    probabilities = probabilities_of(scores)
    right = int(np.sum(predicted == labels))
    (low,), (high,) = share_interval(np.array([right / count]), count)
    matrix = metrics.confusion_matrix(labels, predicted, labels=every)
    precision, recall, f1, examples = metrics.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0.0
    )
    of_class = matrix.sum(axis=0)
    calibration, error = _calibration(probabilities.max(axis=1), predicted == labels)
    top = None
    if num_classes > _TOP:
        share = metrics.top_k_accuracy_score(labels, scores, k=_TOP, labels=every)
        top = {"k": _TOP, "accuracy": float(share)}
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
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=every)),
        "calibration_error": error,
        "calibration": calibration,
        "confusion": {
            "counts": matrix.tolist() if num_classes <= _MOST_CLASSES else None,
            "pairs": _pairs(matrix),
        },
        "classes": [
            {
                "class": index,
                "examples": int(examples[index]),
                "predicted": int(of_class[index]),
                "accuracy": float(recall[index]) if examples[index] else None,
                "precision": float(precision[index]) if of_class[index] else None,
                "recall": float(recall[index]) if examples[index] else None,
                "f1": float(f1[index]) if examples[index] + of_class[index] else None,
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
    metrics = _metrics()
    there = np.unique(labels)
    recall = metrics.recall_score(labels, predicted, labels=there, average="macro", zero_division=0)
    seen = np.union1d(there, predicted)  # as `f1_score` has it where it is told nothing
    f1 = metrics.f1_score(labels, predicted, labels=seen, average="macro", zero_division=0)
    return {"mean_class_accuracy": float(recall), "macro_f1": float(f1)}


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

    def shares(values: np.ndarray) -> list[float | None]:
        return [float(v / n) if n else None for v, n in zip(values, counts, strict=True)]

    curve = {
        "edges": edges.tolist(),
        "count": counts.tolist(),
        "confidence": shares(sums),
        "accuracy": shares(right),
    }
    return curve, error


def _pairs(matrix: np.ndarray) -> list[dict[str, int]]:
    """What is taken for what, the most frequent first."""
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    true, predicted = np.nonzero(wrong)
    order = np.argsort(-wrong[true, predicted], kind="stable")[:_MOST_PAIRS]
    return [
        {"true": int(t), "predicted": int(p), "count": int(wrong[t, p])}
        for t, p in zip(true[order], predicted[order], strict=True)
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
