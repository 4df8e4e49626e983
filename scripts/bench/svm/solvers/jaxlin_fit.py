"""jaxlin: `fit` with a tolerance."""

from __future__ import annotations

from bench.optimum.jaxlin_fit import JaxlinFit


class Solver(JaxlinFit):
    """Either hinge, with a free bias or without."""
