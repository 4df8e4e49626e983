"""A path of l2: jaxlin's `sweep` against scikit-learn's L-BFGS, warm-started along it."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

import jaxlin
from bench.harness.parts import Data
from bench.harness.timing import Say, seconds
from bench.optimum.bounds import Bounds
from bench.optimum.competitor import Stopwatch, without_convergence_warnings
from bench.optimum.task import Task
from jaxlin.errors import DivergedError

GAP = 1e-3
# Of scikit-learn's tolerance over sqrt(l2): a gap is about |gradient|^2 / (4 l2).
_FACTORS = tuple(10.0 ** (-k / 2) for k in range(13))
_TRIALS = 4
# How long the peer's path may take: so many times the sweep's seconds, and no more than so many.
_BEYOND, _LONGEST = 12.0, 900.0
_TRIAL_L2 = 1e-3  # trial points are not below: there a single fit takes a minute


def path_of(points: int) -> list[float]:
    """l2 from strong to weak."""
    return np.geomspace(1e1, 1e-6, points).tolist()


def spread(count: int) -> list[int]:
    """All of `range(count)`, in an order whose every beginning is spread over the whole.

    >>> spread(5)
    [0, 4, 2, 1, 3]
    """
    ends = [0, count - 1] if count > 1 else [0]
    return list(dict.fromkeys(ends + [
        round(step * (count - 1) / parts)
        for parts in (1 << k for k in range(1, count.bit_length() + 1))
        for step in range(1, parts)
    ] + list(range(count))))  # fmt: skip


class WarmStarted:
    """scikit-learn's L-BFGS in float32 along a path, each fit from the answer of the last."""

    def __init__(self, data: Data) -> None:
        self._x, self._labels = data.as_floats(), data.labels
        self._model: Any = None

    def restart(self) -> None:
        """The next fit starts from zero."""
        self._model = LogisticRegression(solver="lbfgs", max_iter=100_000, warm_start=True)

    def fit(self, task: Task, factor: float) -> tuple[np.ndarray, np.ndarray]:
        """The next point of the path, to `factor * sqrt(l2)` of the gradient's largest entry."""
        self._model.set_params(C=task.liblinear_C, tol=factor * math.sqrt(task.l2))
        with without_convergence_warnings():
            self._model.fit(self._x, self._labels)
        return self._model.coef_.copy(), self._model.intercept_.copy()


class _Points:
    """The problems of a path, with their bounds."""

    def __init__(self, data: Data, path: Sequence[float]) -> None:
        self.tasks = [Task(data, "softmax", l2) for l2 in path]
        self.bounds = [Bounds(task) for task in self.tasks]

    def see(self, index: int, label: str, W: np.ndarray, b: Any, proof: Any = None) -> float:
        """The objective of an answer; its proof's bound counts."""
        objective = self.tasks[index].judge(W, b).objective
        self.bounds[index].see(label, W, b, objective, proof)
        return objective


def trial_points(path: Sequence[float]) -> list[int]:
    """Some points of a path, spread over those that are not too weak."""
    strong = [k for k, l2 in enumerate(path) if l2 >= _TRIAL_L2 * (1 - 1e-9)]
    places = np.linspace(0, len(strong) - 1, min(_TRIALS, len(strong)))
    return [strong[int(place)] for place in np.round(places)]


def choose_factor(trial: Callable[[float], float], factors: Sequence[float] = _FACTORS) -> float:
    """The loosest factor by which a trial point comes within the gap; else the tightest.

    Args:
      trial: the relative suboptimality by a factor; each goes on from the answer of the last, as a
        fit to the tighter tolerance would.
      factors: to try, loosest first.
    """
    return next((factor for factor in factors if trial(factor) <= GAP), factors[-1])


def _peer(
    points: _Points, data: Data, cutoff: float, say: Say
) -> tuple[float, list[int], list[float], list[float]]:
    """The chosen factor, the trial points, seconds and objectives as far along as time allows."""
    peer, tasks = WarmStarted(data), points.tasks
    chosen = trial_points([task.l2 for task in tasks])

    def trial(index: int, factor: float) -> float:
        objective = points.see(index, "sklearn", *peer.fit(tasks[index], factor))
        return points.bounds[index].suboptimality(objective)

    say("  scikit-learn's tolerance")
    peer.restart()
    factor = min(choose_factor(functools.partial(trial, index)) for index in chosen)
    say(f"  scikit-learn's path, tolerance {factor:.2g} sqrt(l2)")
    peer.restart()
    times: list[float] = []
    objectives: list[float] = []
    for index, task in enumerate(tasks):
        if sum(times) > cutoff:
            break
        clock = Stopwatch()
        with clock.running():
            answer = peer.fit(task, factor)
        times.append(clock.seconds)
        objectives.append(points.see(index, "sklearn", *answer))
    return factor, chosen, times, objectives


