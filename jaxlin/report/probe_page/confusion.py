"""Which classes are taken for which."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxlin.report.probe_page import charts
from jaxlin.report.probe_page.markup import Content, Safe, element, name, shortened
from jaxlin.report.probe_page.pictures import matrix
from jaxlin.report.probe_page.reading import Record, Section, best_block, class_name, count
from jaxlin.report.probe_page.tables import Column, Row, framed, table
from jaxlin.report.words import percent

# Up to so many classes cells have their counts; beyond, a pixel each.
_MOST_WITH_COUNTS = 20
_MOST_PAIRS, _LEVELS = 15, 9


def confusion(record: Record) -> Section | None:
    """The matrix, as a table of counts or as a picture, and the most frequent confusions."""
    test = best_block(record).get("test")
    found = (test or {}).get("confusion")
    if test is None or not found:
        return None
    counts, coarse = found.get("counts"), found.get("coarse")
    content: list[Content] = []
    if counts is not None and len(counts) <= _MOST_WITH_COUNTS:
        content.append(_counted(record, counts))
    elif counts is not None:
        content.append(_drawn(counts, "class", 1))
    elif coarse is not None:
        content.append(_drawn(coarse["counts"], "group", coarse["classes_per_cell"]))
    pairs = found.get("pairs") or []
    if pairs:
        content.append(_pairs(record, test, pairs))
    else:
        content.append(element("p", "No test example was taken for another class."))
    return Section("confusion", "Confusion", element("div", content, class_="beside"))


def _counted(record: Record, counts: Sequence[Sequence[int]]) -> Safe:
    """A table of counts, each cell coloured by its share of the row."""
    labels = range(len(counts))
    names = [element("th", class_name(record, index, 16), scope="col") for index in labels]
    head = [element("td"), *names]
    rows = []
    for true, row in enumerate(counts):
        cells = [element("th", class_name(record, true, 24), scope="row")]
        for predicted, cell in enumerate(row):
            class_ = _level(cell / (sum(row) or 1), "right" if true == predicted else "wrong")
            cells.append(element("td", f"{cell:,}" if cell else "·", class_=class_))
        rows.append(element("tr", cells))
    caption = "Rows: the true class. Columns: the prediction. The stronger, the more of the row."
    inside = [element("thead", element("tr", head)), element("tbody", rows)]
    # Names of a few letters need not stand on their heads.
    short = max(len(str(record["data"]["classes"][index])) for index in labels) <= 4
    return framed("confusion", caption, inside, "confusion" if short else "confusion upright")


def _level(share: float, kind: str) -> str | None:
    """A class of the style sheet: the square root of a share, in steps, so that few are seen."""
    level = math.ceil(_LEVELS * math.sqrt(share))
    return f"{kind}-{level}" if level else None


def _drawn(counts: Sequence[Sequence[int]], unit: str, per_cell: int) -> Safe:
    size = len(counts)
    alt = f"confusion matrix of {count(size, unit, f'{unit}s' if unit == 'group' else 'classes')}"
    of = f" Each cell is {per_cell} neighbouring classes." if per_cell > 1 else ""
    caption = (
        "Rows: the true class, from the first at the top. Columns: the prediction, from the first "
        "at the left. Blue: right; orange: wrong, stronger for a larger share of the row; one "
        f"mistake can be seen.{of} The most frequent ones are listed."
    )
    return charts.figure(matrix(counts, alt), caption=caption, class_="single")


def _pairs(record: Record, test: Record, pairs: Sequence[Record]) -> Safe:
    sizes = {row["class"]: row["examples"] for row in test.get("classes") or []}
    rows = []
    for pair in pairs[:_MOST_PAIRS]:
        size = sizes.get(pair["true"])
        share = percent(pair["count"] / size) if size else "-"
        true, predicted = (class_name(record, pair[key]) for key in ("true", "predicted"))
        rows.append(Row([true, predicted, f"{pair['count']:,}", share]))
    columns = [Column("true class", False), Column("taken for", False), Column("times")]
    columns.append(Column("of its examples"))
    more = "" if len(pairs) <= _MOST_PAIRS else f", the first {_MOST_PAIRS}"
    return table("pairs", f"The most frequent confusions{more}", columns, rows)


def classes(record: Record) -> Section | None:
    """A row a class: how many, how many found, and what it is taken for."""
    test = best_block(record).get("test")
    if test is None or not test.get("classes"):
        return None
    taken: dict[int, Record] = {}
    for pair in (test.get("confusion") or {}).get("pairs") or []:
        taken.setdefault(pair["true"], pair)
    few = len(test["classes"]) <= 100
    rows = []
    for row in test["classes"]:
        found = row.get("recall")
        cells: list[Content] = [
            class_name(record, row["class"]),
            f"{row['examples']:,}",
            f"{row['predicted']:,}",
            percent(found),
            None if found is None or not few else charts.bar(found),
            percent(row.get("precision")),
            percent(row.get("f1")),
        ]
        pair = taken.get(row["class"])
        if taken:
            cells.append(_taken_for(record, pair))
        rows.append(Row(cells))
    columns = [Column("class", False), Column("examples"), Column("predicted"), Column("found")]
    columns += [Column(""), Column("precision"), Column("F1")]
    if taken:
        columns.append(Column("most often taken for", False))
    caption = "Found: the share of the class's examples that are predicted as it (recall)."
    shown = table("classes", caption, columns, rows, is_sortable=True)
    return Section("classes", "Class by class", shown)


def _taken_for(record: Record, pair: Record | None) -> Content:
    if pair is None:
        return None
    label = record["data"]["classes"][pair["predicted"]]
    return [name(shortened(label, 24), 24), f" ({pair['count']:,})"]
