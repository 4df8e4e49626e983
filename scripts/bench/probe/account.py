"""What a record of the bench `probe` says, in tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.harness.tables import Section, ms, ratio
from bench.harness.timing import median

TITLE = "Probes and estimators"
CAPTION = "Seconds of jaxlin's estimators, of scikit-learn's, and of the command probe"


def _iris(one: Mapping[str, Any]) -> Section:
    taken = {name: median(times) for name, times in one["seconds"].items()}
    rows = [[name, ms(value), ratio(value / taken["sklearn"])] for name, value in taken.items()]
    text = (
        f"l2 = {one['l2']:g}, float64, ten fits a round; jaxlin's first call of the process takes "
        f"{one['first_seconds']:.2g} s, and its fit is certified to {one['certified']:.1e}. "
        "scikit-learn as it comes stops after 100 iterations or at a gradient of 1e-4."
    )
    return Section("A small fit: iris", text, ["who", "ms", "over scikit-learn"], rows)


def _cross_validation(one: Mapping[str, Any]) -> Section:
    own = median(one["seconds"])
    rows = [["jaxlin", f"{own:.3g}", "1", f"{100 * one['best_accuracy']:.2f}"]]
    rows[0].append(f"{one['tol']:.1e}")
    rows += [
        [name, f"{peer['seconds']:.3g}", ratio(peer["seconds"] / own),
         f"{100 * peer['best_accuracy']:.2f}", f"{peer['largest_gap']:.1e}"]
        for name, peer in one["peers"].items()
    ]  # fmt: skip
    text = (
        f"5 folds and {len(one['l2'])} values of l2 from {min(one['l2']):g} to {max(one['l2']):g}, "
        f"and the winner on all rows; jaxlin's first call takes {one['first_seconds']:.3g} s, "
        "compiling included. The last column is how far above the optimum the worst of the folds' "
        "models ended, over its objective: jaxlin's is what it stops at, those of scikit-learn are "
        "measured against proved bounds."
    )
    head = ["who", "s", "over jaxlin", "best accuracy, %", "largest gap"]
    return Section("Folds and l2: digits", text, head, rows)


def _probe(one: Mapping[str, Any]) -> list[Section]:
    rows = [
        ["sweep, refit, test, report", f"{one['first_seconds']:.3g}", f"{one['seconds']:.3g}"],
        [
            "few-shot draws", f"{one['few_shot_first_seconds']:.3g}",
            f"{one['few_shot_seconds']:.3g}",
        ],
    ]  # fmt: skip
    certain = "" if one["certain"] is None else f", {one['certain']:,} predictions certain already"
    text = (
        f"`jaxlin probe {one['source']} {' '.join(one['arguments'])}`, the whole command, with an "
        f"empty compilation cache and then with a full one. Largest certified gap where l2 is at "
        f"least 1e-6: {one['largest_gap']:.1e}. Best l2: {one['best_l2']:.2g}; test accuracy "
        f"{100 * one['test_accuracy']:.2f} %{certain}. The page has {one['page_bytes'] / 1000:.0f} "
        "kB."
    )
    sizes = [
        [str(size["per_class"]), f"{100 * size['mean']:.1f}",
         "" if size["sd"] is None else f"{100 * size['sd']:.1f}"]
        for size in one["few_shot"]
    ]  # fmt: skip
    return [
        Section("The command `probe`", text, ["what", "first run, s", "second run, s"], rows),
        Section("Few-shot", "", ["examples a class", "accuracy, %", "spread"], sizes),
    ]


def sections(record: Mapping[str, Any]) -> list[Section]:
    """The tables of the page, those of the parts that ran."""
    found = [_iris(record["iris"])] if "iris" in record else []
    if "cross_validation" in record:
        found.append(_cross_validation(record["cross_validation"]))
    if "probe" in record:
        found += _probe(record["probe"])
    return found
