"""Rows that stay in their file: the same numbers as in memory; no crash when the file changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin import data, file_rows, losses, solvers
from jaxlin.checks import as_features
from jaxlin.data.scaling import Scaling
from jaxlin.data.values import check_range
from jaxlin.errors import DataFormatError, InputError
from jaxlin.file_rows import FileRows, file_mark

N, D = 57, 4


def numbers(dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, (N, D)).astype(dtype)


def in_file(folder: Path, x: np.ndarray, by_column: bool = False) -> FileRows:
    path = folder / "x.bin"
    path.write_bytes(b"head" + x.tobytes("F" if by_column else "C"))
    return FileRows(str(path), x.dtype, len(x), x.shape[1], 4, file_mark(str(path)), by_column)


@pytest.fixture(autouse=True)
def tiny_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "_BLOCK_BYTES", 5 * D * 4)
    monkeypatch.setattr(file_rows, "_GAP_BYTES", 3 * D * 4)


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "<f2", ">f4", "<f8", "?", ml_dtypes.bfloat16])
def test_rows_are_those_of_the_array(tmp_path: Path, dtype: Any, by_column: bool) -> None:
    x = numbers(dtype)
    rows = in_file(tmp_path, x, by_column)
    mask = np.arange(N) % 3 == 0
    some = np.array([50, 3, 3, 4, 51, 0, 20])
    for key in (
        slice(None), slice(3, 9), slice(9, 3), slice(1, 60, 7), slice(None, None, -1), some, -1, 5,
        [1, 2], mask, np.array([], int), (slice(2, 8), 1), (4, 2), (some, slice(1, 3)),
    ):  # fmt: skip
        found = rows[key]
        np.testing.assert_array_equal(found, x[key])
        assert found.dtype == rows.dtype == x.dtype.newbyteorder("=")
    np.testing.assert_array_equal(np.asarray(rows), x)
    assert rows.shape == x.shape
    assert (rows.ndim, rows.size, rows.nbytes) == (2, x.size, x.nbytes)
    assert (rows.min(), rows.max()) == (x.min(), x.max())
    np.testing.assert_array_equal(rows.astype(np.float64), x.astype(np.float64))
    chosen = rows.select(mask).select(np.array([3, -1]))
    np.testing.assert_array_equal(chosen, x[mask][[3, -1]])
    assert [len(block) for _, block in rows.blocks(20)] == [20, 20, 17]


def test_blocks_are_private_and_arithmetic_reads(tmp_path: Path) -> None:
    x = numbers()
    rows = in_file(tmp_path, x)
    block = rows.read(0, 3)
    block[:] = -1.0
    np.testing.assert_array_equal(rows.read(0, 3), x[:3])
    np.testing.assert_array_equal(rows / 2.0 - np.ones(D), x / 2.0 - np.ones(D))
    np.testing.assert_array_equal(np.sqrt(rows), np.sqrt(x))
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(rows, copy=False)


@pytest.mark.parametrize("key", [N, -N - 1, np.ones(N - 1, bool), [0.5], np.zeros((2, 2), int)])
def test_rows_that_are_not_there(tmp_path: Path, key: Any) -> None:
    with pytest.raises(IndexError):
        in_file(tmp_path, numbers())[key]


def rewrite(path: str) -> None:
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:-1] + b"\x07")
    os.utime(path, ns=(1, 1))


def cut(path: str) -> None:
    os.truncate(path, 100)


def put_a_pipe(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


@pytest.mark.parametrize("change", [rewrite, cut, os.unlink, put_a_pipe])
def test_a_file_that_has_changed_is_refused(tmp_path: Path, change: Any) -> None:
    rows = in_file(tmp_path, numbers())
    blocks = rows.blocks()
    next(blocks)
    change(rows.path)
    for use in (lambda: next(blocks), lambda: rows[3], lambda: as_features(rows, np.float32)):
        with pytest.raises(DataFormatError, match=r"x\.bin: (has changed|cannot be read: No such)"):
            use()


def test_a_file_that_is_cut_short_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = in_file(tmp_path, numbers())

    def late(file: Any) -> tuple[int, ...]:
        os.truncate(rows.path, 100)  # after it was looked at
        return rows.mark

    monkeypatch.setattr(file_rows, "file_mark", late)
    with pytest.raises(DataFormatError, match="was cut off while it was read"):
        rows.read()


@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_what_the_engine_keeps_is_the_same_from_the_file(tmp_path: Path, dtype: str) -> None:
    x = numbers(dtype)
    rows = in_file(tmp_path, x)
    for order in (None, np.random.default_rng(0).permutation(N)):
        ours, theirs = (as_features(one, np.float32, order=order) for one in (rows, x))
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    for make in (Scaling.standardize, Scaling.unit_range):
        ours, theirs = make(rows), make(x)
        np.testing.assert_array_equal(ours.scale, theirs.scale)
        np.testing.assert_array_equal(ours.shift, theirs.shift)


def test_a_fit_is_the_same_from_the_file(tmp_path: Path) -> None:
    x, labels = numbers(), np.arange(N) % 3
    rows = in_file(tmp_path, x)
    descent = solvers.GradientDescent(optax.sgd(1e-3), steps=3)
    fits = [
        jaxlin.fit(one, labels, loss=losses.softmax_cross_entropy, solver=descent)
        for one in (rows, x)
    ]
    np.testing.assert_array_equal(fits[0].params.W, fits[1].params.W)
    model = jaxlin.Model(fits[0].params, classes=(0, 1, 2), loss="softmax_cross_entropy")
    np.testing.assert_array_equal(model.scores(rows), model.scores(x))


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (1e39, "largest value is 1e.39")])
def test_numbers_that_do_not_do_are_said(tmp_path: Path, value: float, word: str) -> None:
    x = numbers(np.float64)
    x[40, 1] = value
    rows = in_file(tmp_path, x)
    with pytest.raises(InputError, match=word):
        as_features(rows, np.float32)
    if np.isfinite(value):
        with pytest.raises(DataFormatError, match="too large for float32"):
            check_range(rows, "float32", "x.bin", "")
    else:
        with pytest.raises(InputError, match="NaN"):
            Scaling.standardize(rows)


@pytest.mark.parametrize("by_column", [False, True])
def test_large_npy_files_stay_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_column: bool
) -> None:
    x, labels = numbers(">f4"), np.arange(N) % 3
    np.save(tmp_path / "x.npy", np.asfortranarray(x) if by_column else x)
    np.save(tmp_path / "y.npy", labels)
    options: dict[str, Any] = {"labels": tmp_path / "y.npy", "validation": 0.2, "seed": 3}
    small = data.load(tmp_path / "x.npy", **options)
    assert isinstance(small.train.x, np.ndarray)
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1)
    large = data.load(tmp_path / "x.npy", **options)
    for name in ("train", "validation", "test"):
        ours, theirs = getattr(large, name), getattr(small, name)
        assert isinstance(ours.x, FileRows)
        np.testing.assert_array_equal(ours.x, theirs.x)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_large_images_keep_their_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1)
    images = np.arange(5 * 6, dtype=np.uint8).reshape(5, 2, 3)
    for array in (images, np.asfortranarray(images)):
        np.save(tmp_path / "x.npy", array)
        raw = data.read(tmp_path / "x.npy")
        assert raw.image_shape == (2, 3)
        np.testing.assert_array_equal(raw.x, images.reshape(5, 6))


def test_what_a_large_file_claims_is_compared_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1)
    np.save(tmp_path / "x.npy", numbers())
    content = (tmp_path / "x.npy").read_bytes()
    nan = numbers()
    nan[41, 2] = np.nan
    np.save(tmp_path / "nan.npy", nan)
    claims = content.replace(b"(57, 4), }     ", b"(9999999, 4), }")
    for damaged in (content[:-1], content + b"0", claims, b"\x93NUMPY", content[:60]):
        (tmp_path / "x.npy").write_bytes(damaged)
        with pytest.raises(DataFormatError, match=r"x\.npy: (was cut off|is no sound)"):
            data.read(tmp_path / "x.npy")
    with pytest.raises(DataFormatError, match="NaN: in example 41, feature 2"):
        data.read(tmp_path / "nan.npy")


CUT_UNDER_A_MAP = """
import os, sys
import numpy as np
import jax.numpy as jnp
from jaxlin import checks, data, errors
x = np.load(sys.argv[1], mmap_mode="r")
views = {"whole": x, "part": x[::2], "array": np.asarray(x)[3:], "columns": x[:, 1:].T}
order = np.random.default_rng(0).permutation(len(x))
os.truncate(sys.argv[1], 4096)
for name, view in views.items():
    for use in (
        lambda: checks.as_features(view, jnp.float32),
        lambda: checks.as_features(view, jnp.float32, order=np.arange(len(view))[::-1].copy()),
        lambda: next(data.row_blocks(view, 10**9)),
    ):
        try:
            use()
        except errors.DataFormatError as error:
            assert "x.npy: was cut short" in str(error), error
            print(name, end=" ")
