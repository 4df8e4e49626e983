"""The page: its parts one after another, in one file that loads nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

from jaxlin.files import replacing
from jaxlin.report.probe_page import headline
from jaxlin.report.probe_page.blocks import blocks
from jaxlin.report.probe_page.calibration import calibration
from jaxlin.report.probe_page.confusion import classes, confusion
from jaxlin.report.probe_page.few_shot import few_shot
from jaxlin.report.probe_page.grid_table import grid
from jaxlin.report.probe_page.images import mistakes, templates
from jaxlin.report.probe_page.made import made, protocol
from jaxlin.report.probe_page.markup import Content, Safe, element, shortened
from jaxlin.report.probe_page.proof import proof
from jaxlin.report.probe_page.reading import Record, Section

_PARTS = (
    headline.warnings,
    headline.baselines,
    blocks,
    grid,
    proof,
    few_shot,
    confusion,
    classes,
    calibration,
    mistakes,
    templates,
    protocol,
    made,
)


def render(record: Record) -> str:
    """The report of a probe as one HTML page, which loads nothing from anywhere.

    Args:
      record: of the probe, as `probe.json` has it.

    Returns:
      The page. Every text in it that comes from data is escaped, and a content policy lets
      nothing run or load but the page's own style and its one script.

    Raises:
      InputError: an image of the record has not as many bytes as its shape says.
    """
    sections = [section for part in _PARTS if (section := part(record)) is not None]
    body = element(
        "body",
        element("a", "To the content", href="#content", class_="skip"),
        element(
            "main",
            headline.top(record),
            _contents(sections),
            [_section(section) for section in sections],
            id="content",
        ),
        element("script", _file("page.js")),
    )
    page = element("html", _head(record), body, lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def write(record: Record, path: str | os.PathLike[str]) -> None:
    """Writes the report of a probe; whole or not at all.

    Args:
      record: of the probe, as `probe.json` has it.
      path: of the HTML file.

    Raises:
      InputError: as `render`.
      OSError: the file cannot be written; the message names `path`.
    """
    page = render(record).encode("utf-8")
    with replacing(path) as file:
        file.write(page)


def _head(record: Record) -> Safe:
    style, script = _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_unquoted(policy)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", shortened(headline.title(record), 120)),
        element("style", style),
    )


def _unquoted(policy: str) -> Safe:
    """The policy as it is: single quotes need no escape in an attribute in double quotes."""
    return Safe(policy)


def _file(name: str) -> Safe:
    """The page's own style or script. Neither holds anything of the record."""
    return Safe(Path(__file__).with_name(name).read_text(encoding="utf-8").strip())


def _hash(text: str) -> str:
    """A source of the content policy that lets this very text and no other through."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def _contents(sections: list[Section]) -> Safe:
    links = [
        element("li", element("a", section.title, href=f"#{section.key}")) for section in sections
    ]
    return element("nav", element("ul", links), aria_label="Contents")


def _section(section: Section) -> Content:
    heading = f"{section.key}-heading"
    return element(
        "section",
        element("h2", section.title, id=heading),
        section.content,
        id=section.key,
        aria_labelledby=heading,
    )
