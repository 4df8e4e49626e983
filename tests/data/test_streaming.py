"""Blocks of rows: the rows of `read`, whatever the file and the size of a block."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet
from safetensors.numpy import save_file

from jaxlin import data, file_rows
from jaxlin.errors import DataFormatError, InputError

N, D = 23, 4
X = np.random.default_rng(0).integers(0, 1000, (N, D)).astype(np.float32) / 8
Y = np.arange(N) % 2


def as_text(x: np.ndarray) -> str:
    lines = [",".join(map(repr, row)) + f",{y}" for row, y in zip(x.tolist(), Y, strict=True)]
    return "a,b,c,d,kind\n" + "\n".join(lines)


def as_svmlight(x: np.ndarray) -> str:
    rows = [" ".join(f"{i + 1}:{v!r}" for i, v in enumerate(row) if v) for row in x.tolist()]
    return "# made by hand\n" + "\n".join(f"{y} {row}" for row, y in zip(rows, Y, strict=True))


def make(folder: Path, kind: str, x: np.ndarray = X) -> tuple[Path, dict[str, Any]]:
    path = folder / f"d.{kind}"
    lists = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), D)
    if kind == "npy":
        np.save(path, x)
    elif kind == "npz":
        np.savez(path, x=x, y=Y)
    elif kind == "safetensors":
        save_file({"features": x, "labels": Y}, path)
    elif kind == "parquet":
        parquet.write_table(pa.table({"x": lists, "y": Y}), path, row_group_size=9)
    elif kind == "arrow":
        table = pa.table({"x": lists, "y": Y})
        with pa.OSFile(str(path), "wb") as sink, ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=10)
    elif kind.startswith("csv"):
        content = as_text(x).encode()
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
        return path, {"label_column": "kind"}
    else:
        path.write_text(as_svmlight(x))
    return path, {}


KINDS = ("npy", "npz", "safetensors", "parquet", "arrow", "csv", "csv.gz", "svm")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("large", [False, True])
def test_the_rows_are_those_of_read(
    tmp_path: Path, kind: str, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1 if large else 1 << 20)
    path, options = make(tmp_path, kind)
    for block_rows in (1, 7, 9, N, 100):
        found = data.stream(path, num_features=D, block_rows=block_rows, **options)
        blocks = list(found.blocks)
        sizes = [len(block) for block in blocks]
        assert sizes == [min(block_rows, N - start) for start in range(0, N, block_rows)]
        np.testing.assert_array_equal(np.concatenate(blocks), X)
        assert found.part == "all"
        assert found.feature_names == (("a", "b", "c", "d") if "csv" in kind else None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_number_is_found_when_its_block_comes(tmp_path: Path, kind: str) -> None:
    x = X.copy()
    x[17, 2] = np.nan
    path, options = make(tmp_path, kind, x)
    where = {"csv": ":19:3:", "csv.gz": ":19:3:", "svm": ":19:"}.get(kind, "example 17, feature 2")
    blocks = data.stream(path, num_features=D, block_rows=5, **options).blocks
    np.testing.assert_array_equal(np.concatenate([next(blocks) for _ in range(3)]), X[:15])
    with pytest.raises(DataFormatError, match=where) as caught:
        next(blocks)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_another_number_of_features_is_refused(tmp_path: Path, kind: str) -> None:
    path, options = make(tmp_path, kind)
    words = "above the number of features, 3" if kind == "svm" else "has 4 features, but 3"
    with pytest.raises(DataFormatError, match=words):
        next(data.stream(path, num_features=3, **options).blocks)


def test_the_features_of_a_table_are_those_that_are_wanted(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("who,b,kind,a\nA12,2.5,x,1\nA13,3.5,y,2\n")
    options: dict[str, Any] = {"label_column": "kind", "feature_names": ("a", "b")}
    raw = data.read(path, num_features=2, **options)
    np.testing.assert_array_equal(raw.x, [[1.0, 2.5], [2.0, 3.5]])
    assert raw.labels is not None
    assert raw.labels.tolist() == ["x", "y"]
    found = data.stream(path, num_features=2, **options)
    np.testing.assert_array_equal(np.concatenate(list(found.blocks)), raw.x)
    assert found.feature_names == raw.feature_names == ("a", "b")
    path.write_text("who,b,kind,a\nA12,2.5,x,1\nA13,3.5,y,two\n")
    with pytest.raises(DataFormatError, match=r":3:4: must be .* but is 'two'"):
        data.read(path, **options)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "npz"])
def test_parts_that_are_not_there(tmp_path: Path, kind: str) -> None:
    path, options = make(tmp_path, kind)
    with pytest.raises(DataFormatError, match="no test set of its own"):
        data.stream(path, num_features=D, split="test", **options)
    assert data.stream(path, num_features=D, split="train", **options).part == "train"


def test_options_are_checked(tmp_path: Path) -> None:
    path, _ = make(tmp_path, "npz")
    with pytest.raises(InputError, match="layer is of no use"):
        data.stream(path, num_features=D, layer="x")
    with pytest.raises(InputError, match="split must be"):
        data.stream(path, num_features=D, split="all")
    with pytest.raises(InputError, match="block_rows must be at least 1"):
        data.stream(path, num_features=D, block_rows=0)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.csv", "a,b\n", "no examples"),
        ("d.csv", "\n\n", "no examples"),
        ("d.csv", "1,2\n3\n", ":2: expected 2 fields"),
        ("d.csv", "1,2\n\0,3\n", "NUL"),
        ("d.svm", "# nothing\n", "no examples"),
    ],
)
def test_text_that_does_not_do(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataFormatError, match=words):
        list(data.stream(tmp_path / name, num_features=2).blocks)
