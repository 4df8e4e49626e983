"""Fitted classifiers of scikit-learn, and jaxlin's own, read as one W and b for raw features."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDClassifier,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.model_file.loss_names import name_and_margin
from jaxlin.precision import float64_scope

# By their very types: a class derived from one of these may do something else.
_CLASSIFIERS = (
    LogisticRegression,
    LogisticRegressionCV,
    LinearSVC,
    SGDClassifier,
    RidgeClassifier,
    RidgeClassifierCV,
)
_OWN = "jaxlin.sklearn."  # which comes later: it is told by its name
_SCALERS = (StandardScaler, MaxAbsScaler, MinMaxScaler)

# The losses that jaxlin has by another name where two classes are told apart; each with its margin.
_OF_TWO = {
    "log_loss": ("softmax_cross_entropy", None),
    "hinge": ("weston_watkins_hinge", 1.0),
    "squared_hinge": ("squared_weston_watkins_hinge", 1.0),
}


def fields_of(estimator: Any) -> dict[str, Any]:
    """What `Model` takes, of a fitted classifier or pipeline; `InputError` for any other."""
    *before, classifier = _parts(estimator) or [estimator]
    is_own = type(classifier).__module__.startswith(_OWN)
    if not is_own and type(classifier) not in _CLASSIFIERS:
        raise InputError(_refusal(classifier))
    _check_fitted([*before, classifier])
    normalize, scaling, words = _preparation(before, classifier.n_features_in_)
    classes = _classes_of(classifier)
    if is_own:
        told, l2 = classifier._trained_with()
        loss, margin = name_and_margin(told)
    else:
        loss, margin = _loss_of(classifier, len(classes))
        l2 = _l2_of(classifier, loss)
    first = [*before, classifier][0]
    names = getattr(first, "feature_names_in_", None)
    return {
        "params": _params(classifier, len(classes), scaling),
        "classes": classes,
        "loss": loss,
        "margin": margin,
        "l2": l2,
        "scaling": words,
        "feature_names": None if names is None else tuple(names.tolist()),
        "versions": {
            "jaxlin": sys.modules["jaxlin"].__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "normalize_rows": normalize,
    }


def _parts(estimator: Any) -> list[Any]:
    """The steps of a pipeline, and of pipelines in it; whatever is none is its only step."""
    if estimator is None or (isinstance(estimator, str) and estimator == "passthrough"):
        return []
    if type(estimator) is not Pipeline:
        return [estimator]
    return [part for _, step in estimator.steps for part in _parts(step)]


def _refusal(classifier: Any) -> str:
    *most, last = [kind.__name__ for kind in _CLASSIFIERS]
    advice = " Give its best_estimator_." if hasattr(classifier, "best_estimator_") else ""
    return (
        f"estimator must be a fitted {', '.join(most)} or {last} of scikit-learn, one of "
        f"jaxlin.sklearn, or a Pipeline that ends in one, got {type(classifier).__name__}.{advice}"
    )


def _check_fitted(parts: list[Any]) -> None:
    for part in parts:
        try:
            check_is_fitted(part)
        except NotFittedError:
            name = type(part).__name__
            raise InputError(f"estimator must be fitted, but its {name} is not.") from None


@dataclasses.dataclass(frozen=True)
class _Affine:
    """`x -> x * factor + offset`, both float64 (D,)."""

    factor: np.ndarray
    offset: np.ndarray


def _preparation(parts: list[Any], num_features: int) -> tuple[bool, _Affine, str]:
    """What comes before the classifier: whether rows are normalised, then one scaling; its name."""
    normalize, names = False, []
    total = _Affine(np.ones(num_features), np.zeros(num_features))
    for part in parts:
        kind = type(part)
        if kind is Normalizer and part.norm == "l2" and not names:
            normalize = True
        elif kind is Normalizer and part.norm == "l2":
            raise InputError(
                f"Normalizer comes after {names[-1]}: a Model normalises rows before all scaling."
            )
        elif kind in _SCALERS and not getattr(part, "clip", False):
            one = _affine(part)
            total = _Affine(total.factor * one.factor, total.offset * one.factor + one.offset)
            names.append(kind.__name__)
        else:
            raise InputError(
                "Before the classifier a Pipeline may have Normalizer(norm='l2'), then "
                f"{', '.join(scaler.__name__ for scaler in _SCALERS)} (without clip), got {part!r}."
            )
    return normalize, total, ", then ".join(names) or "none"


def _affine(scaler: Any) -> _Affine:
    """What a fitted scaler does."""
    kind, zeros = type(scaler), np.zeros(scaler.n_features_in_)
    if kind is MinMaxScaler:
        return _Affine(zeros + scaler.scale_, zeros + scaler.min_)
    has_factor = kind is MaxAbsScaler or scaler.with_std
    has_shift = kind is not MaxAbsScaler and scaler.with_mean
    factor = 1.0 / (zeros + scaler.scale_) if has_factor else zeros + 1.0
    return _Affine(factor, -(zeros + scaler.mean_) * factor if has_shift else zeros)


def _classes_of(classifier: Any) -> list[Any]:
    binarizer = getattr(classifier, "_label_binarizer", None)
    if getattr(binarizer, "y_type_", "").startswith("multilabel"):
        raise InputError("estimator gives an example several labels; a Model gives it one.")
    return np.asarray(classifier.classes_).tolist()


def _loss_of(classifier: Any, num_classes: int) -> tuple[str, float | None]:
    """The name of the loss, and its margin where it is a hinge of jaxlin's."""
    form = getattr(classifier, "multi_class", None)  # LogisticRegression had it up to 1.7
    if isinstance(classifier, LogisticRegression | LogisticRegressionCV):
        if form == "multinomial" and num_classes == 2:
            raise InputError(
                "LogisticRegression(multi_class='multinomial') of two classes doubles its scores "
                "in its probabilities. Fit it without multi_class."
            )
        if num_classes > 2 and classifier.solver != "liblinear" and form != "ovr":
            return "softmax_cross_entropy", None
        loss = "log_loss"
    elif form == "crammer_singer":
        return "crammer_singer_hinge", 1.0
    else:
        is_ridge = isinstance(classifier, RidgeClassifier | RidgeClassifierCV)
        loss = "squared_error" if is_ridge else classifier.loss
    if num_classes == 2:
        return _OF_TWO.get(loss, (loss, None))
    return f"one_against_rest_{loss}", None


