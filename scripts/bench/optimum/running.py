"""Runs the curves of a bench: every case, everyone who has a part in it, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from bench.harness.options import Options
from bench.harness.parts import every, is_selected
from bench.harness.shelf import Shelf
from bench.harness.timing import Say
from bench.optimum.bounds import Bounds, earlier_bounds, key_of
from bench.optimum.competitor import Competitor
from bench.optimum.curves import curve, finish, refine
from bench.optimum.task import Task

OWN = "jaxlin"  # the label of who is measured against the others
L2 = (1e-2, 1e-4, 1e-6)
# Small data: where nobody needs long, and no bar hangs on it.
SMALL = (
    "digits",
    "falling-scales[n=5000,d=200,c=5]",
    "synthetic[n=300,d=5000,c=5,dtype=float32]",
    "synthetic[n=10000,d=100,c=100,dtype=float32]",
)
FASHION = "fashion-mnist[dtype=float32,order=shuffled]"
QUICK = "synthetic[n=1000,d=20,c=4,dtype=float32]"


@dataclasses.dataclass(frozen=True)
class Case:
    """A problem to race over.

    Attributes:
      dataset: the label of the data.
      loss: its name in `bench.objective`.
      l2: lambda.
      bias: whether there is a free one.
      share: of the cut-off.
      sharp: the targets at which the best peer's time is narrowed down.
    """

    dataset: str
    loss: str
    l2: float
    bias: bool
    share: float = 1.0
    sharp: tuple[float, ...] = ()


def selected(cases: Sequence[Case], options: Options) -> list[Case]:
    """The cases that the options ask for; data beyond those of the bench join them."""
    cases = list(cases)
    known, patterns = {case.dataset for case in cases}, list(options.datasets)
    for pattern in options.datasets:
        if not any(is_selected(label, [pattern]) for label in known):
            dataset = Shelf().find(pattern).label
            patterns.append(dataset)
            kinds = {(case.loss, case.bias, case.l2) for case in cases}
            cases += [Case(dataset, loss, l2, bias) for loss, bias, l2 in sorted(kinds)]
    if options.l2:
        values = {(case.dataset, case.loss, case.bias): case for case in cases}
        known_l2 = {(case.dataset, case.loss, case.bias, case.l2) for case in cases}
        cases += [
            dataclasses.replace(case, l2=l2, sharp=())
            for key, case in values.items()
            for l2 in options.l2
            if (*key, l2) not in known_l2
        ]
    return [
        case
        for case in cases
        if is_selected(case.dataset, patterns) and (case.l2 in (options.l2 or (case.l2,)))
    ]


def _race(
    case: Case, task: Task, kinds: Sequence[Any], bounds: Bounds, cutoff: float,
    options: Options, say: Say,
) -> dict[str, Any]:  # fmt: skip
    records: dict[str, Any] = {}
    ran: dict[str, Competitor] = {}
    everyone = [solver for kind in kinds for solver in every(kind)]
    everyone.sort(key=lambda solver: solver.label != OWN)  # its proofs tell the others when to stop
    for solver in everyone:
        if not is_selected(solver.label, options.solvers):
            continue
        reason = solver.skip(task)
        if reason is not None:
            records[solver.label] = {"skipped": reason}
            continue
        say(f"  {solver.label}")
        try:
            solver.set_objective(task)
            records[solver.label] = curve(
                solver, bounds, cutoff=cutoff * case.share, repeats=options.repeats
            )
        except Exception as error:
            # Who does not run here is a line of the page, and no end of hours of timing.
            words = " ".join(f"failed: {type(error).__name__}: {error}".split())
            records[solver.label] = {"skipped": words[:200]}
            say(f"    {words[:200]}")
            continue
        ran[solver.label] = solver
    peers = {
        label: solver
        for label, solver in ran.items()
        if label != OWN and solver.snapshots() is None
    }
    for target in case.sharp:
        say(f"  between the last run above {target:g} and the first below")
        refine(peers, records, bounds, target)
    for solver in ran.values():
        solver.close()
    finish(records, bounds)
    return records


def race_all(
    bench: str, cases: Sequence[Case], kinds: Sequence[Any], *, cutoff: float, options: Options,
    shelf: Shelf, say: Say,
) -> list[dict[str, Any]]:  # fmt: skip
    """The curves of all cases.

    Args:
      bench: its name: bounds of its earlier records count too.
      cases: what to race over.
      kinds: the classes of the solvers.
      cutoff: seconds.
      options: who takes part, and how often short runs are repeated.
      shelf: of the data sets.
      say: called with a line about what is going on.

    Returns:
      A record for each case.
    """
    earlier = earlier_bounds(bench)
    found = []
    for index, case in enumerate(selected(cases, options)):
        names = f"{case.dataset}, {case.loss}, {'free' if case.bias else 'no'} bias"
        say(f"{index + 1}: {names}, l2 = {case.l2:g}")
        data = shelf.get(case.dataset)
        task = Task(data, case.loss, case.l2, case.bias)
        record: dict[str, Any] = {
            "dataset": data.name,
            "fingerprint": task.fingerprint,
            "n": data.x.shape[0],
            "d": data.x.shape[1],
            "c": data.num_classes,
            "loss": case.loss,
            "l2": case.l2,
            "bias": case.bias,
            "cutoff": cutoff * case.share,
        }
        bounds = Bounds(task, earlier.get(key_of(record), 0.0))
        solvers = _race(case, task, kinds, bounds, cutoff, options, say)
        # As text: a record's floats have six digits, and a bound that is rounded up is none.
        record |= {
            "bound": repr(bounds.value),
            "bound_by": bounds.by,
            "refuted": bounds.refuted(),
            "best": repr(bounds.best),
            "bound_gap": bounds.suboptimality(bounds.best),
            "solvers": solvers,
        }
        found.append(record)
    return found
