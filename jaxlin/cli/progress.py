"""The progress of training runs and sweeps, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from jaxlin.report.words import duration, number, percent
from jaxlin.solvers.history import EpochReport
from jaxlin.sweeps import SweepReport


class _Progress:
    """A bar on a terminal; a log gets one line for each tenth of the way."""

    def __init__(self, console: Console, *, knows_its_end: bool = True) -> None:
        self._console = console
        # Where the end is not known, there is no bar to fill.
        place, words = TextColumn("{task.fields[place]}"), TextColumn("{task.description}")
        columns = (
            (place, BarColumn(), words, TimeRemainingColumn())
            if knows_its_end
            else (TimeElapsedColumn(), place, words)
        )
        self._bar = Progress(
            *columns,
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: Any = None

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("compiling", total=None, place="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def _show(self, done: int, total: int, place: str, words: str) -> None:
        self._bar.update(self._task, total=total, completed=done, description=words, place=place)
        tenth = max(1, total // 10)
        if not self._console.is_terminal and done % tenth == 0:
            self._console.print(f"{place}: {words}", soft_wrap=True)


class TrainingProgress(_Progress):
    """Moves an epoch at a time: loss, accuracy, examples a second.

    On the way to the certified optimum nobody knows when it will be there: then there is no bar,
    and a log gets a line for all that is reported.
    """

    def __init__(self, console: Console, solver: str = "sgd") -> None:
        super().__init__(console, knows_its_end=solver == "sgd")
        self._solver = solver
        self._first: tuple[int, float] | None = None
        self._steps, self._last = 0, ""

    def update(self, report: EpochReport) -> None:
        """Shows an epoch; to be given to `fit` as `on_epoch`."""
        words = f"loss + l2 term {number(report.objective)}, accuracy {percent(report.accuracy)}"
        if report.validation_accuracy is not None:
            words += f", validation {percent(report.validation_accuracy)}"
        if self._solver == "lbfgs":
            self._tell(f"{report.epoch} passes", words)
        elif self._solver == "newton":
            # Steps after the last useful one cost nothing, and tell nothing.
            self._steps += 1
            if words != self._last:
                self._tell(f"step {self._steps}", words)
            self._last = words
        else:
            words += self._pace(report)
            place = f"epoch {report.epoch}/{report.epochs}"
            self._show(report.epoch, report.epochs, place, words)

    def _tell(self, place: str, words: str) -> None:
        self._bar.update(self._task, description=words, place=place)
        if not self._console.is_terminal:
            self._console.print(f"{place}: {words}", soft_wrap=True)

    def _pace(self, report: EpochReport) -> str:
        """The first epoch compiles: the pace is that of the others."""
        if self._first is None:
            self._first = report.examples, report.seconds
        if report.seconds <= self._first[1]:
            return ""
        pace = (report.examples - self._first[0]) / (report.seconds - self._first[1])
        return f", {pace:,.0f} examples/s"


class SweepProgress(_Progress):
    """Moves an epoch of a group of settings at a time: how many train, the best so far."""

    def __init__(self, console: Console, *, is_certified: bool = False) -> None:
        super().__init__(console)
        self._is_certified = is_certified

    def update(self, report: SweepReport) -> None:
        """Shows an epoch; to be given to `sweep` as `on_epoch`."""
        place = f"epoch {report.epoch}/{report.epochs}"
        if report.groups > 1:
            place = f"group {report.group}/{report.groups}, {place}"
        words = f"{report.active:,} of {report.models:,} models train"
        if report.best_validation_accuracy is not None:
            words += f", best validation accuracy {percent(report.best_validation_accuracy)}"
        words += f", {duration(report.seconds)}"
        done, total = (
            (report.group - 1) * report.epochs + report.epoch,
            report.groups * report.epochs,
        )
        if self._is_certified:  # nobody knows how many passes a setting takes: settings are counted
            place = f"setting {report.group}/{report.groups}, {report.epoch} passes"
            done, total, words = report.group - 1, report.groups, duration(report.seconds)
        self._show(done, total, place, words)
