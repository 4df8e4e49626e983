"""`jaxlin probe`: from files of features to a record, a page and a model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from command_line import Run
from pyarrow import parquet
from safetensors.numpy import save_file
from sweep_problem import clouds

import jaxlin
from jaxlin import DataFormatError, data
from jaxlin.cli.main import main
from jaxlin.cli.probe_data import load_problem
from jaxlin.cli.probe_files import SOURCES
from jaxlin.probe import Problem
from jaxlin.probe.leaks import of_the_split

# With a test file as well: 240 rows to train on, as in the tests of the library.
FAST = ("--l2", "1e-3,1e-2", "--scaling", "none")
TESTED = (*FAST, "--test", "other.npz")
NAMES = np.array(["a\n<script>alert(1)</script>", "\u202eright to left", "z" * 10_000])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Features of 300 rows and, each by itself, of 60 others."""
    monkeypatch.chdir(tmp_path)
    for name, n, seed in (("train", 300, 0), ("other", 60, 1)):
        x, labels = clouds(n, seed)
        np.save(f"{name}.npy", x)
        np.save(f"{name}-labels.npy", labels)
        np.savez(f"{name}.npz", x=x, y=labels)
    return tmp_path


def record_of(path: str = "probe.json") -> dict[str, Any]:
    text = Path(path).read_text()
    return json.loads(text, parse_constant=pytest.fail)


def test_digits_in_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    run = Run(capsys, "probe", "--l2", "1e-5:1e-1:9", "--scaling", "plain")
    assert run.code == 0, run.err
    assert "digits: 10 classes, 64 uint8 features; 1,077 to train on (the rest)" in run.err
    told = " ".join(run.out.split())
    for words in (
        "nearest class mean", "majority class", "Of 9 settings l2",
        "proved", "jaxlin's own", "probe.html", "top 5 accuracy",
    ):  # fmt: skip
        assert words in told, words
    record = record_of()
    block = record["blocks"][0]
    assert record["command"] == "jaxlin probe --l2 1e-5:1e-1:9 --scaling plain"
    assert block["test"]["accuracy"] > 0.95
    assert all(block["grid"]["certified"])
    model = jaxlin.load_model("probe.safetensors")
    digits = jaxlin.data.load("digits")
    assert digits.test is not None
    assert np.mean(model.predict(digits.test.x) == digits.test.labels) == block["test"]["accuracy"]
    assert Path("probe.html").read_text().lower().startswith("<!doctype html>")

    again = Run(capsys, "probe", "--replay", "probe.json", "--json")
    replayed = again.json
    assert replayed["replay"]["same_numbers"], replayed["replay"]["numbers"]
    assert replayed["replay"]["differs"] == []
    assert replayed["blocks"][0]["test"] == block["test"]
    assert record_of("replay.json")["replay"] == replayed["replay"]
    assert record_of() == record  # which was left alone


def test_json_goes_to_standard_output_and_nothing_else_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Run(capsys, "probe", "train.npz", *TESTED, "--json", "--no-page", "--out", "r").json
    assert found == record_of("r")
    assert found["model"] == "r.safetensors"
    assert {path.name for path in folder.iterdir()} >= {"r", "r.safetensors"}
    assert not Path("r.html").exists()


def test_few_examples_a_class_have_a_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "probe", "train.npz", "--test", "other.npz", "--scaling", "none", "--l2",
              "1e-4:1e-1:4", "--few-shot", "2,8,500", "--repeats", 2, "--no-page")  # fmt: skip
    assert run.code == 0, run.err
    told = " ".join(run.out.split())
    assert "examples a class" in told
    assert "left out 500 examples a class" in told
    few = record_of()["blocks"][0]["few_shot"]
    assert [row["per_class"] for row in few["summary"]] == [2, 8]
    assert 0.4 < few["summary"][0]["mean"] < 0.9


