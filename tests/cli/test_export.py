"""`jaxlin export`, and what the other commands make of a model with a step before W and b."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import Run, saved
from model_problem import MODEL, model
from problems import blobs

import jaxlin

X, CODES = blobs()
UNIT = model(normalize_rows=True)
LABELS = np.array(UNIT.classes)[CODES]


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    jaxlin.save_model(tmp_path / "unit.safetensors", UNIT)
    return tmp_path / "unit.safetensors"


def test_an_ending_says_what_is_written(unit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = unit.with_name("m.ONNX")
    found = Run(capsys, "export", unit, out, "--json").json
    assert found == {"model": str(unit), "out": str(out), "format": "onnx",
                     "bytes": out.stat().st_size}  # fmt: skip
    assert onnx.load(out).graph.node[0].op_type == "LpNormalization"
    out = unit.with_name("m.npz")
    run = Run(capsys, "export", unit, out)
    assert (run.code, run.out) == (0, "")
    assert run.err == f"{out}: {out.stat().st_size:,} bytes\n"
    with np.load(out, allow_pickle=False) as file:
        np.testing.assert_array_equal(file["W"], UNIT.params.W)
        assert bool(file["normalize_rows"]) is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["unit.safetensors", "m.pkl"], "OUT must end with .onnx or .npz, got 'm.pkl'"),
        (["unit.safetensors", "m"], "OUT must end with"),
        (["unit.safetensors", "no/m.npz"], "there is no folder"),
        (["missing", "m.npz"], "missing: cannot be read: No such file"),
        (["model.npz", "./model.npz"], "is MODEL itself"),
        (["model.npz", "m.onnx"], "is no safetensors file"),
        (["unit.safetensors"], "Missing argument 'OUT'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    words: str,
    unit: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(unit.parent)
    MODEL.to_numpy("model.npz")
    before = sorted(unit.parent.iterdir())
    run = Run(capsys, "export", *arguments)
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert words in run.err
    assert sorted(unit.parent.iterdir()) == before


def test_without_onnx_its_extra_is_named(
    unit: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    run = Run(capsys, "export", unit, unit.with_name("m.onnx"))
    assert (run.code, run.out, run.err.count("\n")) == (2, "", 1)
    assert "pip install 'jaxlin[onnx]'" in run.err


def test_info_tells_the_step(
    unit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Run(capsys, "info", unit, "--json").json["normalize_rows"] is True
    assert "each row of features is divided by its l2 norm" in Run(capsys, "info", unit).out
    jaxlin.save_model(tmp_path / "plain", MODEL)
    assert Run(capsys, "info", tmp_path / "plain", "--json").json["normalize_rows"] is False
    assert "l2 norm" not in Run(capsys, "info", tmp_path / "plain").out


def test_info_leaves_out_a_lambda_that_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jaxlin.save_model(tmp_path / "m", model(l2=None))
    assert Run(capsys, "info", tmp_path / "m", "--json").json["l2"] is None
    assert "l2" not in Run(capsys, "info", tmp_path / "m").out


@pytest.mark.parametrize("step", [False, True])
def test_evaluate_and_predict_take_the_step(
    step: bool, unit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, path = (UNIT, unit) if step else (MODEL, tmp_path / "plain")
    jaxlin.save_model(path, ours)
    source = saved(tmp_path, x=X, y=LABELS)
    rows = X.astype(np.float64)
    if step:
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    scores = rows @ np.asarray(ours.params.W, np.float64).T + np.asarray(ours.params.b)
    predicted = np.array(ours.classes)[np.argmax(scores, axis=1)]
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    found = Run(capsys, "evaluate", path, source, "--json").json
    assert found["accuracy"] == pytest.approx(np.mean(predicted == LABELS))
    assert found["loss"] == pytest.approx(-np.mean(np.log(shares[np.arange(60), CODES])), rel=1e-5)
    found = Run(capsys, "predict", path, source, "--scores", "--json").json
    assert found["predictions"] == predicted.tolist()
    np.testing.assert_allclose(found["scores"], scores, rtol=1e-4, atol=1e-5)
