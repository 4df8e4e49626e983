"""The task that every competitor gets: softmax by minibatch SGD with momentum, freshly shuffled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.harness.parts import Data


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """Softmax + l2 * sum W^2 on some data, from zero parameters, at a constant learning rate.

    Attributes:
      data: what to train on.
      batch_size: B.
      l2: lambda.
      momentum: heavy ball's, as optax and PyTorch have it.
      seed: of the order of the examples.
      rate_times_features: the learning rate times D. 8 is well within the curvature's limit where
        features are between 0 and 1.
    """

    data: Data
    batch_size: int = 256
    l2: float = 1e-4
    momentum: float = 0.9
    seed: int = 0
    rate_times_features: float = 8.0

    @property
    def learning_rate(self) -> float:
        """The same for all competitors."""
        return self.rate_times_features / self.data.x.shape[1]

    @property
    def flops(self) -> float:
        """Of an epoch's products, forward and backward: 4 N D C."""
        return 4.0 * self.data.x.size * self.data.num_classes


def one_against_rest(coefficients: np.ndarray, intercepts: np.ndarray) -> tuple[Any, Any]:
    """scikit-learn's parameters as W (C, D) and b (C,): for two classes it keeps one row."""
    if len(coefficients) > 1:
        return coefficients, intercepts
    halves = np.array([[-0.5], [0.5]])
    return halves * coefficients, halves[:, 0] * intercepts


def minibatches(permutation: Any, batch_size: int, step: Callable[[Any], None]) -> None:
    """Calls `step` with the row numbers of each batch of an epoch."""
    for start in range(0, len(permutation), batch_size):
        step(permutation[start : start + batch_size])
