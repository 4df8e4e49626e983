"""Options that several commands share, and types that click has not."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jaxlin.cli import names

_F = TypeVar("_F", bound=Callable[..., Any])

DATA_HELP = """DATA is `digits` (built in); an .npz with x and y, or x_train, y_train, x_test and
y_test; an .npy with --labels; a .safetensors with tensors that are called so, or features,
embeddings, layer0 and labels; a .parquet, .arrow or .feather with a column of lists, or a column a
feature, and one called label (pip install 'jaxlin[parquet]'); a .csv or .tsv with --label-column;
svmlight/LIBSVM text; a folder of IDX files (MNIST, Fashion-MNIST); or a folder of CIFAR-10 binary
batches."""


# Python's own `float` and `int` take 1_000, nan and the digits of any script.
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d{1,18}\Z", re.ASCII)


class Number(click.ParamType):
    """A finite decimal number from `low`, or above it, to below `high`."""

    name = "number"

    def __init__(self, low: float, high: float, *, excludes_low: bool = False) -> None:
        self.low, self.high, self.excludes_low = low, high, excludes_low

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number that a text is."""
        number = float(value) if _DECIMAL.match(str(value).strip()) else math.nan
        is_above = number > self.low if self.excludes_low else number >= self.low
        if not (is_above and number < self.high):
            start = f"above {self.low:g} and" if self.excludes_low else f"from {self.low:g} to"
            self.fail(f"{value!r} is not a number {start} below {self.high:g}.", param, ctx)
        return number


class Whole(click.ParamType):
    """A whole number from `low` to `high`."""

    name = "n"

    def __init__(self, low: int, high: int | None = None) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number that a text is."""
        number = int(value) if _WHOLE.match(str(value).strip()) else self.low - 1
        if number < self.low or (self.high is not None and number > self.high):
            end = "on" if self.high is None else f"to {self.high}"
            self.fail(f"{value!r} is not a whole number from {self.low} {end}.", param, ctx)
        return number


class FilePath(click.ParamType):
    """A path, taken as it is: whether it is there is found out by whoever opens it."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path, unless no file can have it."""
        if not value or "\0" in value:
            self.fail(f"{value!r} is no path.", param, ctx)
        return value


_FLOAT32_ROOM = 1e38  # what is larger has no float32
NOT_NEGATIVE = Number(0.0, _FLOAT32_ROOM)
POSITIVE = Number(0.0, _FLOAT32_ROOM, excludes_low=True)
SHARE = Number(0.0, 1.0)
COUNT = Whole(1)
SEED = Whole(0, 2**32 - 1)
PATH = FilePath()


def path_option(*names: str, help: str) -> Callable[[_F], _F]:
    """An option that is a path."""
    return click.option(*names, metavar="FILE", type=PATH, help=help)


def loss_option(default: str, help: str) -> Callable[[_F], _F]:
    """`--loss`, one of the library's."""
    kind = click.Choice(tuple(names.LOSSES))
    return click.option("--loss", type=kind, default=default, show_default=True, help=help)


def l2_option(default: float) -> Callable[[_F], _F]:
    """`--l2`."""
    words = "lambda of lambda * sum(W^2)."
    return click.option("--l2", type=NOT_NEGATIVE, default=default, show_default=True, help=words)


def scaling_option(help: str) -> Callable[[_F], _F]:
    """`--scaling`."""
    kind = click.Choice(names.SCALINGS)
    return click.option("--scaling", type=kind, default="auto", show_default=True, help=help)


epochs_option = click.option(
    "--epochs", type=COUNT, help="Passes over the data.  [default: 20, for few data up to 200]"
)
patience_option = click.option(
    "--patience",
    type=COUNT,
    help="Stop after so many epochs without a better validation loss; keep the best epoch.",
)
bias_option = click.option(
    "--bias/--no-bias", default=True, help="Whether there is a b.  [default: bias]"
)
dtype_option = click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="What to compute in.",
)
seed_option = click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Of all that is random."
)
picture_option = path_option("--picture", help="The picture.  [default: as --out, with .png]")
no_picture_option = click.option("--no-picture", is_flag=True, help="Write no picture.")


READING = ("labels", "label_column", "num_features", "layer")


def reading_options(command: _F) -> _F:
    """How to read DATA."""
    for option in reversed(
        (
            path_option("--labels", help="An .npy file of labels, where DATA are features alone."),
            click.option(
                "--label-column",
                metavar="NAME",
                help="Column of a table with the labels: its name, or its number from 0 (-1 is the "
                "last).",
            ),
            click.option(
                "--layer",
                metavar="NAME",
                help="Which features, where a .safetensors, .parquet or .arrow has several.",
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
    return int(text) if _WHOLE.match(text) else text


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `reading_options`, as `jaxlin.data` takes them."""
    return {**options, "label_column": column(options["label_column"])}
