"""A competitor on the way to the optimum: what it is run with, and what is asked of it."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np

from bench.harness.parts import BaseSolver
from bench.optimum.task import Task


class Stopwatch:
    """Adds up the seconds spent inside of `running()`: what is judged in between is not timed."""

    def __init__(self) -> None:
        self.seconds = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Runs while the block does."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start


class RanTooLongError(Exception):
    """A run was given up."""


class Competitor(BaseSolver):
    """Who looks for the optimum of a task.

    `run(budget)` starts from zero and is timed wholly. Who can be watched gives `snapshots`.

    Attributes:
      stamina: how many times the cut-off it is given.
      growth: about how much longer a run takes than the one with the budget before.
      most_seconds: after which who can gives a run up, and raises `RanTooLongError`.
    """

    stamina: ClassVar[float] = 1.0
    growth: ClassVar[float] = 2.0
    most_seconds: float | None = None

    def skip(self, task: Task) -> str | None:
        """By default it has a part in everything."""
        del task
        return None

    def set_objective(self, task: Task) -> None:
        """Takes the task."""
        self.task = task

    def budgets(self) -> Iterator[Any]:
        """What to run with, in this order: iterations 1, 2, 4 and so on."""
        return (1 << k for k in itertools.count())

    def between(self, low: Any, high: Any) -> Any:
        """A budget about halfway between two, by their ratio; None where there is none."""
        middle = round((low * high) ** 0.5)
        return middle if low < middle < high else None

    def snapshots(self) -> Iterator[tuple[int, float]] | None:
        """Iterations and seconds so far, again and again, the clock stopped in between.

        At each of them `get_result` gives the answer. None: it cannot be watched.
        """
        return None

    def has_ended(self) -> bool:
        """Whether the last run stopped by itself: more of a budget would change nothing."""
        return False

    def certificate(self) -> Any:
        """The `jaxlin.certificates.Certificate` that the last run gave within its time, or None."""
        return None

    def dual(self) -> np.ndarray | None:
        """Dual rows a_i (N, C) of the last answer, to certify it outside of its time, or None."""
        return None

    def notes(self) -> dict[str, Any]:
        """What else the record of the last run should have."""
        return {}


@contextmanager
def without_convergence_warnings() -> Iterator[None]:
    """A run that is cut short on purpose need not say that it did not converge.

    Nor one that goes on to where rounding stops it, whose line search then fails.
    """
    with warnings.catch_warnings():
        for kind in (UserWarning, RuntimeWarning):  # each library has kinds of its own of these
            warnings.simplefilter("ignore", kind)
        yield
