"""The bench `probe`: what is run, and what its bars measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness.options import Options
from bench.harness.timing import Say
from bench.probe import commands, estimators
from bench.probe.account import CAPTION, TITLE, sections
from bench.probe.picture import picture

__all__ = ["BARS", "CAPTION", "PARTS", "TITLE", "picture", "run", "sections", "values"]

BARS = Path(__file__).with_name("bars.json")
PARTS = ("iris", "cross-validation", "probe")


def run(options: Options, say: Say) -> dict[str, Any]:
    """Runs what is asked for; every part stands alone, and the record has those that ran."""
    asked = set(options.parts or PARTS)
    record: dict[str, Any] = {}
    if "iris" in asked:
        say("a small fit: iris")
        record["iris"] = estimators.iris(options.repeats)
    if "cross-validation" in asked:
        say("folds and l2: digits")
        points = 5 if options.quick else 45
        record["cross_validation"] = estimators.cross_validation(options.repeats, points)
    if "probe" in asked:
        say("the command probe, four times")
        record["probe"] = commands.measure(quick=options.quick)
    return record


def values(record: Mapping[str, Any]) -> dict[str, float]:
    """What was measured for each bar; what was not is left out."""
    found = estimators.values(record)
    return found | (commands.values(record["probe"]) if "probe" in record else {})
