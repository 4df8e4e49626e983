"""The report of a probe: one HTML file that works from disk, made of the probe's record.

`render` gives the page and `write` puts it into a file. Both are pure functions of the record. The
page loads nothing from anywhere, follows the reader's choice of light or dark, scrolls wide tables
inside the page on a phone, and prints. Its plots are SVG of the page's own colours and fonts
(`charts`), and every text from data passes through one gate (`markup`).
"""

from jaxlin.report.probe_page.page import render, write

__all__ = ["render", "write"]
