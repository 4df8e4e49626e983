"""What a record of curves says: seconds to a target, who was the fastest, and by how much."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from bench.optimum.running import OWN


def find_case(
    record: Mapping[str, Any], dataset: str, loss: str, l2: float, bias: bool
) -> Mapping[str, Any] | None:
    """The case of a problem, by the beginning of its data's label, or None."""
    for case in record.get("curves", ()):
        if (
            case["dataset"].startswith(dataset)
            and (case["loss"], case["bias"]) == (loss, bias)
            and math.isclose(case["l2"], l2)
        ):
            return case
    return None


def _least(one: Mapping[str, Any], key: str, target: float) -> float:
    """Seconds of the fastest run with a value of at most a target; infinity where there is none."""
    times = [
        point["seconds"]
        for point in one.get("points", ())
        if point.get(key) is not None and point[key] <= target
    ]
    return min(times, default=math.inf)


def reached(one: Mapping[str, Any], target: float) -> float:
    """Seconds to a relative suboptimality, judged outside; infinity where it was not reached."""
    return _least(one, "suboptimality", target)


def certified(one: Mapping[str, Any], target: float) -> float:
    """Seconds to a gap that the competitor's own proof shows, and the judge confirms."""
    proved = [
        point for point in one.get("points", ())
        if point.get("suboptimality") is not None and point["suboptimality"] <= target
    ]  # fmt: skip
    return _least({"points": proved}, "certified", target)


def at_least(one: Mapping[str, Any], target: float) -> float:
    """Seconds that reaching a target takes more than: infinity for who stopped before it.

    The longest run that missed it; once somebody reached it, the longest of the shorter ones.
    """
    points = one.get("points", ())
    if not points:
        return math.inf
    hit = reached(one, target)
    missed = [
        point["seconds"]
        for point in points
        if point["seconds"] < hit
        and (point["suboptimality"] is None or point["suboptimality"] > target)
    ]
    if not math.isfinite(hit) and points[-1]["ended"]:
        return math.inf
    return max(missed, default=0.0)


@dataclasses.dataclass(frozen=True)
class Fastest:
    """The best peer to a target.

    Attributes:
      seconds: it took; or, where nobody reached the target, more than that.
      label: who; None where nobody.
      is_bound: whether nobody reached it before being cut off.
    """

    seconds: float
    label: str | None
    is_bound: bool


def fastest_peer(case: Mapping[str, Any], target: float) -> Fastest | None:
    """Who else reached a suboptimality first; None where no peer had a part."""
    peers = {
        label: one for label, one in case["solvers"].items() if label != OWN and one.get("points")
    }
    if not peers:
        return None
    seconds, label = min((reached(one, target), label) for label, one in peers.items())
    if math.isfinite(seconds):
        return Fastest(seconds, label, False)
    # Nobody: then the fastest takes more than the shortest of their longest runs.
    return Fastest(min(at_least(one, target) for one in peers.values()), None, True)


def own_seconds(case: Mapping[str, Any] | None, target: float) -> float | None:
    """Seconds of jaxlin to a certified gap: NaN, which meets no bar, where it did not get there."""
    if case is None or not case["solvers"].get(OWN):
        return None
    seconds = certified(case["solvers"][OWN], target)
    return seconds if math.isfinite(seconds) else math.nan


def times_faster(case: Mapping[str, Any] | None, target: float) -> float | None:
    """The best peer's seconds to a suboptimality over jaxlin's to the same, certified.

    None where one of the two had no part. Where every peer was cut off before, at least that much;
    where all stopped by themselves before, infinity.
    """
    own = own_seconds(case, target)
    fastest = None if case is None else fastest_peer(case, target)
    return None if own is None or fastest is None else fastest.seconds / own


def problems(record: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The cases by data, loss and bias; within, by l2 from strong to weak."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for case in record.get("curves", ()):
        groups.setdefault((case["dataset"], case["loss"], case["bias"]), []).append(case)
    return [sorted(cases, key=lambda case: -case["l2"]) for cases in groups.values()]


def ran(case: Mapping[str, Any]) -> list[str]:
    """Who has points, jaxlin first."""
    labels = [label for label, one in case["solvers"].items() if one.get("points")]
    return sorted(labels, key=lambda label: label != OWN)


def skipped(cases: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Who had no part in some cases, and why."""
    return {
        label: one["skipped"]
        for case in cases
        for label, one in case["solvers"].items()
        if "skipped" in one
    }
