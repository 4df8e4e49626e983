"""Rows that two arrays share, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from jaxlin import data
from jaxlin.data import duplicates
from jaxlin.errors import InputError
from jaxlin.file_rows import FileRows, file_mark


def rows(n: int, d: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 100, (n, d)).astype(dtype)


def expected(a: np.ndarray, b: np.ndarray) -> list[tuple[int, int]]:
    """By comparing every row with every row."""
    return [
        (j, next(i for i in range(len(a)) if a[i].tobytes() == b[j].tobytes()))
        for j in range(len(b))
        if any(a[i].tobytes() == b[j].tobytes() for i in range(len(a)))
    ]


@pytest.mark.parametrize("dtype", ["u1", "f2", "f4", "f8", "i8", "?", ml_dtypes.bfloat16])
@pytest.mark.parametrize("d", [1, 3, 8])
def test_all_are_found_and_nothing_else(
    dtype: Any, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_BLOCK_BYTES", 40)
    a, b = rows(60, d, dtype), rows(40, d, dtype, seed=1)
    b[[3, 17, 18, 39]] = a[[59, 5, 5, 0]]
    found = data.duplicate_rows(a, b)
    assert list(zip(found.rows, found.twins, strict=True)) == expected(a, b)
    assert len(found) >= 4
    assert found.share == len(found) / 40
    np.testing.assert_array_equal(np.asarray(found), found.rows)


def test_bits_count(tmp_path: Path) -> None:
    a = np.array([[0.0, 1.0], [np.nan, 2.0]], np.float32)
    b = np.array([[-0.0, 1.0], [0.0, 1.0], [np.nan, 2.0], [0.0, np.nextafter(np.float32(1), 2)]])
    assert data.duplicate_rows(a, b.astype(np.float32)).rows.tolist() == [1, 2]


def test_dtypes_become_one(tmp_path: Path) -> None:
    a = rows(50, 5, np.uint8)
    for dtype in (np.float16, np.float32, np.float64, np.int64, ml_dtypes.bfloat16):
        assert len(data.duplicate_rows(a, a[::-1].astype(dtype))) == 50
    half = data.duplicate_rows(a.astype(np.float16), a.astype(ml_dtypes.bfloat16))
    assert half.rows.tolist() == list(range(50))
    # A number that the narrower dtype rounds is another.
    assert len(data.duplicate_rows(np.array([[0.1]], np.float32), np.array([[0.1]]))) == 0


def test_rows_with_one_hash_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = rows(30, 4), rows(20, 4, seed=1)
    b[[2, 9]] = a[[29, 11]]
    a[12] = a[11]
    monkeypatch.setattr(duplicates, "_hashes", lambda x, dtype: np.zeros(len(x), np.uint64))
    found = data.duplicate_rows(a, b)
    assert (found.rows.tolist(), found.twins.tolist()) == ([2, 9], [29, 11])


def test_hashes_spread() -> None:
    # Rows that differ in few bits, in signs alone, or in the order of their numbers.
    signs = np.where(np.arange(1024)[:, None] >> np.arange(10) & 1, -1.0, 1.0).astype(np.float32)
    turned = np.stack([np.roll(np.arange(500.0), n) for n in range(500)]).astype(np.float32)
    for x in (signs, turned, np.eye(300, dtype=np.uint8), np.arange(3000.0)[:, None]):
        assert len(np.unique(duplicates._hashes(x, x.dtype))) == len(x)


def test_features_in_a_file(tmp_path: Path) -> None:
    a, b = rows(60, 3), rows(40, 3, seed=1)
    b[7] = a[31]
    path = tmp_path / "a.bin"
    a.tofile(path)
    in_file = FileRows(str(path), a.dtype, 60, 3, 0, file_mark(str(path)))
    for one in (data.duplicate_rows(in_file, b), data.duplicate_rows(b, in_file)):
        assert len(one) == 1
    np.save(tmp_path / "b.npy", np.asfortranarray(b))
    mapped = np.load(tmp_path / "b.npy", mmap_mode="r")
    assert data.duplicate_rows(in_file.select(np.arange(60)[::-1]), mapped).twins.tolist() == [28]


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (rows(3, 2), rows(3, 3), "a has 2 features, and b has 3"),
        (rows(3, 2)[0], rows(3, 2), "Expected 2D array"),
        (rows(3, 2), np.array([["a", "b"]]), "b holds text"),
        (rows(3, 2), rows(0, 2), "0 sample"),
    ],
)
def test_what_has_no_rows_is_refused(a: Any, b: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.duplicate_rows(a, b)
