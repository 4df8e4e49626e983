"""Several feature blocks, or the layers of a network, side by side."""

from __future__ import annotations

from jaxlin.report.probe_page import axes, charts
from jaxlin.report.probe_page.axes import Axis, tick_name
from jaxlin.report.probe_page.markup import Content, Safe, name, shortened
from jaxlin.report.probe_page.reading import (
    Record,
    Section,
    feature_words,
    interval,
    rounded_gap,
    setting,
)
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import percent

_ROW = 22.0
_MOST_DRAWN, _MOST_LETTERS = 64, 18


def blocks(record: Record) -> Section | None:
    """The score of each block's own best setting; None of a single block."""
    if len(record["blocks"]) < 2:
        return None
    return Section("blocks", "Feature blocks", [_plot(record), _table(record)])


def _plot(record: Record) -> Safe | None:
    found = record["blocks"][:_MOST_DRAWN]
    height = 68.0 + _ROW * len(found)
    frame = charts.Frame(height=height, left=128.0, top=4.0)
    values = [value for block in found for value in _values(block)]
    x = axes.covering(values, *frame.across, least=0.0, most=1.0)
    if x is None:
        return None
    marks: list[Content] = []
    for index, block in enumerate(found):
        marks.append(_row(block, x, frame.top + _ROW * (index + 0.5)))
    ticks = [(x.at(value), tick_name(100.0 * value)) for value in x.ticks()]
    drawn = charts.plot(
        frame,
        x,
        None,
        [[charts.segment(at, frame.top, at, frame.upward[0], "rule") for at, _ in ticks], marks],
        names=("accuracy, %", ""),
        label=f"accuracy of {len(found)} feature blocks; the numbers are in the table below",
        x_ticks=ticks,
    )
    entries: list[tuple[str, Content]] = [("point s0", "test")] if _is_tested(record) else []
    entries.append(("point s1 hollow", "validation"))
    left_out = len(record["blocks"]) - len(found)
    more = f" The first {len(found)} are drawn." if left_out > 0 else ""
    return charts.figure(
        drawn,
        charts.legend(entries),
        caption="The best setting of each block, chosen by its validation score; lines are "
        f"95 % bootstrap intervals.{more}",
        class_="tall",
    )


def _is_tested(record: Record) -> bool:
    return any(block.get("test") is not None for block in record["blocks"])


def _values(block: Record) -> list[float | None]:
    best, test = block["best"], block.get("test") or {}
    keys = ("accuracy", "accuracy_low", "accuracy_high")
    return [best.get(f"validation_{key}") for key in keys] + [test.get(key) for key in keys]


def _row(block: Record, x: Axis, at: float) -> Content:
    validation, low, high, test, test_low, test_high = _values(block)
    marks: list[Content] = [
        charts.row_name(
            shortened(block["name"], _MOST_LETTERS), x.start - 8, at + 4, str(block["name"])[:200]
        )
    ]
    for value, ends, shift, class_ in (
        (validation, (low, high), 4.0, "s1 hollow"),
        (test, (test_low, test_high), -4.0 if test is not None else 0.0, "s0"),
    ):
        if value is None:
            continue
        lower, upper = ends
        if lower is not None and upper is not None:
            color = class_.split()[0]
            marks.append(
                charts.segment(x.at(lower), at + shift, x.at(upper), at + shift, f"range {color}")
            )
        marks.append(charts.dot(x.at(value), at + shift, class_, 3.2, percent(value)))
    return marks


def _table(record: Record) -> Safe:
    columns = [
        Column("block", False),
        Column("features"),
        Column("validation accuracy"),
        Column("95 % interval"),
        Column("test accuracy"),
        Column("95 % interval"),
        Column("l2"),
        Column("prepared", False),
        Column("relative gap"),
    ]
    rows = []
    for index, block in enumerate(record["blocks"]):
        best, test = block["best"], block.get("test") or {}
        certificate = (block.get("refit") or {}).get("certificate") or {}
        cells: list[Content] = [
            name(block["name"]),
            f"{block['num_features']:,}",
            percent(best.get("validation_accuracy")),
            interval(best.get("validation_accuracy_low"), best.get("validation_accuracy_high")),
            percent(test.get("accuracy")),
            interval(test.get("accuracy_low"), test.get("accuracy_high")),
            setting(best.get("l2")),
            feature_words(best.get("scaling"), best.get("normalize")),
            rounded_gap(certificate.get("relative_gap")),
        ]
        rows.append(Row(cells, index == (record.get("best_block") or 0)))
    return table("blocks", "Each block at its best setting", columns, rows, is_sortable=True)
