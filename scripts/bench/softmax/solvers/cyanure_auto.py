"""Cyanure's `LogisticRegression` with its automatic choice, quasi-Newton MISO: the peer to beat."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.harness.packages import load
from bench.optimum.competitor import Competitor, without_convergence_warnings
from bench.optimum.task import Task

# Passes between two looks at its duality gap, its default: beyond, it stops nowhere else.
_INTERVAL = 10


class Solver(Competitor):
    """Stops by passes over the data. As the strongest of the peers, it is given the longest."""

    name = "cyanure"
    parameters = {"dtype": ("float32", "float64")}  # noqa: RUF012
    stamina = 6.0
    model: Any

    def budgets(self) -> Iterator[int]:
        """Beyond ten passes, tens of them."""
        tens = (_INTERVAL << k for k in itertools.count())
        return itertools.chain((1, 2, 4, 7), tens)

    def between(self, low: int, high: int) -> int | None:
        """Tens of passes, too."""
        middle = round((low * high) ** 0.5)
        if high > _INTERVAL:
            middle = _INTERVAL * round(middle / _INTERVAL)
        return middle if low < middle < high else None

    def skip(self, task: Task) -> str | None:
        """It is not installed everywhere; for two classes it keeps one row."""
        if load("cyanure_lib") is None:
            return "Cyanure is not installed"
        return "keeps one row for two classes" if task.data.num_classes < 3 else None

    def set_objective(self, task: Task) -> None:
        """The features in the dtype that it is to compute in; it takes all cores."""
        super().set_objective(task)
        self.x = task.data.as_floats().astype(self.values["dtype"], copy=False)
        self.labels = task.data.labels.astype(np.int64)
        self.estimators = load("cyanure.estimators")
        logging.getLogger("Cyanure").setLevel(logging.ERROR)

    def run(self, budget: int) -> None:
        """So many passes."""
        self.model = self.estimators.LogisticRegression(
            penalty="l2",
            lambda_1=self.task.cyanure_lambda,
            fit_intercept=self.task.bias,
            solver="auto",
            multi_class="multinomial",
            tol=1e-12,
            max_iter=budget,
            duality_gap_interval=_INTERVAL,
            verbose=False,
        )
        with without_convergence_warnings():
            self.model.fit(self.x, self.labels)
        self.asked = budget

    def has_ended(self) -> bool:
        """Whether it stopped before its last pass."""
        return int(np.max(self.model.n_iter_)) < self.asked

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """It keeps W as (D, C)."""
        bias = np.ravel(self.model.intercept_) if self.task.bias else None
        return self.model.coef_.T, bias
