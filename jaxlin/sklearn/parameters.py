"""What the estimators' parameters may be: checked when they fit, in scikit-learn's words."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from jaxlin import losses
from jaxlin.conjugates import Known

LOSSES: dict[str, Known] = {
    "softmax": losses.softmax_cross_entropy,
    "svm": losses.weston_watkins_hinge,
    "crammer_singer": losses.crammer_singer_hinge,
    "squared_svm": losses.squared_weston_watkins_hinge,
}

# Of all estimators.
SHARED: dict[str, Any] = {
    "loss": [StrOptions(set(LOSSES))],
    "fit_intercept": ["boolean"],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "random_state": ["random_state"],
    "dtype": [StrOptions({"float32", "float64"}), type, np.dtype, None],
    "probabilities": [StrOptions({"calibrated"}), None],
}

# Of those that go to the optimum.
TO_OPTIMUM: dict[str, Any] = {
    "solver": [StrOptions({"auto", "lbfgs", "newton"})],
    "tol": [Interval(Real, 0, None, closed="neither"), None],
    "max_iter": [Interval(Integral, 0, None, closed="left"), None],
}

L2: list[Any] = [Interval(Real, 0, None, closed="left")]

# The values of l2 that are tried where nobody names any: from hardly any to almost only that.
_SMALLEST_L2, _LARGEST_L2 = 1e-6, 10.0


def usual_l2s(count: int) -> np.ndarray:
    """So many values of l2, the smallest first.

    >>> usual_l2s(3).tolist()
    [1e-06, 0.0031622776601683794, 10.0]
    """
    return np.geomspace(_SMALLEST_L2, _LARGEST_L2, count)


def seed_of(random_state: Any) -> int:
    """A seed for jaxlin: an integer is its own, None is 0, and of a `RandomState` the next draw.

    >>> seed_of(None), seed_of(7)
    (0, 7)
    """
    if random_state is None:
        return 0
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
