"""Safetensors files of features: which tensors are what; what is damaged is refused in words."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save

from jaxlin import data, file_rows
from jaxlin.errors import DataFormatError, InputError
from jaxlin.file_rows import FileRows

X = np.arange(24, dtype=np.float32).reshape(8, 3)
Y = np.arange(8) % 2


def write(folder: Path, content: bytes, name: str = "d.safetensors") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def saved(folder: Path, **tensors: np.ndarray) -> Path:
    return write(folder, save({name.replace("__", "."): one for name, one in tensors.items()}))


def refused(path: Path, **options: Any) -> str:
    with pytest.raises(DataFormatError) as error:
        data.read(path, **options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("features", ["x", "features", "Embeddings", "model__layers__3", "layer0"])
@pytest.mark.parametrize("labels", ["y", "labels", "TARGETS"])
def test_features_and_labels_are_told_by_their_names(
    tmp_path: Path, features: str, labels: str
) -> None:
    raw = data.read(saved(tmp_path, **{features: X, labels: Y, "ids": Y + 7, "groups": Y}))
    np.testing.assert_array_equal(raw.x, X)
    np.testing.assert_array_equal(raw.labels, Y)  # pyright: ignore[reportArgumentType]
    assert data.feature_layers(tmp_path / "d.safetensors") == (features.replace("__", "."),)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.uint8, np.float64, np.int16])
@pytest.mark.parametrize("large", [False, True])
def test_numbers_stay_as_they_are(
    tmp_path: Path, dtype: Any, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1 if large else 1 << 20)
    loaded = data.load(saved(tmp_path, x=X.astype(dtype), y=Y.astype(np.uint8)), test_share=0.5)
    assert isinstance(loaded.train.x, FileRows) == large
    assert loaded.train.x.dtype == dtype
    assert loaded.test is not None
    both = np.concatenate([np.asarray(loaded.train.x), np.asarray(loaded.test.x)])
    assert sorted(both[:, 0].tolist()) == X[:, 0].tolist()


def test_a_test_set_and_images(tmp_path: Path) -> None:
    images = np.arange(8 * 6, dtype=np.uint8).reshape(8, 2, 3)
    parts = {"x_train": images, "y_train": Y, "x_test": images[:2], "y_test": Y[:2, None]}
    raw = data.read(saved(tmp_path, **parts))
    assert raw.image_shape == (2, 3)
    np.testing.assert_array_equal(raw.x, images.reshape(8, 6))
    np.testing.assert_array_equal(raw.test_x, images[:2].reshape(2, 6))  # pyright: ignore
    np.testing.assert_array_equal(raw.test_labels, Y[:2])  # pyright: ignore[reportArgumentType]
    assert "differ in shape" in refused(saved(tmp_path, **{**parts, "x_test": images[:, :1]}))
    assert "none to train on" in refused(saved(tmp_path, x_test=X))


def test_several_tensors_are_layers(tmp_path: Path) -> None:
    layers = {f"layers__{number}__train": X + number for number in (0, 11)}
    tests = {f"layers__{number}__test": X[:3] - number for number in (0, 11)}
    path = saved(tmp_path, **layers, **tests, y_train=Y, y_test=Y[:3])
    assert data.feature_layers(path) == ("layers.0", "layers.11")
    for name in ("layers.11", "layers.11.train"):
        loaded = data.load(path, layer=name)
        np.testing.assert_array_equal(loaded.train.x, X + 11)
        np.testing.assert_array_equal(loaded.test.x, X[:3] - 11)  # pyright: ignore
    said = refused(path)
    assert "2 tensors of features: 'layers.0', 'layers.11'" in said
    assert "--layer" in said
    assert "no features 'layers.12'; it has 'layers.0'" in refused(path, layer="layers.12")
    with pytest.raises(InputError, match="layer is of no use"):
        data.read("digits", layer="layers.0")


def test_names_that_say_nothing_are_listed(tmp_path: Path) -> None:
    path = saved(tmp_path, foo=X, bar=X, y=Y)
    assert "no tensor of features: " in refused(path)
    assert "it holds 'bar', 'foo', 'y'" in refused(path)
    np.testing.assert_array_equal(data.read(path, layer="foo").x, X)
    assert "cannot tell what 'foo' is" in refused(saved(tmp_path, foo=X, x=X, y=Y))
    path = saved(tmp_path, x=X, kind=Y)
    with pytest.raises(DataFormatError, match="--label-column"):
        data.load(path)
    assert data.load(path, label_column="kind", test_share=0.0).classes == (0, 1)
    assert "no tensor 'sort'; it holds 'kind', 'x'" in refused(path, label_column="sort")
    assert "two tensors of labels" in refused(saved(tmp_path, x=X, y=Y, labels=Y))
    assert "two tensors for one" in refused(saved(tmp_path, x=X, x_train=X, y=Y))


def test_labels_in_an_npy_file(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array(["cat", "dog"])[Y])
    loaded = data.load(saved(tmp_path, x=X), labels=tmp_path / "y.npy", test_share=0.0)
    assert loaded.classes == ("cat", "dog")
    path = saved(tmp_path, x=X, y=Y)
    assert "has labels itself" in refused(path, labels=tmp_path / "y.npy")


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"x": X, "y": Y[:5]}, "y must have shape (8,)"),
        ({"x": X, "y": np.stack([Y, Y], axis=1)}, "y must have shape (8,)"),
        ({"x": X[:0], "y": Y[:0]}, "x is empty"),
        ({"x": X[:, :0], "y": Y}, "x is empty"),
        ({"x": X[:, 0]}, "x must have shape (N, D)"),
        ({"x": X.reshape(2, 2, 2, 3, 1)}, "x must have shape (N, D)"),
        ({"x": X + np.where(X == 13, np.nan, 0)}, "NaN: in example 4, feature 1"),
        ({"x": np.where(X == 13, np.inf, X)}, "infinity: in example 4, feature 1"),
        ({"x": np.where(X == 13, np.inf, X).astype(ml_dtypes.bfloat16)}, "in example 4, feature 1"),
        ({"y": Y}, "has no tensor of features"),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_tensors_that_do_not_do_are_said(
    tmp_path: Path,
    tensors: dict[str, np.ndarray],
    words: str,
    large: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(file_rows, "LARGE_BYTES", 1 if large else 1 << 20)
    assert words in refused(saved(tmp_path, **tensors))


def header(**tensors: Any) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


def f32(shape: Any, start: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08",
        (2**63).to_bytes(8, "little") + b"{}",
        (10**9).to_bytes(8, "little") + b"{}",
        header(x=f32([8, 3], 0, 96)),
        header(x=f32([8, 3], 0, 96)) + bytes(95),
        header(x=f32([8, 3], 0, 96)) + bytes(97),
        header(x=f32([8, 3], 4, 100)) + bytes(100),
        header(x=f32([2**31, 2**31], 0, 96)) + bytes(96),
        header(x=f32([8, 3], 0, 2**63)) + bytes(96),
        header(x=f32([-8, -3], 0, 96)) + bytes(96),
        header(x=f32([8.0, 3], 0, 96)) + bytes(96),
        header(x=f32([True, 24], 0, 96)) + bytes(96),
        header(x=f32(8, 0, 96)) + bytes(96),
        header(x=f32([8, 3], 96, 0)) + bytes(96),
        header(x=f32([8, 3], 0, 24, "F8_E4M3")) + bytes(24),
        header(x=f32([8, 3], 0, 96, ["F32"])) + bytes(96),
        header(x=7) + bytes(96),
        header(x={}) + bytes(96),
        header(x=f32([8, 3], 0, 96), y=f32([24], 0, 96)) + bytes(96),
        header(),
        header(__metadata__={"a": "b"}),
        (2).to_bytes(8, "little") + b"[]",
        (4).to_bytes(8, "little") + b'"\xff\xff"',
        (11).to_bytes(8, "little") + b'{"x":  NaN}',
        (13).to_bytes(8, "little") + b'{"x":1,"x":2}',
        (100_000).to_bytes(8, "little") + b'{"x":' + b"[" * 99_995,
    ],
)
def test_a_bad_file_is_refused_before_anything_is_allocated(tmp_path: Path, content: bytes) -> None:
    refused(write(tmp_path, content))


def test_no_cut_and_no_flipped_byte_leads_to_anything_but_an_answer_or_a_refusal(
    tmp_path: Path,
) -> None:
    content = save({"x": X[:2], "y": Y[:2]})
    cuts = [content[:length] for length in range(len(content))]
    flips = [
        content[:i] + bytes([content[i] ^ mask]) + content[i + 1 :]
        for i in range(len(content))
        for mask in (0x01, 0x80, 0xFF)
    ]
    refusals = 0
    for damaged in cuts + flips:
        path = write(tmp_path, damaged)
        try:
            assert data.read(path).x.ndim == 2
        except DataFormatError:
            refusals += 1
    assert refusals >= len(cuts)


def test_a_file_without_its_ending_is_known(tmp_path: Path) -> None:
    path = write(tmp_path, save({"x": X, "y": Y}), "features")
    np.testing.assert_array_equal(data.read(path).x, X)


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [os.mkfifo, make_loop, Path.mkdir, Path.touch])
@pytest.mark.parametrize("ending", ["safetensors", "parquet", "arrow", "feather"])
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], ending: str
) -> None:
    path = tmp_path / f"d.{ending}"
    make(path)
    refused(path)
    assert "No such file" in refused(tmp_path / f"missing.{ending}")
    if make is not Path.mkdir:
        with pytest.raises(DataFormatError):
            data.feature_layers(path)
