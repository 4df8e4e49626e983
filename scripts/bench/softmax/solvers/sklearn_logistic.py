"""scikit-learn's `LogisticRegression`, by each of its solvers for three classes or more."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from bench.optimum.competitor import Competitor, without_convergence_warnings
from bench.optimum.task import Task

_DOUBLE = "lbfgs-float64"
# Of one Hessian of newton-cholesky: some seconds on two cores.
_MOST_FLOPS, _MOST_BYTES = 5e11, 5e8


class Solver(Competitor):
    """Stops by iterations; its own tolerance is out of the way."""

    name = "sklearn"
    parameters = {  # noqa: RUF012
        "solver": ("lbfgs", _DOUBLE, "newton-cg", "newton-cholesky", "sag", "saga")
    }
    model: Any

    def skip(self, task: Task) -> str | None:
        """For two classes it keeps one row, which is another problem."""
        data = task.data
        if data.num_classes < 3:
            return "keeps one row for two classes"
        if self.values["solver"] == "newton-cholesky":
            d, c = data.x.shape[1] + 1, data.num_classes
            # Its Hessian is made class by class: pairs of them, a product each.
            flops = 2.0 * len(data.x) * d * d * c * (c + 1) / 2
            if flops > _MOST_FLOPS or 8.0 * (d * c) ** 2 > _MOST_BYTES:
                return f"a Hessian of {d * c} x {d * c} and {flops:.1g} operations is too large"
        return None

    def set_objective(self, task: Task) -> None:
        """The features in the dtype that it is to compute in."""
        super().set_objective(task)
        self.x = task.data.as_floats()
        if self.values["solver"] == _DOUBLE:
            self.x = self.x.astype(np.float64)

    def run(self, budget: int) -> None:
        """So many iterations, or epochs of sag and saga."""
        task = self.task
        self.model = LogisticRegression(
            C=task.liblinear_C,
            solver=self.values["solver"].removesuffix("-float64"),
            max_iter=budget,
            tol=0.0,
            random_state=0,
            fit_intercept=task.bias,
        )
        with without_convergence_warnings():
            self.model.fit(self.x, task.data.labels)
        self.asked = budget

    def has_ended(self) -> bool:
        """Whether it found nothing more to do."""
        return int(np.max(self.model.n_iter_)) < self.asked

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b."""
        return self.model.coef_, self.model.intercept_
