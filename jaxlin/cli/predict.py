"""`jaxlin predict`: the classes that a saved model gives to some data."""

from __future__ import annotations

import csv
import io
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click
import numpy as np

from jaxlin.cli.evaluate import split_option
from jaxlin.cli.interruption import partly_out
from jaxlin.cli.judging import rows_for
from jaxlin.cli.options import DATA_HELP, PATH, json_option, path_option, reading_options
from jaxlin.cli.output import check_targets, print_json, say
from jaxlin.errors import DataFormatError, InputError
from jaxlin.files import replacing
from jaxlin.model_file import Model, load_model
from jaxlin.model_file.model import label_array
from jaxlin.report.words import one_line
from jaxlin.row_blocks import BLOCK_ROWS

# What makes a spreadsheet take a text for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_LINES = 1000
_BLOCK_BYTES = 1 << 25


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

    Rows are read, judged and written a block at a time: DATA may be larger than memory (.npz and
    gzipped .npy files, and folders, are read whole).
    """
    check_targets(out, inputs=(model_path, source))
    model = load_model(model_path)
    block_rows = _block_rows(model.params.num_features)
    rows = rows_for(model, source, split, options, block_rows)
    answers = _answers(model, rows.blocks, source)
    result: dict[str, Any] = {"model": model_path, "data": source, "split": rows.part}
    if as_json and out is None:
        said = {**result, **_all(model, answers, with_scores)}
        with partly_out():
            print_json(said)
        return
    # A terminal would obey what some names tell it.
    to_terminal = out is None and sys.stdout.isatty()
    table = _Table(model.classes, with_scores, one_line if to_terminal else str)
    if out is None:
        sys.stdout.flush()
        lines = table.lines(answers)
        first = next(lines, b"")  # until here nothing is out
        with partly_out():
            for some in itertools.chain([first], lines):
                sys.stdout.buffer.write(some)
                sys.stdout.buffer.flush()  # not all at once: a reader may have left
        return
    with replacing(out) as file:
        file.writelines(table.lines(answers))
    if as_json:
        print_json({**result, "examples": table.number, "out": out})
    else:
        say(f"{out}: {table.number:,} predictions ({rows.part})")


def _block_rows(num_features: int) -> int:
    """How many rows to have in memory: as many as a model takes at a time, of wide data fewer."""
    return max(1, min(BLOCK_ROWS, _BLOCK_BYTES // (8 * num_features)))


class _Answer(NamedTuple):
    """What a model says of some rows.

    Attributes:
      codes: the class of each (n,), as an index.
      scores: (n, C).
    """

    codes: np.ndarray
    scores: np.ndarray


def _answers(model: Model, blocks: Iterator[np.ndarray], source: str) -> Iterator[_Answer]:
    """The scores of block after block, and their classes: the first among equal scores."""
    start = 0
    before: np.ndarray | None = None
    for block in blocks:
        rows = block
        if before is not None and len(block) < len(before):
            # Filled up from the block before it, so that nothing is compiled for its length.
            rows = np.concatenate([before[len(block) :], block])
        try:
            scores = model.scores(rows)[len(rows) - len(block) :]
        except InputError as error:
            first = start - (len(rows) - len(block))
            counted = f" Rows are counted from row {first} of the file." if first else ""
            raise DataFormatError(f"{error}{counted}", path=source) from None
        yield _Answer(np.argmax(scores, axis=1), scores)
        start += len(block)
        before = block


def _all(model: Model, answers: Iterator[_Answer], with_scores: bool) -> dict[str, Any]:
    """Everything that is said, for one JSON object."""
    classes = label_array(model.classes)
    predictions: list[Any] = []
    scores: list[list[float]] = []
    for answer in answers:
        predictions.extend(classes[answer.codes].tolist())
        if with_scores:
            scores.extend(answer.scores.tolist())
    said: dict[str, Any] = {"examples": len(predictions), "predictions": predictions}
    if with_scores:
        said |= {"classes": list(model.classes), "scores": scores}
    return said


class _Table:
    """A CSV table (RFC 4180, but lines end as Unix's do) in UTF-8.

    Bytes of a name that were no UTF-8 come out as they came in.

    Attributes:
      number: how many rows it has so far.
    """

    def __init__(
        self, classes: tuple[Any, ...], with_scores: bool, show: Callable[[object], str]
    ) -> None:
        self.number = 0
        self._cells = [_cell(show(one)) if isinstance(one, str) else one for one in classes]
        self._with_scores = with_scores
        self._header = [f"score:{show(label)}" for label in classes] if with_scores else []

    def lines(self, answers: Iterator[_Answer]) -> Iterator[bytes]:
        """The table, a block of lines at a time; the names of its columns come with the first."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(["row", "prediction", *self._header])
        for answer in answers:
            for start in range(0, len(answer.codes), _LINES):
                part = slice(start, start + _LINES)
                codes = answer.codes[part].tolist()
                numbers = answer.scores[part].tolist() if self._with_scores else [()] * len(codes)
                for code, row in zip(codes, numbers, strict=True):
                    writer.writerow([self.number, self._cells[code], *map(repr, row)])
                    self.number += 1
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