def _certificates(found: Any, count: int) -> list[Any]:
    """What a sweep proves of every point; None where nothing, or where it diverged."""
    proofs: list[Any] = []
    for index in range(count):
        try:
            proofs.append(found.fit(index).certificate)
        except DivergedError:
            proofs.append(None)
    return proofs


def measure(data: Data, *, points: int, cutoff: float, say: Say) -> dict[str, Any]:
    """Times the path, whole calls, beside single fits and the peer.

    Args:
      data: float32 features.
      points: values of l2, from 1e-6 to 10.
      cutoff: seconds for the single fits, and for the peer's path unless the bar needs more: what
        is not reached in these is left out, and the record tells.
      say: called with a line about what is going on.

    Returns:
      A record.
    """
    path = path_of(points)
    of_path = _Points(data, path)
    loss = of_path.tasks[0].jaxlin_loss

    def sweep() -> Any:
        found = jaxlin.sweep(data.x, data.labels, loss=loss, grid={"l2": path}, tol=GAP)
        np.asarray(found.params.W)
        return found

    say(f"  a sweep of {points}, twice")
    results: list[Any] = []
    first = seconds(lambda: results.append(sweep()))
    again = seconds(lambda: results.append(sweep()))
    found = results[-1]
    proofs = _certificates(found, points)
    own = [
        of_path.see(k, "jaxlin", np.asarray(found.params.W[k]), np.asarray(found.params.b[k]), one)
        for k, one in enumerate(proofs)
    ]
    # Long enough to show whether the bar holds, where that takes longer than the cut-off.
    for_peer = max(cutoff, min(_BEYOND * again, _LONGEST))
    factor, trials, peer_times, peer_own = _peer(of_path, data, for_peer, say)
    say("  single fits")

    def fit(l2: float) -> None:
        with contextlib.suppress(DivergedError):  # the sweep's proofs tell
            np.asarray(jaxlin.fit(data.x, data.labels, loss=loss, l2=l2, tol=GAP).params.W)

    fit(path[0])
    singles: dict[int, float] = {}
    for index in spread(points):
        if sum(singles.values()) > cutoff:
            break
        singles[index] = seconds(lambda index=index: fit(path[index]))
    bounds = of_path.bounds
    certified = [
        None
        if one is None or not bound.is_sound(one.dual)
        else bound.suboptimality(value, one.dual)
        for one, bound, value in zip(proofs, bounds, own, strict=True)
    ]
    return {
        "dataset": data.name,
        "l2": path,
        "gap": GAP,
        "cutoff": for_peer,
        "sweep_first_seconds": first,
        "sweep_seconds": again,
        "sweep_suboptimality": [b.suboptimality(v) for b, v in zip(bounds, own, strict=True)],
        "sweep_certified": certified,
        "peer_factor": factor,
        "peer_trial_l2": [path[index] for index in trials],
        "peer_seconds": peer_times,
        "peer_suboptimality": [
            bound.suboptimality(value) for bound, value in zip(bounds, peer_own, strict=False)
        ],
        "single_l2": [path[index] for index in singles],
        "single_seconds": list(singles.values()),
    }


def values(measured: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the bars; NaN, which meets none, where the sweep did not prove its gap.

    Where the peer's path was cut short, its time so far against that of the whole sweep is less
    than the ratio would be. Of single fits that were left out, those that ran are the measure.
    """
    gaps, sweep = measured["sweep_certified"], measured["sweep_seconds"]
    is_proved = all(gap is not None and gap <= measured["gap"] for gap in gaps)
    singles = measured["single_seconds"]
    sum_of_singles = sum(singles) * len(measured["l2"]) / len(singles)
    found = {
        "path_against_sklearn": sum(measured["peer_seconds"]) / sweep,
        "path_against_fits": sum_of_singles / sweep,
    }
    return {key: value if is_proved else math.nan for key, value in found.items()}
