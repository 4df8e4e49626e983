"""Models to and from scikit-learn: the same decisions on both sides."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import sklearn.base
from model_problem import MODEL, model
from problems import D, blobs
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

import jaxlin
from jaxlin import Model
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, MinibatchClassifier

X, CODES = blobs()
NAMES = np.array(["dog", "cat", "eel"])[CODES]
TWO = CODES < 2


def fresh(estimator: Any) -> Any:
    """The same settings, not fitted."""
    return sklearn.base.clone(estimator)


def decisions(fitted: Any, x: Any) -> np.ndarray:
    """Differences of scores, from the first class: what both sides have of two classes and more."""
    values = np.asarray(fitted.decision_function(x), np.float64)
    if values.ndim == 1:
        return values[:, None]
    return values[:, 1:] - values[:, :1]


def differences(scores: np.ndarray) -> np.ndarray:
    scores = scores.astype(np.float64)
    return scores[:, 1:] - scores[:, :1]


def agree(ours: Model, fitted: Any, x: Any) -> None:
    """The same decisions, whichever side they come from; classes as `fitted` sorts them."""
    order = np.argsort(ours.classes)
    wanted = decisions(fitted, x)
    np.testing.assert_allclose(differences(ours.scores(x)[:, order]), wanted, rtol=1e-4, atol=1e-4)
    assert ours.predict(x).tolist() == fitted.predict(x).tolist()


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(
    "loss", ["softmax_cross_entropy", "weston_watkins_hinge", "crammer_singer_hinge", "my_own"]
)
def test_a_model_becomes_an_estimator_that_decides_alike(num_classes: int, loss: str) -> None:
    ours = model(num_classes, loss=loss)
    fitted: Any = ours.to_sklearn()
    check_is_fitted(fitted)
    agree(ours, fitted, X)
    assert fitted.classes_.tolist() == sorted(ours.classes)
    assert fitted.n_features_in_ == D
    assert not hasattr(fitted, "feature_names_in_")
    assert fitted.score(X, ours.predict(X)) == 1.0
    if loss == "softmax_cross_entropy":
        assert type(fitted) is LogisticRegression
        shares = softmax(ours.scores(X), axis=1)[:, np.argsort(ours.classes)]
        np.testing.assert_allclose(fitted.predict_proba(X), shares, rtol=1e-4, atol=1e-6)
    else:
        assert type(fitted) is LinearSVC
    assert fresh(fitted).get_params() == fitted.get_params()


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float64"])
def test_features_of_other_dtypes_get_the_same_scores(dtype: str) -> None:
    x = np.abs(20 * X).astype(dtype)
    np.testing.assert_allclose(
        decisions(MODEL.to_sklearn(), x)[:, 0],
        differences(MODEL.scores(x)[:, [1, 0, 2]])[:, 0],
        rtol=1e-4, atol=1e-3,
    )  # fmt: skip


@pytest.mark.parametrize("num_classes", [2, 3])
def test_rows_are_normalised_in_a_pipeline(num_classes: int) -> None:
    ours = model(num_classes, normalize_rows=True, feature_names=tuple("abcdef"))
    fitted: Any = ours.to_sklearn()
    assert isinstance(fitted, Pipeline)
    frame = pd.DataFrame(X, columns=list("abcdef"))
    assert fitted.predict(frame).tolist() == ours.predict(X).tolist()
    assert fitted.feature_names_in_.tolist() == list("abcdef")
    assert fitted.n_features_in_ == D
    wanted = differences(ours.scores(X)[:, np.argsort(ours.classes)])
    np.testing.assert_allclose(decisions(fitted, frame), wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame[list("fedcba")])


def test_names_of_features_and_no_bias_go_along() -> None:
    ours = model(params=jaxlin.LinearParams(MODEL.params.W), feature_names=tuple("abcdef"))
    fitted: Any = ours.to_sklearn()
    assert fitted.feature_names_in_.tolist() == list("abcdef")
    assert fitted.fit_intercept is False
    assert not fitted.intercept_.any()
    assert fitted.predict(pd.DataFrame(X, columns=list("abcdef"))).tolist() == (
        ours.predict(X).tolist()
    )


def test_one_class_and_rows_too_far_apart_are_refused() -> None:
    one = model(1)
    with pytest.raises(jaxlin.InputError, match="needs two classes; this model has one"):
        one.to_sklearn()
    W = jnp.full((2, D), 3e38, jnp.float32) * jnp.array([[1.0], [-1.0]])
    with pytest.raises(jaxlin.InputError, match="more than float32 holds"):
        model(2, params=jaxlin.LinearParams(W)).to_sklearn()


CLASSIFIERS = [
    (LogisticRegression(), "softmax_cross_entropy", "softmax_cross_entropy"),
    (LogisticRegression(fit_intercept=False), "softmax_cross_entropy", "softmax_cross_entropy"),
    (LinearSVC(loss="hinge", max_iter=100_000), "weston_watkins_hinge", "one_against_rest_hinge"),
    (LinearSVC(), "squared_weston_watkins_hinge", "one_against_rest_squared_hinge"),
    (LinearSVC(multi_class="crammer_singer"), "crammer_singer_hinge", "crammer_singer_hinge"),
    (SGDClassifier(random_state=0), "weston_watkins_hinge", "one_against_rest_hinge"),
    (
        SGDClassifier(loss="modified_huber", random_state=0),
        "modified_huber",
        "one_against_rest_modified_huber",
    ),
    (RidgeClassifier(), "squared_error", "one_against_rest_squared_error"),
]


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize(("estimator", "of_two", "of_three"), CLASSIFIERS, ids=str)
def test_a_fitted_classifier_becomes_a_model_that_decides_alike(
    estimator: Any, of_two: str, of_three: str, num_classes: int
) -> None:
    part = TWO if num_classes == 2 else slice(None)
    x, labels = X[part].astype(np.float64), NAMES[part]
    fitted = fresh(estimator).fit(x, labels)
    ours = Model.from_sklearn(fitted)
    agree(ours, fitted, x)
    assert ours.loss == (of_two if num_classes == 2 else of_three)
    assert (ours.margin is None) == (ours.loss not in ("weston_watkins_hinge",
        "squared_weston_watkins_hinge", "crammer_singer_hinge"))  # fmt: skip
    assert ours.classes == tuple(sorted(set(labels)))
    assert (ours.params.b is None) == (not estimator.fit_intercept)
    assert ours.params.W.dtype == np.float64
    is_sgd = isinstance(estimator, SGDClassifier) and ours.loss == "weston_watkins_hinge"
    assert ours.l2 == (estimator.alpha if is_sgd else None)
    assert set(ours.versions) == {"jaxlin", "scikit-learn", "numpy"}
    if ours.loss == "softmax_cross_entropy":
        shares = softmax(ours.scores(x), axis=1)
        np.testing.assert_allclose(shares, fitted.predict_proba(x), atol=1e-12)


@pytest.mark.parametrize(
    ("estimator", "num_classes", "told"),
    [
        (LinearClassifier(C=1.0, fit_intercept=False), 2, ("softmax_cross_entropy", None, None)),
        (LinearClassifierCV(l2s=[1e-3, 1e-2], cv=2), 3, ("softmax_cross_entropy", None, None)),
        (
            MinibatchClassifier("squared_svm", l2=1e-3, epochs=2),
            3,
            ("squared_weston_watkins_hinge", 1.0, 1e-3),
        ),
    ],
    ids=str,
)
def test_our_own_estimators_become_models_that_decide_alike(
    estimator: Any, num_classes: int, told: tuple[Any, ...]
) -> None:
    part = TWO if num_classes == 2 else slice(None)
    x, labels = pd.DataFrame(X[part], columns=[f"f{i}" for i in range(D)]), NAMES[part]
    fitted = fresh(estimator).fit(x, labels)
    ours = Model.from_sklearn(fitted)
    agree(ours, fitted, x)
    loss, margin, l2 = told
    assert (ours.loss, ours.margin) == (loss, margin)
    assert ours.l2 == (fitted.l2_ if l2 is None else l2)
    assert ours.classes == tuple(fitted.classes_.tolist())
    assert ours.feature_names == tuple(x.columns)
    assert (ours.params.b is None) == (not estimator.fit_intercept)


def test_the_one_row_of_two_classes_is_shared_out_evenly() -> None:
    fitted = LogisticRegression().fit(X[TWO], CODES[TWO])
    ours = Model.from_sklearn(fitted)
    assert ours.params.W.dtype == np.float32  # as scikit-learn's own, for float32 features
    np.testing.assert_array_equal(ours.params.W, [-fitted.coef_[0] / 2, fitted.coef_[0] / 2])
    assert ours.classes == (0, 1)
    np.testing.assert_allclose(
        np.asarray(Model.from_sklearn(fitted.sparsify()).params.W), np.asarray(ours.params.W)
    )


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ([StandardScaler()], "StandardScaler"),
        ([StandardScaler(with_mean=False)], "StandardScaler"),
        ([StandardScaler(with_std=False)], "StandardScaler"),
        ([MaxAbsScaler()], "MaxAbsScaler"),
        ([MinMaxScaler((-1, 2))], "MinMaxScaler"),
        ([Normalizer()], "none"),
        (
            [Normalizer(), "passthrough", make_pipeline(MaxAbsScaler(), StandardScaler())],
            "MaxAbsScaler, then StandardScaler",
        ),
    ],
    ids=str,
)
def test_what_comes_before_is_folded_in(before: list[Any], words: str) -> None:
    x = X.astype(np.float64) * np.arange(1, D + 1) + 3.0
    x[0] = 0.0
    x[:, 2] = 1.0  # constant
    pipeline = make_pipeline(*before, LogisticRegression(C=10.0, max_iter=1000))
    pipeline.fit(pd.DataFrame(x, columns=list("abcdef")), NAMES)
    ours = Model.from_sklearn(pipeline)
    with_names = pd.DataFrame(x, columns=list("abcdef"))
    scores = pipeline.decision_function(with_names)
    np.testing.assert_allclose(ours.scores(x), scores, rtol=1e-9, atol=1e-9)
    assert ours.predict(x).tolist() == pipeline.predict(with_names).tolist()
    assert ours.scaling == words
    assert ours.normalize_rows == isinstance(before[0], Normalizer)
    assert ours.feature_names == tuple("abcdef")


@pytest.mark.parametrize("normalize_rows", [False, True])
def test_there_and_back_again(normalize_rows: bool) -> None:
    ours = dataclasses.replace(MODEL, normalize_rows=normalize_rows)
    back = Model.from_sklearn(ours.to_sklearn())
    order = np.argsort(ours.classes)
    np.testing.assert_array_equal(back.params.W, np.asarray(ours.params.W)[order])
    np.testing.assert_array_equal(np.asarray(back.params.b), np.asarray(ours.params.b)[order])
    assert (back.loss, back.normalize_rows) == (ours.loss, normalize_rows)


class Contrary(LogisticRegression):
    """Not what it is derived from."""

    def predict(self, X: Any) -> Any:
        return np.asarray(super().predict(X))[::-1]


def multinomial_of_two() -> Any:
    """As scikit-learn up to 1.7 fitted it."""
    fitted: Any = LogisticRegression().fit(X[TWO], CODES[TWO])
    fitted.multi_class = "multinomial"
    return fitted


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: KNeighborsClassifier().fit(X, CODES), "got KNeighborsClassifier"),
        (lambda: Contrary().fit(X, CODES), "got Contrary"),
        (lambda: "LinearSVC", "got str"),
        (lambda: Pipeline([("nothing", "passthrough")]), "got Pipeline"),
        (
            lambda: GridSearchCV(RidgeClassifier(), {"alpha": [1.0]}, cv=2).fit(X, CODES),
            r"got GridSearchCV. Give its best_estimator_",
        ),
        (RidgeClassifier, "must be fitted, but its RidgeClassifier is not"),
        (
            lambda: make_pipeline(StandardScaler(), RidgeClassifier().fit(X, CODES)),
            "must be fitted, but its StandardScaler is not",
        ),
        (
            lambda: make_pipeline(PCA(2), RidgeClassifier()).fit(X, CODES),
            r"MinMaxScaler \(without clip\), got PCA",
        ),
        (
            lambda: make_pipeline(Normalizer("l1"), RidgeClassifier()).fit(X, CODES),
            r"got Normalizer\(norm='l1'\)",
        ),
        (
            lambda: make_pipeline(MinMaxScaler(clip=True), RidgeClassifier()).fit(X, CODES),
            r"got MinMaxScaler\(clip=True\)",
        ),
        (
            lambda: make_pipeline(StandardScaler(), Normalizer(), RidgeClassifier()).fit(X, CODES),
            "Normalizer comes after StandardScaler",
        ),
        (lambda: RidgeClassifier().fit(X, np.eye(3)[CODES] + np.eye(3)[0] > 0), "several labels"),
        (multinomial_of_two, "doubles its scores"),
    ],
)
def test_what_is_no_model_is_refused_in_words(make: Any, words: str) -> None:
    with pytest.raises(jaxlin.InputError, match=words):
        Model.from_sklearn(make())


def test_coefficients_that_are_no_numbers_are_refused() -> None:
    fitted = RidgeClassifier().fit(X, CODES)
    fitted.coef_[1, 2] = np.inf
    with pytest.raises(
        jaxlin.InputError, match=r"W holds NaN or infinity, first at index \(1, 2\)"
    ):
        Model.from_sklearn(fitted)
    fitted.coef_ = fitted.coef_[:2]
    with pytest.raises(jaxlin.InputError, match="2 rows of coef_ for 3 classes"):
        Model.from_sklearn(fitted)
