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
from jaxlin.sklearn.inputs import known_array, known_features
from jaxlin.sklearn.training_rows import Training

_FIRST_RELEASE = (1, 8)
_FOLDS = 5


def fit_calibrator(
    estimator: Any,
    X: Any,
    data: Training,
    sample_weight: Any,
    splits: Sequence[tuple[Any, Any]] | None = None,
) -> Any:
    """A calibrated twin of an estimator, whose labels are class indices.

    Its scores on rows that it was not fitted to give the temperature, and it is fitted to all.
    scikit-learn takes labels for columns of the scores, whatever they are, and encodes them for
    the fits alone: so it is given class indices, and class weights by these.

    Args:
      estimator: which; a clone of it, without probabilities, is fitted.
      X: features (N, D).
      data: the same, with their labels as class indices.
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
    X, classes, codes = known_features(X), data.classes, data.all_codes
    splits = _stratified(codes, classes) if splits is None else splits
    _check_classes(codes, classes, splits)
    plain: Any = clone(estimator)
    weights = _by_code(plain.class_weight, classes)
    plain.set_params(probabilities=None, class_weight=weights)
    make: Any = CalibratedClassifierCV
    calibrated = make(plain, method="temperature", cv=list(splits), ensemble=False)
    # Who routes metadata has asked for that of the estimator, not of its calibration.
    with sklearn.config_context(enable_metadata_routing=False):
        return calibrated.fit(X, codes, sample_weight=known_array(sample_weight, "sample_weight"))


def calibrated_probabilities(calibrator: Any, scores: np.ndarray) -> np.ndarray:
    """The probability of every class (N, C), by the temperature that a calibrator has found.

    Args:
      calibrator: of `fit_calibrator`.
      scores: of the estimator itself (N, C); of two classes (N,).
    """
    (pair,) = calibrator.calibrated_classifiers_
    (temperature,) = pair.calibrators
    return temperature.predict(scores)


def _by_code(class_weight: Any, classes: np.ndarray) -> Any:
    """Weights of labels as weights of class indices; other than a dict as it is."""
    if not isinstance(class_weight, dict):
        return class_weight
    place = {label: code for code, label in enumerate(classes.tolist())}
    return {place[label]: value for label, value in class_weight.items()}


def _stratified(codes: np.ndarray, classes: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    counts = np.bincount(codes)
    rarest = int(counts.argmin())
    if counts[rarest] < 2:
        raise InputError(
            "probabilities='calibrated' needs 2 examples of every class, one to fit to and one to "
            f"hold out; class {classes.tolist()[rarest]!r:.80} has 1. Leave that class out, give "
            "more examples of it, or leave probabilities=None (softmax has its own)."
        )
    folds = StratifiedKFold(min(_FOLDS, int(counts[rarest])))
    return list(folds.split(np.zeros((len(codes), 1)), codes))


def _check_classes(
    codes: np.ndarray, classes: np.ndarray, splits: Sequence[tuple[Any, Any]]
) -> None:
    for number, (train, _) in enumerate(splits):
        missing = np.setdiff1d(codes, codes[train])
        if len(missing):
            label = classes.tolist()[missing[0]]
            raise InputError(
                "probabilities='calibrated' needs every class in the rows that each split fits to; "
                f"split {number} of cv has none of class {label!r:.80}. Choose other splits, or "
                "leave probabilities=None (softmax has its own)."
            )