def _l2_of(classifier: Any, loss: str) -> float | None:
    """Lambda, where the objective is one of jaxlin's and does not depend on how many examples."""
    if not isinstance(classifier, SGDClassifier) or classifier.penalty != "l2":
        return None
    is_ours = loss in {name for name, _ in _OF_TWO.values()}
    return float(classifier.alpha) if is_ours else None


def _params(classifier: Any, num_classes: int, scaling: _Affine) -> LinearParams:
    """W and b for raw features, in the dtype of the coefficients."""
    coef = classifier.coef_
    # A matrix of SciPy's after sparsify(); of a RidgeClassifier of two classes a vector.
    coef = np.atleast_2d(coef.toarray() if hasattr(coef, "toarray") else coef)
    if len(coef) not in ((1, 2) if num_classes == 2 else (num_classes,)):
        raise InputError(f"estimator has {len(coef)} rows of coef_ for {num_classes} classes.")
    dtype = np.float32 if coef.dtype == np.float32 else np.float64
    rows = coef.astype(np.float64)
    bias = np.broadcast_to(np.asarray(classifier.intercept_, np.float64), len(rows))
    with np.errstate(over="ignore", invalid="ignore"):  # `Model` looks for what is not finite
        bias = bias + rows @ scaling.offset
        rows = rows * scaling.factor
        if len(rows) < num_classes:
            rows, bias = np.concatenate([-rows, rows]) / 2, np.concatenate([-bias, bias]) / 2
        has_bias = classifier.fit_intercept or bool(bias.any())
        rows, bias = rows.astype(dtype), bias.astype(dtype)
    with float64_scope(dtype == np.float64):
        return LinearParams(jnp.asarray(rows), jnp.asarray(bias) if has_bias else None)
