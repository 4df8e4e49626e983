"""Models as ONNX graphs and as NumPy archives: what other programs compute with them."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from model_problem import MODEL, model
from problems import C, D, blobs
from scipy.special import softmax

import jaxlin
from jaxlin.model_file import to_numpy, to_onnx
from jaxlin.precision import float64_scope

X, _ = blobs()
X[3] = 0.0


def in_float64(ours: jaxlin.Model) -> jaxlin.Model:
    with float64_scope(True):
        leaves = [jnp.asarray(np.asarray(leaf, np.float64) / 3) for leaf in
                  (ours.params.W, ours.params.b)]  # fmt: skip
    return dataclasses.replace(ours, params=jaxlin.LinearParams(*leaves))


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


MODELS = {
    "softmax": MODEL,
    "two classes": model(2),
    "no bias": model(params=jaxlin.LinearParams(MODEL.params.W)),
    "hinge": model(loss="weston_watkins_hinge", margin=1.0),
    "unit rows": model(normalize_rows=True),
    "float64": in_float64(model(normalize_rows=True)),
}


@pytest.mark.parametrize("name", MODELS)
def test_onnx_runtime_gives_the_scores_of_the_model(name: str, tmp_path: Path) -> None:
    ours = MODELS[name]
    ours.to_onnx(tmp_path / "m.onnx")
    runtime = session(tmp_path / "m.onnx")
    dtype = np.dtype(ours.params.W.dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-13
    assert [entry.name for entry in runtime.get_inputs()] == ["x"]
    names = [entry.name for entry in runtime.get_outputs()]
    assert names == (["scores"] if name == "hinge" else ["scores", "probabilities"])
    for n in (1, len(X)):
        scores, *rest = (
            np.asarray(each) for each in runtime.run(None, {"x": X[-n:].astype(dtype)})
        )
        wanted = ours.scores(X)[-n:]
        np.testing.assert_allclose(scores, wanted, rtol=tolerance, atol=tolerance)
        assert scores.dtype == dtype
        for probabilities in rest:
            np.testing.assert_allclose(probabilities, softmax(wanted, axis=1), atol=tolerance)
    assert json.loads(runtime.get_modelmeta().custom_metadata_map["classes"]) == list(ours.classes)


def test_a_graph_is_small_old_and_says_what_it_is(tmp_path: Path) -> None:
    classes = ("\udcff\n", "日本", "<b>")
    ours = model(classes=classes, normalize_rows=True, feature_names=tuple("abcdef"))
    ours.to_onnx(tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx")
    assert [node.op_type for node in graph.graph.node] == ["LpNormalization", "Gemm", "Softmax"]
    assert [(each.domain, each.version) for each in graph.opset_import] == [("", 13)]
    assert graph.ir_version == 7
    assert (graph.producer_name, graph.producer_version) == ("jaxlin", jaxlin.__version__)
    shape = graph.graph.input[0].type.tensor_type.shape.dim
    assert (shape[0].dim_param, shape[1].dim_value) == ("N", D)
    about = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert about["classes"] == list(classes)
    assert about["feature_names"] == list("abcdef")
    assert (about["loss"], about["normalize_rows"]) == ("softmax_cross_entropy", True)
    size = (tmp_path / "m.onnx").stat().st_size
    assert size < 4 * C * (D + 1) + 1500
    again = tmp_path / "again.onnx"
    ours.to_onnx(again)
    assert again.read_bytes() == (tmp_path / "m.onnx").read_bytes()


def test_without_onnx_its_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxlin\[onnx\]'") as caught:
        MODEL.to_onnx(tmp_path / "m.onnx")
    assert caught.value.name == "onnx"
    assert list(tmp_path.iterdir()) == []


def test_a_model_too_large_for_the_format_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(to_onnx, "_MAX_BYTES", 10_050)
    with pytest.raises(jaxlin.InputError, match="an ONNX file has room for 10,050"):
        MODEL.to_onnx(tmp_path / "m.onnx")
    monkeypatch.setattr(to_numpy, "_MAX_TEXT_BYTES", 30)
    with pytest.raises(jaxlin.InputError, match="classes would take 36 bytes"):
        MODEL.to_numpy(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []


def archive(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("name", MODELS)
def test_numpy_computes_the_same_from_the_archive(name: str, tmp_path: Path) -> None:
    ours = MODELS[name]
    ours.to_numpy(tmp_path / "m.npz")
    file = archive(tmp_path / "m.npz")
    assert set(file) == {"W", "b", "classes", "loss", "normalize_rows"}
    assert file["W"].dtype == ours.params.W.dtype
    rows = X.astype(file["W"].dtype)
    if file["normalize_rows"]:
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = rows / np.where(norms > 0, norms, 1)
    scores = rows @ file["W"].T + file["b"]
    np.testing.assert_allclose(scores, ours.scores(X), rtol=1e-4, atol=1e-5)
    assert file["classes"][np.argmax(scores, axis=1)].tolist() == ours.predict(X).tolist()
    assert str(file["loss"]) == ours.loss


@pytest.mark.parametrize(
    "classes",
    [(3, 1, 2), (-1.0, 0.5, 2.0), ("a" * 300, "\udcff\n", ""), (2**40, 1, 0), (True, False)],
    ids=lambda classes: type(classes[0]).__name__,
)
def test_labels_of_every_kind_are_arrays_without_objects(
    classes: tuple[Any, ...], tmp_path: Path
) -> None:
    ours = model(len(classes), classes=classes, feature_names=tuple("abcdeé"))
    ours.to_numpy(tmp_path / "m.npz")
    file = archive(tmp_path / "m.npz")
    assert file["classes"].tolist() == list(classes)
    assert file["feature_names"].tolist() == list("abcdeé")
    first = (tmp_path / "m.npz").read_bytes()
    ours.to_numpy(tmp_path / "m.npz")
    assert (tmp_path / "m.npz").read_bytes() == first


def test_a_text_that_numpy_would_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(jaxlin.InputError, match="classes: NumPy drops a NUL"):
        model(classes=("a\0", "b", "c")).to_numpy(tmp_path / "m.npz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["to_onnx", "to_numpy"])
def test_a_full_disk_leaves_what_was_there(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        getattr(MODEL, method)(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
