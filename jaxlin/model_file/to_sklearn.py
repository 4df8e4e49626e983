"""A model as a fitted estimator of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import Normalizer
from sklearn.svm import LinearSVC

from jaxlin.errors import InputError
from jaxlin.model_file.fields import label_array

if TYPE_CHECKING:
    from jaxlin.model_file.model import Model


def fitted_estimator(model: Model) -> LogisticRegression | LinearSVC | Pipeline:
    """`LogisticRegression` or `LinearSVC` with the model's numbers, after a `Normalizer` or not."""
    if len(model.classes) < 2:
        raise InputError("A classifier of scikit-learn needs two classes; this model has one.")
    has_bias = model.params.b is not None
    if model.loss == "softmax_cross_entropy":
        classifier = LogisticRegression(fit_intercept=has_bias)
    else:
        form = "crammer_singer" if model.loss == "crammer_singer_hinge" else "ovr"
        classifier = LinearSVC(fit_intercept=has_bias, multi_class=form)
    labels = label_array(model.classes)
    order = np.argsort(labels)
    rows, bias = _rows(model, order)
    learned = {"coef_": rows, "intercept_": bias, "classes_": labels[order]}
    if not model.normalize_rows:
        return _with(classifier, **learned, **_seen(model))
    # The names are the first step's: what it hands on has none.
    return Pipeline(
        [
            ("normalizer", _with(Normalizer(), **_seen(model))),
            ("classifier", _with(classifier, **learned, n_features_in_=rows.shape[1])),
        ]
    )


def _rows(model: Model, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients and intercepts, one row a class in this order; for two classes one in all."""
    W = np.asarray(model.params.W)[order]
    b = np.zeros(len(W), W.dtype) if model.params.b is None else np.asarray(model.params.b)[order]
    if len(W) > 2:
        return W, b
    with np.errstate(over="ignore"):  # looked for below
        one = W[1:] - W[:1], b[1:] - b[:1]
    if not all(np.isfinite(part).all() for part in one):
        raise InputError(f"The two rows of W differ by more than {W.dtype} holds.")
    return one


def _seen(model: Model) -> dict[str, Any]:
    """What an estimator knows about the features that it was fitted to."""
    names = model.feature_names
    known = {} if names is None else {"feature_names_in_": np.array(names, dtype=object)}
    return {"n_features_in_": model.params.num_features, **known}


def _with(estimator: Any, **attributes: Any) -> Any:
    for name, value in attributes.items():
        setattr(estimator, name, value)
    return estimator
