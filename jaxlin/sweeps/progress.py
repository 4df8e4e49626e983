"""What a sweep tells of itself while it trains."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxlin.solvers.loop import LoopRow, OnEpoch


@dataclasses.dataclass(frozen=True, eq=False)
class SweepReport:
    """The state of a sweep after an epoch, as `on_epoch` gets it.

    Attributes:
      group: which part of the grid trains, from 1: settings that share a program, as many of them
        as memory holds.
      groups: how many there are.
      epoch: of the group, from 1.
      epochs: how many the group has at most.
      models: in the group; with folds more than one a setting.
      active: how many of them still train.
      best_validation_accuracy: the highest that any setting has had yet; None without validation.
      seconds: since the start of the sweep.
    """

    group: int
    groups: int
    epoch: int
    epochs: int
    models: int
    active: int
    best_validation_accuracy: float | None
    seconds: float


class Progress:
    """The loops' callback: one report an epoch, whichever loop it is of.

    Attributes:
      group: the number of the last one that was begun, from 1.
      best: the highest validation accuracy yet, or None.
      stopped: the user wants no more.
      is_silent: nobody listens.
    """

    def __init__(
        self, on_epoch: Callable[[SweepReport], Any] | None, groups: int, started: float
    ) -> None:
        """A callback for every loop.

        Args:
          on_epoch: hears the reports; None where nobody does.
          groups: how many there will be, paths of l2 included.
          started: the sweep, by the monotonic clock.
        """
        self._on_epoch, self._groups, self._started = on_epoch, groups, started
        self.group = 0
        self.best: float | None = None
        self.stopped = False
        self.is_silent = on_epoch is None

    def tell(self, epoch: int, epochs: int, *, models: int, active: int) -> bool:
        """Reports an epoch of the group; gives whether the user wants it to be the last."""
        if self._on_epoch is not None:
            told = SweepReport(
                self.group, self._groups, epoch, epochs, models, active, self.best,
                time.monotonic() - self._started,
            )  # fmt: skip
            answer = self._on_epoch(told)
            self.stopped |= isinstance(answer, bool | np.bool_) and bool(answer)
        return self.stopped

    def next_loop(self, models_per_setting: int, judged: int) -> OnEpoch | None:
        """The callback of the next loop.

        Args:
          models_per_setting: in the loop.
          judged: how many of them, the first ones, have validation rows.
        """
        self.group += 1
        if self.is_silent:
            return None
        last: np.ndarray | None = None

        def report(epoch: int, epochs: int, row: LoopRow, read: Any) -> bool:
            nonlocal last
            del read
            if row.validation is not None and judged:
                now = np.asarray(row.validation.accuracy, np.float64)
                last = now if last is None else np.where(row.trained, now, last)
                means = last.reshape(-1, models_per_setting)[:, :judged].mean(axis=1)
                self.best = max(float(means.max()), self.best or 0.0)
            models, active = len(row.trained), int(row.trained.sum())
            return self.tell(epoch, epochs, models=models, active=active)

        return report
