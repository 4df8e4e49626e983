"""The progress bar of a training run, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxlin.report.words import number, percent
from jaxlin.solvers.history import EpochReport


class TrainingProgress:
    """A bar that moves an epoch at a time: loss, accuracy, examples a second.

    On a terminal only; a log gets one line for each tenth of the epochs.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.fields[place]}"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: Any = None
        self._first: tuple[int, float] | None = None

    def __enter__(self) -> TrainingProgress:
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

    def update(self, report: EpochReport) -> None:
        """Shows an epoch; to be given to `fit` as `on_epoch`."""
        words = f"loss + l2 term {number(report.objective)}, accuracy {percent(report.accuracy)}"
        if report.validation_accuracy is not None:
            words += f", validation {percent(report.validation_accuracy)}"
        # The first epoch compiles: the pace is that of the others.
        if self._first is None:
            self._first = report.examples, report.seconds
        elif report.seconds > self._first[1]:
            pace = (report.examples - self._first[0]) / (report.seconds - self._first[1])
            words += f", {pace:,.0f} examples/s"
        place = f"epoch {report.epoch}/{report.epochs}"
        self._bar.update(
            self._task,
            total=report.epochs,
            completed=report.epoch,
            description=words,
            place=place,
        )
        tenth = max(1, report.epochs // 10)
        if not self._console.is_terminal and report.epoch % tenth == 0:
            self._console.print(f"{place}: {words}", soft_wrap=True)
