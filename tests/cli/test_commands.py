"""The commands, as a user runs them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Run


def table(path: Path, n: int = 80) -> Path:
    rng = np.random.default_rng(0)
    kinds = np.arange(n) % 2
    rows = [f"{a:.4f},{b:.4f},{'dog' if k else '=cat'}" for k, (a, b) in
            zip(kinds, rng.normal(size=(n, 2)) + 3 * kinds[:, None], strict=True)]  # fmt: skip
    path.write_text("\n".join(["a,b,kind", *rows]) + "\n")
    return path


def test_digits_from_training_to_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "p.csv"
    run = Run(capsys, "train", "--out", model, "--json")
    assert run.code == 0
    trained = json.loads(run.out)
    assert trained["results"]["test"]["accuracy"] > 0.94
    assert (tmp_path / "m.png").read_bytes().startswith(b"\x89PNG")
    seen = json.loads(Run(capsys, "evaluate", model, "digits", "--json").out)
    assert seen["accuracy"] == pytest.approx(trained["results"]["test"]["accuracy"], abs=0.003)
    assert seen["loss"] == pytest.approx(trained["results"]["test"]["loss"], rel=1e-3)
    assert "97" in Run(capsys, "evaluate", model, "digits").out
    assert Run(capsys, "predict", model, "digits", "--out", out).code == 0
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 450
    assert {row["prediction"] for row in rows} == {str(digit) for digit in range(10)}
    assert "8 x 8" in Run(capsys, "info", model).out
    assert json.loads(Run(capsys, "info", model, "--json").out)["num_features"] == 64


def test_a_table_with_names_that_a_spreadsheet_would_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, model = table(tmp_path / "d.csv"), tmp_path / "m"
    run = Run(capsys, "train", path, "--label-column", "kind", "--out", model, "--loss", "svm",
              "--optimizer", "adam", "--epochs", 30, "--no-picture")  # fmt: skip
    assert run.code == 0, run.err
    run = Run(capsys, "evaluate", model, path, "--label-column", "kind", "--json")
    assert json.loads(run.out)["examples"] == 80
    run = Run(capsys, "predict", model, path, "--label-column", "kind")
    assert "'=cat" in run.out
    run = Run(capsys, "predict", model, path, "--label-column", "kind", "--json")
    assert set(json.loads(run.out)["predictions"]) == {"=cat", "dog"}
    other = tmp_path / "other.csv"
    other.write_text("b,a\n1,2\n")
    run = Run(capsys, "predict", model, other)
    assert run.code == 2
    assert "feature 1 must be 'a', got 'b'" in run.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "missing.npz"], "No such file"),
        (["train", "--la", "1"], "No such option"),
        (["train", "--l2", "nan"], "--l2"),
        (["train", "--l2", "-1"], "--l2"),
        (["train", "--learning-rate", "0"], "--learning-rate"),
        (["train", "--epochs", "0"], "--epochs"),
        (["train", "--seed", "4294967296"], "--seed"),
        (["train", "--validation", "1"], "--validation"),
        (["train", "--loss", "hinge"], "softmax"),
        (["train", "--validation", "0", "--patience", "3"], "--patience"),
        (["train", "--out", "no/such/folder/m"], "no folder"),
        (["train", "--picture", "m.xyz"], "--picture"),
        (["train", "--label-column", "y"], "label_column is of no use"),
        (["evaluate", "missing", "digits"], "No such file"),
        (["info", "."], "."),
        (["fly"], "No such command"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(capsys, *arguments)
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_run_ends_with_1_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run(capsys, "train", "--learning-rate", "1e30", "--epochs", "2")
    assert run.code == 1
    assert "diverged" in run.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_the_ladder_has_its_rungs_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "ladder", "--seconds", 0.2, "--examples", 200, "--out", tmp_path / "l.png",
              "--json")  # fmt: skip
    assert run.code == 0, run.err
    found = json.loads(run.out)
    methods = found["methods"]
    assert len(methods) == 5
    assert max(methods, key=lambda method: method["objective"])["name"] == "random search"
    assert found["numerical_factor"] > 3
    assert (tmp_path / "l.png").read_bytes().startswith(b"\x89PNG")
