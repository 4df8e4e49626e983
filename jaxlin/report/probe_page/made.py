"""How the record was made: protocol, data, settings, versions, and how to make it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from jaxlin.report.probe_page.markup import Content, Safe, element, escaped, lines, name, prose
from jaxlin.report.probe_page.reading import Record, Section, count
from jaxlin.report.probe_page.tables import Column, Row, table
from jaxlin.report.words import duration, number

_MOST_IN_VALUE, _MOST_IN_COMMAND, _MOST_ROWS = 300, 20_000, 200


def protocol(record: Record) -> Section | None:
    """What the protocol does, in its own sentences."""
    found = record.get("protocol")
    if not found or not found.get("sentences"):
        return None
    content: list[Content] = [
        element("ul", [element("li", prose(text)) for text in found["sentences"]])
    ]
    if found.get("source"):
        content.append(element("p", "Source: ", prose(found["source"]), class_="note"))
    heading = f"The protocol: {str(found.get('title') or found['name'])[:80]}"
    return Section("protocol", heading, content)


def made(record: Record) -> Section:
    """The command, and everything that the numbers depend on."""
    content: list[Content] = []
    if record.get("command"):
        content += [element("p", "The command that made this page:"), _command(record["command"])]
    file = str(record.get("file") or "probe.json")
    again = f"jaxlin probe --replay {shlex.quote(file)}"
    content.append(element("p", "The same again, from the record saved beside it:"))
    content += [_command(again), _replayed(record.get("replay")), _splits(record), _files(record)]
    content.append(element("div", _settings(record), _versions(record), class_="beside"))
    return Section("made", "How it was made", content)


def _command(text: str) -> Safe:
    cut = text if len(text) <= _MOST_IN_COMMAND else text[:_MOST_IN_COMMAND] + "…"
    return element("pre", element("code", lines(cut)), tabindex="0", aria_label="command")


def _replayed(replay: Record | None) -> Content:
    if not replay:
        return None
    of = name(replay.get("of", ""))
    same = replay.get("same_numbers")
    verdict = "gave the same numbers" if same else "did not give the same numbers"
    content: list[Content] = [element("p", "This is a replay of ", of, f". It {verdict}.")]
    columns = [Column("what", False), Column("was", False), Column("is", False)]
    for key, caption in (("differs", "What was different"), ("numbers", "Numbers that differ")):
        rows = [
            Row([name(one["what"], 60), _value(one.get("was")), _value(one.get("is"))])
            for one in (replay.get(key) or [])[:_MOST_ROWS]
        ]
        if rows:
            content.append(table(f"replay-{key}", caption, columns, rows))
    return content


def _splits(record: Record) -> Safe:
    data = record["data"]
    rows = []
    for key in ("train", "validation", "test"):
        split = data["splits"].get(key)
        if split is None:
            rows.append(Row([key, "-", "there is none", "-"]))
            continue
        counts = split.get("class_counts") or []
        spread = f"{min(counts):,} to {max(counts):,}" if counts else "-"
        rows.append(Row([key, f"{split['examples']:,}", str(split.get("from", "-")), spread]))
    columns = [Column("split", False), Column("examples"), Column("where from", False)]
    caption: list[Content] = [f"The data: {count(data['num_examples'], 'example')}"]
    groups = data.get("groups")
    if groups:
        caption.append(f", in {count(groups['count'], 'group')} that no drawn split divides")
    return table("splits", caption, [*columns, Column("examples a class")], rows)


def _files(record: Record) -> Safe | None:
    rows = []
    for file in (record["data"].get("files") or [])[:_MOST_ROWS]:
        size = "-" if file.get("bytes") is None else f"{file['bytes']:,}"
        sha = element("code", file["sha256"]) if file.get("sha256") else "-"
        role = str(file["role"]).replace("_", " ")
        rows.append(Row([role, name(file["path"], 80), size, sha]))
    if not rows:
        return None
    columns = [Column("role", False), Column("file", False), Column("bytes")]
    return table("files", "The files", [*columns, Column("SHA-256", False)], rows)


def _settings(record: Record) -> Safe:
    rows = [
        Row([element("code", str(key)), _value(value)])
        for key, value in list(record["settings"].items())[:_MOST_ROWS]
        if value is not None
    ]
    columns = [Column("setting", False), Column("value", False)]
    return table("settings", "Settings", columns, rows)


def _value(value: Any) -> Content:
    """A JSON value in a line; a long list by its length and ends.

    >>> _value(list(range(45))), _value(True), _value({"a": 0.5})
    ('45 values, 0 to 44', 'yes', 'a: 0.5')
    """
    return escaped(_words(value)[:_MOST_IN_VALUE])


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value) if len(repr(value)) > 10 else f"{value:g}"
    if isinstance(value, list):
        if len(value) > 8 and all(isinstance(one, (int, float)) for one in value):
            return f"{len(value)} values, {_words(min(value))} to {_words(max(value))}"
        return ", ".join(map(_words, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_words(inner)}" for key, inner in value.items())
    return str(value)


def _versions(record: Record) -> Safe:
    rows = [Row([str(key), str(value)]) for key, value in (record.get("versions") or {}).items()]
    if record.get("device"):
        rows.append(Row(["device", prose(record["device"], 200)]))
    if record.get("created"):
        rows.append(Row(["made on", prose(record["created"], 60)]))
    if record.get("seconds") is not None:
        rows.append(Row(["time in all", duration(record["seconds"])]))
    columns = [Column("", False), Column("version", False)]
    return table("versions", "Versions and machine", columns, rows)
