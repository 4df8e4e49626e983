"""`jaxlin predict`: the classes that a saved model gives to some data."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from typing import Any

import click
import numpy as np

from jaxlin.cli.evaluate import split_option
from jaxlin.cli.judging import examples_for
from jaxlin.cli.options import DATA_HELP, PATH, json_option, path_option, reading_options
from jaxlin.cli.output import check_targets, print_json, say
from jaxlin.files import replacing
from jaxlin.model_file import load_model
from jaxlin.report.words import one_line

# What makes a spreadsheet take a text for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@click.command(epilog=DATA_HELP.replace("\n", " "), short_help="Write the class of each row.")
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("source", metavar="DATA", type=PATH)
@path_option("--out", help="Where to write the CSV table.  [default: standard output]")
@click.option("--scores", "with_scores", is_flag=True, help="Add a column of scores a class.")
@split_option
@reading_options
@json_option
def predict(
    model_path: str,
    source: str,
    out: str | None,
    with_scores: bool,
    split: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Write the class that MODEL gives to each row of DATA.

    The table has the columns `row` (from 0) and `prediction`. A class name that a spreadsheet
    would run as a formula gets an apostrophe in front; --json has all names as they are.
    """
    check_targets(out)
    model = load_model(model_path)
    judged = examples_for(model, source, split, options, needs_labels=False)
    scores = model.scores(judged.x) if with_scores else None
    predicted = model.predict(judged.x)
    if out is not None:
        with replacing(out) as file:
            file.write(_table(predicted, model.classes, scores).encode(errors="surrogateescape"))
    if as_json:
        result: dict[str, Any] = {
            "model": model_path,
            "data": source,
            "split": judged.part,
            "examples": len(judged.x),
        }
        if out is None:
            result["predictions"] = predicted.tolist()
            if scores is not None:
                result["classes"] = list(model.classes)
                result["scores"] = scores.tolist()
        else:
            result["out"] = out
        print_json(result)
    elif out is None:
        # A terminal would obey what some names tell it; a file or a program gets them as they are.
        show = one_line if sys.stdout.isatty() else None
        click.echo(_table(predicted, model.classes, scores, show), nl=False)
    else:
        say(f"{out}: {len(judged.x):,} predictions ({judged.part})")


def _table(
    predicted: np.ndarray,
    classes: tuple[Any, ...],
    scores: np.ndarray | None,
    show: Callable[[object], str] | None = None,
) -> str:
    """A CSV table (RFC 4180, but lines end as Unix's do)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    cells = {label: _cell(label if show is None else show(label)) for label in classes}
    header = (
        []
        if scores is None
        else [f"score:{label if show is None else show(label)}" for label in classes]
    )
    writer.writerow(["row", "prediction", *header])
    for row, label in enumerate(predicted.tolist()):
        numbers = [] if scores is None else [repr(value) for value in scores[row].tolist()]
        writer.writerow([row, cells[label], *numbers])
    return buffer.getvalue()


def _cell(label: Any) -> Any:
    is_formula = isinstance(label, str) and label.startswith(_FORMULA_STARTS)
    return f"'{label}" if is_formula and not _is_number(label) else label


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
