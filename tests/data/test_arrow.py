"""Parquet and Arrow files: columns of lists, one column a feature, labels, and what is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

from jaxlin import data
from jaxlin.errors import DataFormatError

N, D = 10, 3
X = np.arange(N * D, dtype=np.float32).reshape(N, D)
Y = np.arange(N) % 2
WORDS = np.array(["cat", "dog"])[Y]


def written(folder: Path, table: pa.Table, ending: str = "parquet", rows: int = 4) -> Path:
    """A file of several groups of rows."""
    path = folder / f"d.{ending}"
    if ending == "parquet":
        parquet.write_table(table, path, row_group_size=rows)
    elif ending == "feather":
        feather.write_feather(table, str(path), chunksize=rows, compression="lz4")
    else:
        make = ipc.new_stream if ending == "stream.arrow" else ipc.new_file
        with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=rows)
    return path


ENDINGS = ("parquet", "feather", "arrow", "stream.arrow")


def lists(x: np.ndarray, kind: str) -> pa.Array:
    flat = pa.array(x.ravel())
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(flat, x.shape[1])
    if kind == "tensor":
        return pa.FixedShapeTensorArray.from_numpy_ndarray(x)
    offsets = np.arange(len(x) + 1) * x.shape[1]
    make = pa.LargeListArray if kind == "large" else pa.ListArray
    return make.from_arrays(pa.array(offsets, pa.int64() if kind == "large" else pa.int32()), flat)


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataFormatError) as error:
        data.read(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["fixed", "list", "large", "tensor"])
def test_a_column_of_lists(tmp_path: Path, ending: str, kind: str) -> None:
    columns = {"id": np.arange(N), "embedding": lists(X, kind), "label": WORDS}
    path = written(tmp_path, pa.table(columns), ending)
    raw = data.read(path)
    np.testing.assert_array_equal(raw.x, X)
    assert raw.x.dtype == np.float32
    assert raw.labels is not None
    assert raw.labels.tolist() == WORDS.tolist()
    assert raw.feature_names is None
    assert data.feature_layers(path) == ("embedding",)
    assert data.load(path, test_share=0.0).classes == ("cat", "dog")


@pytest.mark.parametrize("dtype", ["f2", "u1", "i8", "f8", "?"])
@pytest.mark.parametrize("kind", ["fixed", "list", "wide"])
def test_numbers_stay_as_they_are(tmp_path: Path, dtype: str, kind: str) -> None:
    x = (X % 2 if dtype == "?" else X).astype(dtype)
    columns: dict[str, Any] = {"v": lists(x, kind)} if kind != "wide" else {}
    if kind == "wide":
        columns = {name: x[:, number] for number, name in enumerate("abc")}
    raw = data.read(written(tmp_path, pa.table(columns)))
    assert raw.x.dtype == x.dtype
    np.testing.assert_array_equal(raw.x, x)
    assert raw.labels is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_one_column_a_feature(tmp_path: Path, ending: str) -> None:
    names = [f"f{number}" for number in range(100)]
    x = np.arange(N * 100, dtype=np.float32).reshape(N, 100)
    columns: dict[str, Any] = {name: x[:, number] for number, name in enumerate(names)}
    columns["f7"] = x[:, 7].astype(np.float64)
    columns["__index_level_0__"] = np.arange(N)
    path = written(tmp_path, pa.table({**columns, "kind": WORDS}), ending)
    raw = data.read(path, label_column="kind")
    np.testing.assert_array_equal(raw.x, x)
    assert raw.x.dtype == np.float64
    assert raw.feature_names == tuple(names)
    assert data.feature_layers(path) == ()
    assert data.read(path, label_column=-1).x.shape == (N, 100)
    said = refused(path)
    assert "column 'kind' must hold numbers" in said
    assert "--label-column" in said


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array(Y), (0, 1)),
        (pa.array(Y > 0), (False, True)),
        (pa.array(WORDS).dictionary_encode(), ("cat", "dog")),
        (pa.array(WORDS, pa.large_string()), ("cat", "dog")),
        (pa.array(Y.astype("M8[D]")), ("1970-01-01", "1970-01-02")),
        (pa.array(Y * 2.0), (0.0, 2.0)),
    ],
)
def test_labels_of_many_kinds(tmp_path: Path, labels: pa.Array, classes: tuple[Any, ...]) -> None:
    table = pa.table({"x": lists(X, "fixed"), "Target": labels})
    assert data.load(written(tmp_path, table), test_share=0.0).classes == classes


def test_several_columns_of_lists_are_layers(tmp_path: Path) -> None:
    table = pa.table({"a.1": lists(X, "list"), "b": lists(X + 1, "fixed"), "y": Y})
    path = written(tmp_path, table)
    assert data.feature_layers(path) == ("a.1", "b")
    np.testing.assert_array_equal(data.read(path, layer="a.1").x, X)
    np.testing.assert_array_equal(data.read(path, layer="b").x, X + 1)
    assert "2 columns of lists: 'a.1', 'b'" in refused(path)
    assert "no column of lists 'c'; it has 'a.1', 'b'" in refused(path, layer="c")


def test_labels_in_an_npy_file(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", Y)
    path = written(tmp_path, pa.table({"x": lists(X, "list")}))
    assert data.load(path, labels=tmp_path / "y.npy", test_share=0.0).classes == (0, 1)
    with pytest.raises(DataFormatError, match="--labels"):
        data.load(path)
    path = written(tmp_path, pa.table({"x": lists(X, "list"), "y": Y}))
    assert "has labels itself" in refused(path, labels=tmp_path / "y.npy")


def changed(x: np.ndarray, row: int, value: Any) -> list[Any]:
    rows: list[Any] = x.tolist()
    rows[row] = value
    return rows


FLOATS = pa.list_(pa.float32())


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (
            {"x": pa.array(changed(X, 6, [1.0, 2.0]), FLOATS)},
            "example 6 (from 0) has 2, expected 3",
        ),
        ({"x": pa.array(changed(X, 6, []), FLOATS)}, "example 6 (from 0) has 0, expected 3"),
        ({"x": pa.array(changed(X, 6, None), FLOATS)}, "x is missing (null) in example 6"),
        (
            {"x": pa.array(changed(X, 6, None), pa.list_(pa.float32(), 3))},
            "x is missing (null) in example 6",
        ),
        (
            {"x": pa.array(changed(X, 6, [1.0, None, 2.0]), FLOATS)},
            "lacks a number (null) in example 6, feature 1",
        ),
        ({"x": pa.array(changed(X, 6, [1.0, np.nan, 2.0]), FLOATS)}, "in example 6, feature 1"),
        ({"x": pa.array(changed(X, 6, [1.0, np.inf, 2.0]), FLOATS)}, "infinity: in example 6"),
        ({"x": pa.array([[]] * N, FLOATS)}, "has no features: its lists are empty"),
        ({"x": pa.array([], FLOATS)}, "has no examples"),
        ({"a": pa.array(changed(X[:, 0], 6, None))}, "a is missing (null) in example 6"),
        ({"a": pa.array(X[:, 0]), "y": pa.array(changed(Y, 6, None))}, "y is missing (null)"),
        ({"a": X[:, 0], "y": Y, "labels": Y}, "2 columns that may hold labels: 'y', 'labels'"),
        ({"y": Y}, "has no feature columns; it has 'y'"),
        ({"a": WORDS}, "column 'a' must hold numbers"),
        ({"a": pa.array([[[1.0]]] * N)}, "column 'a' must hold numbers"),
        ({"a": pa.array([{"b": 1.0}] * N)}, "column 'a' must hold numbers"),
        ({"x": lists(X, "list"), "y": pa.array([[1]] * N)}, "column 'y' must hold labels"),
        ({"x": lists(X, "list"), "y": pa.array([b"a"] * N)}, "column 'y' must hold labels"),
    ],
)
@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_what_is_missing_or_uneven_is_said(
    tmp_path: Path, columns: dict[str, Any], words: str, ending: str
) -> None:
    assert words in refused(written(tmp_path, pa.table(columns), ending))


def test_columns_that_are_not_there_or_there_twice(tmp_path: Path) -> None:
    path = written(tmp_path, pa.table({"a": X[:, 0], "b": X[:, 1]}))
    assert "no column 'kind'; it has 'a', 'b'" in refused(path, label_column="kind")
    assert "2 columns; there is no column 5" in refused(path, label_column=5)
    twice = pa.Table.from_arrays([pa.array(X[:, 0])] * 2, names=["a", "a"])
    assert "two columns of one name: 'a'" in refused(written(tmp_path, twice, "arrow"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_cut_and_no_flipped_byte_leads_to_anything_but_an_answer_or_a_refusal(
    tmp_path: Path, ending: str
) -> None:
    path = written(tmp_path, pa.table({"x": lists(X, "list"), "y": WORDS}), ending)
    content = path.read_bytes()
    cuts = [content[:length] for length in range(0, len(content), 19)]
    flips = [
        content[:i] + bytes([content[i] ^ mask]) + content[i + 1 :]
        for i in range(0, len(content), 5)
        for mask in (0x01, 0xFF)
    ]
    refusals = 0
    for damaged in cuts + flips:
        path.write_bytes(damaged)
        try:
            assert data.read(path).x.ndim == 2
        except DataFormatError:
            refusals += 1
    assert refusals > len(cuts) // 2


@pytest.mark.parametrize("content", [b"hello, world", b"FEA1" + bytes(20), b"PAR1", b"ARROW1\0\0"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "d.parquet"
    path.write_bytes(content)
    refused(path)


def test_a_file_without_its_ending_is_known(tmp_path: Path) -> None:
    for ending in ("parquet", "arrow"):
        path = written(tmp_path, pa.table({"x": lists(X, "list")}), ending)
        np.testing.assert_array_equal(data.read(path.rename(tmp_path / "features")).x, X)


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, pa.table({"x": lists(X, "list")}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'jaxlin[parquet]'" in refused(path)
