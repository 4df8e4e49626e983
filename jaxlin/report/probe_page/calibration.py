"""Whether a confidence of 90 % is right nine times of ten."""

from __future__ import annotations

from typing import Any

from jaxlin.report.probe_page import charts
from jaxlin.report.probe_page.axes import Axis, percent_names, tick_name
from jaxlin.report.probe_page.markup import Content, Safe, element, prose
from jaxlin.report.probe_page.reading import Record, Section, best_block
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import percent


def calibration(record: Record) -> Section | None:
    """Accuracy against confidence, and how many predictions there are of each."""
    test = best_block(record).get("test")
    found = (test or {}).get("calibration")
    if test is None or not found or not sum(found["count"]):
        return None
    words: list[Content] = []
    if test.get("probabilities"):
        words += ["Probabilities: ", prose(str(test["probabilities"]).rstrip(".")), ". "]
    if test.get("calibration_error") is not None:
        words.append(
            prose(
                f"On average, accuracy and confidence are {percent(test['calibration_error'])} "
                f"apart (expected calibration error, {len(found['count'])} bins of equal width)."
            )
        )
    drawn = element("div", _accuracy(found), _counts(found), class_="pair")
    entries: list[tuple[str, Content]] = [("s0", "a bin, at its mean confidence")]
    entries.append(("compare only-line", "perfect calibration"))
    figure = charts.figure(
        drawn,
        charts.legend(entries),
        caption="Confidence: the probability of the predicted class. Below the dashed line the "
        "probe is too sure of itself, above it not sure enough. Bins with few examples jump about.",
    )
    return Section("calibration", "Calibration", [element("p", words), figure, _table(found)])


def _accuracy(found: Record) -> Safe:
    frame = charts.Frame()
    x, y = Axis(0.0, 1.0, *frame.across), Axis(0.0, 1.0, *frame.upward)
    marks: list[Content] = [charts.segment(x.at(0.0), y.at(0.0), x.at(1.0), y.at(1.0), "compare")]
    bins = [one for one in _bins(found) if one["count"] and one["accuracy"] is not None]
    places = [(x.at(one["confidence"]), y.at(one["accuracy"])) for one in bins]
    marks.append(charts.curve(places, "s0"))
    largest = max(found["count"])
    for one, place in zip(bins, places, strict=True):
        words = f"confidence {percent(one['confidence'])}, accuracy {percent(one['accuracy'])}"
        size = 2.0 + 4.0 * (one["count"] / largest) ** 0.5
        marks.append(charts.dot(*place, "s0", size, f"{words}, {one['count']:,} examples"))
    return charts.plot(
        frame,
        x,
        y,
        marks,
        names=("confidence, %", "accuracy, %"),
        label="accuracy against confidence; the numbers are in the table below",
        x_ticks=_ticks(x),
        y_names=percent_names,
    )


def _counts(found: Record) -> Safe:
    frame = charts.Frame()
    bottom = frame.upward[0]
    x, y = Axis(0.0, 1.0, *frame.across), Axis(0.0, 1.05 * max(found["count"]), *frame.upward)
    marks: list[Content] = []
    for one in _bins(found):
        start, end, top = x.at(one["low"]), x.at(one["high"]), y.at(one["count"])
        if one["count"]:
            title = element("title", f"{one['count']:,}")
            marks.append(
                element(
                    "rect", title, class_="column", x=start + 1, y=top, width=end - start - 2,
                    height=bottom - top,
                )
            )  # fmt: skip
    return charts.plot(
        frame,
        x,
        y,
        marks,
        names=("confidence, %", "test examples"),
        label="test examples by confidence; the numbers are in the table below",
        x_ticks=_ticks(x),
        y_names=lambda values: [f"{v:,.0f}" if v == int(v) else "" for v in values],
    )


def _ticks(x: Axis) -> list[tuple[float, str]]:
    return [(x.at(value), tick_name(100.0 * value)) for value in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]


def _bins(found: Record) -> list[dict[str, Any]]:
    edges = found["edges"]
    columns = (edges[:-1], edges[1:], found["count"], found["confidence"], found["accuracy"])
    names = ("low", "high", "count", "confidence", "accuracy")
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _table(found: Record) -> Safe:
    rows = [
        Row(
            [
                f"{100 * one['low']:.3g} to {100 * one['high']:.3g} %",
                f"{one['count']:,}",
                percent(one["confidence"]),
                percent(one["accuracy"]),
            ]
        )
        for one in _bins(found)
        if one["count"]
    ]
    columns = [Column("confidence"), Column("examples"), Column("mean confidence")]
    shown = table("calibration", "The bins", [*columns, Column("accuracy")], rows)
    return element("details", element("summary", "The bins in numbers"), shown)
