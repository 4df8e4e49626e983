"""Probabilities of models that have only scores: temperature scaling on held-out scores.

Source: Guo et al., "On calibration of modern neural networks", ICML 2017; as scikit-learn's
`CalibratedClassifierCV` does it, from release 1.8 on.
"""

from __future__ import annotations

from typing import Any

import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV

from jaxlin.errors import InputError

_FIRST_RELEASE = (1, 8)


def fit_calibrator(estimator: Any, X: Any, y: Any, sample_weight: Any, cv: Any = 5) -> Any:
    """A calibrated twin of an estimator.

    Its scores on rows that it was not fitted to give the temperature, and it is fitted to all.

    Args:
      estimator: which; a clone of it, without probabilities, is fitted.
      X: features (N, D).
      y: labels (N,).
      sample_weight: (N,), or None.
      cv: the folds, as in scikit-learn.

    Raises:
      InputError: scikit-learn is older than temperature scaling.
    """
    release = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    if release < _FIRST_RELEASE:
        raise InputError(
            "probabilities='calibrated' takes scikit-learn 1.8 or newer, and this is "
            f"{sklearn.__version__}. Wrap the estimator in sklearn.calibration."
            "CalibratedClassifierCV, or upgrade."
        )
    plain: Any = clone(estimator)
    plain.set_params(probabilities=None)
    make: Any = CalibratedClassifierCV
    calibrated = make(plain, method="temperature", cv=cv, ensemble=False)
    # Who routes metadata has asked for that of the estimator, not of its calibration.
    with sklearn.config_context(enable_metadata_routing=False):
        return calibrated.fit(X, y, sample_weight=sample_weight)
