"""Every kind of data from training over evaluation to predictions, on small files."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, saved, two_classes

X, Y = two_classes()
NAMES = np.array(["cat", "dog"])
Source = tuple[list[object], list[object], list[Any], int]


def as_csv(folder: Path) -> Source:
    rows = [",".join(map(str, [*x, NAMES[y]])) for x, y in zip(X, Y, strict=True)]
    path = folder / "d.csv"
    path.write_text("a,b,c,d,kind\n" + "\n".join(rows))
    return [path], ["--label-column", "kind"], ["cat", "dog"], 48


def as_svmlight(folder: Path) -> Source:
    rows = [
        f"{2 * y - 1} " + " ".join(f"{i + 1}:{v}" for i, v in enumerate(x))
        for x, y in zip(X, Y, strict=True)
    ]
    (folder / "d.svm.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    return [folder / "d.svm.gz"], [], [-1, 1], 48


def as_npy(folder: Path) -> Source:
    np.save(folder / "x.npy", X)
    np.save(folder / "y.npy", NAMES[Y])
    return [folder / "x.npy"], ["--labels", folder / "y.npy"], ["cat", "dog"], 48


def as_npz_with_a_test_set(folder: Path) -> Source:
    arrays = {"x_train": X, "y_train": Y > 0, "x_test": X[:10], "y_test": Y[:10] > 0}
    return [saved(folder, **arrays)], [], [False, True], 10


def idx(array: np.ndarray) -> bytes:
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes()


def as_idx(folder: Path, packed: bool = False) -> Source:
    for part, rows in (("train", slice(None)), ("t10k", slice(10))):
        for what, array in (("images-idx3", X.reshape(-1, 2, 2)), ("labels-idx1", Y)):
            content = idx(array[rows])
            name = f"{part}-{what}-ubyte" + ".gz" * packed
            (folder / name).write_bytes(gzip.compress(content) if packed else content)
    return [folder], [], [0, 1], 10


def as_idx_gzipped(folder: Path) -> Source:
    return as_idx(folder, packed=True)


def as_cifar10(folder: Path) -> Source:
    records = [bytes([9 * y]) + bytes([x[0]]) * 3072 for x, y in zip(X[:20], Y[:20], strict=True)]
    (folder / "data_batch_1.bin").write_bytes(b"".join(records))
    (folder / "test_batch.bin").write_bytes(b"".join(records[:10]))
    return [folder], [], [0, 9], 10


@pytest.mark.parametrize(
    "make",
    [as_csv, as_svmlight, as_npy, as_npz_with_a_test_set, as_idx, as_idx_gzipped, as_cifar10],
)
def test_from_training_to_predictions(
    make: Callable[[Path], Source], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    source, options, classes, count = make(folder)
    model = tmp_path / "m"
    trained = Run(capsys, "train", *source, *options, "--epochs", 200, "--batch-size", 16,
                  "--out", model, "--json").json  # fmt: skip
    assert trained["classes"] == classes
    assert trained["results"]["test"]["accuracy"] == 1.0
    seen = Run(capsys, "evaluate", model, *source, *options, "--json").json
    assert (seen["examples"], seen["accuracy"], seen["classes"]) == (count, 1.0, classes)
    assert seen["split"] == ("all" if count == 48 else "test")
    run = Run(capsys, "predict", model, *source, *options, "--scores")
    rows = list(csv.DictReader(io.StringIO(run.out)))
    expected = [str(classes[y]) for y in Y[:count]]
    assert [row["prediction"] for row in rows] == expected
    scores = np.array([[float(row[f"score:{c}"]) for c in classes] for row in rows])
    assert (np.argmax(scores, axis=1) == Y[:count]).all()
    found = Run(capsys, "predict", model, *source, *options, "--json").json
    assert found["predictions"] == [classes[y] for y in Y[:count]]


def test_a_test_set_in_a_file_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (x, *_), labels, *_ = as_npy(tmp_path)
    np.save(tmp_path / "tx.npy", X[:6])
    # All wrong, so that they are told from the rest.
    np.save(tmp_path / "ty.npy", NAMES[1 - Y[:6]])
    apart = ["--test", tmp_path / "tx.npy", "--test-labels", tmp_path / "ty.npy"]
    model = tmp_path / "m"
    found = Run(capsys, "train", x, *labels, *apart, "--epochs", 200, "--batch-size", 16, "--out",
                model, "--json").json  # fmt: skip
    assert found["results"]["test"]["examples"] == 6
    assert found["results"]["test"]["accuracy"] == 0.0
    assert found["results"]["train"]["examples"] + found["results"]["validation"]["examples"] == 48
    run = Run(capsys, "train", x, *labels, "--test", tmp_path / "tx.npy")
    assert run.code == 2
    assert "--test-labels" in run.err


def test_the_parts_of_data_that_are_in_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (source,), *_ = as_npz_with_a_test_set(tmp_path)
    model = tmp_path / "m"
    Run(capsys, "train", source, "--epochs", 2, "--out", model)
    for split, count in (("train", 48), ("test", 10)):
        seen = Run(capsys, "evaluate", model, source, "--split", split, "--json").json
        assert (seen["split"], seen["examples"]) == (split, count)
        found = Run(capsys, "predict", model, source, "--split", split, "--json").json
        assert len(found["predictions"]) == count
    whole = tmp_path / "whole"
    whole.mkdir()
    run = Run(capsys, "evaluate", model, saved(whole, x=X, y=Y), "--split", "test")
    assert run.code == 2
    assert "no test set of its own" in run.err
