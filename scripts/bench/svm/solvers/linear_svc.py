"""LIBLINEAR's Crammer-Singer SVM, through scikit-learn's `LinearSVC`, on one core."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

from bench.harness.timing import seconds
from bench.optimum.competitor import Competitor, without_convergence_warnings
from bench.optimum.task import Task


class Solver(Competitor):
    """Stops by iterations. It has no free bias: its own is penalised."""

    name = "linear-svc"
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

    def _model(self, **choices: Any) -> Any:
        return LinearSVC(
            multi_class="crammer_singer",
            fit_intercept=False,
            C=self.task.liblinear_C,
            random_state=0,
            **choices,
        )

    def run(self, budget: int) -> None:
        """So many iterations; its own tolerance is out of the way."""
        self.model = self._model(max_iter=budget, tol=1e-12)
        with without_convergence_warnings():
            self.model.fit(self.x, self.task.data.labels)
        self.asked = budget

    def run_as_it_is(self) -> float:
        """Seconds of one fit with the tolerance and the limit that it comes with."""
        self.model = self._model()
        with without_convergence_warnings():
            return seconds(lambda: self.model.fit(self.x, self.task.data.labels))

    def has_ended(self) -> bool:
        """Whether it found nothing more to do."""
        return int(self.model.n_iter_) < self.asked

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W alone."""
        return self.model.coef_, None
