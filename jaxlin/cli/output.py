"""Where output goes: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

from rich.console import Console


def survive_any_text() -> None:
    """Characters that a stream's encoding lacks become escapes instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]


def results_console() -> Console:
    """Standard output."""
    return Console(highlight=False, soft_wrap=False)


def message_console() -> Console:
    """Standard error."""
    return Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """A line for people."""
    print(message, file=sys.stderr, flush=True)


def show(*renderables: Any) -> None:
    """Prints tables and lines as results."""
    console = results_console()
    for renderable in renderables:
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
