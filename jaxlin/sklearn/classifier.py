"""`LinearClassifier`: to the certified optimum."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from jaxlin.certificates.certificate import Certificate
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.scales import l2_of_C
from jaxlin.sklearn.base import LinearEstimator
from jaxlin.sklearn.parameters import L2, LOSSES, SHARED, TO_OPTIMUM, seed_of
from jaxlin.sklearn.solving import solve, warn_unless_converged
from jaxlin.sklearn.training_rows import Training, training_of


class LinearClassifier(LinearEstimator):
    """The multiclass SVM or the softmax classifier, to its certified optimum.

    Minimises the mean loss + `l2` times the sum of squares of the weights; the bias is free. Unlike
    `LogisticRegression` its strength of regularisation does not depend on how many rows there are;
    with `C` it is `LogisticRegression(C=C)`'s own.

    Args:
      loss: `"softmax"`, `"svm"` (Weston and Watkins), `"crammer_singer"` or `"squared_svm"`
        (Weston and Watkins, squared).
      l2: not negative. 0 has no certificate, and need not have an optimum.
      C: scikit-learn's and LIBLINEAR's, in place of l2, where these have the loss: the Weston and
        Watkins SVMs with two classes only. `np.inf` is l2 = 0.
      fit_intercept: whether there is a bias.
      class_weight: a dict of weights, `"balanced"`, or None.
      solver: `"auto"`; `"lbfgs"`; or `"newton"`, which small problems get by themselves.
      tol: the certified relative gap to stop at. None is 1e-4 for softmax and 1e-3 for the others.
        Newton's method goes on to rounding whatever it is.
      max_iter: the most steps, or passes over the data. None is the solver's own. With 0 nothing is
        done.
      warm_start: whether to start from the last fit.
      random_state: of what is drawn on the way; the optimum does not depend on it.
      dtype: float32 or float64, to compute in and of `coef_`. None is that of X; integers of up to
        16 bits are computed in float32, wider ones in float64.
      probabilities: `"calibrated"` gives the SVM losses probabilities, by temperature scaling on
        scores of rows held out (a fit for each of up to five stratified folds, and one more).

    Attributes:
      coef_: (C, D); for two classes (1, D), the weights of the second less those of the first.
      intercept_: (C,), or (1,).
      classes_: the labels (C,).
      n_iter_: steps or passes, int32 (1,).
      l2_: that was used.
      certificate_: a proof of how far from the optimum `coef_` can be, or None.
      outcome_: how the fit ended, a sentence.
      n_features_in_: D.
      feature_names_in_: of a table with text for its column names.
      calibrator_: with `probabilities="calibrated"`, of class indices.

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0], [3.0], [2.0]]), ["low", "low", "high", "high"]
    >>> model = LinearClassifier(l2=0.1).fit(x, y)
    >>> model.predict([[0.5], [4.0]]).tolist(), model.certificate_.relative_gap < 1e-9
    (['low', 'high'], True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SHARED,
        **TO_OPTIMUM,
        "l2": L2,
        "C": [Interval(Real, 0, None, closed="right"), None],
        "warm_start": ["boolean"],
    }

    n_iter_: np.ndarray
    l2_: float
    certificate_: Certificate | None
    outcome_: Outcome

    def __init__(
        self,
        loss: Any = "softmax",
        *,
        l2: Any = 1e-4,
        C: Any = None,
        fit_intercept: Any = True,
        class_weight: Any = None,
        solver: Any = "auto",
        tol: Any = None,
        max_iter: Any = None,
        warm_start: Any = False,
        random_state: Any = None,
        dtype: Any = None,
        probabilities: Any = None,
    ) -> None:
        self.loss = loss
        self.l2 = l2
        self.C = C
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LinearClassifier:
        """Fits the model.

        Args:
          X: features (N, D): an array, a table, a tensor, or sparse (made dense).
          y: labels (N,), of any kind that sorts.
          sample_weight: (N,), not negative; integers act as so many copies of a row.

        Returns:
          Itself.

        Raises:
          ValueError: an argument is not what it has to be; `jaxlin.InputError` is one.
        """
        self._validate_params()
        data = training_of(self, X, y, sample_weight)
        start = self._start_for(data)
        l2 = self._l2_for(data)
        self._fit_to(data, l2, start)
        self._calibrate(X, data, sample_weight)
        return self

    def _l2_for(self, data: Training) -> float:
        if self.C is None:
            return float(self.l2)
        if np.isinf(self.C):
            return 0.0
        return l2_of_C(
            float(self.C), loss=LOSSES[self.loss], num_examples=data.total_weight,
            num_classes=len(data.classes),
        )  # fmt: skip

    def _fit_to(self, data: Training, l2: float, start: LinearParams | None) -> None:
        found = solve(
            data, LOSSES[self.loss], l2, bias=self.fit_intercept, solver=self.solver,
            tol=self.tol, max_iter=self.max_iter, seed=seed_of(self.random_state), start=start,
        )  # fmt: skip
        self._keep(found.W, found.b, data.classes)
        self.n_iter_ = np.array([found.steps], np.int32)
        self.l2_, self.certificate_, self.outcome_ = l2, found.certificate, found.outcome
        warn_unless_converged(found.outcome)
