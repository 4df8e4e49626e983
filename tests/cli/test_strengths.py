"""`--C` and `--alpha` in place of `--l2`: what they are for the data at hand, and what is said."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, saved, two_classes

import jaxlin

X, Y = two_classes()
# 24 rows to train on, in the shapes of another test of the command.
TRAIN = ("--loss", "crammer-singer", "--learning-rate", "0.01", "--batch-size", 7, "--epochs", 3,
         "--validation", 0, "--test-share", 0.5, "--dtype", "float64", "--no-picture")  # fmt: skip
FEW = ("--epochs", 3, "--batch-size", 16, "--learning-rate", "0.01:1:3")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path, x=X, y=Y)


@pytest.fixture
def three_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path, x=X, y=np.arange(len(X)) % 3)


def test_c_is_an_l2_of_the_examples_trained_on(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "train", source, *TRAIN, "--C", 1, "--json")
    found = run.json
    assert (found["l2"], found["C"], found["alpha"]) == (1 / 48, 1.0, None)
    assert run.err.splitlines()[1] == "C = 1 is l2 = 0.02083 for 24 examples"
    content = Path("model.safetensors").read_bytes()
    assert jaxlin.load_model("model.safetensors").l2 == 1 / 48
    run = Run(capsys, "train", source, *TRAIN, "--l2", repr(1 / 48))
    assert Path("model.safetensors").read_bytes() == content
    assert "is l2" not in run.err
    run = Run(capsys, "train", source, *TRAIN, "--alpha", repr(1 / 48))
    assert Path("model.safetensors").read_bytes() == content
    assert "alpha = 0.02083 is l2 = 0.02083 for 24 examples" in run.err
    assert re.search(r"^l2 +0\.0208333 *$", run.out, re.M)


def test_a_sweep_is_told_on_the_scale_that_it_was_given_on(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "sweep", source, *FEW, "--C", "0.1,10", "--csv", "t.csv", "--json")
    found = run.json
    assert "C = 0.1 to 10 is l2 = 0.3571 to 0.003571 for 28 examples" in run.err
    assert (found["grid"]["C"], "l2" in found["grid"]) == ([0.1, 10.0], False)
    table, best = found["table"], found["best"]
    assert table["l2"] == pytest.approx([1 / (28 * C) for C in table["C"]], rel=1e-12)
    assert best["l2"] == pytest.approx(1 / (28 * best["C"]), rel=1e-12)
    assert found["edges"]["C"] == ("lowest" if best["C"] == 0.1 else "highest")
    assert f"C {best['C']:g}" in found["outcome"]
    assert f"the {found['edges']['C']} --C of the grid" in found["outcome"]
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["C"]) for row in rows] == table["C"]

    run = Run(capsys, "sweep", source, *FEW, "--alpha", "1e-3:1e-1:2", "--out", "m")
    assert run.code == 0, run.err
    assert "settings the best is alpha 0." in " ".join(run.out.split())
    assert "l2 0." in " ".join(run.out.split("settings")[-1].split())
    assert Path("m.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--C", "1", "--l2", "1e-4"], "--l2 and --C say the same on two scales"),
        (["train", "--C", "1", "--alpha", "1"], "--C and --alpha say the same on two scales"),
        (["train", "--C", "0"], "'0' is not a number above 0"),
        (["train", "--C", "nan"], "--C"),
        (["train", "--C", "1,2"], "--C"),
        (["train", "--alpha", "-1"], "--alpha"),
        (["train", "--c", "1"], "No such option"),
        (["train", "--C", "1e-320"], "would be l2 = inf: it is out of"),
        (["train", "--C", "1e-41"], "--C 1e-41 is l2 = 1.56e+39"),
        (["train", "--C", "1", "--loss", "svm"], "Take --loss crammer-singer, or l2 = 0.015625"),
        (
            ["train", "--alpha", "1e-4"],
            "SGDClassifier's, which fits 3 classes one against the rest",
        ),
        (["train", "--alpha", "1e-4"], "Take --C, or l2 = 5e-05"),
        (["sweep", "--C", "1,1"], "has 1 twice"),
        (["sweep", "--C", "0:1:3"], "--C"),
        (["sweep", "--C", "0,1"], "--C"),
        (["sweep", "--C", "1", "--l2", "1e-6:1e-1:6"], "--l2 and --C"),
        (["sweep", "--alpha", "1e-4,1e-3"], "one against the rest"),
        (["probe", "--alpha", "1e-4,1e-3", "--no-page"], "Take --C, or l2 = 5e-05"),
        (["probe", "--C", "1", "--loss", "svm", "--no-page"], "Take --loss crammer-singer, or l2"),
        (["sweep", "--C", "1", "--loss", "softmax,svm"], "no C has the optimum of WestonWatkins"),
        (["sweep", "--C", "1:9:1000", "--learning-rate", "1:9:1000"], "1,000,000 settings"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    three_classes: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    command, *options = arguments
    run = Run(capsys, command, three_classes, *options)
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert os.listdir() == ["d.npz"]


def test_a_probe_takes_all_three(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def no_run(problem: Any, settings: Any, tell: Any) -> None:
        asked.append(settings)
        raise jaxlin.InputError("enough")

    monkeypatch.setattr("jaxlin.cli.probe.run", no_run)
    shares = ("--test-share", 0, "--validation-share", 0.5)
    told = {}
    for option, values in (("--l2", "1e-3,1e-2"), ("--alpha", "1e-3,1e-2"), ("--C", "1,2")):
        run = Run(capsys, "probe", source, option, values, *shares)
        assert run.code == 2
        assert "enough" in run.err
        told[option] = run.err
    of_l2, of_alpha, of_C = asked
    assert of_l2 == of_alpha
    assert (of_l2.l2, of_l2.C, of_C.l2, of_C.C) == ((1e-3, 1e-2), None, None, (1.0, 2.0))
    assert "is l2" not in told["--l2"]
    assert "alpha = 0.001 to 0.01 is l2 = 0.001 to 0.01 for 24 examples" in told["--alpha"]
    assert "C = 1 to 2 is l2 = 0.04167 to 0.02083 for 24 examples" in told["--C"]


@pytest.mark.parametrize("command", ["train", "sweep", "probe"])
def test_the_help_has_the_three_of_them(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, command, "--help")
    words = " ".join(run.out.split())
    for option in ("--l2", "--C", "--alpha"):
        assert f" {option} " in words
    assert "two classes 1/(C N), but 1/(2 C N) with crammer-singer" in words
    default = {"train": "[default: 0.0001]", "sweep": "[default: 1e-6:1e-1:6]"}
    assert default.get(command, "Values to try instead of the protocol's") in words


def test_a_C_that_is_two_l2s_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "two.csv").write_text("x,label\n" + "1,a\n2,b\n3,a\n4,b\n" * 5)
    losses = ("--loss", "softmax,crammer-singer")
    run = Run(capsys, "sweep", tmp_path / "two.csv", "--label-column", "label", "--C", "1", *losses)
    assert run.code == 2
    assert "Sweep it by itself, or give --l2" in run.err
