"""What the estimators have in common: scores, predictions, probabilities, and the attributes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.sklearn.calibration import calibrated_probabilities, fit_calibrator
from jaxlin.sklearn.inputs import known_features
from jaxlin.sklearn.parameters import LOSSES
from jaxlin.sklearn.training_rows import Training


def _gives_probabilities(estimator: Any) -> bool:
    if estimator.loss == "softmax" or estimator.probabilities == "calibrated":
        return True
    raise AttributeError(
        f"loss={estimator.loss!r} has scores and no probabilities: pass "
        "probabilities='calibrated', or loss='softmax'."
    )


class LinearEstimator(ClassifierMixin, BaseEstimator):
    """A fitted linear classifier, whoever has fitted it.

    Attributes:
      coef_: weights (C, D); for two classes (1, D), of the second less the first.
      intercept_: biases (C,) or (1,); zeros without an intercept.
      classes_: the labels (C,).
    """

    loss: str
    probabilities: str | None
    fit_intercept: bool
    warm_start: bool
    l2: float
    l2_: float
    coef_: np.ndarray
    intercept_: np.ndarray
    classes_: np.ndarray

    def __sklearn_tags__(self) -> Any:
        """Sparse features are taken."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def decision_function(self, X: Any) -> np.ndarray:
        """The scores.

        Args:
          X: features (N, D), dense or sparse.

        Returns:
          (N, C); for two classes (N,), above 0 where the second is predicted.

        Raises:
          ValueError: X is not what it has to be; `jaxlin.InputError` where its scores are out of
            the range of their dtype.
        """
        check_is_fitted(self)
        x = validate_data(self, known_features(X), accept_sparse="csr", reset=False)
        with np.errstate(over="ignore", invalid="ignore"):
            scores = np.asarray(x @ self.coef_.T) + self.intercept_
        self._mend(scores, x)
        return scores.ravel() if self.coef_.shape[0] == 1 else scores

    def predict(self, X: Any) -> np.ndarray:
        """The class with the highest score, the first among equals (N,)."""
        scores = self.decision_function(X)
        best = (scores > 0).astype(np.intp) if scores.ndim == 1 else scores.argmax(axis=1)
        return self.classes_[best]

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of every class (N, C)."""
        check_is_fitted(self)
        if self.probabilities == "calibrated":
            return self._calibrated(X)
        scores = self._by_class(X)
        with np.errstate(over="ignore"):  # the difference of two scores, whose exponential is 0
            return softmax(scores, axis=1)

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Their natural logarithms (N, C); -inf where one is out of the range of their dtype."""
        check_is_fitted(self)
        if self.probabilities == "calibrated":
            with np.errstate(divide="ignore"):
                return np.log(self._calibrated(X))
        scores = self._by_class(X)
        with np.errstate(over="ignore"):
            return log_softmax(scores, axis=1)

    def _by_class(self, X: Any) -> np.ndarray:
        scores = self.decision_function(X)
        return np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores

    def _mend(self, scores: np.ndarray, x: Any) -> None:
        """Computes anew, in float64, what came out of range on the way, as sums of products do.

        Args:
          scores: (N, C) or (N, 1), changed.
          x: features (N, D), checked.

        Raises:
          InputError: a score is out of the range of its dtype.
        """
        rows = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if not len(rows):
            return
        some = x[rows].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            exact = np.asarray(some @ self.coef_.T.astype(np.float64)) + self.intercept_
            scores[rows] = exact
        wrong = rows[~np.isfinite(scores[rows]).all(axis=1)]
        if len(wrong):
            raise InputError(
                f"X is too large in row {wrong[0]}: a score of it is out of the range of "
                f"{scores.dtype}. Scale the features, or give them as float64."
            )

    def _calibrated(self, X: Any) -> np.ndarray:
        if not hasattr(self, "calibrator_"):
            raise InputError(
                "There are no calibrated probabilities: it was fitted before probabilities="
                "'calibrated' was set, or with partial_fit, which has no rows to hold out."
            )
        return calibrated_probabilities(self.calibrator_, self.decision_function(X))

    def _keep(self, W: np.ndarray, b: np.ndarray | None, classes: np.ndarray) -> None:
        """The parameters as scikit-learn has them.

        Args:
          W: (C, D).
          b: (C,), or None.
          classes: (C,).
        """
        b = np.zeros(len(W), W.dtype) if b is None else b
        if len(classes) == 2:
            W, b = W[1:] - W[:1], b[1:] - b[:1]
        self.coef_, self.intercept_, self.classes_ = W, b, classes
        self.__dict__.pop("calibrator_", None)  # it was of the parameters before

    def _trained_with(self) -> tuple[Any, float]:
        """The loss and the l2 of the fit, for `jaxlin.Model.from_sklearn`."""
        return LOSSES[self.loss], float(self.l2_ if hasattr(self, "l2_") else self.l2)

    def _calibrate(self, X: Any, data: Training, sample_weight: Any) -> None:
        """Probabilities for what was just fitted to these, where they are asked for."""
        if self.probabilities == "calibrated":
            self.calibrator_ = fit_calibrator(self, X, data, sample_weight)

    def _start_for(self, data: Training) -> LinearParams | None:
        """Where a warm start starts: the last fit's parameters, one row a class, NumPy.

        Raises:
          InputError: they are of other classes or features.
        """
        if not (self.warm_start and hasattr(self, "coef_")):
            return None
        classes, num_features = data.classes, data.shape[1]
        rows = 1 if len(classes) == 2 else len(classes)
        same = np.array_equal(self.classes_, classes)
        if not same or self.coef_.shape != (rows, num_features):
            raise InputError(
                f"warm_start goes on with coef_ of shape {self.coef_.shape}, fitted to the classes "
                f"{self.classes_.tolist()!r:.80}; this fit has {num_features} features and the "
                f"classes {classes.tolist()!r:.80}. Pass warm_start=False."
            )
        W, b = self.coef_, self.intercept_
        if rows == 1:
            W, b = np.concatenate([-0.5 * W, 0.5 * W]), np.concatenate([-0.5 * b, 0.5 * b])
        return LinearParams(W, b if self.fit_intercept else None)  # pyright: ignore[reportArgumentType]
