"""Tables and words for a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from jaxlin.report import tables
from jaxlin.report.words import duration, number, one_line, percent, shown


def printed(table: object, width: int = 80) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(table)
    return stream.getvalue()


def test_results_have_a_row_for_each_part() -> None:
    rows = {
        "train": {"examples": 54_000, "loss": 0.387651, "accuracy": 0.8671},
        "test": {"examples": 10, "accuracy": 1.0},
    }
    _, header, _, train, test, *_ = printed(tables.results(rows)).splitlines()
    assert header.split() == ["examples", "loss", "accuracy"]
    assert train.split() == ["train", "54,000", "0.3877", "86.71", "%"]
    assert test.split() == ["test", "10", "-", "100.00", "%"]


def test_names_are_text_and_no_markup() -> None:
    text = printed(tables.classes(["[bold]x[/bold]", "\x1b[31mred", "a\nb"], [0.5, None, 1.0]))
    assert "[bold]x[/bold]" in text
    assert "\\x1b[31mred" in text
    assert "a\\nb" in text
    assert "\x1b" not in text
    assert "[red]" in printed(tables.facts({"[red]": "[/red]"}))


@pytest.mark.parametrize("width", [30, 60, 80])
def test_facts_fold_and_lose_nothing(width: int) -> None:
    text = printed(tables.facts({"model": "/a/" + "b" * 100, "outcome": "Ran all epochs."}), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("b") == 100


@pytest.mark.parametrize(
    ("label", "width", "expected"),
    [
        ("cat", 8, "cat"),
        ("x" * 8, 8, "x" * 8),
        ("x" * 9, 8, "x" * 7 + "…"),
        ("\n" * 9, 8, "\\n\\n\\n\\…"),
        ("\u202eabc", 32, "\\u202eabc"),
        ("\udcff", 32, "\\udcff"),
        ("日本", 32, "日本"),
        (-1, 32, "-1"),
        (True, 32, "True"),
    ],
)
def test_a_label_in_one_short_line(label: object, width: int, expected: str) -> None:
    assert shown(label, width) == expected
    assert len(shown(label, width)) <= width


def test_a_label_of_any_length_in_one_line() -> None:
    assert one_line("a\r\n\0" + "x" * 100) == "a\\r\\n\\x00" + "x" * 100


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 µs"), (2.5e-5, "25 µs"), (0.0123, "12.3 ms"), (1.0, "1.0 s"), (59.94, "59.9 s"),
        (59.96, "1 min 0 s"), (60.0, "1 min 0 s"), (3725.0, "62 min 5 s"), (float("nan"), "-"),
        (0.9999, "1.0 s"), (0.00099999, "1 ms"),
    ],
)  # fmt: skip
def test_a_time_in_a_unit_that_fits(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_numbers_in_words() -> None:
    assert (percent(0.5), percent(None), percent(1.0)) == ("50.00 %", "-", "100.00 %")
    assert (number(123456.0), number(None), number(0.0)) == ("1.235e+05", "-", "0")
