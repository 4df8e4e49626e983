"""What is proved of the final fit, and how it got there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jaxlin.report.probe_page import axes, charts
from jaxlin.report.probe_page.axes import Axis, tick_name
from jaxlin.report.probe_page.markup import Content, Safe, element, prose
from jaxlin.report.probe_page.reading import Record, Section, best_block, rounded_gap
from jaxlin.report.probe_page.tables import facts
from jaxlin.report.words import duration, number

_FEW = 20


def proof(record: Record) -> Section | None:
    """The certificate in a sentence, its numbers, and the curves of the final fit."""
    block = best_block(record)
    refit = block.get("refit")
    if refit is None:
        return None
    content: list[Content] = [element("p", prose(text)) for text in _sentences(block)]
    certificate = refit.get("certificate")
    rows: list[tuple[Content, Content]] = []
    if certificate:
        rows = [
            ("objective", f"{certificate['primal']:.6g}"),
            ("the optimum is at least", f"{certificate['dual']:.6g}"),
            ("relative gap", rounded_gap(certificate.get("relative_gap"))),
        ]
    if refit.get("passes") is not None:
        rows.append(("passes over the data", f"{refit['passes']:,}"))
    if refit.get("seconds") is not None:
        rows.append(("time", duration(refit["seconds"])))
    content += [facts(rows) if rows else None, _curves(refit.get("history"))]
    return Section("proof", "Certificate and final fit", content)


def _sentences(block: Record) -> list[str]:
    refit = block["refit"]
    certain = (block.get("test") or {}).get("certain") or {}
    # Of a fit without a certificate the outcome says why, and what to do.
    proved = refit.get("certificate_sentence") or refit.get("outcome")
    return [_sentence(text) for text in (proved, certain.get("sentence")) if text]


def _sentence(text: str) -> str:
    """A clause as a sentence of its own."""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def _curves(history: Record | None) -> Safe | None:
    if not history or len(history.get("objective") or []) < 2:
        return None
    frame = charts.Frame()
    passes = history.get("passes")
    places = passes or list(range(1, len(history["objective"]) + 1))
    along = "passes over the data" if passes else "entry of the history"
    x = axes.covering(places, *frame.across)
    assert x is not None
    objective, bound = history["objective"], history.get("lower_bound")
    drawn = [_plot(frame, x, _objective(x, places, objective, bound, frame), along, "objective")]
    accuracy = history.get("accuracy")
    if accuracy is not None:
        y = axes.covering(accuracy, *frame.upward, least=0.0, most=1.0)
        marks = None if y is None else (_line(_places(x, y, places, accuracy)), y)
        drawn.append(
            _plot(
                frame, x, marks, along, "train accuracy, %", lambda value: tick_name(100.0 * value)
            )
        )
    entries: list[tuple[str, Content]] = [("s0 only-line", "the fit")]
    if bound is not None:
        entries.append(("s1 only-line", "proved: no weights have an objective below this"))
    return charts.figure(
        element("div", *drawn, class_="pair"),
        charts.legend(entries),
        caption="The final fit, from its first pass to its last.",
    )


def _objective(
    x: Axis, places: Sequence[float], objective: Sequence[float], bound: Any, frame: charts.Frame
) -> tuple[Content, Axis] | None:
    """The objective, and the best bound so far: what is proved once stays proved."""
    seen = [value for value in objective if value is not None]
    if not seen:
        return None
    best = _running_best(bound) if bound is not None else []
    # A bound that has only just begun is far below all else: it may start outside.
    floor = min(seen) - 0.5 * (max(seen) - min(seen))
    values = [*seen, *(value for value in best if value is not None and value >= floor)]
    positive = min(values) > 0.0 and max(values) > 20.0 * min(values)
    y = axes.covering(values, *frame.upward, is_log=positive)
    if y is None:
        return None
    marks: list[Content] = [_line(_places(x, y, places, objective))]
    if best:
        kept = [None if value is None or value < y.low else value for value in best]
        marks.append(charts.steps(_places(x, y, places, kept), "s1"))
    return marks, y


def _line(places: list[tuple[float, float]]) -> Content:
    """The line of the fit; where its points are few, they are seen: between them nobody looked."""
    dots = [charts.dot(*place, "s0") for place in places] if len(places) <= _FEW else []
    return [charts.curve(places, "s0"), *dots]


def _running_best(bound: list[float | None]) -> list[float | None]:
    best: float | None = None
    found: list[float | None] = []
    for value in bound:
        if value is not None and (best is None or value > best):
            best = value
        found.append(best)
    return found


def _places(
    x: Axis, y: Axis, along: Sequence[float], values: Sequence[float | None]
) -> list[tuple[float, float]]:
    pairs = zip(along, values, strict=True)
    return [(x.at(place), y.at(value)) for place, value in pairs if value is not None]


def _plot(
    frame: charts.Frame,
    x: Axis,
    drawn: tuple[Content, Axis] | None,
    along: str,
    name: str,
    y_name: Callable[[float], str] = number,
) -> Safe | None:
    if drawn is None:
        return None
    marks, y = drawn
    label = f"{name} of the final fit against {along}"
    return charts.plot(frame, x, y, marks, names=(along, name), label=label, y_name=y_name)
