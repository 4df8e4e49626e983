"""Options that several commands share, and types that click has not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

DATA_HELP = """DATA is `digits` (built in); an .npz with x and y, or x_train, y_train, x_test and
y_test; an .npy with --labels; a .csv or .tsv with --label-column; svmlight/LIBSVM text; a folder
of IDX files (MNIST, Fashion-MNIST); or a folder of CIFAR-10 binary batches."""


class Number(click.ParamType):
    """A finite number within bounds; NaN and infinity are none."""

    name = "number"

    def __init__(
        self, low: float = -math.inf, high: float = math.inf, *, above: float | None = None
    ) -> None:
        self.low, self.high, self.above = low, high, above

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that a text is."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        low = self.low if self.above is None else self.above
        is_low_enough = number < self.high if math.isfinite(self.high) else number <= self.high
        is_high_enough = number >= low if self.above is None else number > low
        if not (math.isfinite(number) and is_low_enough and is_high_enough):
            self.fail(f"{value!r} is not {self._allowed()}.", param, ctx)
        return number

    def _allowed(self) -> str:
        if math.isfinite(self.high):
            return f"a number from {self.low:g} to below {self.high:g}"
        if self.above is not None:
            return f"a finite number above {self.above:g}"
        return f"a finite number of at least {self.low:g}"


NOT_NEGATIVE = Number(0.0)
POSITIVE = Number(above=0.0)
SHARE = Number(0.0, 1.0)
COUNT = click.IntRange(1)
SEED = click.IntRange(0, 2**32 - 1)


def path_option(*names: str, help: str) -> Callable[[_F], _F]:
    """An option that is a path; whether it is there is found out by whoever opens it."""
    return click.option(*names, metavar="FILE", type=click.Path(), help=help)


def reading_options(command: _F) -> _F:
    """How to read DATA."""
    for option in reversed(
        (
            path_option("--labels", help="Labels of an .npy file, in another .npy file."),
            click.option(
                "--label-column",
                metavar="NAME",
                help="Column of a CSV or TSV file with the labels: its name, or its number from 0 "
                "(-1 is the last).",
            ),
            click.option("--num-features", type=COUNT, help="Number of features of svmlight text."),
        )
    ):
        command = option(command)
    return command


def json_option(command: _F) -> _F:
    """`--json`."""
    return click.option(
        "as_json", "--json", is_flag=True, help="Print one JSON object instead of tables."
    )(command)


def column(text: str | None) -> str | int | None:
    """A label column by name, or, where it is a whole number, by place."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        return text


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `reading_options`, as `jaxlin.data` takes them."""
    return {**options, "label_column": column(options["label_column"])}
