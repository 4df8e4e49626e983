"""The bench `svm`: what is run, and what its bars measure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.harness.options import Options
from bench.harness.parts import discover
from bench.harness.shelf import Shelf
from bench.harness.timing import Say
from bench.optimum.picture import picture
from bench.optimum.running import FASHION, L2, QUICK, SMALL, Case, race_all
from bench.optimum.task import Task
from bench.svm import ratios
from bench.svm.account import CAPTION, TITLE, sections
from bench.svm.ratios import values
from bench.svm.solvers.linear_svc import Solver as LinearSVC

__all__ = ["BARS", "CAPTION", "PARTS", "TITLE", "picture", "run", "sections", "values"]

BARS = Path(__file__).with_name("bars.json")
PARTS = ("curves", "linear-svc")
# Keeps a complete run near 40 minutes on two cores.
_CUTOFF, _QUICK_CUTOFF = 40.0, 1.0
_SMALL_SHARE, _OTHER_SHARE = 0.1, 0.25  # of small data; where no bar hangs on it
_PROBLEMS = (("weston-watkins", False), ("weston-watkins", True), ("crammer-singer", False))


def cases(quick: bool) -> list[Case]:
    """What the curves race over."""
    if quick:
        return [Case(QUICK, loss, 1e-2, bias) for loss, bias in _PROBLEMS]
    found = [
        Case(FASHION, loss, l2, bias, 1.0 if l2 == ratios.MAIN_L2 else _OTHER_SHARE)
        for loss, bias in _PROBLEMS
        for l2 in L2
    ]
    return found + [
        Case(name, loss, l2, bias, _SMALL_SHARE)
        for name in SMALL
        for loss, bias in _PROBLEMS
        if not bias
        for l2 in L2
    ]


def _one_fit(task: Task) -> dict[str, Any]:
    """One fit of LIBLINEAR as it comes: what a user would wait for."""
    solver = LinearSVC()
    solver.set_objective(task)
    seconds = solver.run_as_it_is()
    objective = task.judge(*solver.get_result()).objective
    solver.close()
    found = {"dataset": task.data.name, "l2": task.l2, "C": task.liblinear_C}
    return {**found, "seconds": seconds, "objective": objective}


def run(options: Options, say: Say) -> dict[str, Any]:
    """Runs what is asked for; every part stands alone, and the record has those that ran."""
    shelf, asked = Shelf(), set(options.parts or PARTS)
    cutoff = options.cutoff or (_QUICK_CUTOFF if options.quick else _CUTOFF)
    record: dict[str, Any] = {"cutoff": cutoff}
    if "linear-svc" in asked:
        main = QUICK if options.quick else FASHION
        say(f"one fit of LinearSVC: {main}")
        record["linear_svc"] = _one_fit(
            Task(shelf.get(main), "crammer-singer", ratios.MAIN_L2, bias=False)
        )
    if "curves" in asked:
        kinds = list(discover("bench.svm.solvers", "Solver").values())
        record["curves"] = race_all(
            "svm", cases(options.quick), kinds, cutoff=cutoff, options=options, shelf=shelf,
            say=say,
        )  # fmt: skip
    return record
