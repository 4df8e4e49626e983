"""CSV and TSV tables: a row an example, a column a feature, one column of labels if it is named."""

from __future__ import annotations

import contextlib
import csv
import itertools
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlin.data.opening import text_lines
from jaxlin.data.raw import RawData
from jaxlin.data.readers.feature_names import wanted_columns
from jaxlin.errors import DataFormatError

_DECIMAL = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)
_BLOCK = 4096
_LABELS_HINT = ". If the labels are there, say so: label_column (--label-column)"


class TableBlock(NamedTuple):
    """Some rows of a table.

    Attributes:
      x: features, float64 (n, D).
      labels: as written, n of them; None where no column has them.
      names: of the features, D; None where no line has them.
    """

    x: np.ndarray
    labels: list[str] | None
    names: tuple[str, ...] | None


def read_table(
    path: str | os.PathLike[str],
    label_column: str | int | None = None,
    wanted: Sequence[str] | None = None,
) -> RawData:
    """A table in UTF-8 (other bytes are kept), separated by commas, or tabs in a `.tsv`.

    A first line with a feature that is no number, or with all the names that are wanted, is a line
    of names. Whole numbers from 0 to 255 become uint8, all other features float64; labels that are
    all numbers become numbers.

    Args:
      path: the file.
      label_column: its name, or its number from 0 (negative from the end); None for no labels.
      wanted: the names of the columns that are features, where there may be others.

    Raises:
      DataFormatError: it cannot be read, is ragged, has no such column, or a feature is no finite
        decimal number.
    """
    blocks = list(table_blocks(path, label_column, wanted=wanted))
    x = np.concatenate([block.x for block in blocks])
    if x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all():
        x = x.astype(np.uint8)
    labels = None
    if blocks[0].labels is not None:
        labels = _labels([one for block in blocks for one in block.labels or ()], os.fspath(path))
    return RawData(x, labels, feature_names=blocks[0].names)


def table_blocks(
    path: str | os.PathLike[str],
    label_column: str | int | None = None,
    block_rows: int = _BLOCK,
    wanted: Sequence[str] | None = None,
) -> Iterator[TableBlock]:
    """A table as `read_table` takes it, so many rows at a time; no more of it is in memory.

    Raises:
      DataFormatError: as for `read_table`, when the place is reached.
    """
    name = os.fspath(path)
    text = text_lines(path)
    first_line = next(text, "")
    is_tabbed = name.lower().removesuffix(".gz").endswith(".tsv") or (
        "\t" in first_line and "," not in first_line
    )
    delimiter = "\t" if is_tabbed else ","
    lines = csv.reader(itertools.chain([first_line], text), delimiter=delimiter, strict=True)
    rows = _rows(lines, name)
    first, line = next(rows, (None, 1))
    if first is None:
        raise DataFormatError("has no examples", path=name)
    _check_separator(first, delimiter, name)
    place = _label_place(first, label_column, name)
    columns = [i for i in range(len(first)) if i != place]
    features = [first[i] for i in columns]
    if not features:
        raise DataFormatError("has no feature columns", path=name, line=1)
    names = None
    # The columns of a data frame that nobody has named are called 0, 1, 2, ...
    is_wanted = wanted is not None and set(wanted) <= set(features)
    if isinstance(label_column, str) or is_wanted or not all(map(_DECIMAL.match, features)):
        chosen = wanted_columns(features, wanted)
        if chosen is not None:
            columns = [columns[i] for i in chosen]
        names = _names([first[i] for i in columns], name)
    else:
        rows = itertools.chain([(first, line)], rows)
    is_empty = True
    while part := list(itertools.islice(rows, block_rows)):
        is_empty = False
        labels = None if place is None else [row[place] for row, _ in part]
        yield TableBlock(_features(part, columns, name, labels is None), labels, names)
    if is_empty:
        raise DataFormatError("has no examples", path=name)


def _rows(lines: Any, path: str) -> Iterator[tuple[list[str], int]]:
    """The rows that are not empty, all of one width, and the line that each ends in."""
    width: int | None = None
    try:
        for row in lines:
            if not row:
                continue
            width = width or len(row)
            if len(row) != width:
                raise DataFormatError(
                    f"expected {width} fields, got {len(row)}", path=path, line=lines.line_num
                )
            yield row, lines.line_num
    except csv.Error as error:
        raise DataFormatError(f"{error}", path=path, line=lines.line_num) from None


def _check_separator(first: list[str], delimiter: str, path: str) -> None:
    if len(first) == 1 and delimiter == "," and ";" in first[0]:
        raise DataFormatError(
            "looks separated by semicolons; separate its fields by commas, and write 1.5, not 1,5",
            path=path,
            line=1,
        )


def _names(features: list[str], path: str) -> tuple[str, ...]:
    if any(field.strip() == "" for field in features):
        raise DataFormatError("has an empty field in its first line", path=path, line=1)
    return tuple(features)


def _label_place(row: list[str], label_column: str | int | None, path: str) -> int | None:
    if label_column is None:
        return None
    if isinstance(label_column, str):
        if row.count(label_column) == 1:
            return row.index(label_column)
        listed = ", ".join(repr(field[:40]) for field in row[:10])
        count = "no column" if label_column not in row else "more than one column"
        raise DataFormatError(f"has {count} {label_column!r}; it has {listed}", path=path, line=1)
    if not -len(row) <= label_column < len(row):
        raise DataFormatError(
            f"has {len(row)} columns; there is no column {label_column}", path=path, line=1
        )
    return label_column % len(row)


def _features(
    rows: list[tuple[list[str], int]], columns: list[int], path: str, may_be_labels: bool
) -> np.ndarray:
    """Columns of rows of text as float64; Python's `float` takes more than a table should hold."""
    flat = [row[column] for row, _ in rows for column in columns]
    if all(map(_DECIMAL.match, flat)):
        values = np.array([float(field) for field in flat]).reshape(len(rows), -1)
        if np.isfinite(values).all():
            return values
    for row, number in rows:
        for column in columns:
            field = row[column]
            if not _DECIMAL.match(field) or not math.isfinite(float(field)):
                what = "is empty" if not field.strip() else f"is {field[:40]!r}"
                hint = _LABELS_HINT if may_be_labels else ""
                raise DataFormatError(
                    f"must be a finite decimal number, but {what}{hint}",
                    path=path,
                    line=number,
                    column=column + 1,
                )
    raise AssertionError("some field was faulty")


def _labels(labels: list[str], path: str) -> np.ndarray:
    stripped = [label.strip() for label in labels]
    if any(label == "" for label in stripped):
        raise DataFormatError(f"has no label in example {stripped.index('') + 1}", path=path)
    if all(map(_INTEGER.match, stripped)):
        with contextlib.suppress(OverflowError):
            return np.array([int(label) for label in stripped], np.int64)
    elif all(map(_DECIMAL.match, stripped)):
        return np.array([float(label) for label in stripped])
    result = np.empty(len(stripped), dtype=object)
    result[:] = stripped
    return result