def test_splits_in_files_and_layers_side_by_side(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, n, seed in (("train", 300, 0), ("other", 60, 1)):
        noise = np.random.default_rng(seed).normal(size=(n, 8))
        np.save(f"{name}-noise.npy", noise.astype(np.float32))
    found = Run(
        capsys, "probe", "train-noise.npy", "train.npy", "--labels", "train-labels.npy",
        "--test", "other-noise.npy", "--test", "other.npy", "--test-labels", "other-labels.npy",
        *FAST, "--no-page", "--json",
    ).json  # fmt: skip
    assert [block["name"] for block in found["blocks"]] == ["train-noise", "train"]
    assert [block["num_features"] for block in found["blocks"]] == [8, 8]
    assert found["best_block"] == 1
    assert found["data"]["splits"]["test"] == {
        "examples": 60, "class_counts": np.bincount(np.load("other-labels.npy")).tolist(),
        "from": "a file",
    }  # fmt: skip
    assert [one["role"] for one in found["data"]["files"]] == [
        "features", "features", "test", "test", "labels", "test_labels",
    ]  # fmt: skip
    assert all(len(one["sha256"]) == 64 for one in found["data"]["files"])


def test_a_validation_file_that_is_the_test_file_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(capsys, "probe", "train.npz", *FAST, "--validation", "other.npz", "--test",
              "other.npz", "--no-page")  # fmt: skip
    assert run.code == 0, run.err
    assert "the test set chooses the winner" in " ".join(run.out.split())
    assert record_of()["warnings"][0]["kind"] == "test_chooses"


def test_groups_stay_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = np.arange(300) // 10
    np.save("groups.npy", groups)
    x, labels = clouds()
    lines = [
        ",".join([*(f"{v:.4f}" for v in row), str(group), f"k{label}"])
        for row, group, label in zip(x, groups, labels, strict=True)
    ]
    names = ",".join([*(f"f{i}" for i in range(8)), "patient", "kind"])
    Path("t.csv").write_text("\n".join([names, *lines]) + "\n")
    by_file = Run(capsys, "probe", "train.npz", *TESTED, "--groups", "groups.npy", "--no-page",
                  "--json").json  # fmt: skip
    by_column = Run(capsys, "probe", "t.csv", "--label-column", "kind", *FAST, "--groups",
                    "patient", "--test-share", 0, "--no-page", "--json").json  # fmt: skip
    for found in (by_file, by_column):
        assert found["data"]["groups"]["count"] == 30
        assert found["blocks"][0]["num_features"] == 8
        splits = found["data"]["splits"]
        assert splits["train"]["examples"] % 10 == splits["validation"]["examples"] % 10 == 0
    # The table has a column more than the model's features, and it is not taken for one.
    run = Run(capsys, "predict", "probe.safetensors", "t.csv", "--label-column", "kind")
    assert run.code == 0, run.err
    guessed = [line.split(",")[1] for line in run.out.splitlines()[1:]]
    assert np.mean([a == f"k{b}" for a, b in zip(guessed, labels, strict=True)]) > 0.7
    assert Run(capsys, "evaluate", "probe.safetensors", "t.csv", "--label-column", "kind").code == 0
    # Beside lists of features a column of groups is none of these, and may be text.
    for name, some in (("lists", slice(0, 250)), ("apart", slice(250, 300)), ("twice", slice(99))):
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(x[some].ravel()), 8)
        patients = [f"p{group}" for group in groups[some]]
        columns = {"x": vectors, "patient": patients, "y": labels[some]}
        parquet.write_table(pa.table(columns), f"{name}.parquet")
    one = problem_of("lists.parquet", groups="patient", test=["apart.parquet"])
    assert one.num_groups == 25
    assert one.train.rows is not None
    assert one.validation.rows is not None
    assert not set(one.train.rows // 10) & set(one.validation.rows // 10)
    with pytest.raises(DataFormatError, match="have 10 in common, 'p0' for one"):
        problem_of("lists.parquet", groups="patient", test=["twice.parquet"])
    run = Run(capsys, "probe", "t.csv", "--label-column", "kind", "--groups", "nobody")
    assert run.code == 2
    assert "'nobody' must be an .npy file, or a column" in run.err


def test_class_names_of_any_kind_reach_the_record_whole(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, labels = clouds()
    np.savez("d.npz", x=x, y=NAMES[labels])
    other, of_other = clouds(60, seed=1)
    np.savez("e.npz", x=other, y=NAMES[of_other])
    run = Run(capsys, "probe", "d.npz", *FAST, "--test", "e.npz")
    assert run.code == 0, run.err
    assert record_of()["data"]["classes"] == sorted(NAMES.tolist())
    assert "\x1b" not in run.out
    assert "\u202e" not in run.out
    assert "<script>alert(1)" not in Path("probe.html").read_text()


def test_a_class_that_validation_and_test_lack_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, labels = clouds()
    both = (labels < 2)[:60]
    np.savez("two.npz", x=x[:60][both] + 1, y=labels[:60][both])
    found = Run(capsys, "probe", "train.npz", *FAST, "--validation", "two.npz", "--test",
                "two.npz", "--no-page", "--json").json  # fmt: skip
    kinds = [told["kind"] for told in found["warnings"]]
    assert kinds.count("missing_class") == 2
    assert found["blocks"][0]["test"]["classes"][2]["accuracy"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.npz",), "none.npz: "),
        (("train.npy",), "has no labels: give the file"),
        (("train.npz", "train.npz"), "given twice"),
        (("train.npz", "--test", "other.npz", "--test", "train.npz"), "once for each file"),
        (("train.npz", "--test-labels", "other-labels.npy"), "--test-labels is of no use for"),
        (
            ("train.npy", "--labels", "train-labels.npy", "--test-labels", "other-labels.npy"),
            "test_labels belongs to test, which was not given, and train.npy has no test examples",
        ),
        (("train.npz", "--validation-labels", "y.npy"), "belongs to --validation"),
        (("train.npz", "other.npz"), "has 60 examples, and train.npz has 300 labels"),
        (("train.npz", "--l2", "0"), "not a number above 0"),
        (("train.npz", "--l2", "1e-3", "--C", "1"), "--l2 and --C say the same"),
        (("train.npz", "--C", "1", "--alpha", "1"), "--C and --alpha say the same"),
        (("train.npz", "--alpha", "0"), "not a number above 0"),
        (("train.npz", "--validation-share", "0"), "nothing can be chosen"),
        (("train.npz", "--validation-share", "1.5"), "neither a share below 1"),
        (("train.npz", "--validation-share", "400"), "--validation-share is 400"),
        (("train.npz", "--few-shot", "0"), "not a whole number from 1"),
        (("train.npz", "--scaling", "big"), "is not one of plain"),
        (("train.npz", "--protocol", "simclr"), "simclr"),
        (("train.npz", "--out", "nowhere/p.json"), "there is no folder"),
        (("train.npz", "--groups", "train-labels.txt"), "must be an .npy file, or a column"),
        (("train.npz", "--groups", "other-labels.npy"), "one label an example"),
        (("train.npz", "--replay", "probe.json", "--seed", "1"), "--seed and --replay exclude"),
        (("--replay", "train.npz"), "is no JSON"),
        (("--replay", "none.json"), "none.json"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    before = {path.name for path in folder.iterdir()}
    run = Run(capsys, "probe", *arguments)
    assert (run.code, run.out) == (2, "")
    assert run.err.count("\n") == 1
    assert words in run.err
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.array([[1.0, np.nan]] * 30), np.arange(30) % 3, "NaN: in example 0, feature 1"),
        (np.array([[1.0, 1e39]] * 30), np.arange(30) % 3, "too large for float32"),
        (np.zeros((9, 2)), np.zeros(9, int), "only one class"),
        (np.eye(4), np.arange(4), "2 examples of every class; class 0 has 1"),
        (np.zeros(9), np.arange(9) % 3, "must have shape"),
        (-np.ones((9, 2, 3)), np.arange(9) % 3, "(N, 2, 3) with negative numbers: these may be"),
    ],
)
def test_data_that_cannot_be_probed_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    x: np.ndarray,
    y: np.ndarray,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("d.npz", x=x, y=y)
    run = Run(capsys, "probe", "d.npz")
    assert run.code == 2
    assert words in run.err
    assert {path.name for path in tmp_path.iterdir()} == {"d.npz"}


def test_a_replay_says_what_is_no_longer_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Run(capsys, "probe", "train.npz", *TESTED, "--no-page").code == 0
    x, labels = clouds(seed=2)
    np.savez("train.npz", x=x, y=labels)
    run = Run(capsys, "probe", "--replay", "probe.json", "--no-page")
    assert run.code == 0, run.err
    told = " ".join(run.out.split())
    assert "numbers differ from probe.json" in told
    assert "data.features[0].sha256 was" in told
    assert record_of("replay.json")["warnings"][0]["kind"] == "differs"
    assert Run(capsys, "probe", "other.npz", "--replay", "probe.json", "--no-page").code == 0


def test_a_replay_is_told_where_its_files_are_now(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("train.npy", "--labels", "train-labels.npy", *TESTED, "--no-page")
    assert Run(capsys, "probe", *given).code == 0
    Path("moved").mkdir()
    for name in ("train.npy", "train-labels.npy", "other.npz"):
        Path(name).rename(Path("moved") / name)
    now = ("moved/train.npy", "--labels", "moved/train-labels.npy", "--test", "moved/other.npz")
    run = Run(capsys, "probe", *now, "--replay", "probe.json", "--no-page")
    assert run.code == 0, run.err
    assert "the same as probe.json in all" in " ".join(run.out.split())
    assert record_of("replay.json")["replay"]["differs"] == []
    # What the page of a replay says.
    run = Run(capsys, "probe", "--replay", "replay.json", "--no-page")
    assert run.code == 0, run.err
    assert record_of("replay-again.json")["replay"]["of"] == "replay.json"
    run = Run(capsys, "probe", *now, "--groups", "g.npy", "--replay", "probe.json")
    assert run.code == 2
    assert "--groups names what has moved" in run.err


def problem_of(*features: str, **given: Any) -> Problem:
    """What is made of files, without a probe."""
    usual = {"validation": [], "test": [], "validation_share": 0.2, "test_share": 0.25}
    sources = {**dict.fromkeys(SOURCES), "features": list(features), **usual, **given}
    return load_problem(sources, 0, "float32")[0]


def test_the_only_example_of_a_class_is_trained_on(folder: Path) -> None:
    x, labels = clouds()
    labels[:2] = 3, 4
    np.savez("rare.npz", x=x, y=labels)
    problem = problem_of("rare.npz")
    assert np.bincount(problem.train.labels)[3:].tolist() == [1, 1]
    told = [one["message"] for one in of_the_split(problem, bias=True)]
    assert "Only one training example of classes 3, 4." in told


def test_a_full_disk_leaves_the_old_record(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("probe.json").write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    run = Run(capsys, "probe", "train.npz", *TESTED, "--no-page")
    assert run.code == 1
    assert "No space left on device" in run.err
    assert Path("probe.json").read_text() == "old"
    assert not list(folder.glob(".*"))


def test_ctrl_c_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxlin.probe.selecting.sweep", interrupted)
    monkeypatch.setattr("os._exit", sys.exit)
    with pytest.raises(SystemExit) as end:
        main(["probe", "train.npz", *FAST])
    assert end.value.code == 130
    assert "interrupted; nothing was written" in capsys.readouterr().err
    assert not Path("probe.json").exists()


def test_ctrl_c_between_two_files_does_not_say_that_nothing_was_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxlin.cli.probe.replacing", interrupted)
    monkeypatch.setattr("os._exit", sys.exit)
    run = Run(capsys, "probe", "train.npz", *TESTED)
    assert run.code == 130
    assert "interrupted; the output is not complete" in run.err
    assert Path("probe.safetensors").exists()
    assert not Path("probe.json").exists()


def test_no_output_takes_the_place_of_an_input(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(folder / "mine.npz")
    np.savez(source, x=np.ones((4, 2)), y=np.array([0, 1, 0, 1]))
    before = Path(source).read_bytes()
    run = Run(capsys, "probe", source, "--out", source)
    assert run.code == 2
    assert "would take the place of" in run.err
    assert Path(source).read_bytes() == before


def test_files_of_their_own_that_share_a_group_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "a,patient,kind\n"
    rows = [f"{k % 5}.5,{k // 4},{'cat' if k % 2 else 'dog'}\n" for k in range(40)]
    Path("own.csv").write_text(head + "".join(rows))
    Path("apart.csv").write_text(head + "".join(rows[-8:]))
    run = Run(capsys, "probe", "own.csv", "--test", "apart.csv", "--label-column", "kind",
              "--groups", "patient")  # fmt: skip
    assert run.code == 2
    assert "features and test are files of their own that have 2 in common, 8 for one" in run.err
    assert not Path("probe.json").exists()


def test_files_of_several_kinds_go_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, labels = clouds()
    other, _ = clouds(60, seed=1)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(x.ravel()), 8)
    parquet.write_table(pa.table({"emb": lists, "label": labels}), "lists.parquet")
    save_file({"embeddings": x, "labels": labels}, "train.safetensors")
    save_file({"x": other}, "other.safetensors")
    save_file({"layer1": x, "layer2": -x, "y": labels}, "two.safetensors")
    one = problem_of("train.npy", "train.npz", labels="train-labels.npy")
    assert [block.name for block in one.blocks] == ["train.npy", "train.npz"]
    one = problem_of("lists.parquet", "train.npy", label_column="label")
    np.testing.assert_array_equal(one.blocks[0].first, one.blocks[1].first)
    for test in ("other.npy", "other.safetensors"):
        for features in ("train.safetensors", "lists.parquet"):
            one = problem_of(features, test=[test], test_labels="other-labels.npy")
            assert one.test is not None
            np.testing.assert_array_equal(one.blocks[0].arrays["test"], other)
    given = ("--test", "other.npy", "--test-labels", "other-labels.npy")
    run = Run(capsys, "probe", "two.safetensors", *given)
    assert run.code == 2
    assert "other.npy: has one set of features, and two.safetensors has 2" in run.err
    one = problem_of("two.safetensors", layer="layer2", test=["other.npy"],
                     test_labels="other-labels.npy")  # fmt: skip
    assert (one.blocks[0].first == -x).all()


def test_labels_of_a_files_own_test_examples_may_be_in_another(folder: Path) -> None:
    x, labels = clouds()
    other, of_other = clouds(60, seed=1)
    save_file({"x_train": x, "x_test": other, "kind": labels}, "both.safetensors")
    with pytest.raises(DataFormatError, match=r"give them with --test-labels FILE"):
        problem_of("both.safetensors", label_column="kind")
    for given in ({"labels": "train-labels.npy", "layer": "x"}, {"label_column": "kind"}):
        one = problem_of("both.safetensors", test_labels="other-labels.npy", **given)
        assert one.test is not None
        assert one.test.came == "the data's own"
        np.testing.assert_array_equal(one.test.labels, of_other)
    loaded = data.load("both.safetensors", label_column="kind", test_labels="other-labels.npy")
    assert loaded.test is not None
    np.testing.assert_array_equal(loaded.test.labels, of_other)
    with pytest.raises(DataFormatError, match=r"an .npy file of them: test_labels"):
        data.load("both.safetensors", label_column="kind")
    save_file({"x_train": x, "x_test": other, "y": labels, "y_test": of_other}, "all.safetensors")
    with pytest.raises(DataFormatError, match=r"leave test_labels \(--test-labels\) away"):
        problem_of("all.safetensors", test_labels="other-labels.npy")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train.npz", "--labels", "y.npy"), "--labels is of no use for train.npz, which is read"),
        (("train.npz", "--layer", "a", "--test", "other.npz"), "--layer is of no use for train"),
        (("train.npy", "--label-column", "kind"), "--label-column is of no use for train.npy"),
        (("train.npz", "--test", "other.npz", "--test-labels", "y"), "--test-labels is of no use"),
    ],
)
def test_an_option_that_no_file_takes_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    run = Run(capsys, "probe", *arguments)
    assert run.code == 2
    assert words in run.err
