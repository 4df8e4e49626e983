"""scikit-learn's own tests of LogisticRegression, run against LinearClassifier in its place.

The list of those that are left out, and why, is in docs/estimators.md: a test holds it complete.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model.tests import test_logistic as own

from jaxlin.sklearn import LinearClassifier

PAGE = Path(__file__).parents[2] / "docs" / "estimators.md"

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning:sklearn"),
]


class InPlaceOfLogisticRegression(ClassifierMixin, BaseEstimator):
    """LogisticRegression's arguments, and a LinearClassifier behind them."""

    def __init__(
        self,
        penalty: Any = "deprecated",
        *,
        C: Any = 1.0,
        l1_ratio: Any = 0.0,
        dual: Any = False,
        tol: Any = 1e-4,
        fit_intercept: Any = True,
        intercept_scaling: Any = 1,
        class_weight: Any = None,
        random_state: Any = None,
        solver: Any = "lbfgs",
        max_iter: Any = 100,
        verbose: Any = 0,
        warm_start: Any = False,
        n_jobs: Any = None,
    ) -> None:
        self.penalty, self.C, self.l1_ratio, self.dual, self.tol = penalty, C, l1_ratio, dual, tol
        self.fit_intercept, self.intercept_scaling = fit_intercept, intercept_scaling
        self.class_weight, self.random_state, self.solver = class_weight, random_state, solver
        self.max_iter, self.verbose, self.warm_start, self.n_jobs = (
            max_iter, verbose, warm_start, n_jobs,
        )  # fmt: skip

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        assert self.l1_ratio == 0
        if not hasattr(self, "model_"):
            self.model_ = LinearClassifier()
        self.model_.set_params(
            C=self.C, tol=self.tol, fit_intercept=self.fit_intercept,
            class_weight=self.class_weight, random_state=self.random_state,
            max_iter=self.max_iter, warm_start=self.warm_start,
        )  # fmt: skip
        self.model_.fit(X, y, sample_weight)
        for name in ("coef_", "intercept_", "classes_", "n_iter_", "n_features_in_"):
            setattr(self, name, getattr(self.model_, name))
        return self

    def decision_function(self, X: Any) -> Any:
        return self.model_.decision_function(X)

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X)

    def predict_proba(self, X: Any) -> Any:
        return self.model_.predict_proba(X)


@pytest.fixture(autouse=True)
def _in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own, "LogisticRegression", InPlaceOfLogisticRegression)


def only(name: str, **allowed: Any) -> Any:
    """One of scikit-learn's tests, for some of its parameters only."""
    function = getattr(own, name)
    marks = list(getattr(function, "pytestmark", []))

    def kept(mark: Any) -> Any:
        if mark.name != "parametrize" or mark.args[0] not in allowed:
            return mark
        return pytest.mark.parametrize(mark.args[0], allowed[mark.args[0]]).mark

    def copy(**arguments: Any) -> None:
        function(**arguments)

    wrapped = functools.wraps(function)(copy)
    wrapped.pytestmark = [kept(mark) for mark in marks]  # pyright: ignore[reportAttributeAccessIssue]
    return wrapped


WIDE_SOLVERS = ["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"]

test_predict_2_classes = own.test_predict_2_classes
test_predict_3_classes = own.test_predict_3_classes
test_logistic_glmnet = own.test_logistic_glmnet
test_inconsistent_input = own.test_inconsistent_input
test_write_parameters = own.test_write_parameters
test_nan = own.test_nan
test_multinomial_logistic_regression_string_inputs = (
    own.test_multinomial_logistic_regression_string_inputs
)
test_logistic_regression_solvers = own.test_logistic_regression_solvers
test_logistic_regression_solvers_multiclass = own.test_logistic_regression_solvers_multiclass
test_logistic_regression_solvers_multiclass_unpenalized = (
    own.test_logistic_regression_solvers_multiclass_unpenalized
)
test_logistic_regression_sample_weights = only(
    "test_logistic_regression_sample_weights", problem=["single"]
)
test_logistic_regression_solver_class_weights = own.test_logistic_regression_solver_class_weights
test_logistic_regression_class_weights = own.test_logistic_regression_class_weights
test_liblinear_decision_function_zero = own.test_liblinear_decision_function_zero
test_logreg_intercept_scaling_zero = own.test_logreg_intercept_scaling_zero
test_warm_start = own.test_warm_start
test_warm_start_newton_solver = own.test_warm_start_newton_solver
test_dtype_match = only("test_dtype_match", solver=WIDE_SOLVERS)
test_warm_start_converge_LR = own.test_warm_start_converge_LR
test_c_inf_no_warning = own.test_c_inf_no_warning
test_multinomial_identifiability_on_iris = own.test_multinomial_identifiability_on_iris
test_sample_weight_not_modified = own.test_sample_weight_not_modified
test_large_sparse_matrix = only("test_large_sparse_matrix", solver=WIDE_SOLVERS[:3])
test_saga_vs_liblinear = only("test_saga_vs_liblinear", l1_ratio=[0])
test_logisticregression_liblinear_sample_weight = only(
    "test_logisticregression_liblinear_sample_weight",
    params=[{"l1_ratio": 0, "tol": 1e-9, "max_iter": 1000}],
)
test_single_feature_newton_cg = own.test_single_feature_newton_cg
test_zero_max_iter = own.test_zero_max_iter


IN_PART = {
    "test_dtype_match",
    "test_large_sparse_matrix",
    "test_logistic_regression_sample_weights",
    "test_logisticregression_liblinear_sample_weight",
    "test_saga_vs_liblinear",
}


def test_the_page_names_the_tests_that_are_left_out_and_no_others() -> None:
    run = {name for name in globals() if name.startswith("test_")}
    theirs = {name for name in vars(own) if name.startswith("test_")}
    named = re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert sorted(named) == sorted((theirs - run) | IN_PART)
