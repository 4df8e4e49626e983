"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_WIDEST = 1000

# What the library advises in Python's words, and the option that does it.
_ADVICE = {
    "(scaling=jaxlin.data.Scaling.standardize(x))": "(--scaling standardize)",
    "(solver=solvers.LBFGS(passes=...))": "(--passes)",
    "Take crammer_singer_hinge": "Take --loss crammer-singer",
    "Take C, or": "Take --C, or",
    "Pass dtype=jnp.float64": "Take --dtype float64",
}


def prepare_streams() -> bool:
    """Makes the streams take any text; whether there is a standard output at all.

    Characters that a stream's encoding lacks become escapes instead of an error. Messages go
    nowhere where standard error is closed; Python would print them as results.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    return sys.stdout is not None


def results_console() -> Console:
    """Standard output."""
    return Console(highlight=False, soft_wrap=False)


def message_console() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """A line for people."""
    print(message, file=sys.stderr, flush=True)


def in_options(message: str) -> str:
    """The library's advice in the words of the command line.

    >>> in_options("Pass dtype=jnp.float64, or a larger tol.")
    'Take --dtype float64, or a larger tol.'
    """
    for python, option in _ADVICE.items():
        message = message.replace(python, option)
    return str(message)


def show(*renderables: Any) -> None:
    """Prints tables and lines as results.

    A table that is wider than the terminal, or than the 80 columns of a pipe, runs over: of a
    table that is cut nobody knows what it said.
    """
    console = results_console()
    width = console.width
    for renderable in renderables:
        needed = 0
        # A column that folds loses nothing: a path goes on in the next line.
        if isinstance(renderable, Table) and not any(
            column.overflow == "fold" for column in renderable.columns
        ):
            wide = console.options.update(width=_WIDEST)
            size = Measurement.get(console, wide, renderable)
            # What wraps narrows a table down to its minimum and a little more.
            if size.minimum + len(renderable.columns) > width:
                needed = size.maximum
        console.width = max(width, needed)
        console.print(renderable)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on a line; what is not finite becomes null, as JSON has no word for it."""
    print(json.dumps(_finite(value), allow_nan=False), flush=True)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def check_targets(*paths: str | None, inputs: Iterable[str | None] = ()) -> None:
    """Says before the work what would go wrong after it.

    Args:
      paths: that are to be written.
      inputs: that are read, and that nothing may take the place of.
    """
    given = [path for path in paths if path is not None]
    read = {os.path.realpath(path): path for path in inputs if path is not None}
    for path in given:
        source = read.get(os.path.realpath(path))
        if source is not None:
            raise click.UsageError(
                f"{path!r} would take the place of {source!r}, which is read: give the output "
                "another name."
            )
    places = [os.path.realpath(path) for path in given]
    for path, place in zip(given, places, strict=True):
        if places.count(place) > 1:
            raise click.UsageError(f"{path!r} is to hold two things: it is the same file twice.")
    for path in given:
        reason = _why_not(path)
        if reason is not None:
            raise click.UsageError(f"{path!r} cannot be written: {reason}.")


def _why_not(path: str) -> str | None:
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        return f"there is no folder {folder!r}"
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:  # a name that is too long, a loop of links
        return error.strerror
    if not stat.S_ISREG(mode):
        return "it is a folder" if stat.S_ISDIR(mode) else "it is no regular file"
    if not os.access(folder, os.W_OK):
        return f"no permission in {folder!r}"
    return None
