"""Tables that scroll inside the page, and that a script may make sortable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from jaxlin.report.probe_page.markup import Content, Safe, element


@dataclasses.dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
      name: its heading.
      is_number: whether its cells are set right, digit under digit.
    """

    name: str
    is_number: bool = True


@dataclasses.dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
      cells: one a column; the first is the row's heading.
      is_best: whether it is the winner.
    """

    cells: Sequence[Content]
    is_best: bool = False


def table(
    key: str,
    caption: Content,
    columns: Sequence[Column],
    rows: Iterable[Row],
    *,
    is_sortable: bool = False,
) -> Safe:
    r"""A table with its caption, in a region of its own that the keyboard can scroll.

    Args:
      key: a name that no other table of the page has.
      caption: what it shows.
      columns: in their order.
      rows: in their order.
      is_sortable: whether a click on a heading may sort it.

    >>> '<th scope="row">a</th>' in table("k", "c", [Column("x", False)], [Row(["a"])])
    True
    """
    head = [element("th", c.name, scope="col", class_=_kind(c)) for c in columns]
    body = []
    for row in rows:
        first, *others = zip(columns, row.cells, strict=True)
        cells = [element("th", first[1], scope="row", class_=_kind(first[0]))]
        cells += [element("td", cell, class_=_kind(column)) for column, cell in others]
        body.append(element("tr", cells, class_="best" if row.is_best else None))
    inside = [element("thead", element("tr", head)), element("tbody", body)]
    return framed(key, caption, inside, "sortable" if is_sortable else None)


def framed(key: str, caption: Content, inside: Content, class_: str | None = None) -> Safe:
    """A table of ready rows with its caption, in a region that scrolls by itself.

    The caption stands before it, and not in the table: there it would be as wide as the table, and
    cut on a phone.
    """
    label = f"table-{key}"
    whole = element("table", inside, class_=class_, aria_labelledby=label)
    scrolls = element(
        "div", whole, class_="scroll", role="region", tabindex="0", aria_labelledby=label
    )
    return element(
        "div", element("p", caption, class_="caption", id=label), scrolls, class_="framed"
    )


def _kind(column: Column) -> str | None:
    return "n" if column.is_number else None


def facts(rows: Iterable[tuple[Content, Content]]) -> Safe:
    """Names and values, a line each."""
    return element(
        "dl",
        [element("div", element("dt", name), element("dd", value)) for name, value in rows],
        class_="facts",
    )
