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


def alternate(measures: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Every measure `repeats` times, one after the other; a round later in the next order.

    Args:
      measures: by name; each does its work and gives a number.
      repeats: rounds.

    Returns:
      The numbers by name, in the order of the rounds.
    """
    taken: dict[str, list[float]] = {name: [] for name in measures}
    names = list(measures)
    for _ in range(repeats):
        for name in names:
            gc.collect()
            taken[name].append(measures[name]())
        names = names[1:] + names[:1]  # nobody always follows the same one
    return taken


def per_epoch(run: Callable[[int], Any], short: int, long: int) -> float:
    """Seconds an epoch: those of a run of `long` epochs less those of `short`, by the difference.

    What a call costs once (checks, copies to the device, a look at the result) falls out; what
    every epoch costs, its shuffle included, stays.
    """
    return (seconds(lambda: run(long)) - seconds(lambda: run(short))) / (long - short)


def median(values: list[float]) -> float:
    """The median of timings."""
    return statistics.median(values)
