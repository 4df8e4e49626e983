"""What a record of the bench `svm` says, in tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.harness.tables import Section
from bench.optimum.account import comparison_row, curve_sections, seconds_cell, short
from bench.optimum.readings import at_least, find_case, own_seconds, reached
from bench.svm import ratios

TITLE = "Multiclass SVMs to the optimum"
CAPTION = "Relative suboptimality against seconds, by competitor, hinge and l2"


def _comparison(record: Mapping[str, Any]) -> Section:
    """The bars' times, and beside them one fit of LIBLINEAR, which solves another problem."""
    one = ratios.one_fit_seconds(record)
    rows = []
    for bias, target in ratios.SECONDS.values():
        case = ratios.case_of(record, "weston-watkins", bias)
        own = own_seconds(case, target)
        name = f"Weston-Watkins, {'free' if bias else 'no'} bias, certified {short(target)}"
        value = None if own is None or one is None else one / own
        peer = "" if one is None else f"one LinearSVC fit: {one:.3g}"
        rows.append(comparison_row(name, own, peer, value))
    case = ratios.case_of(record, "weston-watkins", False)
    found = ratios.dual_ascent_seconds(case)
    if found is not None:
        own, (seconds, is_bound) = own_seconds(case, ratios.TARGET), found
        peer = f"dual ascent, certified: {'> ' if is_bound else ''}{seconds:.3g}"
        value = ratios.against_dual_ascent(record)
        name = f"Weston-Watkins, no bias, certified {ratios.TARGET:g}"
        rows.append(comparison_row(name, own, peer, value))
    case = ratios.case_of(record, "crammer-singer", False)
    own = own_seconds(case, ratios.TARGET)
    name = f"Crammer-Singer, no bias, certified {ratios.TARGET:g}"
    if one is not None:
        value = ratios.against_linear_svc(record)
        rows.append(comparison_row(name, own, f"one LinearSVC fit: {one:.3g}", value))
    peer = {} if case is None else case["solvers"].get("linear-svc", {})
    if case is not None and peer.get("points"):
        seconds = reached(peer, ratios.TARGET)
        cell = seconds_cell(seconds, at_least(peer, ratios.TARGET))
        told = f"LinearSVC to the same, uncertified: {cell}"
        value = None if own is None or not math.isfinite(seconds) else seconds / own
        rows.append(comparison_row(name, own, told, value))
    text = (
        "Seconds on Fashion-MNIST at l2 = 1e-4. `LinearSVC` as it comes (own tolerance and limit "
        "of iterations) has Crammer and Singer's hinge: beside Weston-Watkins it is what a user "
        "would have instead, and no ratio of equals. The dual ascent is plain C++ on one core."
    )
    return Section("Beside the peers", text, ["what", "jaxlin, s", "peer, s", "ratio"], rows)


def _one_fit_section(record: Mapping[str, Any]) -> Section:
    one, far = record["linear_svc"], ""
    case = find_case(record, one["dataset"], "crammer-singer", one["l2"], False)
    if case is not None:
        above = max(one["objective"] - float(case["bound"]), 0.0) / one["objective"]
        far = f", {above:.1e} above the best bound as a share of it"
    text = (
        f'`LinearSVC(multi_class="crammer_singer", fit_intercept=False)` on {one["dataset"]}, C = '
        f"{one['C']:.4g} (l2 = {one['l2']:g}): {one['seconds']:.3g} s, objective "
        f"{one['objective']:.6g}{far}."
    )
    return Section("One fit of LIBLINEAR", text)


def sections(record: Mapping[str, Any]) -> list[Section]:
    """The tables of the page, those of the parts that ran."""
    found = []
    if any(ratios.case_of(record, loss, False) for loss in ("weston-watkins", "crammer-singer")):
        found.append(_comparison(record))
    if "linear_svc" in record:
        found.append(_one_fit_section(record))
    return found + curve_sections(record)
