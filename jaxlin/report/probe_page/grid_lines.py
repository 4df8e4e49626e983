"""The grid as plots: validation accuracy and loss against l2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from jaxlin.report.probe_page import axes, charts
from jaxlin.report.probe_page.axes import Axis, percent_names, tick_name, tick_names
from jaxlin.report.probe_page.markup import Content, Safe, element, prose, shortened
from jaxlin.report.probe_page.reading import Record, feature_words, interval, setting, varying
from jaxlin.report.words import number, percent


class Line(NamedTuple):
    """Rows of a grid that differ in l2 alone.

    Attributes:
      block: index of the block.
      words: what tells it from the other lines.
      rows: of the block's grid, by l2.
      best: its best validation accuracy, or minus infinity.
      is_winner: whether the chosen setting is on it.
    """

    block: int
    words: str
    rows: list[int]
    best: float
    is_winner: bool


def grid_lines(record: Record) -> list[Line]:
    """The lines of all blocks: the winner's first, then by their best accuracy."""
    found: list[Line] = []
    blocks = record["blocks"]
    for index, block in enumerate(blocks):
        grid = block["grid"]
        kinds: dict[tuple[object, object], list[int]] = {}
        for row, kind in enumerate(zip(grid["scaling"], grid["normalize"], strict=True)):
            kinds.setdefault(kind, []).append(row)
        for (scaling, normalize), rows in kinds.items():
            words = [shortened(block["name"], 24)] if len(blocks) > 1 else []
            if len(kinds) > 1 or not words:
                words.append(f"features {feature_words(scaling, normalize)}")
            scores = [grid["validation_accuracy"][row] for row in rows]
            best = max((s for s in scores if s is not None), default=-math.inf)
            is_winner = index == (record.get("best_block") or 0) and block["best"]["row"] in rows
            rows.sort(key=lambda row, grid=grid: grid["l2"][row])
            found.append(Line(index, ": ".join(words), rows, best, is_winner))
    return sorted(found, key=lambda line: (not line.is_winner, -line.best))


class _Measure(NamedTuple):
    column: str
    name: str
    is_log: bool


_ACCURACY = _Measure("validation_accuracy", "validation accuracy, %", False)
_LOSS = _Measure("validation_loss", "validation loss", True)


def grid_plots(record: Record) -> Safe:
    """Accuracy and loss of the whole grid, a line a way to prepare the features.

    The first few lines have colours; the rest are grey, and without points.
    """
    lines = grid_lines(record)
    drawn = [_plot(record, lines, measure) for measure in (_ACCURACY, _LOSS)]
    return charts.figure(
        element("div", *drawn, class_="pair"), _legend(record, lines), caption=_caption(record)
    )


def _plot(record: Record, lines: Sequence[Line], measure: _Measure) -> Safe | None:
    frame = charts.Frame()
    start, end = frame.across
    l2 = [value for block in record["blocks"] for value in block["grid"]["l2"]]
    positive = [value for value in l2 if value > 0.0] or [1.0]
    # l2 = 0 has a place of its own, one decade to the left of all others.
    zero = min(positive) / 10.0 if 0.0 in l2 else None
    x = axes.covering([*positive, zero], start, end, is_log=True)
    values = [value for block in record["blocks"] for value in block["grid"][measure.column]]
    ends = (None, None) if measure.is_log else (0.0, 1.0)
    y = axes.covering(values, *frame.upward, is_log=measure.is_log, least=ends[0], most=ends[1])
    if x is None or y is None:
        return None
    # The winner's line is drawn last, over all others.
    numbered = reversed(list(enumerate(lines)))
    drawn = [_line(record, line, index, (x, y), zero, measure) for index, line in numbered]
    marks: list[Content] = [_winner(record, x, zero, frame), *drawn]
    ticks = [(x.at(v), tick_name(v)) for v in x.ticks() if v >= min(positive)]
    if zero is not None:
        ticks.insert(0, (x.at(zero), "0"))
    return charts.plot(
        frame,
        x,
        y,
        marks,
        names=("l2", measure.name),
        label=f"{measure.name} against l2, {len(lines)} lines; the numbers are in the table below",
        x_ticks=ticks,
        y_names=tick_names if measure.is_log else percent_names,
    )


def _line(
    record: Record,
    line: Line,
    index: int,
    scales: tuple[Axis, Axis],
    zero: float | None,
    measure: _Measure,
) -> Content:
    grid, (x, y) = record["blocks"][line.block]["grid"], scales
    rows = [row for row in line.rows if grid[measure.column][row] is not None]
    places = [
        (x.at(grid["l2"][row] or zero or 1.0), y.at(grid[measure.column][row])) for row in rows
    ]
    if index >= charts.NUM_COLORS:
        return charts.curve(places, "rest")
    marks: list[Content] = []
    if line.is_winner and measure is _ACCURACY:
        marks.append(_band(grid, rows, places, y))
    marks.append(charts.curve(places, f"s{index}"))
    best = record["blocks"][line.block]["best"]["row"] if line.is_winner else None
    for row, place in zip(rows, places, strict=True):
        class_ = f"s{index}" if grid["certified"][row] else f"s{index} hollow"
        marks.append(charts.dot(*place, class_, 2.6, _words(line, grid, row)))
        if row == best:
            marks.append(charts.dot(*place, f"s{index} ring", 7.0))
    return marks


def _band(grid: Record, rows: list[int], places: list[tuple[float, float]], y: Axis) -> Content:
    columns = [grid.get(f"validation_accuracy_{end}") for end in ("low", "high")]
    if any(column is None or any(column[row] is None for row in rows) for column in columns):
        return None
    lower, upper = (
        [(at, y.at(column[row])) for row, (at, _) in zip(rows, places, strict=True)]
        for column in columns
        if column is not None
    )
    return charts.band(lower, upper)


def _words(line: Line, grid: Record, row: int) -> str:
    score = percent(grid["validation_accuracy"][row])
    loss = number(grid["validation_loss"][row])
    return f"{line.words}; l2 {setting(grid['l2'][row])}: accuracy {score}, loss {loss}"


def _winner(record: Record, x: Axis, zero: float | None, frame: charts.Frame) -> Content:
    l2 = record["blocks"][record.get("best_block") or 0]["best"]["l2"]
    at = x.at(l2 or zero or 1.0)
    return charts.segment(at, frame.upward[0], at, frame.upward[1], "chosen")


def _legend(record: Record, lines: Sequence[Line]) -> Safe:
    entries: list[tuple[str, Content]] = []
    for index, line in enumerate(lines[: charts.NUM_COLORS]):
        entries.append((f"s{index}", line.words))
    rest = len(lines) - charts.NUM_COLORS
    if rest > 0:
        entries.append(("rest only-line", f"{rest} more, less accurate"))
    entries.append(("point ring", "the setting that was chosen"))
    if any(not all(block["grid"]["certified"]) for block in record["blocks"]):
        entries.append(("point hollow", "not proved to be at its optimum"))
    return charts.legend(entries)


def _caption(record: Record) -> Content:
    block = record["blocks"][record.get("best_block") or 0]
    best = block["best"]
    ends = best.get("validation_accuracy_low"), best.get("validation_accuracy_high")
    words: list[Content] = ["Each point is a fit of its own."]
    if ends[0] is not None:
        words.append(
            prose(
                " Shaded: 95 % bootstrap interval of the chosen line, "
                f"{interval(*ends)} where it was chosen."
            )
        )
    if any(varying(one["grid"], "l2") and 0.0 in one["grid"]["l2"] for one in record["blocks"]):
        words.append(" l2 = 0 is drawn at the left end.")
    return words
