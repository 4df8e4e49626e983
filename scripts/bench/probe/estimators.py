"""jaxlin's estimators beside scikit-learn's, on the data sets that come with it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.special import log_softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import StratifiedKFold

from bench.harness.timing import alternate, median, seconds
from jaxlin import scales
from jaxlin.losses import softmax_cross_entropy
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV
from jaxlin.sweeps import SubsetSweep, sweep_subsets
from jaxlin.training.optimum import usual_tol

_FOLDS, _L2 = 5, 1e-4
# As it comes it stops up to half of its objective above the weakly regularised optima: tol=1e-5
# still leaves 1.5e-2, and this is the first power of ten that leaves less than 1e-3.
_CONVERGED = "sklearn, to 1e-3 (tol=1e-6)"


def _quietly(fit: Callable[[], Any]) -> Callable[[], Any]:
    """As it is, without the warnings of who stops before the optimum: the record tells."""

    def run() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return fit()

    return run


def iris(repeats: int) -> dict[str, Any]:
    """A small fit, again and again in one process.

    Args:
      repeats: rounds, ten fits each.
    """
    x, y = load_iris(return_X_y=True)
    C = scales.C_of_l2(_L2, num_examples=len(y), num_classes=3)
    own = LinearClassifier(l2=_L2)
    fits = {
        "jaxlin": _quietly(lambda: own.fit(x, y)),
        "sklearn": _quietly(lambda: LogisticRegression(C=C).fit(x, y)),
        "sklearn, to 1e-6": _quietly(
            lambda: LogisticRegression(C=C, tol=1e-6, max_iter=100_000).fit(x, y)
        ),
    }
    first = seconds(fits["jaxlin"])
    taken = alternate(
        {
            name: (lambda f=f: seconds(lambda: [f() for _ in range(10)]) / 10)
            for name, f in fits.items()
        },
        repeats,
    )
    proof = own.certificate_
    gap = None if proof is None else proof.relative_gap
    return {"l2": _L2, "first_seconds": first, "certified": gap, "seconds": taken}


def cross_validation(repeats: int, points: int) -> dict[str, Any]:
    """Folds and l2 on digits.

    Args:
      repeats: rounds; of scikit-learn one is enough, as it takes long.
      points: values of l2.
    """
    loaded: Any = load_digits(return_X_y=True)
    x, y = loaded[0] / 16.0, loaded[1]
    l2s = np.geomspace(1e-6, 10.0, points)
    rows = len(y) * (_FOLDS - 1) / _FOLDS  # of a fold's model
    Cs = [scales.C_of_l2(l2, num_examples=rows, num_classes=10) for l2 in l2s]
    own = LinearClassifierCV(l2s=l2s, cv=_FOLDS)
    first = seconds(_quietly(lambda: own.fit(x, y)))
    again = [seconds(_quietly(lambda: own.fit(x, y))) for _ in range(repeats)]
    splits = list(StratifiedKFold(_FOLDS).split(x, y))
    bounds = sweep_subsets(
        x, y, [train for train, _ in splits], loss=softmax_cross_entropy, l2=l2s.tolist(), tol=1e-5,
        dtype=np.float64,
    )  # fmt: skip
    peers: dict[str, Any] = {}
    for name, options in {
        "sklearn, as it comes": {},
        "sklearn, two processes": {"n_jobs": 2},
        _CONVERGED: {"max_iter": 100_000, "tol": 1e-6},
        f"{_CONVERGED}, two processes": {"max_iter": 100_000, "tol": 1e-6, "n_jobs": 2},
    }.items():
        make: Any = LogisticRegressionCV
        peer = make(Cs=Cs, cv=_FOLDS, scoring="accuracy", use_legacy_attributes=False, **options)
        taken = seconds(_quietly(lambda peer=peer: peer.fit(x, y)))
        peers[name] = {
            "seconds": taken,
            "best_accuracy": float(np.max(_mean_scores(peer))),
            "largest_gap": _largest_gap(peer, x, y, splits, bounds),
        }
    return {
        "l2": l2s.tolist(),
        "tol": usual_tol(softmax_cross_entropy),
        "first_seconds": first,
        "seconds": again,
        "best_accuracy": float(np.max(own.scores_.mean(axis=0))),
        "peers": peers,
    }


def _largest_gap(
    peer: Any, x: np.ndarray, y: np.ndarray, splits: list[Any], bounds: SubsetSweep
) -> float:
    """How far above the optimum the objective of a fold's model is at most, over all l2."""
    paths = np.asarray(peer.coefs_paths_)
    paths = paths.reshape(_FOLDS, len(bounds.l2), *paths.shape[-2:])
    gaps = []
    for number, (train, _) in enumerate(splits):
        for place, l2 in enumerate(bounds.l2):
            params = paths[number, place]
            scores = x[train] @ params[:, :-1].T + params[:, -1]
            losses = -log_softmax(scores, axis=1)[np.arange(len(train)), y[train]]
            objective = losses.mean() + l2 * np.sum(params[:, :-1] ** 2)
            gaps.append(1.0 - bounds.certificates[number][place].dual / objective)
    return float(max(gaps))


def _mean_scores(peer: Any) -> np.ndarray:
    """Of each C over the folds."""
    scores = np.asarray(peer.scores_)
    return scores.reshape(_FOLDS, -1).mean(axis=0)


def values(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the bars, of the parts that ran."""
    found = {}
    if "iris" in record:
        taken = record["iris"]["seconds"]
        found["iris_fit"] = median(taken["jaxlin"]) / median(taken["sklearn"])
    if "cross_validation" in record:
        one = record["cross_validation"]
        found["cross_validation"] = min(
            one["peers"][name]["seconds"] for name in (_CONVERGED, f"{_CONVERGED}, two processes")
        ) / median(one["seconds"])
    return found
