"""`jaxlin train`: which solver runs, and what is said of what it proved."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, saved, two_classes

from jaxlin.certificates import Certificate
from jaxlin.certificates.words import certificate_words

LINE = re.compile(
    r"^certificate +objective ([\d.]+) is within ([\d.]+) % of the best possible; proved *$", re.M
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")  # no line is broken
    return tmp_path


def train(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    return Run(capsys, "train", *arguments, "--no-picture", "--json").json


def test_without_a_solver_the_fit_goes_to_the_optimum_and_proves_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = train(capsys)
    proof = found["certificate"]
    assert (found["solver"], found["outcome_kind"], found["tol"]) == ("newton", "converged", 1e-4)
    assert proof["gap"] == pytest.approx(proof["primal"] - proof["dual"], abs=1e-15)
    assert 0.0 <= proof["relative_gap"] <= 1e-4
    assert found["history"]["passes"][-1] == found["passes"]
    assert len(found["history"]["passes"]) == found["steps"]
    for name in ("optimizer", "learning_rate", "batch_size", "epochs"):
        assert found[name] is None
    assert found["results"]["test"]["accuracy"] > 0.96
    # No other way gets below what is proved to be the least, and Newton's gets as far.
    sgd = train(capsys, "--solver", "sgd")
    assert sgd["history"]["objective"][-1] > proof["dual"]
    newton = train(capsys, "--solver", "newton")
    assert (newton["solver"], newton["passes"]) == ("newton", None)
    assert newton["steps"] == len(newton["history"]["objective"]) < 20
    assert newton["certificate"]["relative_gap"] < 1e-6
    assert newton["certificate"]["primal"] == pytest.approx(proof["primal"], rel=1e-4)
    assert newton["outcome_kind"] == "converged"


def test_what_is_proved_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "train", "--tol", "1e-2", "--passes", 40)
    assert run.code == 0, run.err
    found = LINE.search(run.out)
    assert found is not None
    assert float(found[2]) <= 1.02
    assert re.search(r"^\d+ passes: loss \+ l2 term", run.err, re.M)
    assert not re.search(r"epoch|learning rate|batch|examples a second", run.out + run.err)
    assert Path("model.png").read_bytes().startswith(b"\x89PNG")


def test_a_small_problem_with_a_hinge_takes_newtons_steps(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = two_classes()
    run = Run(capsys, "train", saved(folder, x=x, y=y), "--loss", "svm")
    assert run.code == 0, run.err
    assert LINE.search(run.out)
    assert re.search(r"^solver +newton", run.out, re.M)
    assert re.search(r"^steps +2", run.out, re.M)
    assert [line[:6] for line in run.err.splitlines()[1:]] == ["step 1", "step 2"]


def test_a_fit_that_was_cut_short_says_with_which_option_it_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = train(capsys, "--passes", 4)
    assert (found["solver"], found["passes"]) == ("lbfgs", 4)
    assert found["outcome_kind"] == "out_of_steps"
    assert "(--passes)" in found["outcome"]
    assert found["certificate"]["relative_gap"] > found["tol"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--solver", "sgd", "--epochs", 2], r"objective 0\.\d+ is within \d+ % of the best"),
        (["--batch-size", 64, "--epochs", 2], r"objective 0\.\d+ is within \d+ % of the best"),
        (["--l2", "0"], "none: with l2 = 0 no optimum can be proved"),
    ],
)
def test_sgd_says_how_far_it_got_where_that_can_be_proved(
    capsys: pytest.CaptureFixture[str], arguments: list[object], words: str
) -> None:
    run = Run(capsys, "train", *arguments, "--no-picture")
    assert run.code == 0, run.err
    assert re.search(rf"^certificate +{words}", run.out, re.M)
    assert re.search(r"^solver +sgd", run.out, re.M)
    assert re.search(r"^optimizer +momentum", run.out, re.M)
    assert "epoch 2/" in run.err or "epoch 20/" in run.err
    found = train(capsys, *arguments)
    assert (found["certificate"] is None) == ("--l2" in arguments)
    assert (found["solver"], found["passes"], found["tol"]) == ("sgd", None, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "--solver lbfgs --batch-size 9",
            "--batch-size is for --solver sgd, and --solver is",
        ),
        ("--solver newton --epochs 9", "--epochs is for --solver sgd, and --solver is newton"),
        ("--solver auto --optimizer adam", "--optimizer is for --solver sgd, and --solver is auto"),
        ("--solver lbfgs --patience 2", "--patience is for --solver sgd, and --solver is lbfgs"),
        ("--solver sgd --passes 9", "--passes is for --solver lbfgs, and --solver is sgd"),
        (
            "--passes 9 --learning-rate 1",
            "--learning-rate is for --solver sgd, and --passes is",
        ),
        ("--solver sgd --tol 0.1", "sgd does not stop by a proof"),
        ("--epochs 5 --tol 0.1", "sgd does not stop by a proof"),
        ("--l2 0 --tol 0.1", "with --l2 0 nothing can be proved"),
        ("--l2 0 --solver lbfgs", "with --l2 0 nothing can be"),
        ("--tol 0", "--tol"),
        ("--passes 0", "--passes"),
        ("--solver cg", "newton"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_the_work(
    capsys: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    run = Run(capsys, "train", *arguments.split())
    assert run.code == 2
    assert words in run.err
    assert run.err.count("\n") == 1
    assert run.out == ""
    assert os.listdir() == []


def test_newton_is_not_for_many_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = two_classes()
    source = saved(folder, x=x.repeat(400, axis=1), y=y)
    run = Run(capsys, "train", source, "--solver", "newton", "--no-picture")
    assert run.code == 2
    assert "up to 3,000 weights, and there are 3,202: take --solver lbfgs" in run.err


@pytest.mark.parametrize(
    ("primal", "dual", "words"),
    [
        (0.39602, 0.3959, "objective 0.39602 is within 0.031 % of the best possible; proved"),
        (2.0, 1.0, "objective 2 is within 100 % of the best possible; proved"),
        # Rounded up: a bound stays a bound.
        (1.0, 1.0 / 1.00101, "objective 1 is within 0.11 % of the best possible; proved"),
        (1.0, 1.0 - 1e-12, "objective 1 is within 0.0001 % of the best possible; proved"),
        (1.0, 1.0 + 1e-16, "objective 1 is within 0.0001 % of the best possible; proved"),
        (0.5, -0.51, "objective 0.5 is at most 1.1 above the best possible; proved"),
        (0.5, float("-inf"), "none: no bound of the optimum was found; the objective is 0.5"),
    ],
)
def test_the_line_bounds_from_above(primal: float, dual: float, words: str) -> None:
    proof = Certificate(primal, dual, how="", l2=1e-4, has_bias=True)
    assert certificate_words(proof) == words
