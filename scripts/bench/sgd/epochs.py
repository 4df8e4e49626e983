"""The race: seconds an epoch of everyone, against the limit, and what their answers are worth."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.harness.options import Options
from bench.harness.parts import BaseSolver, Data, every, is_selected
from bench.harness.timing import Say, alternate, per_epoch, seconds, two_runs
from bench.objective import judge
from bench.sgd.cases import Case
from bench.sgd.limit import MatrixRate, ShapeRate, square_size
from bench.sgd.task import Task

# The longer of two runs has so many epochs more that they take about this long.
_SECONDS, _MOST_EPOCHS = 0.8, 40
_RATE_BYTES = 200_000_000

OWN = "jaxlin"  # the label of who is measured against the others


def _prepared(solver: BaseSolver, task: Task, epochs: int) -> tuple[dict[str, Any], int]:
    """Compiles, warms up and judges; gives the start of a record, and how many epochs to time."""
    solver.set_objective(task)
    first = seconds(lambda: solver.run(epochs))
    verdict = judge(*solver.get_result(), task.data, l2=task.l2)
    call = seconds(lambda: solver.run(epochs)) if solver.compiles else first
    if solver.compiles:
        solver.run(1)
    # What a call costs once must not count as an epoch's: else the fast are timed for too short.
    once = seconds(lambda: solver.run(1))
    pace = max((call - once) / max(1, epochs - 1), call / (10 * epochs))
    more = min(_MOST_EPOCHS, max(1, math.ceil(_SECONDS / pace)))
    if solver.compiles:
        solver.run(1 + more)
    record = {
        "objective": verdict.objective,
        "train_accuracy": verdict.train_accuracy,
        "test_accuracy": verdict.test_accuracy,
        "first_call_seconds": first,
        "call_seconds": call,
        "timed_epochs": [1, 1 + more],
    }
    return record, more


def _few_rows(data: Data) -> np.ndarray:
    """As many rows, as floats, as it takes to measure a rate: more would only need memory."""
    rows = max(4096, _RATE_BYTES // (4 * data.x.shape[1]))
    return dataclasses.replace(data, x=data.x[:rows]).as_floats()


def _measure(solver: BaseSolver, more: int) -> Callable[[], tuple[float, float]]:
    return functools.partial(two_runs, solver.run, 1, 1 + more)


def race(
    case: Case, data: Data, kinds: Sequence[type[BaseSolver]], options: Options, say: Say
) -> dict[str, Any]:
    """One case: everyone prepares, then all take turns with the limit.

    Args:
      case: what to race over.
      data: of the case.
      kinds: the solvers there are.
      options: rounds, and who takes part.
      say: called with a line about what is going on.

    Returns:
      A record.
    """
    task = Task(data, case.batch_size)
    records: dict[str, Any] = {}
    solvers: dict[str, BaseSolver] = {}
    measures: dict[str, Callable[[], Any]] = {
        "matrix": MatrixRate(square_size(options.quick)),
        "shape": ShapeRate(_few_rows(data), case.batch_size, data.num_classes),
    }
    for kind in kinds:
        for solver in every(kind):
            chosen = any(solver.label.startswith(start) for start in case.solvers)
            if not (chosen and is_selected(solver.label, options.solvers)):
                continue
            reason = solver.skip(task)
            if reason is not None:
                if not any(case.solvers):
                    continue
                records[solver.label] = {"skipped": reason}
                continue
            say(f"  {solver.label}")
            try:
                records[solver.label], more = _prepared(solver, task, case.epochs)
            except Exception as error:
                if solver.label == OWN:
                    raise
                # A peer that does not run here is a line of the page, and no end of the bench.
                words = " ".join(f"failed: {type(error).__name__}: {error}".split())
                records[solver.label] = {"skipped": words[:200]}
                continue
            solvers[solver.label] = solver
            measures[solver.label] = _measure(solver, more)
    taken = alternate(measures, options.repeats)
    for label, solver in solvers.items():
        epochs = records[label]["timed_epochs"]
        records[label]["run_seconds"] = taken[label]
        records[label]["epoch_seconds"] = [per_epoch(runs, *epochs) for runs in taken[label]]
        solver.close()
    return {
        "dataset": case.dataset,
        "n": data.x.shape[0],
        "d": data.x.shape[1],
        "c": data.num_classes,
        "dtype": str(data.x.dtype),
        "batch_size": case.batch_size,
        "epochs": case.epochs,
        "learning_rate": task.learning_rate,
        "l2": task.l2,
        "flops": task.flops,
        "matrix_flops": taken["matrix"],
        "shape_flops": taken["shape"],
        "solvers": records,
    }
