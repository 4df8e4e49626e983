"""`jaxlin predict`: block by block the same as at once, in constant memory, and nothing is lost."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pytest
from command_line import Run
from pyarrow import parquet
from safetensors.numpy import save_file

import jaxlin
from jaxlin import file_rows
from jaxlin.cli import predict

N, D = 50, 3
X = np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(4, D)).astype(np.float32)
CLASSES = ("=1+1", "cat", "dog", "eel")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    params = jaxlin.LinearParams(jnp.asarray(W))
    found = jaxlin.Model(params, classes=CLASSES, loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "m", found)
    return tmp_path / "m"


def make(folder: Path, kind: str, x: np.ndarray = X) -> Path:
    path = folder / f"d.{kind}"
    if kind == "npy":
        np.save(path, x)
    elif kind == "safetensors":
        save_file({"features": x}, path)
    elif kind == "parquet":
        lists = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), D)
        parquet.write_table(pa.table({"x": lists}), path, row_group_size=20)
    elif kind == "csv":
        path.write_text("\n".join(",".join(map(repr, row)) for row in x.tolist()))
    else:
        rows = [" ".join(f"{i + 1}:{v!r}" for i, v in enumerate(row)) for row in x.tolist()]
        path.write_text("\n".join(f"0 {row}" for row in rows))
    return path


@pytest.fixture
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 rows: six whole ones and one of two rows."""
    monkeypatch.setattr(predict, "BLOCK_ROWS", 8)
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1)


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize("kind", ["npy", "safetensors", "parquet", "csv", "svm"])
def test_blocks_say_what_the_whole_says(
    model: Path, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "p.csv"
    path = make(tmp_path, kind)
    told = Run(capsys, "predict", model, path, "--scores", "--out", out, "--json").json
    assert told == {"model": str(model), "data": str(path), "split": "all", "examples": N,
                    "out": str(out)}  # fmt: skip
    with open(out, newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["row", "prediction", *(f"score:{name}" for name in CLASSES)]
    assert [int(row[0]) for row in rows] == list(range(N))
    expected = X @ W.T
    np.testing.assert_allclose([[float(s) for s in row[2:]] for row in rows], expected, rtol=1e-5)
    best = [CLASSES[code] for code in expected.argmax(axis=1)]
    assert [row[1] for row in rows] == ["'=1+1" if name == "=1+1" else name for name in best]
    assert Run(capsys, "predict", model, path, "--scores").out.encode() == out.read_bytes()
    found = Run(capsys, "predict", model, path, "--scores", "--json").json
    assert found["predictions"] == best
    assert found["examples"] == N
    assert found["scores"] == [[float(score) for score in row[2:]] for row in rows]


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("npy", np.nan, "NaN: in example 49, feature 1"),
        ("csv", np.nan, ":50:2: must be a finite decimal number"),
        ("parquet", np.inf, "infinity: in example 49, feature 1"),
        ("npy", 1e39, "1e+39, which is too large for float32"),
        ("svm", 1e39, ":50: '1e+39' is too large for float32"),
    ],
)
def test_a_bad_row_at_the_end_leaves_the_old_file(
    model: Path,
    kind: str,
    value: float,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    x = X.astype(np.float64)
    x[49, 1] = value
    (tmp_path / "p.csv").write_text("old")
    run = Run(capsys, "predict", model, make(tmp_path, kind, x), "--out", tmp_path / "p.csv")
    assert run.code == 2
    assert words in run.err
    assert (tmp_path / "p.csv").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"d.{kind}", "m", "p.csv"]


@pytest.mark.usefixtures("tiny_blocks")
def test_a_score_that_would_be_nan_is_placed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = jaxlin.LinearParams(jnp.array([[3e38, -3e38, 0.0]] * 2))
    found = jaxlin.Model(params, classes=("a", "b"), loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "m", found)
    x = np.zeros((N, D), np.float32)
    x[48, :2] = 3.0  # the first of the last block, which is filled up from the one before
    run = Run(capsys, "predict", tmp_path / "m", make(tmp_path, "npy", x))
    assert run.code == 2
    assert "X is too large in row 6" in run.err
    assert "Rows are counted from row 42 of the file" in run.err


