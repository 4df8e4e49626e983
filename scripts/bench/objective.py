"""The judge: every competitor's answer, in float64 NumPy, by formulas of its own.

It knows neither jaxlin nor any peer, and never looks at a loss that somebody reports of himself.
`P(W, b) = mean_i L_i + l2 * sum W^2`, the bias not penalised.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.harness.parts import Data

_BLOCK_BYTES = 1 << 26


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What an answer is worth.

    Attributes:
      objective: of the training data.
      train_accuracy: 0 to 1.
      test_accuracy: 0 to 1; None where the data have no test set.
    """

    objective: float
    train_accuracy: float
    test_accuracy: float | None


def _softmax(s: np.ndarray, labels: np.ndarray) -> np.ndarray:
    s = s - s.max(axis=1, keepdims=True)
    return np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), labels]


def _margins(s: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`max(0, s_j - s_y + 1)` for j other than y, and 0 there."""
    rows = np.arange(len(s))
    margins = np.maximum(0.0, s - s[rows, labels][:, None] + 1.0)
    margins[rows, labels] = 0.0
    return margins


def _weston_watkins(s: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return _margins(s, labels).sum(axis=1)


def _squared_weston_watkins(s: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (_margins(s, labels) ** 2).sum(axis=1)


def _crammer_singer(s: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return _margins(s, labels).max(axis=1)


LOSSES = {
    "softmax": _softmax,
    "weston-watkins": _weston_watkins,
    "squared-weston-watkins": _squared_weston_watkins,
    "crammer-singer": _crammer_singer,
}


def _pass(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, labels: np.ndarray, scale: float | None, loss: str
) -> tuple[float, float]:
    """The mean loss and the accuracy, a block of rows at a time."""
    rows = max(1, _BLOCK_BYTES // (8 * (x.shape[1] + W.shape[0])))
    total, right = 0.0, 0
    for start in range(0, len(x), rows):
        block = x[start : start + rows].astype(np.float64)
        if scale is not None:
            block *= scale
        s, of_block = block @ W.T + b, labels[start : start + rows]
        total += float(LOSSES[loss](s, of_block).sum())
        right += int((s.argmax(axis=1) == of_block).sum())
    return total / len(x), right / len(x)


def judge(
    W: np.ndarray, b: np.ndarray | None, data: Data, *, l2: float, loss: str = "softmax"
) -> Verdict:
    """What parameters are worth.

    Args:
      W: (C, D), for scaled features.
      b: (C,), or None.
      data: the data that they were trained on.
      l2: lambda.
      loss: a name in `LOSSES`.

    Returns:
      A `Verdict`; infinite objective where a parameter is not finite.
    """
    W = np.asarray(W, np.float64)
    b = np.zeros(len(W)) if b is None else np.asarray(b, np.float64)
    if W.shape != (data.num_classes, data.x.shape[1]) or b.shape != (data.num_classes,):
        raise ValueError(
            f"W must be {(data.num_classes, data.x.shape[1])} and b {(data.num_classes,)}, got "
            f"{W.shape} and {b.shape}."
        )
    if not (np.isfinite(W).all() and np.isfinite(b).all()):
        return Verdict(np.inf, 0.0, None if data.test is None else 0.0)
    mean, train = _pass(W, b, data.x, data.labels, data.scale, loss)
    test = None
    if data.test is not None:
        test = _pass(W, b, data.test[0], data.test[1], data.scale, loss)[1]
    return Verdict(mean + l2 * float((W**2).sum()), train, test)
