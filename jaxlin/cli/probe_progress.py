"""The progress of a probe, on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from jaxlin.cli.output import say
from jaxlin.report.words import one_line

_SECONDS_BETWEEN_LINES = 5.0


class ProbeProgress:
    """What is being done: on a terminal the last of it, in a log a line now and then."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = Status("", console=console) if console.is_terminal else None
        self._last = -_SECONDS_BETWEEN_LINES

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def tell(self, words: str) -> None:
        """Shows what is being done now."""
        words = one_line(words)  # names of files and layers are in it
        if self._status is not None:
            self._status.update(Text(words))
        elif time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            say(words)