"""


def test_a_file_cut_short_under_a_memory_map_is_an_error_and_not_the_end(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3000, 50), np.float32))
    command = [sys.executable, "-c", CUT_UNDER_A_MAP, str(tmp_path / "x.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [n for n in ("whole", "part", "array", "columns") for _ in "123"]


def test_memory_maps_are_copied_and_never_written_to(tmp_path: Path) -> None:
    x = numbers()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for block in data.row_blocks(mapped, 20):
        block[:] = 0.0
    np.testing.assert_array_equal(as_features(mapped, np.float32), x)
    np.testing.assert_array_equal(np.concatenate(list(data.row_blocks(mapped[::2], 20))), x[::2])


PEAK = """
import sys
import numpy as np
import optax
import jaxlin
from jaxlin import data, losses, solvers

def high_water():
    with open("/proc/self/status") as file:  # resource's counts the parent process too
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))

warm = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
fit = dict(
    loss=losses.softmax_cross_entropy, solver=solvers.GradientDescent(optax.sgd(0.1), steps=2)
)
jaxlin.fit(warm, np.arange(64) % 2, **fit)
load = data.load  # its import does not count
before = high_water()
dataset = load(sys.argv[1], labels=sys.argv[2])
loaded = high_water()
jaxlin.fit(dataset.train.x, dataset.train.labels, **fit)
print(loaded - before, high_water() - before)
"""


def test_a_large_file_is_in_memory_once(tmp_path: Path) -> None:
    num_bytes, num_features = 80 << 20, 256
    rows = num_bytes // (4 * num_features)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, rows)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (rows, num_features))
    for start in range(0, rows, 8192):
        part = slice(start, start + 8192)
        x[part] = rng.standard_normal(x[part].shape, np.float32) + labels[part, None]
    del x
    np.save(tmp_path / "y.npy", labels)
    command = [sys.executable, "-c", PEAK, str(tmp_path / "x.npy"), str(tmp_path / "y.npy")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    loaded, fitted = map(int, done.stdout.split())
    assert loaded < 0.7 * num_bytes
    # Three quarters are trained on.
    assert fitted < 1.5 * num_bytes
