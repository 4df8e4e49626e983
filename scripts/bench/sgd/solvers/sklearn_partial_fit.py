"""scikit-learn's `SGDClassifier.partial_fit`: a call an epoch."""

from __future__ import annotations

import numpy as np

from bench.sgd.sklearn_common import SklearnSolver


class Solver(SklearnSolver):
    """`partial_fit` on all rows, shuffled by itself, as many times as there are epochs."""

    name = "sklearn-partial-fit"

    def run(self, budget: int) -> None:
        """So many epochs."""
        data = self.task.data
        classes = np.arange(data.num_classes)
        self.model = self.classifier(1)
        for _ in range(budget):
            self.model.partial_fit(data.x, data.labels, classes=classes)
