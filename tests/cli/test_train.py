"""`jaxlin train`: every option does what it says, and what cannot be is refused before the work."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import N, Run, saved, two_classes

import jaxlin
from jaxlin.cli import names

X, Y = two_classes()


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path, x=X, y=Y)


def train(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    return Run(capsys, "train", *arguments, "--no-picture", "--json").json


@pytest.mark.parametrize("name", names.OPTIMIZERS)
def test_every_optimiser_learns(
    source: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    found = train(capsys, source, "--optimizer", name, "--epochs", 80, "--batch-size", 16)
    assert found["optimizer"] == name
    assert found["results"]["test"]["accuracy"] == 1.0
    history = found["history"]
    assert history["objective"][-1] < 0.7 * history["objective"][0]


@pytest.mark.parametrize(
    ("scaling", "bias"),
    [("auto", "--bias"), ("none", "--bias"), ("unit", "--no-bias"), ("standardize", "--no-bias")],
)
def test_a_saved_model_takes_raw_features_whatever_the_scaling(
    source: Path, capsys: pytest.CaptureFixture[str], scaling: str, bias: str
) -> None:
    found = train(capsys, source, "--scaling", scaling, bias, "--epochs", 5, "--test-share", 0)
    seen = Run(capsys, "evaluate", "model.safetensors", source, "--json").json
    parts = found["results"]
    assert "test" not in parts
    for name in ("accuracy", "loss"):
        mean = sum(parts[p][name] * parts[p]["examples"] for p in ("train", "validation")) / N
        assert seen[name] == pytest.approx(mean, rel=1e-4)
    model = jaxlin.load_model("model.safetensors")
    expected = {"auto": "unit", "unit": "unit", "none": "none", "standardize": "standardize"}
    assert model.scaling == found["scaling"] == names.SCALING_WORDS[expected[scaling]]
    # A shift of the features needs a b, asked for or not.
    assert (model.params.b is not None) == (bias == "--bias" or scaling == "standardize")


def test_numbers_that_are_given_are_used(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = train(
        capsys, source, "--loss", "crammer-singer", "--l2", "0.5", "--learning-rate", "0.01",
        "--batch-size", 7, "--epochs", 3, "--validation", 0, "--test-share", 0.5, "--dtype",
        "float64", "--seed", 4294967295, "--out", "other",
    )  # fmt: skip
    assert {k: found[k] for k in ("l2", "learning_rate", "batch_size", "epochs", "seed")} == {
        "l2": 0.5, "learning_rate": 0.01, "batch_size": 7, "epochs": 3, "seed": 2**32 - 1,
    }  # fmt: skip
    assert {p: r["examples"] for p, r in found["results"].items()} == {"train": 24, "test": 24}
    assert found["outcome_kind"] == "out_of_steps"
    assert found["history"]["validation_loss"] is None
    model = jaxlin.load_model("other")
    assert (model.loss, model.l2) == ("crammer_singer_hinge", 0.5)
    assert model.params.W.dtype == np.float64


def test_the_same_seed_repeats_and_patience_keeps_the_best(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--epochs", 40, "--validation", 0.3, "--patience", 1, "--optimizer", "sgd",
               "--learning-rate", 40)  # fmt: skip
    first = train(capsys, source, *options)
    content = Path("model.safetensors").read_bytes()
    train(capsys, source, *options)
    assert Path("model.safetensors").read_bytes() == content
    assert first["outcome_kind"] == "stopped_early"
    losses = first["history"]["validation_loss"]
    assert len(losses) == first["epochs"] < 40
    assert first["results"]["validation"]["loss"] == pytest.approx(min(losses), rel=1e-3)


@pytest.mark.parametrize(
    ("ending", "start"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("jpg", b"\xff\xd8")],
)
def test_pictures_of_several_formats(
    source: Path, capsys: pytest.CaptureFixture[str], ending: str, start: bytes
) -> None:
    run = Run(capsys, "train", source, "--epochs", 2, "--picture", f"p.{ending}")
    assert run.code == 0
    assert Path(f"p.{ending}").read_bytes().startswith(start)
    assert not Path("model.png").exists()


def test_a_class_that_only_a_list_of_names_has_is_in_the_model(
    source: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    del source
    records = b"".join(bytes([label]) + bytes([label] * 3072) for label in [3, 8] * 6)
    (tmp_path / "data_batch_1.bin").write_bytes(records)
    (tmp_path / "batches.meta.txt").write_text("\n".join(f"c{i}" for i in range(10)))
    found = train(capsys, tmp_path, "--epochs", 2, "--validation", 0)
    assert found["classes"] == [f"c{i}" for i in range(10)]
    model = jaxlin.load_model("model.safetensors")
    assert model.params.num_classes == 10
    assert model.image_shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", ""], "is no path"),
        (["--out", "a\0b"], "is no path"),
        (["--picture", "a\0.png"], "is no path"),
        (["--out", "/dev/null"], "no regular file"),
        (["--out", "x" * 300], "too long"),
        (["--out", "loop"], "symbolic links"),
        (["--out", "m.png"], "same file"),
        (["--picture", "q.png", "--no-picture"], "exclude each other"),
        (["--l2", "1e300"], "--l2"),
        (["--l2", "1_0"], "--l2"),
        (["--l2", "\u0661"], "--l2"),
        (["--learning-rate", "1e308"], "--learning-rate"),
        (["--learning-rate", "inf"], "--learning-rate"),
        (["--learning-rate", "0x10"], "--learning-rate"),
        (["--seed", "-1"], "--seed"),
        (["--seed", "1e3"], "whole number"),
        (["--epochs", "9" * 30], "--epochs"),
        (["--batch-size", "0"], "--batch-size"),
        (["--validation", "0.0001"], "--validation"),
        (["--test-share", "0.99"], "--test-share"),
        (["--test", "nothing"], "nothing"),
        (["--test", "digits"], "has 64 features, but 4"),
        (["--test-labels", "y.npy"], "test_labels belongs to test"),
        (["--num-features", "5"], "4 features, but 5"),
        (["more"], "unexpected extra argument (more). See"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_before_the_work(
    source: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    os.symlink("loop", "loop")
    extra = [] if "--picture" in arguments or "m.png" in arguments else ["--no-picture"]
    run = Run(capsys, "train", source, *arguments, *extra)
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert sorted(os.listdir()) == ["d.npz", "loop"]


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.where(X > 200, np.nan, X), [], "contains NaN"),
        (np.where(X > 200, -np.inf, X), ["--scaling", "none"], "contains infinity"),
        (X * 1e37, [], "too large for float32. Take --dtype float64"),
        (X * 1e200, ["--dtype", "float64", "--scaling", "none"], "(--scaling standardize)"),
        (
            X * 1e200,
            ["--dtype", "float64", "--scaling", "none", "--solver", "sgd"],
            "no learning rate",
        ),
    ],
)
def test_numbers_that_cannot_be_computed_with_are_refused_in_one_line(
    source: Path, capsys: pytest.CaptureFixture[str], x: np.ndarray, options: list[str], words: str
) -> None:
    run = Run(capsys, "train", saved(source.parent, x=x, y=Y), *options)
    assert run.code == 2
    assert words in run.err.splitlines()[-1]
    assert not Path("model.safetensors").exists()


@pytest.mark.parametrize("rate", ["1e10", "1e37"])
def test_divergence_is_said_in_the_words_of_the_command_line(
    source: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    Path("model.safetensors").write_bytes(b"old")
    run = Run(capsys, "train", source, "--learning-rate", rate, "--optimizer", "sgd",
              "--loss", "squared-svm")  # fmt: skip
    assert run.code == 1
    assert "lower --learning-rate" in run.err.splitlines()[-1]
    assert "jaxlin.data" not in run.err
    assert Path("model.safetensors").read_bytes() == b"old"


def test_the_help_shows_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "train", "--help")
    assert run.code == 0
    for option in (
        "--loss",
        "--l2",
        "--solver",
        "--tol",
        "--optimizer",
        "--scaling",
        "--test-labels",
        "--no-picture",
    ):
        assert option in run.out
    assert "INTEGER RANGE" not in run.out


def test_json_has_all_that_the_history_has(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = train(capsys, source, "--epochs", 2)
    fields = {field.name for field in dataclasses.fields(jaxlin.History)}
    assert set(found["history"]) == fields
    assert (found["classes"], found["num_features"]) == ([0, 1], 4)
