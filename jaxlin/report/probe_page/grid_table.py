"""The grid as a table, with every setting that was tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxlin.report.probe_page.grid_lines import grid_plots
from jaxlin.report.probe_page.markup import Content, element, name, prose
from jaxlin.report.probe_page.reading import (
    Record,
    Section,
    count,
    feature_words,
    interval,
    rounded_gap,
    setting,
    varying,
)
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import number, percent

# Rows of all tables together: a few hundred kilobytes.
_MOST_ROWS = 1500


def grid(record: Record) -> Section:
    """Every setting, drawn and listed; the chosen block's table is open, the others' are folded."""
    blocks = record["blocks"]
    chosen = record.get("best_block") or 0
    content: list[Content] = [_sentence(record), grid_plots(record), _table(record, chosen)]
    room = _MOST_ROWS - len(blocks[chosen]["grid"]["l2"])
    left_out = 0
    for index, block in enumerate(blocks):
        if index == chosen:
            continue
        room -= len(block["grid"]["l2"])
        if room < 0:
            left_out += 1
            continue
        summary = element("summary", "The grid of ", name(block["name"]))
        content.append(element("details", summary, _table(record, index)))
    if left_out:
        words = f"The grids of {count(left_out, 'more block')} are in the record alone."
        content.append(element("p", words, class_="note"))
    return Section("grid", "The whole grid", content)


def _sentence(record: Record) -> Content:
    """What was found, in the record's words, and how many fits are proved."""
    block = record["blocks"][record.get("best_block") or 0]
    best = block["best"]
    words: list[Content] = []
    if best.get("sentence"):
        words.append(prose(best["sentence"]))
    elif (best.get("ties") or 1) > 1:
        words.append(f"{count(best['ties'] - 1, 'other setting')} had the same score.")
    certified = sum(map(bool, block["grid"]["certified"]))
    total, tol = len(block["grid"]["l2"]), record["settings"].get("tol")
    if tol is not None:
        words.append(
            f" {certified:,} of {count(total, 'fit')} ended within {tol:g} of the best possible "
            "objective, relative to it, which is proved for each."
        )
    return element("p", words)


class _Shown(NamedTuple):
    """A column of the page, made of a row of the grid."""

    name: str
    cell: Callable[[Record, int], Content]
    is_number: bool = True


def _plain(column: str, show: Callable[[Any], str]) -> Callable[[Record, int], Content]:
    return lambda grid, row: show(grid[column][row])


_COLUMNS: tuple[_Shown, ...] = (
    _Shown("l2", _plain("l2", setting)),
    _Shown("C", _plain("C", setting)),
    _Shown("features", lambda g, row: feature_words(g["scaling"][row], g["normalize"][row]), False),
    _Shown("validation accuracy", _plain("validation_accuracy", percent)),
    _Shown(
        "95 % interval",
        lambda grid, row: interval(
            grid["validation_accuracy_low"][row], grid["validation_accuracy_high"][row]
        ),
    ),
    _Shown("validation loss", _plain("validation_loss", number)),
    _Shown("train accuracy", _plain("train_accuracy", percent)),
    _Shown("objective", _plain("objective", number)),
    _Shown("relative gap", _plain("relative_gap", rounded_gap)),
    _Shown("outcome", lambda grid, row: str(grid["outcome"][row]).replace("_", " "), False),
    _Shown("passes", _plain("passes", lambda value: "-" if value is None else f"{value:,}")),
    _Shown("seconds", _plain("seconds", number)),
)


def _table(record: Record, index: int) -> Content:
    block = record["blocks"][index]
    grid = block["grid"]
    shown = [column for column in _COLUMNS if _has(grid, column.name)]
    rows = []
    for row in range(len(grid["l2"])):
        cells = [column.cell(grid, row) for column in shown]
        rows.append(Row(cells, row == block["best"]["row"]))
    caption: list[Content] = ["Every setting that was tried"]
    if len(record["blocks"]) > 1:
        caption += [" on ", name(block["name"])]
    columns = [Column(column.name, column.is_number) for column in shown]
    return table(f"grid-{index}", caption, columns, rows, is_sortable=True)


def _has(grid: Record, name: str) -> bool:
    """Whether a column tells anything."""
    if name == "features":
        return varying(grid, "scaling") or varying(grid, "normalize")
    if name == "95 % interval":
        low, high = grid.get("validation_accuracy_low"), grid.get("validation_accuracy_high")
        return low is not None and high is not None and any(end is not None for end in low)
    values = grid.get(name.replace(" ", "_"))
    return values is not None and any(value is not None for value in values)
