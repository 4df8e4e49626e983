"""What a classifier is worth on rows that it has never seen.

All but the losses come from the confusion matrix, as scikit-learn's do, which takes seconds to
load; its functions are the tests' oracle. Classes that do not occur among the rows count for
nothing in the means over classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.certificates import Certificate
from jaxlin.sweeps.scoring import share_interval

_BINS = 15
_TOP = 5
_MOST_CLASSES, _MOST_PAIRS = 100, 200


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
    count, num_classes = scores.shape
    predicted = scores.argmax(axis=1)
    probabilities = probabilities_of(scores)
    right = int(np.sum(predicted == labels))
    (low,), (high,) = share_interval(np.array([right / count]), count)
    matrix = _confusion(labels, predicted, num_classes)
    examples = matrix.sum(axis=1)
    of_class = matrix.sum(axis=0)
    recall, precision, f1 = (
        _shares(hits * np.diag(matrix), of)
        for hits, of in ((1, examples), (1, of_class), (2, examples + of_class))
    )
    calibration, error = _calibration(probabilities.max(axis=1), predicted == labels)
    top = None
    if num_classes > _TOP:
        top = {"k": _TOP, "accuracy": float(np.mean(_places(scores, labels) < _TOP))}
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
        "log_loss": _log_loss(scores, labels),
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
    matrix = _confusion(labels, predicted, num_classes)
    examples, of_class = matrix.sum(axis=1), matrix.sum(axis=0)
    recall = _shares(np.diag(matrix), examples)
    f1 = _shares(2 * np.diag(matrix), examples + of_class)

    def mean(values: list[float | None]) -> float:
        return float(np.mean([value for value in values if value is not None]))

    return {"mean_class_accuracy": mean(recall), "macro_f1": mean(f1)}


def _confusion(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """How often a class (row) was taken for which (column), (C, C)."""
    flat = np.bincount(labels.astype(np.int64) * num_classes + predicted, minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)


def _shares(some: np.ndarray, every: np.ndarray) -> list[float | None]:
    """Quotients; None where there is nothing to divide by."""
    return [float(s / e) if e else None for s, e in zip(some, every, strict=True)]


def _places(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The place of the true class among all (N,), 0 the first; of equal scores the lowest class.

    So the first is what is predicted, and a top 1 accuracy would be the accuracy.

    >>> _places(np.zeros((3, 6)), np.array([0, 4, 5])).tolist()
    [0, 4, 5]
    """
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    is_before = np.arange(scores.shape[1]) < labels[:, None]
    return np.sum((scores > own) | ((scores == own) & is_before), axis=1)


def _log_loss(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean of `-ln p` of the true class: from the scores, as p itself may be 0 by underflow.

    >>> _log_loss(np.array([[1000.0, 0.0]]), np.array([1]))
    1000.0
    """
    from scipy.special import logsumexp

    wide = scores.astype(np.float64)
    own = np.take_along_axis(wide, labels[:, None], axis=1)[:, 0]
    # Differences first: of large scores the logarithm of the sum would lose the small parts.
    return float(np.mean(logsumexp(wide - own[:, None], axis=1)))


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
