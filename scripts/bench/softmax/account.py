"""What a record of the bench `softmax` says, in tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.harness.tables import Section, ratio
from bench.harness.timing import median
from bench.optimum.account import comparison_row, curve_sections, short
from bench.optimum.readings import fastest_peer, own_seconds, times_faster
from bench.softmax import path
from bench.softmax.ratios import RACES, case_of

TITLE = "Softmax to the optimum"
CAPTION = "Relative suboptimality against seconds, by competitor and l2"


def _races_section(record: Mapping[str, Any]) -> Section | None:
    rows = []
    for l2, target in RACES.values():
        case = case_of(record, l2)
        fastest = None if case is None else fastest_peer(case, target)
        if case is None or fastest is None:
            continue
        peer = f"{fastest.label or 'any of them'}: "
        if not math.isfinite(fastest.seconds):
            peer += "none got there"
        else:
            peer += f"{'> ' if fastest.is_bound else ''}{fastest.seconds:.3g}"
        name = f"l2 = {l2:g}, to {short(target)}"
        own = own_seconds(case, target)
        rows.append(comparison_row(name, own, peer, times_faster(case, target)))
    if not rows:
        return None
    text = (
        "Seconds on Fashion-MNIST: jaxlin's to the certified gap, the fastest peer's to the same "
        "suboptimality, uncertified. Where all were cut off before, more than the shortest of "
        "their longest runs."
    )
    return Section("Beside the best peer", text, ["what", "jaxlin, s", "peer, s", "ratio"], rows)


def _largest(values: list[float | None]) -> str:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return f"{max(known):.1e}" if known and len(known) == len(values) else "not proved"


def _path_section(measured: Mapping[str, Any]) -> Section:
    points, peer = measured["l2"], measured["peer_seconds"]
    missed = sum(gap is None or gap > measured["gap"] for gap in measured["peer_suboptimality"])
    singles = measured["single_seconds"]
    all_singles = sum(singles) * len(points) / len(singles)
    seconds, found = measured["sweep_seconds"], path.values(measured)
    rows = [
        [
            "`sweep`, second call", str(len(points)), f"{seconds:.3g}", "1",
            _largest(measured["sweep_suboptimality"]), _largest(measured["sweep_certified"]),
        ],
        ["`sweep`, first call", "", f"{measured['sweep_first_seconds']:.3g}", "", "", ""],
        [
            "scikit-learn lbfgs, warm-started", str(len(peer)), f"{sum(peer):.3g}",
            ratio(sum(peer) / seconds), _largest(measured["peer_suboptimality"]), "",
        ],
        [
            "`fit`, one by one", str(len(singles)), f"{all_singles:.3g}",
            ratio(all_singles / seconds), "", "",
        ],
    ]  # fmt: skip
    trials = ", ".join(f"{l2:.2g}" for l2 in measured["peer_trial_l2"])
    text = (
        f"{measured['dataset']}: {len(points)} values of l2 from {points[-1]:g} to {points[0]:g}, "
        f"each to a certified gap of {measured['gap']:g}. scikit-learn goes from strong to weak l2 "
        "in float32, each fit from the last answer, until the largest entry of the gradient is "
        f"{measured['peer_factor']:.2g} sqrt(l2): the loosest of such factors, half a decade "
        f"apart, by which all trial points (l2 = {trials}) came within the gap, judged outside. "
    )
    if len(peer) < len(points):
        text += (
            f"It was cut off after {measured['cutoff']:g} s, with {len(peer)} of the points done, "
            f"down to l2 = {points[len(peer) - 1]:.2g}: the whole path takes longer, and the ratio "
            "is at least the one given. "
        )
    if missed:
        text += f"At {missed} of its points it missed the gap after all. "
    if len(singles) < len(points):
        text += f"{len(singles)} single fits, spread over the path, stand for all. "
    if any(math.isnan(value) for value in found.values()):
        text += "The sweep did not prove its gap at every point: the bars are not met."
    head = ["who", "points", "s", "over `sweep`", "largest suboptimality", "largest certified gap"]
    return Section("A path of l2", text, head, rows)


def _certificate_section(measured: Mapping[str, Any]) -> Section:
    certificate, plain = (
        median(measured[name]) for name in ("certificate_seconds", "pass_seconds")
    )
    rows = [
        ["`duality_gap`", f"{1e3 * certificate:.3g}", ratio(certificate / plain)],
        ["objective and gradient, float64", f"{1e3 * plain:.3g}", "1"],
    ]
    text = (
        f"{measured['dataset']}, arrays on the device, second calls. The plain pass is one jitted "
        "program that goes over blocks of 4,096 rows in float64; their objectives differ by "
        f"{measured['difference']:.1e}."
    )
    return Section("A certificate's cost", text, ["what", "ms", "passes"], rows)


def sections(record: Mapping[str, Any]) -> list[Section]:
    """The tables of the page, those of the parts that ran."""
    races = _races_section(record)
    found = ([] if races is None else [races]) + curve_sections(record)
    if "path" in record:
        found.append(_path_section(record["path"]))
    if "certificate" in record:
        found.append(_certificate_section(record["certificate"]))
    return found
