"""What the record of a probe holds, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from jaxlin.report.probe_page.markup import Content, Safe, name
from jaxlin.report.words import number, percent

Record: TypeAlias = Mapping[str, Any]

_LOSSES = {
    "softmax": "softmax",
    "svm": "multiclass SVM",
    "squared-svm": "squared multiclass SVM",
    "crammer-singer": "Crammer-Singer SVM",
}
_SCALINGS = {
    "none": "as they are",
    "unit": "divided by their largest value",
    "standardize": "standardised",
}


class Section(NamedTuple):
    """A part of the page with a heading of its own."""

    key: str
    title: str
    content: Content


def best_block(record: Record) -> Record:
    """The block that was chosen."""
    return record["blocks"][record.get("best_block") or 0]


def class_name(record: Record, index: int, most: int = 40) -> Safe:
    """The label of a class."""
    return name(record["data"]["classes"][index], most)


def loss_words(settings: Record) -> str:
    """What kind of probe it is."""
    loss = str(settings.get("loss"))
    return _LOSSES.get(loss, loss)


def feature_words(scaling: object, normalize: object) -> str:
    """What the features went through.

    >>> feature_words("standardize", True), feature_words("none", None)
    ('standardised, rows normalised', 'as they are')
    """
    words = _SCALINGS.get(str(scaling), str(scaling))
    return f"{words}, rows normalised" if normalize else words


def setting(value: float | None) -> str:
    """An l2 or C in as many digits as tell it apart.

    >>> setting(1e-6), setting(0.08333333), setting(None)
    ('1e-06', '0.08333', '-')
    """
    return number(value)


def interval(low: float | None, high: float | None) -> str:
    """Two shares with one sign of per cent.

    >>> interval(0.8365, 0.8508), interval(None, None)
    ('83.65 to 85.08 %', '-')
    """
    if low is None or high is None:
        return "-"
    return f"{percent(low).removesuffix(' %')} to {percent(high)}"


def count(value: float, unit: str = "", units: str | None = None) -> str:
    """A number of things.

    >>> count(1, "row"), count(12000, "row"), count(2, "class", "classes"), count(7)
    ('1 row', '12,000 rows', '2 classes', '7')
    """
    word = unit if value == 1 else (units or (f"{unit}s" if unit else ""))
    return f"{value:,} {word}".strip()


def varying(grid: Record, column: str) -> bool:
    """Whether a column of the grid has several values."""
    return len(set(grid[column])) > 1


def listed(words: Sequence[Content]) -> Content:
    """Some words with commas, and an `and`."""
    parts: list[Content] = []
    for index, word in enumerate(words):
        parts += [(" and " if index == len(words) - 1 else ", ") if index else "", word]
    return parts


def rounded_gap(value: float | None) -> str:
    """A relative gap.

    >>> rounded_gap(0.00012345), rounded_gap(None)
    ('0.000123', '-')
    """
    return "-" if value is None else f"{value:.3g}"
