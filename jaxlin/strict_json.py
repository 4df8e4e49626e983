"""JSON as its standard has it: no name twice in an object, no NaN, no infinity."""

from __future__ import annotations

import json
from typing import Any


def parse(text: str | bytes) -> Any:
    """The value that a text is.

    Raises:
      ValueError: it is no JSON, or has what Python's reader lets pass: a name twice, NaN, infinity.
      RecursionError: it is nested too deep.

    >>> parse('{"a": [1, null]}')
    {'a': [1, None]}
    """
    return json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
