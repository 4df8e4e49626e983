"""The surest mistakes, and what each class looks for: as images where features are images."""

from __future__ import annotations

from jaxlin.report.probe_page.markup import Content, Safe, element, shortened
from jaxlin.report.probe_page.pictures import photograph, template
from jaxlin.report.probe_page.reading import Record, Section, best_block, class_name, count
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import percent


def mistakes(record: Record) -> Section | None:
    """The predictions that are wrong and surest."""
    test = best_block(record).get("test")
    found = (test or {}).get("mistakes") or []
    if test is None or not found:
        return None
    total = test.get("num_mistakes")
    on = f"on {count(test['examples'], 'test example')}"
    words = f"The {count(len(found), 'surest mistake')} {on}"
    if total == len(found):
        words = f"{count(total, 'mistake')} {on}, the surest first"
    elif total is not None:
        words = f"The {len(found)} surest of {count(total, 'mistake')} {on}"
    numbered = "Rows count from 0 in the test set."
    if any(one.get("file_row") is not None for one in found):
        numbered = "Rows count from 0 in the file."
    with_images = all(one.get("image") for one in found)
    shown = _pictures(record, found) if with_images else _table(record, found)
    sentences = [f"{words}. ", "In bold what each was taken for. " if with_images else "", numbered]
    return Section("mistakes", "The surest mistakes", [element("p", *sentences), shown])


def _row(mistake: Record) -> int:
    file_row = mistake.get("file_row")
    return mistake["row"] if file_row is None else file_row


def _pictures(record: Record, found: list[Record]) -> Safe:
    items = []
    for index, one in enumerate(found):
        true, predicted = (
            shortened(record["data"]["classes"][one[key]]) for key in ("true", "predicted")
        )
        row = _row(one)
        alt = f"row {row}: {true}, taken for {predicted}"
        caption = [
            element("span", class_name(record, one["predicted"], 24), class_="said"),
            element("span", "is ", class_name(record, one["true"], 24)),
            element("span", f"{percent(one['confidence'])}, row {row:,}", class_="number"),
        ]
        picture = photograph(one["image"], f"image of mistake {index}", alt)
        items.append(element("li", element("figure", picture, element("figcaption", caption))))
    return element("ul", items, class_="cards")


def _table(record: Record, found: list[Record]) -> Safe:
    rows = []
    for one in found:
        cells: list[Content] = [
            f"{_row(one):,}",
            class_name(record, one["true"]),
            class_name(record, one["predicted"]),
            percent(one["confidence"]),
            percent(one.get("true_probability")),
        ]
        rows.append(Row(cells))
    columns = [Column("row"), Column("true class", False), Column("taken for", False)]
    columns += [Column("confidence"), Column("probability of the true class")]
    return table("mistakes", "Wrong predictions, the surest first", columns, rows)


def templates(record: Record) -> Section | None:
    """The weights of each class as an image."""
    found = best_block(record).get("templates")
    if not found or not found.get("images"):
        return None
    items = []
    for one in found["images"]:
        label = class_name(record, one["class"], 24)
        alt = f"weights of {shortened(record['data']['classes'][one['class']])}"
        image = {"shape": found["shape"], "pixels": one["pixels"]}
        picture = template(image, f"template of class {one['class']}", alt)
        items.append(element("li", element("figure", picture, element("figcaption", label))))
    total = len(record["data"]["classes"])
    words = "Each pixel is a weight. "
    if len(found["shape"]) == 2:
        words += "Orange speaks for the class, blue against it; nothing is no weight. "
    else:
        words += "Grey is no weight. "
    if found.get("limit") is not None:
        words += f"The strongest colour is a weight of {found['limit']:.3g}. "
    if len(items) < total:
        words += f"The first {len(items)} of {total:,} classes."
    return Section("templates", "Class templates", [element("p", words), _cards(items)])


def _cards(items: list[Safe]) -> Safe:
    return element("ul", items, class_="cards small")
