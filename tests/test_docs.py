"""The documentation: links lead somewhere, examples are run, pictures are those of the script."""

from __future__ import annotations

import importlib.util
import re
import tomllib
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
PICTURES = sorted((ROOT / "docs" / "pictures").iterdir())


def links(page: Path) -> list[str]:
    """Targets of the links and pictures of a page, code left out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    return re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", text))


def script() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it(page: Path) -> None:
    files = [link for link in links(page) if not link.startswith("https://")]
    missing = [link for link in files if not (page.parent / link).is_file()]
    assert not missing


def test_the_readme_leads_to_every_page() -> None:
    reached = {(ROOT / link).resolve() for link in links(ROOT / "README.md")}
    assert {page for page in PAGES if page.name != "README.md"} <= reached


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_a_page_is_an_example_that_the_tests_run(page: Path) -> None:
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.S | re.M)
    python = [code for language, code in blocks if language.startswith("py")]
    assert [code for code in python if not code.startswith(">>> ")] == []
    if python:
        paths = {(ROOT / path) for path in options["testpaths"]}
        assert paths & {page, page.parent}


def test_each_picture_is_shown_small_and_drawn_by_the_script() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    for picture in PICTURES:
        assert picture in shown, picture
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 150_000, picture
    drawn = script()
    names = {*drawn.PICTURES, *drawn.FASHION_PICTURES}
    assert {picture.name for picture in PICTURES} == {f"{name}.png" for name in names}


def test_the_script_draws() -> None:
    figure = script().PICTURES["margins"]()
    (axes,) = figure.axes
    assert len(axes.lines) == 4  # three losses, and where the margin is 0
    for line in axes.lines[:3]:
        margin, loss = line.get_data()
        assert loss[0] > 2.5
        assert loss[-1] < 0.05
        assert len(margin) == len(loss)
