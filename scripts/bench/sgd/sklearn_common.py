"""What the two ways to run scikit-learn's `SGDClassifier` share."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import SGDClassifier

from bench.harness.parts import BaseSolver
from bench.sgd.task import Task, one_against_rest
from jaxlin import scales


class SklearnSolver(BaseSolver):
    """One logistic model a class against the rest, example by example.

    Its objective is another one for three classes or more, so that only its accuracy compares. A
    step sees one example: the rate is such that an epoch moves as far as that of the others.
    """

    def skip(self, task: Task) -> str | None:
        """It converts bytes to float64 in each call; and it has no batches."""
        if task.data.scale is not None:
            return "takes floats alone"
        if task.batch_size != 256:
            return "has no batches"
        return None

    def set_objective(self, task: Task) -> None:
        """Takes the task."""
        self.task = task

    def classifier(self, epochs: int, l2: float | None = None, rate: float | None = None) -> Any:
        """An `SGDClassifier` of so many epochs."""
        task = self.task
        l2 = task.l2 if l2 is None else l2
        rate = task.learning_rate if rate is None else rate
        return SGDClassifier(
            loss="log_loss",
            # One against the rest has no scale of its own: each row is penalised as ours are.
            alpha=scales.weight_decay_of_l2(l2, one_row=task.data.num_classes == 2),
            max_iter=epochs,
            tol=None,  # pyright: ignore[reportArgumentType]
            average=False,
            learning_rate="constant",
            eta0=rate / (1 - task.momentum) / task.batch_size,
            n_jobs=2,
            random_state=task.seed,
        )

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b."""
        return one_against_rest(self.model.coef_, self.model.intercept_)

    model: Any
