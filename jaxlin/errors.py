"""The errors a user meets.

Two say that something given was wrong: `InputError` (an argument or an array) and
`DataFormatError` (a file). One says that a fit went wrong: `DivergedError`. The first two are
`ValueError`s, so that code written for other libraries catches them too. On the command line
they become one line on stderr and exit code 2; a failed fit exits with 1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxlin.linear import LinearParams
    from jaxlin.solvers.history import History


def _again(kind: type[Any], arguments: tuple[Any, ...], state: dict[str, Any]) -> Any:
    """An error as it came out of another process: its own arguments are in its state already."""
    error: Any = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(state)
    return error


class InputError(ValueError):
    """An argument or an array is not what it has to be. The message names it and says what is."""


class DataFormatError(ValueError):
    """A file does not hold what its format promises.

    Args:
      message: what came, what is allowed, what to do.
      path: the file.
      line: its line, from 1, where the format has lines.
      column: the field in that line, from 1.

    >>> str(DataFormatError("expected 4 fields, got 3", path="flowers.csv", line=7))
    'flowers.csv:7: expected 4 fields, got 3'
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | os.PathLike[str],
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.message = message
        self.path = os.fspath(path)
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (self.path, line, column) if part is not None)
        super().__init__(f"{place}: {message}")

    def __reduce__(self) -> Any:
        """As processes hand it on."""
        return _again, (type(self), self.args, self.__dict__)


class DivergedError(RuntimeError):
    """A fit left the finite numbers, or grew beyond any sense, and was stopped.

    Attributes:
      params: the last finite `LinearParams`, as they were at the end of the last good epoch.
      history: the `History` of the good epochs.
    """

    def __init__(self, message: str, *, params: LinearParams, history: History) -> None:
        super().__init__(message)
        self.params = params
        self.history = history

    def __reduce__(self) -> Any:
        """As processes hand it on."""
        return _again, (type(self), self.args, self.__dict__)
