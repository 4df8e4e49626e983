"""Model files: what was saved comes back, and what is damaged is refused."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
import safetensors.numpy
from problems import C, D, blobs

import jaxlin
from jaxlin import data, losses, solvers
from jaxlin.model_file.layout import as_json, sha256

X, Y = blobs()
MODEL = jaxlin.Model(
    jaxlin.LinearParams(jnp.arange(6, dtype=jnp.float32).reshape(2, 3), jnp.array([0.5, -1.0])),
    classes=("cat", "dog"),
    loss="softmax_cross_entropy",
    l2=0.1,
)


def same(a: jaxlin.Model, b: jaxlin.Model) -> bool:
    fields = [f.name for f in dataclasses.fields(a) if f.name != "params"]
    return (
        all(getattr(a, name) == getattr(b, name) for name in fields)
        and np.array_equal(a.params.W, b.params.W)
        and (a.params.b is None) == (b.params.b is None)
        and (a.params.b is None or np.array_equal(a.params.b, np.asarray(b.params.b)))
    )


@pytest.mark.parametrize(
    "classes",
    [
        ("cat", "dog"),
        (-1, 1),
        (0.0, 1.0),
        (False, True),
        ("\n=1,\"'", "\u202e\udcff" + "x" * 10_000),
    ],
)
def test_a_model_comes_back_as_it_was(tmp_path: Path, classes: tuple[str, ...]) -> None:
    model = dataclasses.replace(MODEL, classes=classes, feature_names=("a", "b", "ü"))
    jaxlin.save_model(tmp_path / "m", model)
    jaxlin.save_model(tmp_path / "n", model)
    assert same(jaxlin.load_model(tmp_path / "m"), model)
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()
    assert jaxlin.load_model(tmp_path / "m").predict([[0, 0, 1]]).tolist() == [classes[1]]


def test_a_fit_is_saved_for_raw_features(tmp_path: Path) -> None:
    scaling = data.Scaling.standardize(X)
    fit = jaxlin.fit(
        X,
        Y,
        loss=losses.weston_watkins_hinge,
        l2=0.01,
        solver=solvers.SGD(optax.sgd(0.1), 16, 3),
        scaling=scaling,
    )
    jaxlin.save_model(tmp_path / "m", fit, classes=["a", "b", "c"])
    model = jaxlin.load_model(tmp_path / "m")
    assert (model.loss, model.margin, model.scaling) == (
        "weston_watkins_hinge",
        1.0,
        "standardised",
    )
    expected = jaxlin.scores(fit.params, scaling(X))
    np.testing.assert_allclose(model.scores(X), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=f"{D} features are expected"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="classes"):
        jaxlin.save_model(tmp_path / "m", fit, classes=["a"] * C)


def test_many_rows_in_blocks_are_what_numpy_gives() -> None:
    x = np.random.default_rng(0).integers(0, 256, (70_001, 3), dtype=np.uint8)
    W, b = np.asarray(MODEL.params.W, np.float64), np.asarray(MODEL.params.b, np.float64)
    np.testing.assert_allclose(MODEL.scores(x), x @ W.T + b, rtol=1e-6)
    assert np.array_equal(MODEL.predict(x) == "dog", np.argmax(x @ W.T + b, axis=1) == 1)


def test_no_cut_and_no_flipped_byte_gives_another_model(tmp_path: Path) -> None:
    path = tmp_path / "m"
    jaxlin.save_model(path, MODEL)
    content = path.read_bytes()
    damaged = [content[:length] for length in range(0, len(content), 3)]
    damaged += [
        content[:i] + bytes([content[i] ^ mask]) + content[i + 1 :]
        for i in range(len(content))
        for mask in (0x01, 0x80)
    ]
    refusals = 0
    for each in [*damaged, content + b"0"]:
        path.write_bytes(each)
        try:
            assert same(jaxlin.load_model(path), MODEL)
        except jaxlin.DataFormatError:
            refusals += 1
    assert refusals > 0.9 * len(damaged)


def rewritten(path: Path, tensors: dict[str, np.ndarray], **changes: str) -> Path:
    """A model file with a sound checksum over other content."""
    jaxlin.save_model(path, MODEL)
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = {**json.loads(content[8 : 8 + length])["__metadata__"], **changes}
    metadata["sha256"] = sha256(metadata, tensors)
    safetensors.numpy.save_file(tensors, path, metadata)
    return path


GOOD = {"W": np.ones((2, 3), np.float32), "b": np.zeros(2, np.float32)}


@pytest.mark.parametrize(
    ("tensors", "changes", "words"),
    [
        ({**GOOD, "W": np.full((2, 3), np.nan, np.float32)}, {}, "NaN"),
        ({**GOOD, "W": np.ones((3, 3), np.float32)}, {}, "does not hold a model"),
        ({**GOOD, "b": np.zeros(3, np.float32)}, {}, "b must have shape"),
        ({**GOOD, "W": np.ones((2, 3), np.float16)}, {}, "F32 or F64"),
        ({**GOOD, "c": np.zeros(2, np.float32)}, {}, "W and b"),
        ({**GOOD, "b": np.full(2, np.inf, np.float32)}, {}, r"b holds NaN or infinity.*\(0,\)"),
        ({**GOOD, "W": np.ones((2, 4), np.float32)}, {"feature_names": "[1]"}, "must be 4 texts"),
        ({**GOOD, "W": np.ones(6, np.float32)}, {}, "W must have 2 dimensions"),
        ({**GOOD, "W": np.ones((0, 3), np.float32)}, {}, "none of them 0; its shape is .0, 3"),
        ({**GOOD, "W": np.ones((2, 3), np.int64)}, {}, "F32 or F64, it is I64"),
        ({"b": GOOD["b"]}, {}, "W and b, or W alone; it holds 'b'"),
        (GOOD, {"format_version": "7"}, "format version 7; this jaxlin reads versions up to 2"),
        (GOOD, {"format_version": "-1"}, "format version that is no number: '-1'"),
        (GOOD, {"format": "other"}, "format"),
        (GOOD, {"classes": as_json(["a", "a"])}, "twice"),
        (GOOD, {"l2": "-1"}, "l2"),
        (GOOD, {"margin": "[" * 100_000}, "margin"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused_in_words(
    tmp_path: Path, tensors: dict[str, np.ndarray], changes: dict[str, str], words: str
) -> None:
    path = rewritten(tmp_path / "m", tensors, **changes)
    with pytest.raises(jaxlin.DataFormatError, match=words):
        jaxlin.load_model(path)


def test_a_file_of_another_program_a_huge_header_and_no_file_at_all_are_refused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "m"
    safetensors.numpy.save_file(GOOD, path)
    with pytest.raises(jaxlin.DataFormatError, match="another program"):
        jaxlin.load_model(path)
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    with pytest.raises(jaxlin.DataFormatError, match="promise a header"):
        jaxlin.load_model(path)
    path.write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, words in (
        ("m", "was cut off: it has 0 bytes"),
        ("pipe", "is not a regular file"),
        ("/dev/zero", "is not a regular file"),
        ("loop", "cannot be read"),
        ("missing", "cannot be read: No such file"),
        (".", "directory|regular"),
    ):
        with pytest.raises(jaxlin.DataFormatError, match=words):
            jaxlin.load_model(tmp_path / name)


# As it was written before there were steps; what it holds is `MODEL`.
OF_VERSION_1 = {
    "classes": '["cat","dog"]',
    "feature_names": "null",
    "format": "jaxlin.linear",
    "format_version": "1",
    "image_shape": "null",
    "l2": "0.1",
    "loss": '"softmax_cross_entropy"',
    "margin": "null",
    "scaling": '"none"',
    "sha256": "00db1d41de5a508a2f2448a379e30b7270a4fc95c344483e0fa1638d58685d84",
    "versions": '{"jax":"0.10.2","jaxlin":"0.1.0","numpy":"2.4.6"}',
}


def test_a_file_of_version_1_is_what_it_was(tmp_path: Path) -> None:
    leaves = {"W": np.asarray(MODEL.params.W), "b": np.asarray(MODEL.params.b)}
    safetensors.numpy.save_file(leaves, tmp_path / "m", OF_VERSION_1)
    model = jaxlin.load_model(tmp_path / "m")
    versions = {"jax": "0.10.2", "jaxlin": "0.1.0", "numpy": "2.4.6"}
    assert same(model, dataclasses.replace(MODEL, versions=versions))
    assert model.normalize_rows is False


def test_a_damaged_number_is_told_by_the_checksum(tmp_path: Path) -> None:
    jaxlin.save_model(tmp_path / "m", MODEL)
    content = bytearray((tmp_path / "m").read_bytes())
    content[-1] ^= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(jaxlin.DataFormatError, match="its SHA-256 is not that of what it holds"):
        jaxlin.load_model(tmp_path / "m")
    (tmp_path / "m").write_bytes(content[:-1])
    with pytest.raises(jaxlin.DataFormatError, match=r"cut off.*tensors take 32 bytes.*has 31"):
        jaxlin.load_model(tmp_path / "m")


def test_other_programs_can_read_the_tensors(tmp_path: Path) -> None:
    jaxlin.save_model(tmp_path / "m", MODEL)
    tensors = safetensors.numpy.load_file(tmp_path / "m")
    np.testing.assert_array_equal(tensors["W"], MODEL.params.W)
    assert tensors["b"].shape == (2,)


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    jaxlin.save_model(path, MODEL)

    def denied(*arguments: object) -> int:  # root, as tests may run, is let in everywhere
        raise PermissionError(13, "Permission denied", arguments[0])

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(jaxlin.DataFormatError, match="cannot be read: Permission denied"):
        jaxlin.load_model(path)
    with pytest.raises(jaxlin.DataFormatError):
        jaxlin.load_model("a\0b")


@pytest.mark.parametrize("normalize_rows", [False, True])
def test_scores_that_may_be_out_of_range_name_no_class(normalize_rows: bool) -> None:
    # Whether they end as infinity, NaN or a number depends on the machine's order and rounding.
    row = np.zeros(13)
    row[:2] = 3.0, -3.0
    W = np.zeros((2, 13), np.float32)
    W[0, :2], W[1, 2] = (3e38, 3e38), 1e38
    model = dataclasses.replace(
        MODEL, params=jaxlin.LinearParams(jnp.asarray(W)), normalize_rows=normalize_rows
    )
    assert model.predict(np.eye(13)[2:4]).tolist() == ["dog", "cat"]
    for method in (model.scores, model.predict):
        with pytest.raises(jaxlin.InputError, match=r"too large in row 1: .* beyond float32"):
            method(np.stack([np.eye(13)[3], row]))


def test_a_failed_save_leaves_the_old_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    jaxlin.save_model(path, MODEL)

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        jaxlin.save_model(path, dataclasses.replace(MODEL, l2=3.0))
    assert same(jaxlin.load_model(path), MODEL)
    assert list(tmp_path.iterdir()) == [path]
