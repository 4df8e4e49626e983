"""`MinibatchClassifier`: minibatch SGD, all at once or a part of the data at a time."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import validate_data

from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.sklearn.base import LinearEstimator
from jaxlin.sklearn.epochs import Progress, padded_rows, run_epochs
from jaxlin.sklearn.inputs import (
    checked_labels,
    computed_in,
    dense,
    encoded,
    known_features,
    row_weights,
)
from jaxlin.sklearn.parameters import L2, LOSSES, SHARED, seed_of
from jaxlin.sklearn.training_rows import Training, training_of
from jaxlin.solvers.learning_rate import (
    limited_by_penalty,
    suggested_epochs,
    suggested_learning_rate,
)
from jaxlin.training.arguments import as_shares


class MinibatchClassifier(LinearEstimator):
    """The multiclass SVM or the softmax classifier by minibatch SGD with momentum.

    `fit` lets its rate go down along half a cosine; `partial_fit` takes one epoch over the rows it
    is given, at a constant rate, and goes on where the last call ended, momentum included. It
    proves nothing: `jaxlin.certificates.duality_gap` bounds how far from the optimum it ended.

    Args:
      loss: `"softmax"`, `"svm"` (Weston and Watkins), `"crammer_singer"` or `"squared_svm"`.
      l2: not negative.
      learning_rate: positive, or `"auto"`: by the size of the first rows that are seen, and by l2.
      batch_size: B; the rows of a call are one batch where they are fewer.
      epochs: of `fit`; None is 20, or more where that is less than 2,000 steps, up to 200.
      momentum: in [0, 1).
      fit_intercept: whether there is a bias.
      class_weight: a dict of weights, `"balanced"` (not for `partial_fit`), or None.
      warm_start: whether `fit` starts from the last parameters.
      random_state: of the order of the rows; None is 0.
      dtype: as of `LinearClassifier`; the first call decides.
      probabilities: `"calibrated"` as of `LinearClassifier`, with `fit` only.

    Attributes:
      coef_: (C, D); for two classes (1, D), the weights of the second less those of the first.
      intercept_: (C,), or (1,).
      classes_: the labels (C,).
      n_iter_: epochs since the last `fit`, or since the first `partial_fit`.
      learning_rate_: that was used.
      certificate_: None.
      outcome_: how it ended, a sentence.
      n_features_in_: D.
      feature_names_in_: of a table with text for its column names.
      calibrator_: with `probabilities="calibrated"`, of class indices.

    >>> import numpy as np
    >>> x, y = np.array([[0.0], [1.0], [3.0], [2.0]]), [0, 0, 1, 1]
    >>> model = MinibatchClassifier(learning_rate=0.5)
    >>> for _ in range(50):
    ...     model = model.partial_fit(x, y, classes=[0, 1])
    >>> model.predict([[0.5], [4.0]]).tolist(), model.n_iter_
    ([0, 1], 50)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **SHARED,
        "l2": L2,
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left"), None],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "warm_start": ["boolean"],
    }

    n_iter_: int
    learning_rate_: float
    certificate_: None
    outcome_: Outcome
    _progress: Progress

    def __init__(
        self,
        loss: Any = "softmax",
        *,
        l2: Any = 1e-4,
        learning_rate: Any = "auto",
        batch_size: Any = 256,
        epochs: Any = None,
        momentum: Any = 0.9,
        fit_intercept: Any = True,
        class_weight: Any = None,
        warm_start: Any = False,
        random_state: Any = None,
        dtype: Any = None,
        probabilities: Any = None,
    ) -> None:
        self.loss = loss
        self.l2 = l2
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.momentum = momentum
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.probabilities = probabilities

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MinibatchClassifier:
        """Trains from the start, or with `warm_start` from the last parameters.

        Args:
          X: features (N, D), as for `LinearClassifier`.
          y: labels (N,).
          sample_weight: (N,), not negative.

        Returns:
          Itself.

        Raises:
          ValueError: an argument is not what it has to be; `jaxlin.InputError` is one.
          DivergedError: the learning rate is too large. It carries the last finite parameters.
        """
        self._validate_params()
        data = training_of(self, X, y, sample_weight)
        start = self._start_for(data)
        num_rows = len(data.codes)
        share = as_shares(np.ones(num_rows) if data.weight is None else data.weight, np.float64)
        epochs = suggested_epochs(num_rows, self.batch_size) if self.epochs is None else self.epochs
        rate = self._rate_for(data, None if data.weight is None else num_rows * share)
        seed = seed_of(self.random_state)
        steps = -(-num_rows // min(self.batch_size, num_rows)) * epochs
        self._train(data, share, None, start, rate, seed, count=epochs, total_steps=float(steps))
        self._calibrate(X, data, sample_weight)
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> MinibatchClassifier:
        """One more epoch, over these rows.

        The loss of a row is multiplied by its weights, and the mean is over the number of rows: a
        weight means the same whatever else is in the call. Where all are 0, the step is that of l2
        and of momentum.

        Args:
          X: features (N, D).
          y: labels (N,).
          classes: all labels that there will be; needed in the first call.
          sample_weight: (N,), not negative. Those above 1 in the first call, and class weights
            above 1, make a learning rate `"auto"` so much smaller.

        Returns:
          Itself.

        Raises:
          ValueError: an argument is not what it has to be; `jaxlin.InputError` is one.
          DivergedError: the learning rate is too large. The parameters stay those before the call.
        """
        self._validate_params()
        if self.class_weight == "balanced":
            raise InputError(
                "class_weight 'balanced' is not supported for partial_fit: it has not seen all of "
                "the data. Pass the weights as a dict, or sample_weight."
            )
        is_first = not hasattr(self, "_progress")
        declared = self._declared(classes, is_first)
        x, y = validate_data(
            self, known_features(X), checked_labels(y), accept_sparse=["csr", "csc"],
            reset=is_first,
        )  # fmt: skip
        declared, codes = encoded(y, declared)
        dtype = computed_in(x, self.dtype) if is_first else self.coef_.dtype
        if not is_first and (self._progress.state.params.b is None) == self.fit_intercept:
            raise InputError(
                "fit_intercept has changed since the last call to partial_fit. Begin anew, with a "
                "clone of the estimator."
            )
        weight = row_weights(sample_weight, self.class_weight, codes, declared, can_be_zero=True)
        counts = np.ones(len(codes)) if weight is None else weight
        if counts.max() > np.finfo(dtype).max:
            raise InputError(
                f"sample_weight, times class_weight, goes up to {counts.max():.3g}, which {dtype} "
                "cannot hold: partial_fit takes weights as they are. Divide them."
            )
        data = Training(dense(x, dtype), codes, declared, weight, None, dtype, None, codes)
        keeps = not is_first and self.learning_rate == "auto"
        rate = self.learning_rate_ if keeps else self._rate_for(data, self._factors(weight))
        seed = seed_of(self.random_state) if is_first else self._seed
        progress = None if is_first else self._progress
        share = counts / len(counts)
        self._train(data, share, progress, None, rate, seed, count=1, total_steps=np.inf)
        return self

    def _declared(self, classes: Any, is_first: bool) -> np.ndarray:
        """The classes of `partial_fit`, sorted."""
        if classes is None:
            if is_first:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            return self.classes_
        found = np.unique(np.asarray(checked_labels(classes, "classes")))
        if not is_first and not np.array_equal(found, self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        if len(found) < 2:
            raise InputError(f"classes must declare at least 2 classes, got {found.tolist()!r}.")
        return found

    def _factors(self, weight: np.ndarray | None) -> np.ndarray | None:
        """What rows of a first part count in the choice of a rate (N,): what later ones may."""
        if weight is None:
            return None
        named = self.class_weight.values() if isinstance(self.class_weight, dict) else ()
        return np.maximum(weight, max([1.0, *map(float, named)]))

    def _rate_for(self, data: Training, factors: np.ndarray | None) -> float:
        """The learning rate, for rows whose losses are multiplied by factors (N,), or by 1."""
        if self.learning_rate != "auto":
            return float(self.learning_rate)
        rate = suggested_learning_rate(
            data.x, loss=LOSSES[self.loss], num_classes=len(data.classes), momentum=self.momentum,
            batch_size=min(self.batch_size, len(data.x)), factors=factors,
        )  # fmt: skip
        if not np.finfo(data.dtype).tiny < rate < np.finfo(data.dtype).max:
            raise InputError(
                f"X is so large that a learning rate of {rate:.3g} would be needed, which "
                f"{data.dtype} cannot hold. Scale the features."
            )
        return limited_by_penalty(rate, float(self.l2), float(self.momentum))

    def _train(
        self,
        data: Training,
        share: np.ndarray,
        progress: Progress | None,
        start: LinearParams | None,
        rate: float,
        seed: int,
        *,
        count: int,
        total_steps: float,
    ) -> None:
        num_classes, num_features = data.shape
        if start is None:
            b = np.zeros(num_classes) if self.fit_intercept else None
            start = LinearParams(np.zeros(data.shape), b)  # pyright: ignore[reportArgumentType]
        rows = padded_rows(data.x, data.codes, share, self.batch_size, data.dtype)
        progress = run_epochs(
            rows, LOSSES[self.loss], l2=float(self.l2), learning_rate=rate, total_steps=total_steps,
            momentum=float(self.momentum), count=count, progress=progress, start=start, seed=seed,
            dtype=data.dtype,
        )  # fmt: skip
        found = progress.params(num_features)
        b = None if found.b is None else np.array(found.b)
        self._keep(np.array(found.W), b, data.classes)
        self._progress, self._seed, self.learning_rate_ = progress, seed, rate
        self.n_iter_, self.certificate_ = progress.epoch, None
        self.outcome_ = Outcome(
            f"Ran {progress.epoch} epoch{'' if progress.epoch == 1 else 's'}; there is no proof "
            "that this is the optimum (jaxlin.certificates.duality_gap makes one).",
            kind="out_of_steps",
        )
