"""How the score grows with the number of examples a class."""

from __future__ import annotations

from jaxlin.report.probe_page import axes, charts
from jaxlin.report.probe_page.axes import percent_names
from jaxlin.report.probe_page.markup import Content, Safe, element, prose
from jaxlin.report.probe_page.reading import Record, Section, best_block, count, feature_words
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import percent


def few_shot(record: Record) -> Section | None:
    """The mean and the spread over draws, drawn and listed; None where it was not asked for."""
    block = best_block(record)
    found = block.get("few_shot")
    if not found or not (found.get("summary") or found.get("skipped")):
        return None
    content: list[Content] = [element("p", _sentence(found))]
    if found.get("summary"):
        content.append(element("div", _plot(block, found), _table(found), class_="beside"))
    skipped = [
        element("li", f"{one['per_class']:,} a class: ", prose(one["reason"]))
        for one in found.get("skipped") or []
    ]
    if skipped:
        content += [element("p", "Not run:"), element("ul", skipped)]
    return Section("few-shot", "Few-shot", content)


def _sentence(found: Record) -> str:
    features = feature_words(found.get("scaling"), found.get("normalize"))
    tried, name = (found["l2"], "l2") if found.get("l2") else (found["C"], "C")
    return (
        "Subsets of the training examples, as many of each class, "
        f"{count(found['repeats'], 'draw')} of each size. Each draw chose its own {name} of "
        f"{count(len(tried), 'value')} on the validation set; features {features}."
    )


def _judged_on(found: Record) -> str:
    return str(found["summary"][0].get("judged_on", "test"))


def _plot(block: Record, found: Record) -> Safe | None:
    frame = charts.Frame()
    judged = _judged_on(found)
    draws = [d for d in found.get("draws") or [] if d.get(f"{judged}_accuracy") is not None]
    full = (block.get("test") or {}).get("accuracy") if judged == "test" else None
    summary = found["summary"]
    values = [d[f"{judged}_accuracy"] for d in draws] + [full]
    for row in summary:
        values += [row["mean"] - (row.get("sd") or 0.0), row["mean"] + (row.get("sd") or 0.0)]
    sizes = [float(row["per_class"]) for row in summary]
    x = axes.covering(sizes, *frame.across, is_log=True)
    y = axes.covering(values, *frame.upward, least=0.0, most=1.0)
    if x is None or y is None:
        return None
    marks: list[Content] = []
    if full is not None:
        marks.append(charts.segment(x.start, y.at(full), x.end, y.at(full), "compare"))
    for draw in draws:
        at = x.at(draw["per_class"]), y.at(draw[f"{judged}_accuracy"])
        marks.append(charts.dot(*at, "faint", 2.4, percent(draw[f"{judged}_accuracy"])))
    for row in summary:
        if row.get("sd") is not None:
            at, ends = x.at(row["per_class"]), (row["mean"] - row["sd"], row["mean"] + row["sd"])
            marks.append(charts.segment(at, y.at(ends[0]), at, y.at(ends[1]), "range s0"))
    places = [(x.at(row["per_class"]), y.at(row["mean"])) for row in summary]
    marks.append(charts.curve(places, "s0"))
    for place, row in zip(places, summary, strict=True):
        marks.append(charts.dot(*place, "s0", 3.4, percent(row["mean"])))
    drawn = charts.plot(
        frame,
        x,
        y,
        marks,
        names=("examples a class", f"{judged} accuracy, %"),
        label=f"{judged} accuracy against examples a class; the numbers are in the table below",
        x_ticks=[(x.at(size), f"{size:,.0f}") for size in sizes],
        y_names=percent_names,
    )
    entries: list[tuple[str, Content]] = [("s0", "mean, and a standard deviation either way")]
    entries.append(("point faint", "single draws"))
    if full is not None:
        entries.append(("compare only-line", "all of the training examples"))
    return charts.figure(drawn, charts.legend(entries), class_="single")


def _table(found: Record) -> Safe:
    columns = [Column("examples a class"), Column("draws"), Column("mean")]
    columns += [Column("standard deviation"), Column("lowest"), Column("highest")]
    rows = []
    for row in found["summary"]:
        shares = (row["mean"], row.get("sd"), row.get("lowest"), row.get("highest"))
        rows.append(Row([f"{row['per_class']:,}", f"{row['draws']:,}", *map(percent, shares)]))
    caption = f"Accuracy on {_judged_on(found)} over the draws of each size"
    return table("few-shot", caption, columns, rows)
