"""`jaxlin sweep`: every option does what it says, and what cannot be is refused before the work."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, saved, two_classes

import jaxlin

X, Y = two_classes()
FEW = ("--epochs", 3, "--batch-size", 16)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path, x=X, y=Y)


def sweep(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    return Run(capsys, "sweep", *arguments, "--json").json


def test_the_winner_is_written_tested_and_as_train_would_have_made_it(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sweep(capsys, source, *FEW, "--l2", "1e-3,1e-1", "--learning-rate", "0.01:1:3",
                  "--csv", "t.csv")  # fmt: skip
    assert found["grid"] == {
        "loss": ["softmax"], "optimizer": ["momentum"], "l2": [1e-3, 1e-1],
        "learning_rate": [0.01, 0.1, 1.0], "batch_size": [16],
    }  # fmt: skip
    table, best = found["table"], found["best"]
    assert {len(column) for column in table.values()} == {6}
    assert best["validation_accuracy"] == max(table["validation_accuracy"])
    assert all(table[name][best["row"]] == value for name, value in best.items() if name != "row")
    parts = found["results"]
    assert {name: part["examples"] for name, part in parts.items()} == {
        "train": 28, "validation": 8, "test": 12,
    }  # fmt: skip
    assert parts["validation"]["accuracy"] == pytest.approx(best["validation_accuracy"])
    assert found["edges"].keys() <= {"l2", "learning_rate"}
    assert Path("sweep.png").read_bytes().startswith(b"\x89PNG")
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation_loss"]) for row in rows] == table["validation_loss"]
    assert [row["loss"] for row in rows] == ["softmax"] * 6
    model = jaxlin.load_model("sweep.safetensors")
    assert (model.l2, model.loss, model.classes) == (best["l2"], "softmax_cross_entropy", (0, 1))
    again = Run(
        capsys, "train", source, *FEW, "--l2", best["l2"], "--learning-rate",
        best["learning_rate"], "--validation", 0.2, "--no-picture", "--json",
    ).json  # fmt: skip
    for name, part in parts.items():
        assert again["results"][name] == pytest.approx(part, rel=1e-4)
    assert again["learning_rate"] == best["learning_rate"]


def test_folds_a_table_and_a_picture_without_asking_for_them(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    run = Run(capsys, "sweep", source, *FEW, "--folds", 3, "--l2", "1e-6:1e-2:25", "--picture",
              "p.svg", "--out", "m", "--select-by", "loss", "--test-share", 0)  # fmt: skip
    assert run.code == 0, run.err
    assert "± over folds" in run.out
    assert "... and 5 more: --csv FILE" in run.out
    rows = [line for line in run.out.splitlines() if line.strip().startswith("best ")]
    assert len(rows) == 1
    assert "Of 25 settings the best is l2 " in run.out
    assert "standard deviation over folds" in " ".join(run.out.split())
    assert "100 models" in run.out  # a setting has one for each fold and one on all
    assert " test " not in run.out
    assert "epoch 3/3: 100 of 100 models train" in run.err
    assert Path("p.svg").read_bytes().startswith(b"<?xml")
    assert sorted(os.listdir()) == ["d.npz", "m", "p.svg"]
    assert max(map(len, run.out.splitlines())) <= 100


def test_losses_optimisers_and_settings_that_diverge(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--no-picture", "--scaling", "none", *FEW)
    found = sweep(capsys, source, *options, "--l2", "0,1e5", "--loss", "svm", "--optimizer",
                  "sgd,adam")  # fmt: skip
    table = found["table"]
    assert table["loss"] == ["svm"] * 4
    assert table["optimizer"] == ["sgd", "sgd", "adam", "adam"]
    # Each has the learning rate that train would have taken, or that its l2 can take.
    assert table["learning_rate"][0] > table["learning_rate"][1] == 5e-6
    assert table["learning_rate"][2:] == [0.01, 0.01]
    assert "diverged" not in table["outcome"]
    assert "learning_rate" not in found["grid"]
    assert set(found["edges"]) <= {"l2"}
    options = (*options, "--l2", "0")
    found = sweep(capsys, source, *options, "--loss", "squared-svm", "--optimizer", "sgd",
                  "--learning-rate", "1e-6,1e9")  # fmt: skip
    assert found["table"]["outcome"][1] == "diverged"
    assert found["best"]["row"] == 0
    assert "1 diverged, and was left out" in found["outcome"]
    Path("sweep.safetensors").write_bytes(b"old")
    run = Run(capsys, "sweep", source, *options, "--loss", "squared-svm", "--optimizer", "sgd",
              "--learning-rate", "1e9,1e10")  # fmt: skip
    assert (run.code, run.out) == (1, "")
    assert "all of 2 settings diverged" in run.err.splitlines()[-1]
    assert Path("sweep.safetensors").read_bytes() == b"old"


def test_momentum_patience_and_float64(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = sweep(
        capsys, source, "--l2", "1e-3", "--momentum", "0:0.9:2", "--optimizer", "nesterov",
        "--learning-rate", 40, "--epochs", 30, "--batch-size", 16, "--patience", 1, "--dtype",
        "float64", "--validation", 0.3, "--no-bias", "--no-picture", "--seed", 3,
    )  # fmt: skip
    assert found["table"]["momentum"] == [0.0, 0.9]
    assert "stopped_early" in found["table"]["outcome"]
    assert found["epochs"] == max(found["table"]["epochs"]) <= 30
    model = jaxlin.load_model("sweep.safetensors")
    assert model.params.W.dtype == np.float64
    assert model.params.b is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--l2", "0:1:3"], "--l2"),
        (["--l2", "1,1"], "has 1 twice"),
        (["--learning-rate", "0"], "--learning-rate"),
        (["--momentum", "1"], "--momentum"),
        (["--momentum", "0.5", "--optimizer", "momentum,adam"], "adam has none"),
        (["--batch-size", "0"], "--batch-size"),
        (["--loss", "hinge"], "'hinge' is not one of svm"),
        (["--optimizer", "adam,"], "--optimizer"),
        (["--folds", "1"], "--folds"),
        (["--folds", "3", "--validation", "0.2"], "exclude each other"),
        (["--folds", "30"], "folds"),
        (["--validation", "0"], "--folds"),
        (["--select-by", "loss", "--loss", "svm,softmax"], "select by accuracy"),
        (["--l2", "1:9:1000", "--learning-rate", "1:9:1000"], "1,000,000 settings are more than"),
        (["--out", "m.png", "--csv", "m.png", "--no-picture"], "same file"),
        (["--csv", "no/folder/t.csv"], "no folder"),
        (["--picture", "p.xyz"], "--picture"),
        (["--test-labels", "y.npy"], "test_labels belongs to test"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    source: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    run = Run(capsys, "sweep", source, *arguments)
    assert run.code == 2
    assert words in run.err.splitlines()[-1]
    assert run.out == ""
    assert os.listdir() == ["d.npz"]


def test_an_interrupted_sweep_leaves_no_file(source: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxlin", "sweep", source, "--epochs", "100000000", "--csv", "t"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What is killed could leave half an entry in the cache that the session shares.
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path), "JAX_COMPILATION_CACHE_DIR": "",
        },
    )  # fmt: skip
    assert process.stderr is not None
    assert "to train on" in process.stderr.readline()
    try:
        for _ in range(60):
            # One that comes while JAX is in a callback of its own is swallowed there.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=1.0)
                break
            except subprocess.TimeoutExpired:
                pass
    finally:
        process.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; nothing was written" in err.splitlines()[-1]
    assert out == ""
    assert os.listdir() == ["d.npz"]


def test_the_help_says_how_values_are_given(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "sweep", "--help")
    assert run.code == 0
    assert "equal ratios" in " ".join(run.out.split())
    assert "[svm|squared-svm|crammer-singer|softmax],..." in "".join(run.out.split())


def test_without_options_of_sgd_each_l2_is_taken_to_its_proved_optimum(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = sweep(capsys, source, "--l2", "1e-3,1e-1", "--tol", "1e-5", "--no-picture")
    assert (found["solver"], found["epochs"]) == ("auto", None)
    assert found["grid"] == {"loss": ["softmax"], "l2": [1e-3, 1e-1]}
    assert max(found["table"]["relative_gap"]) == found["largest_gap"] <= 1e-5
    run = Run(capsys, "sweep", source, "--l2", "1e-3,1e-1", "--no-picture")
    assert "all objectives within" in run.out
    assert "setting 2/2" in run.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tol", "1e-3", "--epochs", "3"], "--epochs is for --solver sgd, and --tol is for auto"),
        (["--solver", "auto", "--momentum", "0.5"], "--momentum is for --solver sgd"),
        (["--l2", "0,1e-3"], "--l2 has 0, with which no optimum can be proved"),
    ],
)
def test_options_of_the_two_ways_do_not_mix(
    source: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    run = Run(capsys, "sweep", source, *options)
    assert run.code == 2
    assert message in " ".join(run.err.split())
