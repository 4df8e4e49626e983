"""`jaxlin check-gradients`, as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import Run

N, D, C = 60, 4, 3

MINE = """
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

import neighbour

print("the file runs")


@dataclasses.dataclass
class Unused:
    x: int = 0


def loss(scores, labels):
    right = scores[jnp.arange(len(labels)), labels]
    return jax.nn.logsumexp(scores, axis=1) - right


def loss_gradient(scores, labels):
    p = np.exp(scores)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p


def forgotten(scores, labels):
    p = np.exp(scores)
    return p / p.sum(axis=1, keepdims=True)


def params_objective(params, x, labels):
    return jnp.mean(loss(x @ params.W.T + params.b[None], labels))


def rows(W, x, labels, l2):
    return jnp.mean(loss(x @ W.T, labels)) + l2 * jnp.sum(W**2)


def rows_gradient(W, x, labels, l2):
    return loss_gradient(x @ W.T, labels).T @ x / len(x) + l2 * W


def columns(W, x, labels, l2):
    return jnp.mean(loss(x @ W, labels)) + neighbour.factor(l2) * jnp.sum(W**2)


def columns_gradient(W, x, labels, l2):
    return x.T @ loss_gradient(x @ W, labels) / len(x) + 2 * l2 * W


def in_numpy(scores, labels):
    return np.log(np.exp(scores).sum(axis=1))


def branches(params, x, labels):
    return 1.0 if params.W[0, 0] > 0 else 0.0


def a_mean(scores, labels):
    return jnp.mean(scores)


def not_a_scalar(params, x, labels):
    return loss(x @ params.W.T, labels)


def raises(params, x, labels):
    raise ValueError("too bad\\nand more")


def wrong_shape(W, x, labels):
    return jnp.sum(W @ jnp.ones((77, 2)))


def five(a, b, c, d, e):
    return 0.0


def bent(p, factor):
    return factor * jnp.sum(jnp.abs(p["w"]))


def make():
    return {"w": np.array([0.0, 1.0])}, 2.0


def make_nothing():
    return []


number = 3
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    Path("neighbour.py").write_text("def factor(l2):\n    return l2\n")
    labels = np.arange(N) % C
    noise = np.random.default_rng(0).normal(size=(N, D))
    np.savez("data.npz", x=(noise + labels[:, None]).astype(np.float32), y=labels)


def test_the_librarys_gradients_on_data(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "check-gradients", "data.npz", "--loss", "svm", "--plot", "p.png", "--cost",
              "--json")  # fmt: skip
    found = run.json
    assert (found["examples"], found["of"], found["disagreements"]) == (45, 45, 0)
    points = {point["name"].split(",")[0]: point for point in found["points"]}
    assert list(points) == ["W = 0", "b one-hot", "random W", "on the way", "optimum"]
    tied = points["b one-hot"]
    # Every example of the class, and every wrong class.
    assert tied["verdict"] == "kink"
    assert tied["num_kinks_at"] == 15 * (C - 1)
    assert {kink["margin"] for kink in tied["kinks"]} == {0.0}
    best = points["optimum"]
    assert 0.0 <= best["relative_gap"] < 1e-4
    assert "certified" in best["note"]
    assert best["num_kinks"] > 0
    for point in points.values():
        assert point["verdict"] in ("agrees", "kink")
        assert point["error_in_eps"] < point["bound_in_eps"] == 16.0
        assert point["num_coordinates"] == C * (D + 1)
    assert found["cost"]["autodiff"]["flops"] > 4 * 45 * D * C
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")


