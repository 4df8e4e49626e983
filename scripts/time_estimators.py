"""Times the estimators beside scikit-learn's, in turns: iris, one fit; digits, 5 folds x 45 l2.

Run with the project's environment on a machine that does nothing else; medians count.
"""

from __future__ import annotations

import json
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV

from jaxlin.scales import C_of_l2
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV

IRIS_RUNS = 31


def seconds(run: Callable[[], Any]) -> float:
    """What a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def iris() -> dict[str, float]:
    """Milliseconds of a fit, the first in the process left out, and of that."""
    x, y = load_iris(return_X_y=True)
    first = seconds(lambda: LinearClassifier(C=1.0).fit(x, y))
    theirs, ours = [], []
    for _ in range(IRIS_RUNS):
        theirs.append(seconds(lambda: LogisticRegression(max_iter=1000).fit(x, y)))
        ours.append(seconds(lambda: LinearClassifier(C=1.0).fit(x, y)))
    found = {"theirs": statistics.median(theirs), "ours": statistics.median(ours)}
    return {f"{name}_ms": 1e3 * value for name, value in found.items()} | {"first_ms": 1e3 * first}


def digits() -> dict[str, float]:
    """Seconds of 5 folds x 45 values of l2 and the refit, ours with and without compiling."""
    x, y = load_digits(return_X_y=True)
    x = x / 16
    found = {
        f"ours_{name}_s": seconds(lambda: LinearClassifierCV().fit(x.astype(np.float32), y))
        for name in ("first", "second")
    }
    l2s = LinearClassifierCV().fit(x, y).l2s_
    found["ours_float64_s"] = seconds(lambda: LinearClassifierCV().fit(x, y))
    Cs = [C_of_l2(l2, num_examples=0.8 * len(y), num_classes=10) for l2 in l2s]
    model: Any = LogisticRegressionCV(
        Cs=Cs, cv=5, scoring="accuracy", use_legacy_attributes=False, l1_ratios=(0.0,)
    )
    found["theirs_s"] = seconds(lambda: model.fit(x, y))
    return found


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        print(json.dumps({"iris": iris(), "digits": digits()}, indent=2))
