"""Curves: seconds and objectives of one competitor, by growing budgets or by snapshots."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

from bench.harness.timing import median, seconds
from bench.optimum.bounds import Bounds
from bench.optimum.competitor import Competitor, RanTooLongError

# From the bound at most this far away, nobody has to run any longer: the last target is reached.
TARGETS = (1e-2, 1e-3, 1e-4, 1e-6)
_SHORT = 0.25  # a run of less is repeated, and its median counts
_MOST_BUDGETS = 24
# Times the limit: what a run that was expected to be short is given, by who can give one up.
_GIVEN_UP = 5.0


def _seconds(solver: Competitor, budget: Any, *, repeats: int, limit: float) -> list[float]:
    """Of one budget, from the start: several where it is short."""
    times = [seconds(lambda: solver.run(budget))]
    # A tighter tolerance may have compiled something. What takes long is not run twice: there its
    # share is small, and it counts against who compiles.
    if solver.compiles and times[0] < limit / 4:
        times = [seconds(lambda: solver.run(budget))]
    while times[0] < _SHORT and len(times) < repeats:
        times.append(seconds(lambda: solver.run(budget)))
    return times


def _point(
    solver: Competitor, bounds: Bounds, budget: Any, times: list[float], ended: bool
) -> dict[str, Any]:
    """Judges an answer."""
    W, b = solver.get_result()
    verdict = solver.task.judge(W, b)
    own = bounds.see(solver.label, W, b, verdict.objective, solver.certificate(), solver.dual())
    return {
        "budget": budget,
        "seconds": median(times),
        "times": times,
        "objective": verdict.objective,
        "test_accuracy": verdict.test_accuracy,
        "own_bound": None if own is None else repr(own),
        "ended": ended,
        **solver.notes(),
    }


def _is_enough(bounds: Bounds, point: Mapping[str, Any]) -> bool:
    """Whether the last target is reached; who brings a proof goes on until that says so, too."""
    objective, own = point["objective"], point["own_bound"]
    is_proved = own is None or bounds.suboptimality(objective, float(own)) <= TARGETS[-1]
    return is_proved and bounds.suboptimality(objective) <= TARGETS[-1]


def curve(solver: Competitor, bounds: Bounds, *, cutoff: float, repeats: int) -> dict[str, Any]:
    """Everything about one competitor that has taken its task, from a warm-up on.

    Args:
      solver: who.
      bounds: of its problem: takes in every answer, and tells when no more is needed.
      cutoff: seconds; no run is begun that is expected to take longer.
      repeats: of short runs.

    Returns:
      `first_call_seconds`, `points` and whether it was `cut_off`.
    """
    smallest = next(iter(solver.budgets()))
    limit = cutoff * solver.stamina
    solver.most_seconds = _GIVEN_UP * limit
    first = seconds(lambda: solver.run(smallest))
    record = {"first_call_seconds": first, "limit": limit}
    watched = solver.snapshots()
    if watched is not None:
        return {**record, **_watch(solver, watched, bounds, limit)}
    points: list[dict[str, Any]] = []
    for budget in itertools.islice(solver.budgets(), _MOST_BUDGETS):
        if points and points[-1]["seconds"] * solver.growth > limit:
            return {**record, "points": points, "cut_off": True}
        try:
            times = _seconds(solver, budget, repeats=repeats, limit=limit)
        except RanTooLongError:
            return {**record, "points": points, "cut_off": True}
        points.append(_point(solver, bounds, budget, times, solver.has_ended()))
        if solver.has_ended() or _is_enough(bounds, points[-1]):
            break
    return {**record, "points": points, "cut_off": False}


def _watch(solver: Competitor, watched: Any, bounds: Bounds, limit: float) -> dict[str, Any]:
    points: list[dict[str, Any]] = []
    for budget, clock in watched:
        points.append(_point(solver, bounds, budget, [clock], solver.has_ended()))
        if solver.has_ended() or _is_enough(bounds, points[-1]):
            break
        if clock > limit:
            return {"points": points, "cut_off": True}
    return {"points": points, "cut_off": False}


def finish(records: Mapping[str, dict[str, Any]], bounds: Bounds) -> None:
    """Once everyone has run: how far every point is from the best bound, and from its own."""
    for one in records.values():
        for point in one.get("points", ()):
            point["suboptimality"] = bounds.suboptimality(point["objective"])
            own = None if point["own_bound"] is None else float(point["own_bound"])
            sound = own is not None and bounds.is_sound(own)
            point["certified"] = bounds.suboptimality(point["objective"], own) if sound else None


def bracket(
    points: list[dict[str, Any]], reaches: Callable[[dict[str, Any]], bool]
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The last point that missed something before the first that reached it, and that one.

    Points are in the order of their budgets.
    """
    missed = None
    for point in points:
        if reaches(point):
            return missed, point
        missed = point
    return missed, None


def refine(
    solvers: Mapping[str, Competitor],
    records: Mapping[str, dict[str, Any]],
    bounds: Bounds,
    target: float,
    *,
    most_runs: int = 8,
    width: float = 1.25,
) -> None:
    """Runs in between, so that doubling does not make the best peer slower than it is.

    Between the last budget that missed a target and the first that reached it lies a factor of two.
    Whoever could be the fastest by the run that missed is run with a budget in between, until
    the best peer's time is known to a quarter.

    Args:
      solvers: those that are run from the start with each budget, by their label.
      records: of them; points are added.
      bounds: of their problem.
      target: relative suboptimality.
      most_runs: of all together.
      width: the ratio of the two ends of a bracket that is narrow enough.
    """

    def reaches(point: Mapping[str, Any]) -> bool:
        return bounds.suboptimality(point["objective"]) <= target

    for _ in range(most_runs):
        found = {label: bracket(records[label]["points"], reaches) for label in solvers}
        fastest = min((hit["seconds"] for _, hit in found.values() if hit), default=math.inf)
        asked: list[tuple[float, str, Any]] = []
        for label, (missed, hit) in found.items():
            if missed is None or hit is None or missed["seconds"] * width > fastest:
                continue
            middle = solvers[label].between(missed["budget"], hit["budget"])
            if middle is not None and hit["seconds"] > width * missed["seconds"]:
                asked.append((missed["seconds"], label, middle))
        if not asked:
            return
        _, label, budget = min(asked)
        solver, points = solvers[label], records[label]["points"]
        times = _seconds(solver, budget, repeats=1, limit=0.0)
        points.append(_point(solver, bounds, budget, times, solver.has_ended()))
        points.sort(key=lambda point: point["budget"])
