"""scikit-learn's own checks of estimators, all of them, with no failure expected.

They run in a process of their own, because some are only run where SCIPY_ARRAY_API was set before
anything imported SciPy.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Three folds, as scikit-learn checks its own: some of the checks have classes of three examples,
# and one that is not in the list has a class of two. And nine values of l2, which take a fifth of
# the time of 45.
PROGRAM = """
import json, sys, traceback
from sklearn.utils import estimator_checks
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, MinibatchClassifier

EXTRA = (
    estimator_checks.check_dataframe_column_names_consistency,
    estimator_checks.check_inplace_ensure_writeable,
    estimator_checks.check_param_validation,
    estimator_checks.check_class_weight_balanced_linear_classifier,
)
found = {}
for estimator in (LinearClassifier(), LinearClassifierCV(l2s=9, cv=3), MinibatchClassifier()):
    name = type(estimator).__name__
    results = estimator_checks.check_estimator(estimator, on_skip=None, on_fail=None)
    found[name] = [[r["check_name"], r["status"], repr(r["exception"])] for r in results]
    if isinstance(estimator, LinearClassifierCV):
        estimator.set_params(cv=2)
    for check in EXTRA:
        try:
            check(name, estimator)
            found[name].append([check.__name__, "passed", ""])
        except Exception:
            found[name].append([check.__name__, "failed", traceback.format_exc()])
with open(sys.argv[1], "w") as file:
    json.dump(found, file)
"""
NOT_IN_THE_LIST = {
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_param_validation",
    "check_class_weight_balanced_linear_classifier",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """How each check of each estimator ended: its name, its status, the exception in words."""
    file = tmp_path_factory.mktemp("checks") / "found.json"
    folder = str(Path(__file__).parents[2])
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(file)],
        env={**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": folder},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    "estimator", ["LinearClassifier", "LinearClassifierCV", "MinibatchClassifier"]
)
def test_an_estimator_passes_every_check(found: Any, estimator: str) -> None:
    of_it = found[estimator]
    assert [result for result in of_it if result[1] != "passed"] == []
    assert len(of_it) >= 60
    assert {"check_array_api_input", *NOT_IN_THE_LIST} <= {name for name, *_ in of_it}
