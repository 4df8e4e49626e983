"""`LinearClassifierCV`: l2 chosen by cross-validation."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils._param_validation import Interval, StrOptions

from jaxlin.certificates.certificate import Certificate
from jaxlin.errors import InputError
from jaxlin.outcomes import Outcome
from jaxlin.sklearn.base import LinearEstimator
from jaxlin.sklearn.calibration import fit_calibrator
from jaxlin.sklearn.classifier import LinearClassifier
from jaxlin.sklearn.folds import among_kept, best_of, held_out_scores
from jaxlin.sklearn.parameters import LOSSES, SHARED, TO_OPTIMUM, seed_of, usual_l2s
from jaxlin.sklearn.solving import solve, warn_unless_converged
from jaxlin.sklearn.training_rows import training_of


class LinearClassifierCV(LinearEstimator):
    """A `LinearClassifier` whose l2 scores best on rows held out.

    All folds and all values of l2 are solved together, each value from the one before; the winner
    is then fitted to all rows.

    Args:
      loss: as of `LinearClassifier`.
      l2s: the values to try, positive, or how many between 1e-6 and 10.
      cv: the splits: a number of stratified folds, a splitter of scikit-learn, or pairs of row
        numbers. None is 5 folds. One pair is a validation set.
      select_by: `"accuracy"` or `"loss"` of the rows held out. Ties go to the larger l2.
      fit_intercept: as of `LinearClassifier`, and so are all others.
      class_weight: the same; for the fits alone, not for the scores.
      solver: the same of the winner; the folds keep to `"lbfgs"` alone, and are else solved as by
        `"auto"`.
      tol: the same.
      max_iter: the same, of every fit; where fits to folds fall short, one warning says so.
      random_state: the same.
      dtype: the same.
      probabilities: the same; by the splits of `cv` where these hold out each row once.

    Attributes:
      l2_: the best.
      l2s_: that were tried, in their order (L,).
      scores_: of each on the rows that each split holds out (splits, L).
      coef_: as of `LinearClassifier`, fitted to all rows, and so are all others.
      intercept_: the same.
      classes_: the same.
      n_iter_: the same.
      certificate_: the same.
      outcome_: the same.
      n_features_in_: the same.
      feature_names_in_: the same.
      calibrator_: the same.

    >>> import numpy as np
    >>> x, y = np.arange(10.0)[:, None], np.arange(10) // 5
    >>> model = LinearClassifierCV(l2s=[1e-3, 1e-2], cv=2).fit(x, y)
    >>> model.l2_, model.scores_.shape
    (0.01, (2, 2))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SHARED,
        **TO_OPTIMUM,
        "l2s": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        "select_by": [StrOptions({"accuracy", "loss"})],
    }

    n_iter_: np.ndarray
    l2_: float
    l2s_: np.ndarray
    scores_: np.ndarray
    certificate_: Certificate | None
    outcome_: Outcome

    def __init__(
        self,
        loss: Any = "softmax",
        *,
        l2s: Any = 45,
        cv: Any = None,
        select_by: Any = "accuracy",
        fit_intercept: Any = True,
        class_weight: Any = None,
        solver: Any = "auto",
        tol: Any = None,
        max_iter: Any = None,
        random_state: Any = None,
        dtype: Any = None,
        probabilities: Any = None,
    ) -> None:
        self.loss = loss
        self.l2s = l2s
        self.cv = cv
        self.select_by = select_by
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.dtype = dtype
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        """Chooses l2, and fits the model with it.

        Args:
          X: features (N, D), as for `LinearClassifier`.
          y: labels (N,).
          sample_weight: (N,), not negative; in the fits and in the scores.
          groups: (N,), for a splitter that keeps groups together.

        Returns:
          Itself.

        Raises:
          ValueError: an argument is not what it has to be; `jaxlin.InputError` is one.
        """
        self._validate_params()
        data = training_of(self, X, y, sample_weight, scores=True)
        l2s, labels = self._values(), data.all_codes
        splitter: Any = check_cv(self.cv, labels, classifier=True)
        places = np.zeros((len(labels), 1))  # a splitter counts the rows, and looks no further
        chosen = list(splitter.split(places, labels, groups))
        splits = among_kept(chosen, data)
        is_calibrated = self.probabilities == "calibrated"
        folds = _folds_of(chosen, labels, groups) if is_calibrated else None
        loss, seed = LOSSES[self.loss], seed_of(self.random_state)
        most = None if self.max_iter is None else max(1, self.max_iter)
        self.scores_ = held_out_scores(
            data, loss, l2s, splits, bias=self.fit_intercept, solver=self.solver, tol=self.tol,
            max_iter=most, select_by=self.select_by, seed=seed,
        )  # fmt: skip
        self.l2s_ = l2s
        self.l2_ = float(l2s[best_of(self.scores_, l2s, self.select_by)])
        found = solve(
            data.counting(), loss, self.l2_, bias=self.fit_intercept, solver=self.solver,
            tol=self.tol, max_iter=self.max_iter, seed=seed,
        )  # fmt: skip
        self._keep(found.W, found.b, data.classes)
        self.n_iter_ = np.array([found.steps], np.int32)
        self.certificate_, self.outcome_ = found.certificate, found.outcome
        warn_unless_converged(found.outcome)
        if is_calibrated:
            winner = LinearClassifier(
                self.loss, l2=self.l2_, fit_intercept=self.fit_intercept,
                class_weight=self.class_weight, solver=self.solver, tol=self.tol,
                max_iter=self.max_iter, random_state=seed, dtype=self.dtype,
            )  # fmt: skip
            self.calibrator_ = fit_calibrator(winner, X, data, sample_weight, folds)
        return self

    def _values(self) -> np.ndarray:
        if isinstance(self.l2s, Integral):
            return usual_l2s(int(self.l2s))
        try:
            values = np.asarray(self.l2s, np.float64)
        except (TypeError, ValueError):
            values = np.empty(0)
        if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
            raise InputError(
                "l2s must be positive, finite numbers, or how many of them to try, got "
                f"{self.l2s!r:.200}."
            )
        found, counts = np.unique(values, return_counts=True)
        if len(found) < len(values):
            raise InputError(f"l2s has {found[counts > 1][0]:g} twice: name each value once.")
        return values


def _folds_of(splits: list[Any], labels: np.ndarray, groups: Any) -> list[Any] | None:
    """The splits to calibrate by, where each row is held out once; None for the usual folds.

    Raises:
      InputError: there are groups, which the usual folds would not keep together.
    """
    held_out = np.zeros(len(labels), int)
    for _, test in splits:
        np.add.at(held_out, test, 1)
    if (held_out == 1).all():
        return splits
    if groups is not None:
        raise InputError(
            "probabilities='calibrated' needs a cv that holds out each row once: folds that keep "
            "the groups together are made by GroupKFold and StratifiedGroupKFold."
        )
    return None
