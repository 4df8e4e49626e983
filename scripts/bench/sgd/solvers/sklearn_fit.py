"""scikit-learn's `SGDClassifier.fit` with `n_jobs=2`."""

from __future__ import annotations

from bench.sgd.sklearn_common import SklearnSolver


class Solver(SklearnSolver):
    """`fit`, with as many epochs as the others and no stopping."""

    name = "sklearn-sgd"

    def run(self, budget: int) -> None:
        """So many epochs."""
        self.model = self.classifier(budget).fit(self.task.data.x, self.task.data.labels)
