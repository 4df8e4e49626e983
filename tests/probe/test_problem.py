"""Blocks of features: rows are gathered once, from wherever they lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxlin import DataFormatError, InputError
from jaxlin.probe import Block, Part, Problem
from jaxlin.probe.baselines import class_means, majority, nearest_mean
from jaxlin.probe.leaks import duplicates
from jaxlin.probe.problem import normalized
from jaxlin.probe.selecting import make_scaling

X = np.random.default_rng(0).normal(size=(50, 4))
LABELS = (np.arange(50) % 3).astype(np.int32)


def test_parts_are_gathered_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlin.probe.problem._BLOCK_BYTES", 100)  # three rows at a time
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    block = Block("b", {"main": mapped, "other": X[:5]})
    rows = np.array([7, 3, 3, 49, 0, 12, 1])
    parts = Part(LABELS[rows], "main", rows), Part(LABELS[:5], "other")
    x = block.gather(*parts, dtype="float32")
    np.testing.assert_array_equal(x, np.concatenate([X[rows], X[:5]]).astype(np.float32))
    assert max(len(piece) for piece in block.pieces(parts[0])) == 3
    unit = block.gather(*parts, dtype="float32", normalize=True)
    np.testing.assert_allclose(np.linalg.norm(np.asarray(unit), axis=1), 1.0, rtol=1e-6)
    some = np.array([11, 0, 6, 7])
    for gathered, normalize in ((x, False), (unit, True)):
        later = block.rows(*parts, dtype="float32", normalize=normalize)
        assert (later.shape, later.dtype) == (gathered.shape, gathered.dtype)
        np.testing.assert_array_equal(later[some], np.asarray(gathered)[some])
        np.testing.assert_array_equal(later[5:99], gathered[5:])
    assert block.rows(parts[0]).dtype == np.float64


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("uint8", "uint8"), ("float16", "float16"), ("float64", "float32"), ("int64", "float32")],
)
def test_narrow_features_stay_narrow(dtype: str, kept: str) -> None:
    block = Block("b", {"main": np.ones((3, 2), dtype)})
    part = Part(np.zeros(3, np.int32), "main")
    assert block.gather(part, dtype="float32").dtype == kept
    assert block.gather(part, dtype="float32", normalize=True).dtype == np.float32


def test_float64_is_kept_where_it_is_computed_in() -> None:
    x = Block("b", {"main": X}).gather(Part(LABELS, "main"), dtype="float64")
    np.testing.assert_array_equal(x, X)


def test_normalised_rows_of_any_size() -> None:
    x = np.array([[3e200, 4e200], [3e-200, 4e-200], [0.0, 0.0]])
    np.testing.assert_allclose(normalized(x), [[0.6, 0.8], [0.6, 0.8], [0.0, 0.0]])


def test_the_nearest_mean_is_that_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.neighbors import NearestCentroid

    monkeypatch.setattr("jaxlin.probe.problem._BLOCK_BYTES", 300)
    x = X + np.eye(4)[LABELS % 4] * 2 + 5.0
    problem = Problem.from_arrays(x, LABELS, validation=(x[:20], LABELS[:20]), test=(x, LABELS))
    block = problem.blocks[0]
    for word in ("none", "standardize"):
        for normalize in (False, True):
            seen = normalized(x) if normalize else x
            scaling = make_scaling(word, seen)
            told = nearest_mean(block, problem, word, scaling, normalize)
            scaled = seen
            if scaling is not None:
                scaled = (seen - np.asarray(scaling.shift)) * np.asarray(scaling.scale)
            fit = NearestCentroid().fit(scaled, LABELS)
            assert told["test"]["accuracy"] == np.mean(fit.predict(scaled) == LABELS)
            assert told["validation_accuracy"] == np.mean(fit.predict(scaled[:20]) == LABELS[:20])
    means, counts = class_means(block, problem.train, 3, False)
    np.testing.assert_allclose(means[1], x[LABELS == 1].mean(axis=0))
    assert counts.tolist() == [17, 17, 16]


def test_a_class_without_training_examples_is_nobodys_nearest() -> None:
    problem = Problem.from_arrays(
        X, LABELS, classes=[0, 1, 2, 3], validation=(X, LABELS), test=(np.zeros((1, 4)), [3])
    )
    told = nearest_mean(problem.blocks[0], problem, "none", None, False)
    assert told["test"]["accuracy"] == 0.0
    assert majority(problem)["class"] == 0
    assert majority(problem)["validation_accuracy"] == 17 / 50


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [0] * 50}, "only one class|at least 2 classes"),
        ({"labels": LABELS[:40]}, "inconsistent numbers of samples"),
        ({"x": X[:, 0]}, "Expected 2D"),
        ({"x": X.astype(str)}, "text"),
        ({"validation": (X[:, :2], LABELS)}, "all features must have 4 columns"),
        ({"validation": (X, LABELS + 1)}, "labels must be among the classes"),
        ({"validation": 1.5}, "share must be"),
        ({"labels": [0] * 49 + [1]}, "2 examples of every class"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], words: str) -> None:
    given = {"x": X, "labels": LABELS, **change}
    with pytest.raises(InputError, match=words):
        Problem.from_arrays(given.pop("x"), given.pop("labels"), **given)


def test_blocks_have_names_of_their_own() -> None:
    part = Part(LABELS, "main")
    blocks = (Block("a", {"main": X}), Block("a", {"main": X}))
    with pytest.raises(InputError, match="a name of its own"):
        Problem(blocks, (0, 1, 2), part, part)


def test_a_memory_map_that_shrinks_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((64, 128), np.float32))
    x = np.load(path, mmap_mode="r")
    problem = Problem.from_arrays(x, np.arange(64) % 2)
    os.truncate(path, 8192)
    with pytest.raises(DataFormatError, match="cut short"):
        problem.blocks[0].gather(problem.train, dtype=np.float32)
    with pytest.raises(DataFormatError, match="cut short"):
        duplicates(problem, problem.blocks[0], 0)
