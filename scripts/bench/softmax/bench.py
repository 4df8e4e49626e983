"""The bench `softmax`: what is run, and what its bars measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.harness.options import Options
from bench.harness.parts import discover
from bench.harness.shelf import Shelf
from bench.harness.timing import Say
from bench.optimum.picture import picture
from bench.optimum.running import FASHION, L2, QUICK, SMALL, Case, race_all
from bench.softmax import certificate_cost, path
from bench.softmax.account import CAPTION, TITLE, sections
from bench.softmax.ratios import RACES, values

__all__ = ["BARS", "CAPTION", "PARTS", "TITLE", "picture", "run", "sections", "values"]

BARS = Path(__file__).with_name("bars.json")
PARTS = ("curves", "path", "certificate")
# Keeps a complete run near 40 minutes on two cores. The path's peer has several times that.
_CUTOFF, _QUICK_CUTOFF = 30.0, 1.0
_SMALL_SHARE, _PATH_SHARE = 0.1, 4.0


def cases(quick: bool) -> list[Case]:
    """What the curves race over."""
    if quick:
        return [Case(QUICK, "softmax", l2, True, sharp=(1e-3,)) for l2 in (1e-2, 1e-4)]
    main = [
        Case(
            FASHION, "softmax", l2, True,
            sharp=tuple(target for of, target in RACES.values() if of == l2),
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
