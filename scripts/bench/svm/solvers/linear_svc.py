"""LIBLINEAR's Crammer-Singer SVM, through scikit-learn's `LinearSVC`, on one core."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

from bench.harness.timing import seconds
from bench.optimum.competitor import Competitor, without_convergence_warnings
from bench.optimum.task import Task


class Solver(Competitor):
    """Stops by its tolerance; its limit of iterations does not count for this loss.

    It has no free bias: its own is penalised.
    """

    name = "linear-svc"
    growth = 3.0
    model: Any

    def skip(self, task: Task) -> str | None:
        """One loss, no bias, and three classes or more: for two it keeps one row."""
        if task.loss != "crammer-singer" or task.bias:
            return "has Crammer and Singer's hinge alone, and no free bias"
        return "keeps one row for two classes" if task.data.num_classes < 3 else None

    def set_objective(self, task: Task) -> None:
        """float64, which it would convert to."""
        super().set_objective(task)
        self.x = task.data.as_floats().astype(np.float64)

    def budgets(self) -> Iterator[float]:
        """Tolerances, half a decade apart."""
        return (10.0 ** (-k / 2) for k in itertools.count(-2))

    def between(self, low: float, high: float) -> None:
        """A tolerance is no measure of the time it takes."""
        del low, high

    def _model(self, **choices: Any) -> Any:
        return LinearSVC(
            multi_class="crammer_singer",
            fit_intercept=False,
            C=self.task.liblinear_C,
            random_state=0,
            **choices,
        )

    def run(self, budget: float) -> None:
        """To a tolerance."""
        self.model = self._model(tol=budget)
        with without_convergence_warnings():
            self.model.fit(self.x, self.task.data.labels)

    def run_as_it_is(self) -> float:
        """Seconds of one fit with the tolerance and the limit that it comes with."""
        self.model = self._model()
        with without_convergence_warnings():
            return seconds(lambda: self.model.fit(self.x, self.task.data.labels))

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W alone."""
        return self.model.coef_, None
