"""Parquet and Arrow files (`.parquet`, `.arrow`, `.feather`), read by pyarrow, a batch at a time.

Features are a column of lists, all of one length, or, where there is no such column, one column a
feature. Several columns of lists are several layers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxlin.data.opening import MAX_BYTES, opened
from jaxlin.data.raw import RawData
from jaxlin.data.readers.arrow_values import feature_rows, is_list, is_number, label_values
from jaxlin.data.readers.feature_names import LABEL_HINT, is_label_name, listed, wanted_columns
from jaxlin.data.readers.npy import read_npy_labels
from jaxlin.errors import DataFormatError

_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 22
_INDEX = "__index_level_"  # how pandas calls the numbers of its rows


class _Plan(NamedTuple):
    """Which columns are what.

    Attributes:
      features: names of the columns, one of lists or one a feature.
      is_list: whether it is one of lists.
      labels: the column of labels, or None.
    """

    features: tuple[str, ...]
    is_list: bool
    labels: str | None


def read_arrow(
    path: str | os.PathLike[str],
    label_column: str | int | None = None,
    layer: str | None = None,
    labels_path: str | os.PathLike[str] | None = None,
    wanted: Sequence[str] | None = None,
) -> RawData:
    """Features, and labels where a column has them.

    Args:
      path: the file.
      label_column: its name, or its number from 0 (negative from the end); None finds it by name.
      layer: which column of lists, where there are several.
      labels_path: an `.npy` file of labels, for a file that has none.
      wanted: the names of the columns that are features, where there may be others.

    Raises:
      DataFormatError: it cannot be read, pyarrow is missing, or columns are not what they have to
        be.
    """
    name = os.fspath(path)
    with _opened(name) as source:
        plan = _plan(source.schema, label_column, layer, wanted, name)
        num_rows = source.num_rows()
        x: np.ndarray | None = None
        labels: list[np.ndarray] = []
        first = 0
        for batch in source.batches([*plan.features, *([plan.labels] if plan.labels else [])]):
            rows = _features(batch, plan, first, None if x is None else x.shape[1], name)
            if x is None:
                size = num_rows * rows.shape[1] * rows.itemsize
                if size > MAX_BYTES:
                    raise DataFormatError(f"would take {size:,} bytes of memory", path=name)
                x = np.empty((num_rows, rows.shape[1]), rows.dtype)
            if first + len(rows) > num_rows:
                break
            x[first : first + len(rows)] = rows
            if plan.labels is not None:
                labels.append(label_values(batch.column(plan.labels), plan.labels, first, name))
            first += len(rows)
        if x is None:
            raise DataFormatError("has no examples", path=name)
        if first != num_rows:
            raise DataFormatError(f"is damaged: it promises {num_rows:,} rows", path=name)
    y = read_npy_labels(labels_path, len(x))
    if y is not None and labels:
        raise DataFormatError("has labels itself: leave labels (--labels) away", path=name)
    if labels:
        y = np.concatenate(labels)
    return RawData(x, y, feature_names=None if plan.is_list else plan.features)


class ArrowBlocks(NamedTuple):
    """A file's features, a block at a time.

    Attributes:
      blocks: features (n, D) each.
      names: of the features, D; None where they are a column of lists.
    """

    blocks: Iterator[np.ndarray]
    names: tuple[str, ...] | None


def arrow_blocks(
    path: str | os.PathLike[str],
    label_column: str | int | None = None,
    layer: str | None = None,
    block_rows: int = _BATCH_ROWS,
    wanted: Sequence[str] | None = None,
) -> ArrowBlocks:
    """Features as `read_arrow` gives them, at most so many rows at a time.

    In memory is one batch of rows as the file has them: of a Parquet file as many as asked for, of
    an Arrow file as many as were written at a time.

    Raises:
      DataFormatError: as for `read_arrow`; what is in the rows, when they are reached.
    """
    name = os.fspath(path)
    with _opened(name) as source:
        plan = _plan(source.schema, label_column, layer, wanted, name)

    def blocks() -> Iterator[np.ndarray]:
        first, width = 0, None
        with _opened(name) as source:
            for batch in source.batches(list(plan.features), block_rows):
                for start in range(0, batch.num_rows, block_rows):
                    part = batch.slice(start, block_rows)
                    rows = _features(part, plan, first, width, name)
                    width = rows.shape[1]
                    first += len(rows)
                    yield rows
        if not first:
            raise DataFormatError("has no examples", path=name)

    return ArrowBlocks(blocks(), None if plan.is_list else plan.features)


def arrow_column(path: str | os.PathLike[str], column: str) -> np.ndarray | None:
    """One column (N,), read as labels are; None where there is none of that name.

    Raises:
      DataFormatError: the file cannot be read, or something is missing in the column.
    """
    name = os.fspath(path)
    with _opened(name) as source:
        if column not in source.schema.names:
            return None
        parts: list[np.ndarray] = []
        for batch in source.batches([column]):
            first = sum(map(len, parts))
            parts.append(label_values(batch.column(column), column, first, name))
        return np.concatenate(parts) if parts else None


def arrow_layers(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names that `layer` can have: one for each column of lists."""
    with _opened(os.fspath(path)) as source:
        return tuple(field.name for field in source.schema if is_list(field.type))