@pytest.mark.usefixtures("tiny_blocks")
@pytest.mark.parametrize(("blocks", "words"), [(2, "output is not complete"), (0, "nothing was")])
def test_ctrl_c_says_whether_rows_are_out(
    model: Path, blocks: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    all_of_them = predict._answers

    def interrupted(*arguments: Any) -> Iterator[Any]:
        yield from itertools.islice(all_of_them(*arguments), blocks)
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "_answers", interrupted)
    monkeypatch.setattr("os._exit", sys.exit)
    run = Run(capsys, "predict", model, make(tmp_path, "npy"))
    assert (run.code, run.out.count("\n")) == (130, 1 + 8 * blocks if blocks else 0)
    assert f"interrupted; {'the ' if blocks else ''}{words}" in run.err


def save_model_of_columns(path: Path) -> None:
    """A model whose features are the columns a, b and c."""
    params = jaxlin.LinearParams(jnp.asarray(W))
    found = jaxlin.Model(
        params, classes=CLASSES, loss="softmax_cross_entropy", feature_names=("a", "b", "c")
    )
    jaxlin.save_model(path, found)


def test_names_of_columns_must_be_those_of_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model_of_columns(tmp_path / "m")
    (tmp_path / "d.csv").write_text("a,c,b\n1,2,3\n")
    parquet.write_table(pa.table({"a": [1.0], "c": [1.0], "b": [1.0]}), tmp_path / "d.parquet")
    for name in ("d.csv", "d.parquet"):
        run = Run(capsys, "predict", tmp_path / "m", tmp_path / name)
        assert (run.code, run.out) == (2, "")
        assert "feature 2 must be 'b', got 'c'" in run.err
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    run = Run(capsys, "predict", tmp_path / "m", tmp_path / "d.csv")
    assert "has 2 features, but 3 are expected" in run.err


def test_a_line_of_names_that_are_numbers_is_no_example(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = dataclasses.replace(jaxlin.load_model(model), feature_names=("0", "1", "2"))
    jaxlin.save_model(tmp_path / "named", named)  # as trained from a data frame of no names
    bare = make(tmp_path, "csv")
    (tmp_path / "head.csv").write_text("0,1,2\n" + bare.read_text())
    told = [
        Run(capsys, "predict", tmp_path / "named", path).out
        for path in (bare, tmp_path / "head.csv")
    ]
    assert told[0].count("\n") == 1 + N
    assert told[0] == told[1]
    (tmp_path / "head.csv").write_text("1,0,2\n" + bare.read_text())
    run = Run(capsys, "predict", tmp_path / "named", tmp_path / "head.csv")
    assert (run.code, "must be '0', got '1'" in run.err) == (2, True)


def test_of_columns_that_the_model_does_not_know_nothing_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model_of_columns(tmp_path / "m")
    (tmp_path / "d.csv").write_text(",c,patient,a,b\n0,3,A12,1,-2\n")  # as pandas counts rows
    columns = {"c": [3.0], "patient": ["A12"], "a": [1.0], "b": [-2.0], "visits": [[1, 2]]}
    parquet.write_table(pa.table(columns), tmp_path / "d.parquet")
    for name in ("d.csv", "d.parquet"):
        told = Run(capsys, "predict", tmp_path / "m", tmp_path / name, "--scores", "--json").json
        np.testing.assert_allclose(told["scores"], [W @ [1.0, -2.0, 3.0]], rtol=1e-4)


PEAK = """
import sys
from jaxlin.cli.main import main
try:
    main(["predict", *sys.argv[1:]])
except SystemExit as end:
    assert not end.code, end.code
with open("/proc/self/status") as file:  # resource's counts the parent process too
    print(next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM")))
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    wide = 4096
    params = jaxlin.LinearParams(jnp.ones((2, wide)))
    found = jaxlin.Model(params, classes=("a", "b"), loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "m", found)
    peaks = []
    for rows in (2048, 12_288):  # 34 MB and 201 MB
        path = tmp_path / f"{rows}.npy"
        x = np.lib.format.open_memmap(path, "w+", np.float32, (rows, wide))
        x[:, 0] = 1.0
        del x
        command = [sys.executable, "-c", PEAK, tmp_path / "m", path, "--out", tmp_path / "p.csv"]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert len((tmp_path / "p.csv").read_text().splitlines()) == rows + 1
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 80 << 20
