"""LinearClassifier: the same optimum as scikit-learn's and as `fit`'s, and what it says of it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import jaxlin
from jaxlin import losses
from jaxlin.precision import float64_scope
from jaxlin.sklearn import LinearClassifier
from jaxlin.solvers.optimum import reduced

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
TWO = Y < 2
WEIGHT = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)


def test_the_optimum_is_that_of_logistic_regression() -> None:
    for rows, weight in ((TWO, None), (slice(None), None), (slice(None), WEIGHT)):
        w = None if weight is None else weight[rows]
        theirs = LogisticRegression(C=0.7, solver="newton-cholesky", tol=1e-10)
        theirs.fit(X[rows], Y[rows], w)
        ours = LinearClassifier(C=0.7).fit(X[rows], Y[rows], w)
        assert ours.coef_.shape == theirs.coef_.shape
        np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-6)
        probabilities = ours.predict_proba(X)
        np.testing.assert_allclose(probabilities, theirs.predict_proba(X), atol=1e-6)
        np.testing.assert_allclose(ours.predict_log_proba(X), np.log(probabilities), atol=1e-9)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    ("loss", "theirs"),
    [
        ("squared_svm", LinearSVC(C=0.7, fit_intercept=False, tol=1e-10, max_iter=100_000)),
        ("svm", LinearSVC(C=0.7, loss="hinge", fit_intercept=False, tol=1e-8, max_iter=100_000)),
        (
            "crammer_singer",
            LinearSVC(C=0.7, multi_class="crammer_singer", fit_intercept=False, tol=1e-8,
                      max_iter=100_000),
        ),
    ],
)  # fmt: skip
def test_the_optimum_is_that_of_linear_svc(loss: str, theirs: Any) -> None:
    theirs.fit(X[TWO], Y[TWO])
    ours = LinearClassifier(loss, C=0.7, fit_intercept=False, tol=1e-5).fit(X[TWO], Y[TWO])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=3e-3)


@pytest.mark.parametrize("loss", ["svm", "squared_svm"])
def test_a_C_whose_optimum_nobody_else_has_is_refused(loss: str) -> None:
    with pytest.raises(jaxlin.InputError, match=r"no C has the optimum of .* with 3 classes"):
        LinearClassifier(loss, C=1.0).fit(X, Y)


@pytest.mark.parametrize("loss", ["softmax", "squared_svm"])
def test_a_padded_problem_has_the_optimum_of_the_unpadded(
    loss: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    padded = LinearClassifier(loss).fit(X, Y, WEIGHT)
    monkeypatch.setattr(reduced, "padded_rows", lambda count: count)
    monkeypatch.setattr(reduced, "padded_size", lambda count: count)
    as_it_is = LinearClassifier(loss).fit(X, Y, WEIGHT)
    np.testing.assert_allclose(padded.coef_, as_it_is.coef_, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(padded.intercept_, as_it_is.intercept_, rtol=1e-9, atol=1e-9)


def test_it_has_the_objective_of_fit_and_a_certificate_of_its_own() -> None:
    with float64_scope(True):
        found = jaxlin.fit(X, Y, loss=losses.softmax_cross_entropy, l2=1e-3, dtype=np.float64)
    assert found.certificate is not None
    model = LinearClassifier(l2=1e-3).fit(X, Y)
    assert model.certificate_ is not None
    assert model.certificate_.relative_gap < 1e-9
    assert found.certificate.dual <= model.certificate_.primal <= found.certificate.primal
    assert model.outcome_.kind == "converged"
    assert model.n_iter_.shape == (1,)


@pytest.mark.parametrize("loss", ["svm", "crammer_singer"])
def test_hinges_are_certified_and_predict(loss: str) -> None:
    model = LinearClassifier(loss, l2=1e-2).fit(X, Y)
    assert model.certificate_ is not None
    assert model.certificate_.relative_gap <= 1e-3
    assert model.score(X, Y) > 0.9
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError) as caught:
        _ = model.predict_proba
    assert "probabilities='calibrated'" in str(caught.value.__cause__)


def test_calibrated_probabilities_are_those_of_the_scores_at_a_temperature() -> None:
    model = LinearClassifier("squared_svm", l2=1e-2, probabilities="calibrated").fit(X, Y)
    probabilities, scores = model.predict_proba(X), model.decision_function(X)
    (calibrator,) = model.calibrator_.calibrated_classifiers_[0].calibrators
    np.testing.assert_allclose(probabilities, softmax(calibrator.beta_ * scores, axis=1))
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(probabilities))
    np.testing.assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])


def test_scores_near_the_end_of_float32_are_right_or_refused() -> None:
    model = LinearClassifier(dtype="float32").fit(X.astype(np.float32), Y)
    model.coef_ = np.zeros((3, 4), np.float32)
    model.coef_[0, :2] = 3e38, -3e38
    model.coef_[1, 2], model.coef_[2, 2] = 3e38, -3e38
    x = np.zeros((3, 4), np.float32)
    x[0, :2], x[1, :2], x[2, 2] = (3.0, 3.0), (1.0, 1.5), 1.0
    # The products of the first two rows are out of range, and what they sum to is not.
    expected = [[0.0, 0.0, 0.0], [-1.5e38, 0.0, 0.0], [0.0, 3e38, -3e38]]
    scores = model.decision_function(x) - model.intercept_
    np.testing.assert_allclose(scores, expected, rtol=1e-6, atol=1e-6)
    probabilities = model.predict_proba(x)
    np.testing.assert_allclose(probabilities[1:, 0], 0.0)
    np.testing.assert_array_equal(probabilities[2], [0.0, 1.0, 0.0])
    assert model.predict_log_proba(x)[2].tolist() == pytest.approx([-3e38, 0.0, -np.inf])
    x[1, 0] = 3.0
    for method in (model.predict, model.predict_proba):
        with pytest.raises(jaxlin.InputError, match=r"too large in row 1: .* range of float32"):
            method(x)


def test_without_penalty_there_is_no_certificate_and_it_says_so() -> None:
    noisy = np.where(np.arange(len(Y)) % 7 == 0, (Y + 1) % 3, Y)  # not separable
    model = LinearClassifier(l2=0.0).fit(X, noisy)
    assert model.certificate_ is None
    assert "there is no certificate" in model.outcome_
    assert model.outcome_.kind == "converged"
    same = LinearClassifier(C=np.inf).fit(X, noisy)
    np.testing.assert_array_equal(model.coef_, same.coef_)


def test_without_penalty_too_the_steps_are_limited_or_that_is_refused() -> None:
    with pytest.warns(ConvergenceWarning, match="there is no certificate"):
        model = LinearClassifier(l2=0.0, max_iter=2).fit(X, Y)
    assert model.n_iter_ == 2
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-12)
    with pytest.raises(jaxlin.InputError, match=r"max_iter=2 cannot be kept to: with l2 = 0"):
        LinearClassifier("svm", l2=0.0, max_iter=2).fit(X, Y)


def test_too_few_steps_end_with_a_warning_that_has_the_gap() -> None:
    with pytest.warns(ConvergenceWarning, match=r"certified relative gap is .* \(tol 0.0001\)"):
        model = LinearClassifier(max_iter=1).fit(X, Y)
    assert model.n_iter_ == 1
    with pytest.warns(ConvergenceWarning, match="max_iter is 0"):
        model = LinearClassifier(max_iter=0).fit(X, Y)
    assert model.n_iter_ == 0
    assert not model.coef_.any()
    assert model.decision_function(X).shape == (150, 3)


def test_a_warm_start_goes_on_and_refuses_other_shapes() -> None:
    model = LinearClassifier(warm_start=True, max_iter=3)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, Y)
    rest = LinearClassifier(warm_start=True)
    rest.coef_, rest.intercept_, rest.classes_ = model.coef_, model.intercept_, model.classes_
    whole = LinearClassifier().fit(X, Y)
    assert rest.fit(X, Y).n_iter_ < whole.n_iter_
    np.testing.assert_allclose(rest.coef_, whole.coef_, rtol=1e-6)
    with pytest.raises(jaxlin.InputError, match="Pass warm_start=False"):
        rest.fit(X[:, :2], Y)


def test_class_weights_are_sample_weights() -> None:
    balanced = LinearClassifier(class_weight="balanced").fit(X[30:], Y[30:])
    counts = np.bincount(Y[30:])
    weights = (len(Y) - 30) / (3 * counts)
    named = LinearClassifier(class_weight=dict(enumerate(weights))).fit(X[30:], Y[30:])
    given = LinearClassifier().fit(X[30:], Y[30:], sample_weight=weights[Y[30:]])
    np.testing.assert_allclose(balanced.coef_, given.coef_, rtol=1e-9)
    np.testing.assert_allclose(named.coef_, given.coef_, rtol=1e-9)


def test_a_class_without_weight_is_known_and_not_predicted() -> None:
    model = LinearClassifier(class_weight={2: 0.0}).fit(X, Y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert set(model.predict(X)) == {0, 1}


@pytest.mark.parametrize("loss", ["softmax", "svm"])
def test_a_pickle_is_the_same_model(loss: str) -> None:
    model = LinearClassifier(loss, l2=1e-2).fit(X, Y)
    again = pickle.loads(pickle.dumps(model))  # one of our own
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    assert again.certificate_ == model.certificate_
    assert again.outcome_.kind == model.outcome_.kind
    assert not hasattr(clone(model), "coef_")


def test_pipelines_searches_and_routing_work() -> None:
    pipeline = make_pipeline(StandardScaler(), LinearClassifier())
    grid = {"linearclassifier__l2": [1e-3, 1e-2]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    assert search.best_score_ > 0.9
    with sklearn.config_context(enable_metadata_routing=True):
        model: Any = LinearClassifier().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        scores = cross_val_score(model, X, Y, cv=3, params={"sample_weight": WEIGHT})
    plain = cross_val_score(LinearClassifier(), X, Y, cv=3, params={"sample_weight": WEIGHT})
    np.testing.assert_allclose(scores, plain)
