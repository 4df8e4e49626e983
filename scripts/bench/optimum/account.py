"""The tables of curves: seconds to each target, by l2 and competitor."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bench.harness.tables import Section, ratio
from bench.optimum.curves import TARGETS
from bench.optimum.readings import at_least, certified, problems, ran, reached, skipped
from bench.optimum.running import OWN

TEXT = """\
Seconds from arrays in memory to the answer. Who stops by iterations or by a tolerance is run from
the start with growing budgets (1, 2, 4 iterations and so on), each run timed wholly after one that
was not, the median where a run takes less than 0.25 s; for the best peers, budgets in between
narrow the factor of two down to a quarter where a bar hangs on it. Who can be watched is looked at
with the clock stopped. Every answer is judged in float64, outside of all of them, against the best
lower bound that any certificate of the run proves. Seconds to a target are those of the fastest run
that reached it, without interpolation; `> 40` is the longest run that missed it; `-`, it stopped by
itself before. A line `certified` counts the runs whose own proof shows the gap. jaxlin's seconds
include its certificate; compilation is in the first call, beside them. No run is begun that is
expected to last longer than the cut-off, which keeps a complete run near 40 minutes;
`--cutoff 600` waits longer."""


def short(target: float) -> str:
    """A power of ten as one writes it.

    >>> short(1e-6)
    '1e-6'
    """
    return f"{target:.0e}".replace("e-0", "e-")


def seconds_cell(value: float, floor: float) -> str:
    """Seconds, or what they are more than."""
    if math.isfinite(value):
        return f"{value:.3g}"
    return f"> {floor:.3g}" if math.isfinite(floor) else "-"


def _row(case: Mapping[str, Any], label: str, name: str, reads: Callable[..., float]) -> list[str]:
    one = case["solvers"][label]
    points = one["points"]
    key = "certified" if reads is certified else "suboptimality"
    lowest = min((p[key] for p in points if p.get(key) is not None), default=math.inf)
    best = min(points, key=lambda p: math.inf if p["objective"] is None else p["objective"])
    cells = []
    for target in TARGETS:
        floor = at_least(one, target) if reads is reached else max(p["seconds"] for p in points)
        cells.append(seconds_cell(reads(one, target), floor))
    accuracy = best["test_accuracy"]
    return [
        f"{case['l2']:g}",
        name,
        *cells,
        "" if not math.isfinite(lowest) else f"{lowest:.1e}",
        f"{max(point['seconds'] for point in points):.3g}",
        f"{one['first_call_seconds']:.3g}" if label == OWN else "",
        "" if accuracy is None else f"{100 * accuracy:.2f}",
    ]


def _has_proofs(one: Mapping[str, Any]) -> bool:
    return any(point.get("certified") is not None for point in one["points"])


def _limits(cases: list[Mapping[str, Any]]) -> str:
    """The cut-off, and who was given longer."""
    told = []
    for cutoff in sorted({case["cutoff"] for case in cases}):
        same = [case for case in cases if case["cutoff"] == cutoff]
        longer = {
            label: case["solvers"][label]["limit"]
            for case in same
            for label in ran(case)
            if case["solvers"][label]["limit"] != cutoff
        }
        others = ", ".join(f"{label} {limit:g} s" for label, limit in longer.items())
        values = ", ".join(f"{case['l2']:g}" for case in same)
        where = "" if len(same) == len(cases) else f" at l2 = {values}"
        told.append(f"{cutoff:g} s{where}" + (f" ({others})" if others else ""))
    return "; ".join(told)


def _section(cases: list[Mapping[str, Any]]) -> Section:
    first = cases[0]
    bias = "free bias" if first["bias"] else "no bias"
    rows = []
    for case in cases:
        for label in ran(case):
            rows.append(_row(case, label, label, reached))
            if _has_proofs(case["solvers"][label]):
                rows.append(_row(case, label, f"{label}, certified", certified))
    bounds = "; ".join(
        f"l2 = {case['l2']:g}: {float(case['bound']):.8g} by {case['bound_by']}, "
        + ("nobody above it" if gap is None else f"{gap:.1e} below the best objective")
        for case in cases
        for gap in [case["bound_gap"]]
    )
    text = (
        f"{first['n']:,} x {first['d']:,}, {first['c']} classes; cut off at {_limits(cases)}. "
        f"Bounds of the optimum: {bounds}."
    )
    missing = [label for case in cases for label in ran(case) if label == OWN
               and not _has_proofs(case["solvers"][label])]  # fmt: skip
    text += " jaxlin gave no certificate." if missing else ""
    for case in cases:
        if case["refuted"]:
            text += f" Refuted, l2 = {case['l2']:g}: bounds by {', '.join(case['refuted'])}."
    without = [f"{label}: {reason}" for label, reason in skipped(cases).items()]
    text += f" Without: {'; '.join(without)}." if without else ""
    head = ["l2", "who", *(f"to {short(target)}" for target in TARGETS), "lowest", "longest run"]
    return Section(
        f"{first['dataset']}, {first['loss']}, {bias}",
        text,
        [*head, "first call", "accuracy, %"],
        rows,
    )


def curve_sections(record: Mapping[str, Any]) -> list[Section]:
    """A table for each problem, and before them what they mean."""
    groups = [cases for cases in problems(record) if any(ran(case) for case in cases)]
    if not groups:
        return []
    return [Section("Curves", TEXT), *(_section(cases) for cases in groups)]


def comparison_row(name: str, own: float | None, peer: str, value: float | None) -> list[str]:
    """A bar's two times: jaxlin's, the peer's in words, and their ratio."""
    told = "" if own is None or math.isnan(own) else f"{own:.3g}"
    return [name, told, peer, "" if value is None or math.isnan(value) else ratio(value)]
