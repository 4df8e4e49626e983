"""The top of the page: the score, how sure it is, what was done, and what to beware of."""

from __future__ import annotations

from typing import Any

from jaxlin.report.probe_page import charts
from jaxlin.report.probe_page.markup import Content, Safe, element, name, prose
from jaxlin.report.probe_page.reading import (
    Record,
    Section,
    best_block,
    count,
    feature_words,
    interval,
    loss_words,
    setting,
)
from jaxlin.report.probe_page.tables import Column, Row, facts, table
from jaxlin.report.words import number, percent

_MOST_WARNINGS = 40


def title(record: Record) -> str:
    """What was probed, as plain text."""
    blocks = record["blocks"]
    if len(blocks) == 1:
        return f"Linear probe of {blocks[0]['name']}"
    return f"Linear probes of {len(blocks)} feature blocks"


def top(record: Record) -> Safe:
    """The heading, the score and the sentence of what was done."""
    blocks = record["blocks"]
    heading: Content = ["Linear probe of ", name(blocks[0]["name"], 60)]
    if len(blocks) > 1:
        heading = f"Linear probes of {len(blocks)} feature blocks"
    return element(
        "header",
        element("h1", heading),
        _score(record),
        element("p", _done(record), class_="lead"),
        _scores(best_block(record).get("test")),
    )


def _score(record: Record) -> Safe:
    block = best_block(record)
    test, best = block.get("test"), block["best"]
    if test is None:
        kind, judged, low, high = "validation", best["validation_accuracy"], *_ends(best)
        examples = record["data"]["splits"]["validation"]["examples"]
        note = (
            "There is no test set: this is the score that the probe was chosen by, so it flatters."
        )
    else:
        kind, judged = "test", test["accuracy"]
        low, high = test.get("accuracy_low"), test.get("accuracy_high")
        examples, note = test["examples"], None
    sure: Content = f"on {count(examples, 'example')}"
    if low is not None:
        confidence = 100 * (test or {}).get("confidence", 0.95)
        sure = [element("span", f"{interval(low, high)}", class_="range"), f" ({confidence:.4g} % "]
        sure += [f"bootstrap interval, {count(examples, 'example')})"]
    of = ["of ", name(block["name"]), ", the best block: "] if len(record["blocks"]) > 1 else None
    return element(
        "div",
        element("p", of, f"{kind} accuracy", class_="score-name"),
        element("p", percent(judged), class_="score"),
        element("p", sure, class_="score-range"),
        None if note is None else element("p", note, class_="score-note"),
        class_="headline",
    )


def _ends(best: Record) -> tuple[float | None, float | None]:
    return best.get("validation_accuracy_low"), best.get("validation_accuracy_high")


def _done(record: Record) -> Content:
    """One sentence: which probe, how it was chosen, on what it was trained and tested."""
    block, data, settings = best_block(record), record["data"], record["settings"]
    best, refit, grid = block["best"], block.get("refit"), block["grid"]
    splits, test = data["splits"], block.get("test")
    features = feature_words(best.get("scaling"), best.get("normalize"))
    held_out = splits.get("validation")
    words: list[Content] = [
        f"A {loss_words(settings)} probe of {count(block['num_features'], 'feature')} for ",
        f"{count(len(data['classes']), 'class', 'classes')}. ",
        f"Of {count(len(grid['l2']), 'setting')} the one with l2 = {setting(best['l2'])}",
        "" if best.get("C") is None else f" (scikit-learn's C = {setting(best['C'])})",
        f", features {features}, had the best ",
        f"{settings.get('select_by', 'accuracy')} on ",
        f"{count(held_out['examples'], 'validation example')}. " if held_out else "validation. ",
    ]
    if refit is not None:
        on = str(refit.get("on", "train")).replace("+", " and ")
        verb = "It was fitted again on" if "+" in str(refit.get("on")) else "It was fitted on"
        words.append(f"{verb} {on} ({count(refit['examples'], 'example')})")
        words.append(" and tested once." if test else ".")
    return words


def _scores(test: Record | None) -> Safe | None:
    if test is None:
        return None
    rows: list[tuple[Content, Content]] = []
    top_k = test.get("top_k")
    if top_k:
        rows.append((f"among the first {top_k['k']}", percent(top_k["accuracy"])))
    for key, words, show in (
        ("mean_class_accuracy", "mean accuracy of the classes", percent),
        ("macro_f1", "macro F1", percent),
        ("log_loss", "log loss, nats", number),
        ("calibration_error", "calibration error", percent),
    ):
        if test.get(key) is not None:
            rows.append((words, show(test[key])))
    return facts(rows)


def warnings(record: Record) -> Section | None:
    """What makes the score less than it seems."""
    found = record.get("warnings") or []
    if not found:
        return None
    items = [
        element("li", _about(record, warning), prose(warning["message"]))
        for warning in found[:_MOST_WARNINGS]
    ]
    more = len(found) - _MOST_WARNINGS
    if more > 0:
        items.append(element("li", f"and {more:,} more, in the record"))
    return Section("warnings", "Beware", element("ul", items, class_="warnings"))


def _about(record: Record, warning: Record) -> Content:
    block = warning.get("block")
    if block is None or len(record["blocks"]) == 1:
        return None
    return [name(record["blocks"][block]["name"]), ": "]


def baselines(record: Record) -> Section | None:
    """The probe beside what needs no fit."""
    block = best_block(record)
    others = block.get("baselines") or []
    if not others:
        return None
    test = block.get("test")
    rows = [Row(_standing("this probe", block["best"], test), is_best=True)]
    for other in others:
        words: Content = str(other["name"])
        if other.get("scaling") is not None:
            words = [words, f", features {feature_words(other['scaling'], other.get('normalize'))}"]
        rows.append(Row(_standing(words, other, other.get("test"))))
    columns = [Column("", False), Column("validation accuracy")]
    if test is not None:
        names = ("test accuracy", "95 % interval", "", "mean of the classes", "macro F1")
        columns += [Column(word) for word in names]
    else:
        rows = [Row(row.cells[:2], row.is_best) for row in rows]
    shown = table("baselines", "The probe, and what takes no fit", columns, rows)
    return Section("baselines", "Baselines", shown)


def _standing(words: Content, scores: Record, test: Record | None) -> list[Content]:
    found: Record | dict[str, Any] = test or {}
    accuracy = found.get("accuracy")
    ends = found.get("accuracy_low"), found.get("accuracy_high")
    return [
        words,
        percent(scores.get("validation_accuracy")),
        percent(accuracy),
        interval(*ends),
        None if accuracy is None else charts.bar(accuracy, *ends),
        percent(found.get("mean_class_accuracy")),
        percent(found.get("macro_f1")),
    ]
