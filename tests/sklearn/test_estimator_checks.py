"""scikit-learn's own checks of estimators, all of them, with no failure expected."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.utils import estimator_checks

from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, MinibatchClassifier

# Three folds, as scikit-learn checks its own: some of the checks have classes of three examples.
ESTIMATORS = [LinearClassifier(), LinearClassifierCV(cv=3), MinibatchClassifier()]
EXTRA = [
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_inplace_ensure_writeable,
    estimator_checks.check_param_validation,
    estimator_checks.check_class_weight_balanced_linear_classifier,
]
# What scikit-learn runs only where SCIPY_ARRAY_API is set before it is imported.
ARRAY_API = """
from sklearn.utils.estimator_checks import estimator_checks_generator as checks_of
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, MinibatchClassifier

for estimator in (LinearClassifier(), LinearClassifierCV(cv=3), MinibatchClassifier()):
    for checked, check in checks_of(estimator):
        if "array_api" in check.func.__name__:
            check(checked)
            print(type(estimator).__name__)
"""

pytestmark = pytest.mark.filterwarnings("ignore")


def name_of(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_an_estimator_passes_every_check(estimator: Any) -> None:
    results = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    wrong = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert wrong == []
    assert sum(r["status"] == "passed" for r in results) >= 55
    left_out = {r["check_name"] for r in results if r["status"] != "passed"}
    assert left_out <= {"check_array_api_input"}


@pytest.mark.parametrize("check", EXTRA, ids=name_of)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=name_of)
def test_an_estimator_passes_the_checks_that_are_not_run_by_default(
    estimator: Any, check: Any
) -> None:
    if isinstance(estimator, LinearClassifierCV):
        estimator = LinearClassifierCV(cv=2)  # one of them has a class of two examples
    check(type(estimator).__name__, estimator)


def test_array_api_dispatch_changes_nothing() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ARRAY_API],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) == {name_of(type(one)) for one in ESTIMATORS}
