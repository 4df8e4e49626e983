"""Probabilities of models that have only scores: temperature scaling on held-out scores.

Source: Guo et al., "On calibration of modern neural networks", ICML 2017; as scikit-learn's
`CalibratedClassifierCV` does it, from release 1.8 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import StratifiedKFold

from jaxlin.errors import InputError
from jaxlin.sklearn.inputs import checked_labels, known_array, known_features

_FIRST_RELEASE = (1, 8)
_FOLDS = 5


def fit_calibrator(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    splits: Sequence[tuple[Any, Any]] | None = None,
) -> Any:
    """A calibrated twin of an estimator.

    Its scores on rows that it was not fitted to give the temperature, and it is fitted to all.

    Args:
      estimator: which; a clone of it, without probabilities, is fitted.
      X: features (N, D).
      y: labels (N,).
      sample_weight: (N,), or None.
      splits: rows to fit to and rows to score, which hold out each row once. None is 5 stratified
        folds, or as many as the rarest class has examples.

    Raises:
      InputError: scikit-learn is older than temperature scaling; or some split has no example of a
        class to fit to.
    """
    release = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    if release < _FIRST_RELEASE:
        raise InputError(
            "probabilities='calibrated' takes scikit-learn 1.8 or newer, and this is "
            f"{sklearn.__version__}. Wrap the estimator in sklearn.calibration."
            "CalibratedClassifierCV, or upgrade."
        )
    X, y = known_features(X), np.ravel(checked_labels(y))
    splits = _stratified(y) if splits is None else splits
    _check_classes(y, splits)
    plain: Any = clone(estimator)
    plain.set_params(probabilities=None)
    make: Any = CalibratedClassifierCV
    calibrated = make(plain, method="temperature", cv=list(splits), ensemble=False)
    # Who routes metadata has asked for that of the estimator, not of its calibration.
    with sklearn.config_context(enable_metadata_routing=False):
        return calibrated.fit(X, y, sample_weight=known_array(sample_weight, "sample_weight"))


def _stratified(y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    labels, counts = np.unique(y, return_counts=True)
    rarest = int(counts.argmin())
    if counts[rarest] < 2:
        raise InputError(
            "probabilities='calibrated' needs 2 examples of every class, one to fit to and one to "
            f"hold out; class {labels.tolist()[rarest]!r:.80} has 1. Leave that class out, give "
            "more examples of it, or leave probabilities=None (softmax has its own)."
        )
    folds = StratifiedKFold(min(_FOLDS, int(counts[rarest])))
    return list(folds.split(np.zeros((len(y), 1)), y))


def _check_classes(y: np.ndarray, splits: Sequence[tuple[Any, Any]]) -> None:
    classes = np.unique(y)
    for number, (train, _) in enumerate(splits):
        missing = np.setdiff1d(classes, y[train])
        if len(missing):
            raise InputError(
                f"probabilities='calibrated' needs every class in the rows that each split fits "
                f"to; split {number} of cv has none of class {missing.tolist()[0]!r:.80}. Choose "
                "other splits, or leave probabilities=None (softmax has its own)."
            )