class _Parquet:
    """A Parquet file; a batch is as large as is asked for."""

    def __init__(self, file: Any) -> None:
        from pyarrow import parquet

        # Pages are read as they are needed, not a column of millions of rows at once.
        self.file = parquet.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        self.schema = self.file.schema_arrow

    def num_rows(self) -> int:
        return self.file.metadata.num_rows

    def batches(self, columns: list[str], block_rows: int = _BATCH_ROWS) -> Iterator[Any]:
        # A dot in a name would be taken for a way into a nested column.
        chosen = None if any("." in column for column in columns) else columns
        for batch in self.file.iter_batches(block_rows, columns=chosen):
            if batch.num_rows:
                yield batch


class _Arrow:
    """An Arrow file or stream; a batch is as large as it was written."""

    def __init__(self, file: Any, is_stream: bool) -> None:
        self.file, self.is_stream = file, is_stream
        self.schema = self._reader().schema

    def _reader(self) -> Any:
        from pyarrow import ipc

        self.file.seek(0)
        return ipc.open_stream(self.file) if self.is_stream else ipc.open_file(self.file)

    def num_rows(self) -> int:
        return sum(batch.num_rows for batch in self.batches([]))

    def batches(self, columns: list[str], block_rows: int = _BATCH_ROWS) -> Iterator[Any]:
        del columns, block_rows
        reader = self._reader()
        batches = (
            reader if self.is_stream else map(reader.get_batch, range(reader.num_record_batches))
        )
        for batch in batches:
            batch.validate(full=True)  # places inside of it that lie outside
            if batch.num_rows:
                yield batch


@contextlib.contextmanager
def _opened(path: str) -> Iterator[_Parquet | _Arrow]:
    """A file by how it begins; pyarrow's errors become ours."""
    with opened(path) as file:
        try:
            import pyarrow
        except ImportError:
            raise DataFormatError(
                "is read by pyarrow, which is not installed: pip install 'jaxlin[parquet]'",
                path=path,
            ) from None
        start = file.read(8)
        if start[:4] == b"FEA1":
            raise DataFormatError("is of Feather's first version; write it anew", path=path)
        file.seek(0)
        try:
            if start[:4] == b"PAR1":
                yield _Parquet(file)
            else:
                yield _Arrow(file, is_stream=start[:6] != b"ARROW1")
        except DataFormatError:
            raise
        except (pyarrow.ArrowException, OSError, ValueError, KeyError, IndexError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataFormatError(f"cannot be read by pyarrow: {reason}", path=path) from None


def _features(batch: Any, plan: _Plan, first: int, width: int | None, path: str) -> np.ndarray:
    """The features of a batch (n, D)."""
    if plan.is_list:
        (name,) = plan.features
        return feature_rows(batch.column(name), name, first, width, path)
    columns = [
        feature_rows(batch.column(name), name, first, None, path)[:, 0] for name in plan.features
    ]
    block = np.empty(
        (batch.num_rows, len(columns)), np.result_type(*{column.dtype for column in columns})
    )
    for number, column in enumerate(columns):
        block[:, number] = column
    return block


def _plan(
    schema: Any,
    label_column: str | int | None,
    layer: str | None,
    wanted: Sequence[str] | None,
    path: str,
) -> _Plan:
    """Which columns are features, and which labels."""
    names = list(schema.names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataFormatError(f"has two columns of one name: {listed(twice)}", path=path)
    labels = _label_name(names, label_column, path)
    types = {
        name: schema.field(name).type
        for name in names
        if name != labels and not name.startswith(_INDEX)
    }
    if wanted is not None and wanted_columns(list(types), wanted) is not None:
        types = {name: types[name] for name in wanted}
    lists = [name for name, kind in types.items() if is_list(kind)]
    if layer is not None and layer not in lists:
        raise DataFormatError(
            f"has no column of lists {layer[:40]!r}; it has {listed(lists)}", path=path
        )
    if layer is None and len(lists) > 1:
        raise DataFormatError(
            f"has {len(lists)} columns of lists: {listed(lists)}. Say which: layer (--layer NAME)",
            path=path,
        )
    if lists:
        return _Plan((layer or lists[0],), True, labels)
    if not types:
        raise DataFormatError(f"has no feature columns; it has {listed(names)}", path=path)
    for name, kind in types.items():
        if not is_number(kind):
            hint = "" if labels else f"; {LABEL_HINT}: else say label_column (--label-column)"
            raise DataFormatError(
                f"column {name[:40]!r} must hold numbers, or lists of numbers, it holds "
                f"{str(kind)[:80]}{hint}",
                path=path,
            )
    return _Plan(tuple(types), False, labels)


def _label_name(names: list[str], label_column: str | int | None, path: str) -> str | None:
    if isinstance(label_column, int):
        if not -len(names) <= label_column < len(names):
            raise DataFormatError(
                f"has {len(names)} columns; there is no column {label_column}", path=path
            )
        return names[label_column]
    if label_column is not None:
        if label_column not in names:
            raise DataFormatError(
                f"has no column {label_column[:40]!r}; it has {listed(names)}", path=path
            )
        return label_column
    found = [name for name in names if is_label_name(name)]
    if len(found) > 1:
        raise DataFormatError(
            f"has {len(found)} columns that may hold labels: {listed(found)}. Say which: "
            "label_column (--label-column NAME)",
            path=path,
        )
    return found[0] if found else None
