"""What is proved of the final fit, and how it got there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxlin.report.probe_page import axes, charts
from jaxlin.report.probe_page.axes import Axis, percent_names, tick_names
from jaxlin.report.probe_page.markup import Content, Safe, element, prose
from jaxlin.report.probe_page.reading import Record, Section, best_block, rounded_gap
from jaxlin.report.probe_page.tables import facts
from jaxlin.report.words import duration

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
    content += [facts(rows) if rows else None, _curves(refit)]
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


def _curves(refit: Record) -> Safe | None:
    history = refit.get("history")
    if not history or len(history.get("objective") or []) < 2:
        return None
    frame = charts.Frame()
    passes = history.get("passes")
    places = passes or list(range(1, len(history["objective"]) + 1))
    along = "passes over the data" if passes else "entry of the history"
    x = axes.covering(places, *frame.across)
    assert x is not None
    objective, certificate = history["objective"], refit.get("certificate")
    name, values = "objective", objective
    if certificate and certificate.get("dual") is not None:
        # By itself it is a line that soon looks level, whatever is left to do.
        name = "objective, above the proved bound"
        above = [None if v is None else v - certificate["dual"] for v in objective]
        values = [v if v is not None and v > 0.0 else None for v in above]
    y = axes.covering(values, *frame.upward, is_log=name != "objective")
    drawn = [_plot(frame, x, y, places, values, (along, name))]
    accuracy = history.get("accuracy")
    if accuracy is not None:
        y = axes.covering(accuracy, *frame.upward, least=0.0, most=1.0)
        names = along, "train accuracy, %"
        drawn.append(_plot(frame, x, y, places, accuracy, names, percent_names))
    return charts.figure(
        element("div", *drawn, class_="pair"),
        caption="The final fit, from the winner of the grid, where it starts, to its last pass.",
    )


def _line(places: list[tuple[float, float]]) -> Content:
    """The line of the fit; where its points are few, they are seen: between them nobody looked."""
    dots = [charts.dot(*place, "s0") for place in places] if len(places) <= _FEW else []
    return [charts.curve(places, "s0"), *dots]


def _places(
    x: Axis, y: Axis, along: Sequence[float], values: Sequence[float | None]
) -> list[tuple[float, float]]:
    pairs = zip(along, values, strict=True)
    return [(x.at(place), y.at(value)) for place, value in pairs if value is not None]


def _plot(
    frame: charts.Frame,
    x: Axis,
    y: Axis | None,
    places: Sequence[float],
    values: Sequence[float | None],
    names: tuple[str, str],
    y_names: Callable[[Sequence[float]], list[str]] = tick_names,
) -> Safe | None:
    """The values of the fit against its passes; None where there are none."""
    if y is None:
        return None
    label = f"{names[1]} of the final fit against {names[0]}"
    marks = _line(_places(x, y, places, values))
    return charts.plot(frame, x, y, marks, names=names, label=label, y_names=y_names)
