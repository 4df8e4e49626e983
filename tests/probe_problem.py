"""The problem that tests of the probe share: three clusters that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np
from sweep_problem import clouds

from jaxlin.probe import Problem, Settings

L2 = (1e-4, 1e-3, 1e-2, 1e-1)


def small_problem(**given: Any) -> Problem:
    """300 rows of 8 features, 60 of them to choose by; 60 others to test on."""
    x, labels = clouds()
    names = np.array(["cat", "dog", "</script>"])
    test_x, test_labels = clouds(60, seed=1)
    test = (test_x, names[test_labels])
    return Problem.from_arrays(x, names[labels], **{"test": test, "validation": 0.2, **given})


def settings(**given: Any) -> Settings:
    """Four values of l2 on the features as they are."""
    return Settings(**{"l2": L2, **given})
