"""The page of a probe in headless Chromium: no error, and what its script does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import probe_records
import pytest

from jaxlin.report import probe_page

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), ""
)
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine")


def opened(page: str, folder: Path) -> tuple[str, list[str]]:
    """What the document is once its script has run, and the errors of the console."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    options = ["--headless", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    options.append("--virtual-time-budget=3000")  # what frames tell each other arrives
    if os.getuid() == 0:
        options.append("--no-sandbox")  # which Chromium asks for as root
    ran = subprocess.run(
        [CHROMIUM, *options, f"--user-data-dir={folder / 'profile'}", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "</html>" in ran.stdout
    return ran.stdout, [line for line in ran.stderr.splitlines() if ":CONSOLE" in line]


def hostile(at: int) -> str:
    texts = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<!--", "\0")
    return texts[at % len(texts)]


def test_a_page_has_no_error(tmp_path: Path) -> None:
    found = probe_records.record(names=("layer 1", "layer 2"))
    page = probe_page.render(probe_records.with_every_string(found, hostile))
    document, errors = opened(page, tmp_path)
    assert errors == []
    assert "<h1>" in document


@pytest.mark.parametrize(
    "planted",
    [
        "<script>document.title = 'run'</script>",
        "<p style='color: red'>red</p>",
        "<img src='https://example.com/x.png' alt=''>",
    ],
)
def test_what_the_page_does_not_allow_is_refused_and_seen(planted: str, tmp_path: Path) -> None:
    page = probe_page.render(probe_records.record()).replace("</main>", f"{planted}</main>")
    document, errors = opened(page, tmp_path)
    assert any("Content Security Policy" in error for error in errors)
    assert "<title>run" not in document


def without_policy(page: str, script: str) -> str:
    """A page that runs one more script."""
    open_to_all = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    return open_to_all.replace("</body>", f"<script>{script}</script></body>")


def test_an_error_of_a_script_is_seen(tmp_path: Path) -> None:
    page = without_policy(probe_page.render(probe_records.record()), "nothing.here()")
    _, errors = opened(page, tmp_path)
    assert any("ReferenceError" in error for error in errors)


def test_a_click_on_a_heading_sorts_the_table(tmp_path: Path) -> None:
    script = """
        const columns = ["validation accuracy", "relative gap", "outcome"];
        const log = document.createElement("p");
        for (const column of columns) for (const click of [1, 2]) {
          const table = document.querySelector("#grid table");
          const heading = [...table.tHead.rows[0].cells].find((h) => h.textContent === column);
          heading.querySelector("button").click();
          const at = heading.cellIndex;
          const cells = [...table.tBodies[0].rows].map((r) => r.cells[at].textContent);
          log.append(`[${heading.getAttribute("aria-sort")}: ${cells.join(";")}]`);
        }
        document.body.append(log);
    """
    page = without_policy(probe_page.render(probe_records.record()), script)
    document, errors = opened(page, tmp_path)
    assert errors == []
    orders = re.findall(r"\[(\w+): ([^\]]*)\]", document.split("</script>")[-1])
    accuracy = "81.25 %;79.00 %;78.00 %;77.00 %;72.00 %;70.00 %;61.00 %;55.00 %"
    assert orders[0] == ("descending", accuracy)
    assert orders[1] == ("ascending", ";".join(reversed(accuracy.split(";"))))
    assert orders[2][1].endswith("0.000123;-;-")
    assert re.fullmatch(r"0\.000123;.*;0\.04;-;-", orders[3][1])
    assert orders[4][0] == "ascending"
    assert re.fullmatch("converged;.*;stuck;stuck", orders[4][1])
    assert orders[5][1].startswith("stuck;")


@pytest.mark.parametrize("width", [360, 1200])
def test_a_page_is_no_wider_than_its_window(width: int, tmp_path: Path) -> None:
    found = probe_records.record(("x" * 10_000, "b " * 900, "\u05d0" * 200), ("y" * 300, "z"))
    script = "parent.postMessage(`${document.documentElement.scrollWidth} of ${innerWidth}`, '*')"
    inner = without_policy(probe_page.render(found), script)
    (tmp_path / "inner.html").write_text(inner, encoding="utf-8")
    # A headless window has a least width; a frame has none.
    outer = (
        "<!DOCTYPE html><html><script>onmessage = (e) => { document.title = e.data }</script>"
        f'<iframe src="inner.html" width="{width}" height="900" frameborder="0"></iframe></html>'
    )
    document, errors = opened(outer, tmp_path)
    assert errors == []
    (sizes,) = re.findall(r"<title>(\d+) of (\d+)", document)
    assert int(sizes[1]) == width
    assert int(sizes[0]) <= width
