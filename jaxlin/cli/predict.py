"""`jaxlin predict`: the classes that a saved model gives to some data."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterator
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
_BLOCK = 1000


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
    table = _table(predicted, model.classes, scores)
    if out is not None:
        with replacing(out) as file:
            file.writelines(table)
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
        if sys.stdout.isatty():  # which would obey what some names tell it
            table = _table(predicted, model.classes, scores, one_line)
        sys.stdout.flush()
        for lines in table:  # not all at once: a reader may have left
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
    else:
        say(f"{out}: {len(judged.x):,} predictions ({judged.part})")


def _table(
    predicted: np.ndarray,
    classes: tuple[Any, ...],
    scores: np.ndarray | None,
    show: Callable[[object], str] = str,
) -> Iterator[bytes]:
    """A CSV table (RFC 4180, but lines end as Unix's do) in UTF-8, a block of lines at a time.

    Bytes of a name that were no UTF-8 come out as they came in.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    cells = {label: _cell(show(label)) if isinstance(label, str) else label for label in classes}
    header = [] if scores is None else [f"score:{show(label)}" for label in classes]
    writer.writerow(["row", "prediction", *header])
    for start in range(0, len(predicted), _BLOCK):
        labels = predicted[start : start + _BLOCK].tolist()
        numbers = None if scores is None else scores[start : start + _BLOCK].tolist()
        for place, label in enumerate(labels):
            row = [] if numbers is None else map(repr, numbers[place])
            writer.writerow([start + place, cells[label], *row])
        yield buffer.getvalue().encode(errors="surrogateescape")
        buffer.seek(0)
        buffer.truncate()


def _cell(label: str) -> str:
    is_formula = label.startswith(_FORMULA_STARTS) and not _is_number(label)
    return f"'{label}" if is_formula else label


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
