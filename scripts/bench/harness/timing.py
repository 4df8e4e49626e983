"""Timing: competitors take turns, so that what else the machine does meets all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

# Says what is going on: `say(line)`.
Say = Callable[[str], None]


def seconds(run: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def alternate(measures: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, list[Any]]:
    """Every measure `repeats` times, one after the other; a round later in the next order.

    Args:
      measures: by name; each does its work and gives a number, or several.
      repeats: rounds.

    Returns:
      What they gave by name, in the order of the rounds.
    """
    taken: dict[str, list[Any]] = {name: [] for name in measures}
    names = list(measures)
    for _ in range(repeats):
        for name in names:
            gc.collect()
            taken[name].append(measures[name]())
        names = names[1:] + names[:1]  # nobody always follows the same one
    return taken


def two_runs(run: Callable[[int], Any], short: int, long: int) -> tuple[float, float]:
    """Seconds of a run of `short` epochs, and of one of `long`.

    After one that is not timed: memory that nobody has had for a while is slow to come, and would
    be counted for the first of the two.
    """
    run(short)
    return seconds(lambda: run(short)), seconds(lambda: run(long))


def per_epoch(of_runs: tuple[float, float], short: int, long: int) -> float:
    """Seconds an epoch: those of the longer run less those of the shorter, by the difference.

    What a call costs once (checks, copies to the device, a look at the result) falls out; what
    every epoch costs, its shuffle included, stays.
    """
    return (of_runs[1] - of_runs[0]) / (long - short)


def median(values: list[float]) -> float:
    """The median of timings."""
    return statistics.median(values)