def test_its_tables_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "check-gradients", "data.npz", "--loss", "softmax", "--l2", "0",
              "--examples", "20", "--dtype", "float64")  # fmt: skip
    assert run.code == 0, run.err
    assert "20 of 45 training examples" in run.out
    assert "there is no certificate" in run.out
    assert "No gradient is wrong." in run.out
    assert "one-hot" not in run.out  # softmax has no ties
    assert "float32" not in run.out
    assert max(map(len, run.out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("function", "gradient", "kind"),
    [
        ("loss", "loss_gradient", "a loss of each example"),
        ("columns", "columns_gradient", "(D, C)"),
    ],
)
def test_right_gradients_of_the_user_agree(
    function: str, gradient: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "check-gradients", f"mine.py:{function}", "data.npz", "--gradient",
              f"mine.py:{gradient}", "--json")  # fmt: skip
    found = run.json
    assert kind in found["kind"]
    assert kind in run.err
    assert "the file runs" in run.err  # not among the results
    assert [point["name"] for point in found["points"]] == ["random W", "W = 0"]
    assert [point["verdict"] for point in found["points"]] == ["agrees", "agrees"]


def test_wrong_gradients_of_the_user_disagree_and_are_explained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Run(capsys, "check-gradients", "mine.py:rows", "data.npz", "--gradient",
              "mine.py:rows_gradient", "--plot", "p.svg", "--l2", "0.1")  # fmt: skip
    assert run.code == 1
    assert "W of shape (C, D)" in run.err
    assert "l2 * W for the penalty's gradient, 2 * l2 * W" in run.out
    # At W = 0 the penalty is not seen.
    assert "A gradient is wrong at 1 of 2 points." in run.out
    assert Path("p.svg").read_text().startswith("<?xml")


def test_a_mistake_by_the_scores_gets_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "check-gradients", "mine.py:loss", "data.npz", "--gradient",
              "mine.py:forgotten", "--json")  # fmt: skip
    assert run.code == 1
    for point in json.loads(run.out)["points"]:
        assert point["verdict"] == "disagrees"
        assert point["cause"] == "forgotten true-class row"
        assert point["worst"][0]["leaf"] == "scores"


def test_without_a_gradient_by_hand_autodiff_is_checked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = Run(capsys, "check-gradients", "mine.py:params_objective", "data.npz", "--json").json
    assert "LinearParams" in found["kind"]
    assert found["gradient"] is None
    assert [point["verdict"] for point in found["points"]] == ["agrees", "agrees"]


def test_any_function_with_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "check-gradients", "mine.py:bent", "--arguments", "mine.py:make")
    assert run.code == 0, run.err
    assert "kink" in run.out
    assert "w[0]" in run.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine.py"], "FILE.py:name"),
        (["mine.py:"], "FILE.py:name"),
        (["none.py:loss"], "none.py: there is no such file"),
        (["mine.py:los"], "mine.py has no los; its functions are loss,"),
        (["mine.py:number"], "is no function, but int"),
        (["syntax.py:f"], "syntax.py:2:"),
        (["fails.py:f"], "fails.py:2: KeyError: 'a'"),
        (["exits.py:f"], "exits.py:3: the file ends the process"),
        (["mine.py:five"], "--arguments FILE.py:make"),
        (["mine.py:in_numpy", "data.npz"], "jax.numpy"),
        (["mine.py:branches", "data.npz"], "jnp.where"),
        (["mine.py:a_mean", "data.npz"], "one value an example"),
        (["mine.py:not_a_scalar", "data.npz"], "must return a scalar"),
        (["mine.py:raises", "data.npz"], "ValueError: too bad"),
        (["mine.py:wrong_shape", "data.npz"], "none of the params"),
        (["mine.py:bent", "--arguments", "mine.py:make_nothing"], "(params, *args)"),
        (["mine.py:bent", "data.npz", "--arguments", "mine.py:make"], "place of DATA"),
        (["mine.py:loss", "--loss", "svm"], "--loss is the library's"),
        (["mine.py:loss", "--cost"], "--cost"),
        (["data.npz", "other.npz"], "two DATA"),
        (["data.npz", "--gradient", "mine.py:loss"], "--gradient belongs to"),
        (["mine.py:loss", "data.npz", "--gradient", "mine.py:number"], "is no function"),
        (["data.npz", "--plot", "no/such/folder.png"], "no folder"),
        (["missing.npz"], "No such file"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("syntax.py").write_text("x = 1\ndef f(:\n")
    Path("fails.py").write_text("def f(p, x, y): return 0.0\n{}['a']\n")
    Path("exits.py").write_text("import sys\ndef f(p, x, y): return 0.0\nsys.exit(0)\n")
    run = Run(capsys, "check-gradients", *arguments)
    assert run.code == 2
    last = run.err.splitlines()[-1]
    assert last.startswith("jaxlin: ")
    assert words in last
    assert run.out == ""
    others = {"the file runs"}
    assert set(run.err.splitlines()[:-1]) <= others


def test_an_error_in_the_gradient_by_hand_names_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("other.py").write_text("def g(scores, labels):\n    return scores.nothing\n")
    run = Run(capsys, "check-gradients", "mine.py:loss", "data.npz", "--gradient", "other.py:g")
    assert run.code == 2
    assert "other.py:2: AttributeError" in run.err.splitlines()[-1]
