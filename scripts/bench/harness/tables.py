"""Tables, as Markdown that also reads well in a terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Section:
    """A piece of a page: a title, text, and a table.

    Attributes:
      title: a heading.
      text: a paragraph, or nothing.
      head: the names of the columns; none: no table.
      rows: as many cells each.
    """

    title: str
    text: str = ""
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def _is_number(cell: str) -> bool:
    return not cell or cell.lstrip("≤≥>- ")[:1].isdigit() or cell in {"inf", "nan", "-"}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned; columns of numbers to the right.

    Raises:
      ValueError: a row has not as many cells as the head.

    >>> print(table(["who", "ms"], [["jaxlin", "30"], ["loop", "130"]]))
    | who    |  ms |
    | ------ | --: |
    | jaxlin |  30 |
    | loop   | 130 |
    """
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"A row of {len(row)} cells under {len(head)} names: {row}.")
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    columns = list(zip(*cells, strict=True))
    right = [bool(rows) and all(_is_number(cell) for cell in column[1:]) for column in columns]
    widths = [max(3, *(len(cell) for cell in column)) for column in columns]

    def line(row: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * (width - 1) + ":" if to_right else "-" * width
        for width, to_right in zip(widths, right, strict=True)
    ]
    return "\n".join([line(cells[0]), f"| {' | '.join(rule)} |", *map(line, cells[1:])])


def text_of(section: Section, level: int = 3) -> str:
    """A section as Markdown."""
    parts = [f"{'#' * level} {section.title}"]
    if section.text:
        parts.append(section.text)
    if section.head:
        parts.append(table(section.head, section.rows))
    return "\n\n".join(parts)


def ms(seconds: float) -> str:
    """Seconds as milliseconds, three digits."""
    return f"{1e3 * seconds:,.3g}" if seconds < 1 else f"{1e3 * seconds:,.0f}"


def ratio(value: float) -> str:
    """A ratio, three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
