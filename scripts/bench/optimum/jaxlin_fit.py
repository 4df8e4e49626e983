"""jaxlin: `fit` to a certified relative gap, its certificate within its time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import jaxlin
from bench.optimum.competitor import Competitor


class JaxlinFit(Competitor):
    """A whole call of `fit`, from the user's NumPy arrays to the answer and its proof."""

    name = "jaxlin"
    compiles = True
    growth = 1.0
    stamina = 4.0
    fit: Any

    def budgets(self) -> Iterator[float]:
        """Tolerances."""
        return iter((1e-2, 1e-3, 1e-4, 1e-5, 1e-6))

    def run(self, budget: float) -> None:
        """Until the certified relative gap is under a tolerance."""
        task = self.task
        self.fit = jaxlin.fit(
            task.data.x,
            task.data.labels,
            loss=task.jaxlin_loss,
            l2=task.l2,
            bias=task.bias,
            tol=budget,
            scaling=task.scaling,
        )
        np.asarray(self.fit.params.W)  # there, and not only promised

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b for scaled features."""
        params = self.fit.params
        return np.asarray(params.W), None if params.b is None else np.asarray(params.b)

    def certificate(self) -> Any:
        """What the fit proves; None where it proves nothing."""
        return self.fit.certificate

    def notes(self) -> dict[str, Any]:
        """What the fit says of itself."""
        certificate = self.fit.certificate
        told = None if certificate is None else float(certificate.relative_gap)
        return {"told_gap": told, "told_seconds": self.fit.seconds, "told": str(self.fit.outcome)}
