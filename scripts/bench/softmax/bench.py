"""The bench `softmax`: what is run, and what its bars measure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness.options import Options
from bench.harness.parts import discover
from bench.harness.shelf import Shelf
from bench.harness.timing import Say
from bench.optimum.picture import picture
from bench.optimum.readings import find_case, times_faster
from bench.optimum.running import FASHION, L2, QUICK, SMALL, Case, race_all
from bench.softmax import certificate_cost, path
from bench.softmax.account import CAPTION, TITLE, sections

__all__ = ["BARS", "CAPTION", "PARTS", "TITLE", "picture", "run", "sections", "values"]

BARS = Path(__file__).with_name("bars.json")
PARTS = ("curves", "path", "certificate")
# Keeps a complete run under 40 minutes on two cores; the path has five times that for its peer.
_CUTOFF, _QUICK_CUTOFF = 40.0, 1.0
_SMALL_SHARE, _PATH_SHARE = 0.1, 5.0
# The bars' targets: l2 and relative suboptimality.
_RACES = {
    "l2_1e-4_to_1e-3": (1e-4, 1e-3),
    "l2_1e-4_to_1e-6": (1e-4, 1e-6),
    "l2_1e-6_to_1e-3": (1e-6, 1e-3),
    "l2_1e-6_to_1e-5": (1e-6, 1e-5),
}


def cases(quick: bool) -> list[Case]:
    """What the curves race over."""
    if quick:
        return [Case(QUICK, "softmax", l2, True, sharp=(1e-3,)) for l2 in (1e-2, 1e-4)]
    main = [
        Case(
            FASHION, "softmax", l2, True,
            sharp=tuple(target for of, target in _RACES.values() if of == l2),
        )
        for l2 in L2
    ]  # fmt: skip
    return main + [Case(name, "softmax", l2, True, _SMALL_SHARE) for name in SMALL for l2 in L2]


def run(options: Options, say: Say) -> dict[str, Any]:
    """Runs what is asked for; every part stands alone, and the record has those that ran."""
    shelf, asked = Shelf(), set(options.parts or PARTS)
    cutoff = options.cutoff or (_QUICK_CUTOFF if options.quick else _CUTOFF)
    record: dict[str, Any] = {"cutoff": cutoff}
    if "curves" in asked:
        kinds = list(discover("bench.softmax.solvers", "Solver").values())
        record["curves"] = race_all(
            "softmax", cases(options.quick), kinds, cutoff=cutoff, options=options, shelf=shelf,
            say=say,
        )  # fmt: skip
    main = QUICK if options.quick else FASHION
    if "path" in asked:
        say(f"path: {main}")
        points = 5 if options.quick else 45
        record["path"] = path.measure(
            shelf.get(main), points=points, cutoff=cutoff * _PATH_SHARE, say=say
        )
    if "certificate" in asked:
        say(f"a certificate's cost: {main}")
        record["certificate"] = certificate_cost.measure(shelf.get(main), options.repeats)
    return record


def values(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured for each bar; what was not is left out."""
    found: dict[str, float | None] = {}
    for key, (l2, target) in _RACES.items():
        case = find_case(record, FASHION, "softmax", l2, True)
        found[key] = times_faster(case, target)
    if "path" in record:
        found.update(path.values(record["path"]))
    if "certificate" in record:
        found.update(certificate_cost.values(record["certificate"]))
    return {key: value for key, value in found.items() if value is not None}
