"""LIBLINEAR's Crammer-Singer SVM, through scikit-learn's `LinearSVC`, on one core.

It runs in a process of its own: a tolerance a little tighter may take it from a second to a quarter
of an hour (300 examples of 5,000 features), and nothing but the end of its process stops it.
"""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.svm import LinearSVC

from bench.harness.timing import seconds
from bench.optimum.competitor import (
    Competitor,
    RanTooLongError,
    without_convergence_warnings,
)
from bench.optimum.task import Task


class Solver(Competitor):
    """Stops by its tolerance; its limit of iterations does not count for this loss.

    It has no free bias: its own is penalised.
    """

    name = "linear-svc"
    growth = 3.0
    W: np.ndarray
    _pool: Any = None

    def skip(self, task: Task) -> str | None:
        """One loss, no bias, and three classes or more: for two it keeps one row."""
        if task.loss != "crammer-singer" or task.bias:
            return "has Crammer and Singer's hinge alone, and no free bias"
        return "keeps one row for two classes" if task.data.num_classes < 3 else None

    def set_objective(self, task: Task) -> None:
        """float64, which it would convert to."""
        super().set_objective(task)
        self.close()
        self.x = task.data.as_floats().astype(np.float64)

    def budgets(self) -> Iterator[float]:
        """Tolerances, half a decade apart."""
        return (10.0 ** (-k / 2) for k in itertools.count(-2))

    def between(self, low: float, high: float) -> None:
        """A tolerance is no measure of the time it takes."""
        del low, high

    def run(self, budget: float) -> None:
        """To a tolerance."""
        self._fit(tol=budget)

    def run_as_it_is(self) -> float:
        """Seconds of one fit with the tolerance and the limit that it comes with."""
        return self._fit()

    def _fit(self, **choices: Any) -> float:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = context.Pool(1, _take, (self.x, self.task.data.labels))
        choices |= {"C": self.task.liblinear_C}
        try:
            taken, self.W = self._pool.apply_async(_fit, (choices,)).get(self.most_seconds)
        except multiprocessing.TimeoutError:
            self.close()
            raise RanTooLongError(f"LinearSVC took over {self.most_seconds} s.") from None
        return taken

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W alone."""
        return self.W, None

    def close(self) -> None:
        """Ends its process."""
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()
            self._pool = None


# In the process that fits: its rows and labels.
_ROWS: list[np.ndarray] = []


def _take(*rows: np.ndarray) -> None:
    _ROWS[:] = rows


def _fit(choices: dict[str, Any]) -> tuple[float, np.ndarray]:
    """The seconds, and W."""
    model = LinearSVC(multi_class="crammer_singer", fit_intercept=False, random_state=0, **choices)
    with without_convergence_warnings():
        taken = seconds(lambda: model.fit(*_ROWS))
    return taken, model.coef_
