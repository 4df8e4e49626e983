"""Reports as text: rich's tables, loaded only where something is printed."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

_WIDTH = 100


def plain_table(*columns: str) -> Any:
    """A table of rich: the first column is words, the others are numbers.

    >>> plain_table("", "seconds").columns[1].justify
    'right'
    """
    import rich.box
    from rich.table import Table

    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def as_text(parts: Iterable[object]) -> str:
    """What rich makes of some tables and texts on a terminal of 100 columns, without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=_WIDTH, no_color=True, highlight=False)
    for part in parts:
        console.print(part)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())
