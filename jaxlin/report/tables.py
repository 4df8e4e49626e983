"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import rich.box
from rich.table import Table
from rich.text import Text

from jaxlin.ladder import Ladder
from jaxlin.report.words import duration, number, percent, shown


def plain_table(*columns: str, title: str | None = None) -> Table:
    """A plain table: the first column is words, the others are numbers."""
    table = Table(box=rich.box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def results(rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Loss and accuracy of some parts of a data set.

    Args:
      rows: for each part, `examples`, `loss` and `accuracy`.

    >>> results({"test": {"examples": 450, "loss": 0.1, "accuracy": 0.97}}).row_count
    1
    """
    table = plain_table("", "examples", "loss", "accuracy")
    for name, row in rows.items():
        count = f"{int(row['examples']):,}"
        table.add_row(name, count, number(row.get("loss")), percent(row.get("accuracy")))
    return table


def facts(rows: Mapping[str, object]) -> Table:
    """Names and values, a line each.

    >>> facts({"device": "cpu"}).row_count
    1
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        table.add_row(Text(name), Text(str(value)))
    return table


def classes(labels: Sequence[object], accuracy: Sequence[float | None]) -> Table:
    """The accuracy on each class.

    Args:
      labels: C labels.
      accuracy: C shares; None for a class that does not occur.

    >>> classes(["cat", "dog"], [0.5, None]).row_count
    2
    """
    table = plain_table("class", "accuracy")
    for label, share in zip(labels, accuracy, strict=True):
        table.add_row(Text(shown(label)), percent(share))
    return table


def ladder(result: Ladder) -> Table:
    """The lecture's methods on equal terms.

    Args:
      result: what `run_ladder` gave.
    """
    table = plain_table("method", "objective", "accuracy", "passes", "steps", "a step")
    table.columns[0].no_wrap = True
    for rung in result.rungs:
        table.add_row(
            rung.name,
            number(rung.objective),
            percent(rung.accuracy),
            f"{rung.evaluations[-1]:,.0f}",
            f"{rung.steps:,}",
            duration(rung.seconds_per_step),
        )
    return table
