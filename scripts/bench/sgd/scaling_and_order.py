"""Two promises: ten times the rows take ten times as long, and their order does not matter."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable
from typing import Any

from bench.harness.parts import BaseSolver, Data
from bench.harness.timing import Say, alternate, per_epoch, two_runs
from bench.objective import judge
from bench.sgd.task import Task

SEEDS = (0, 1, 2)


def _cost(solver: BaseSolver, more: int, num_examples: int) -> float:
    """Seconds an example an epoch."""
    return per_epoch(two_runs(solver.run, 1, 1 + more), 1, 1 + more) / num_examples


def rows(solvers: list[BaseSolver], data: list[Data], repeats: int, say: Say) -> dict[str, Any]:
    """Seconds an example an epoch, for data that differ in N alone.

    Args:
      solvers: one for each of the data, of the same kind.
      data: fewest rows first.
      repeats: rounds, in which the sizes take turns.
      say: called with a line about what is going on.
    """
    measures: dict[str, Callable[[], float]] = {}
    for solver, one in zip(solvers, data, strict=True):
        say(f"  {one.name}")
        solver.set_objective(Task(one))
        more = max(5, min(50, 3_000_000 // len(one.x)))
        solver.run(1)
        solver.run(1 + more)
        measures[one.name] = functools.partial(_cost, solver, more, len(one.x))
    taken = alternate(measures, repeats)
    return {
        "datasets": [one.name for one in data],
        "n": [len(one.x) for one in data],
        "seconds_per_example": [taken[one.name] for one in data],
    }


def order(solver: BaseSolver, data: list[Data], epochs: int, say: Say) -> dict[str, Any]:
    """The objectives that fits of the same rows in other orders end at, over some seeds.

    Args:
      solver: who fits.
      data: the same rows, shuffled first, then sorted by label.
      epochs: of each fit.
      say: called with a line about what is going on.
    """
    objectives: list[list[float]] = []
    for one in data:
        say(f"  {one.name}")
        objectives.append([])
        for seed in SEEDS:
            task = Task(one, seed=seed)
            solver.set_objective(task)
            solver.run(epochs)
            objectives[-1].append(judge(*solver.get_result(), one, l2=task.l2).objective)
    return {
        "datasets": [one.name for one in data],
        "epochs": epochs,
        "objectives": objectives,
        "ratio": statistics.fmean(objectives[1]) / statistics.fmean(objectives[0]),
    }
