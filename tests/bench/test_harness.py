"""The benches' harness: its judge, its parts by file, its timing, its bars and tables.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from bench import objective
from bench.__main__ import benches
from bench.harness import bars, timing
from bench.harness.bars import Bar, all_hold, judge_bars, read_bars
from bench.harness.options import Options
from bench.harness.parts import Data, discover, every, is_selected
from bench.harness.shelf import Shelf
from bench.harness.tables import Section, table, text_of
from bench.objective import judge
from bench.sgd import bench, cases

import jaxlin

LOSSES = {
    "softmax": jaxlin.losses.softmax_cross_entropy,
    "weston-watkins": jaxlin.losses.weston_watkins_hinge,
    "squared-weston-watkins": jaxlin.losses.squared_weston_watkins_hinge,
    "crammer-singer": jaxlin.losses.crammer_singer_hinge,
}


def small_data(dtype: str = "float32", classes: int = 3) -> Data:
    label = f"synthetic[n=600,d=8,c={classes},dtype={dtype}]"
    return Shelf().get(label)


# --- the judge


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_the_judge_agrees_with_the_librarys_objective(
    loss: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objective, "_BLOCK_BYTES", 8 * 11 * 70)  # the last block is a short one
    data = small_data(dtype)
    rng = np.random.default_rng(1)
    W, b = rng.normal(size=(3, 8)), rng.normal(size=3)
    x = data.x.astype(np.float64) * (1.0 if data.scale is None else data.scale)
    with_x64 = jaxlin.Objective(LOSSES[loss], l2=0.03)
    params = jaxlin.LinearParams(jnp.asarray(W), jnp.asarray(b))
    expected = float(with_x64(params, x, data.labels))
    verdict = judge(W, b, data, l2=0.03, loss=loss)
    assert verdict.objective == pytest.approx(expected, rel=1e-6)
    right = jaxlin.predict(params, x) == jnp.asarray(data.labels)
    assert verdict.train_accuracy == pytest.approx(float(right.mean()), abs=1e-6)
    assert verdict.test_accuracy is None


def test_the_judge_takes_the_penalty_of_W_alone_and_large_scores() -> None:
    x, labels = np.array([[1.0], [2.0]], np.float32), np.array([0, 1], np.int32)
    data = Data("two", x, labels, 2, test=(x, 1 - labels))
    verdict = judge(np.array([[3.0], [-1.0]]), np.array([5.0, 0.0]), data, l2=0.5)
    # Margins of 9 and -13: log(1 + e^-9) and 13 + log(1 + e^-13), and 0.5 * 10.
    expected = (math.log1p(math.exp(-9)) + 13 + math.log1p(math.exp(-13))) / 2 + 5
    assert verdict.objective == pytest.approx(expected, rel=1e-14)
    assert (verdict.train_accuracy, verdict.test_accuracy) == (0.5, 0.5)
    assert judge(np.array([[1e100], [0.0]]), None, data, l2=0.0).objective == 1e100
    assert judge(np.array([[np.nan], [0.0]]), None, data, l2=0.0).objective == math.inf


def test_the_judge_refuses_parameters_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"W must be \(3, 8\)"):
        judge(np.zeros((8, 3)), None, small_data(), l2=0.0)


# --- parts by file


def test_data_sets_and_solvers_are_found_by_their_files() -> None:
    folder = Path(bench.__file__).parent
    solvers = discover("bench.sgd.solvers", "Solver")
    assert len(solvers) == len(list((folder / "solvers").glob("*.py"))) - 1  # __init__.py
    assert {"jaxlin", "optax-loop", "torch-index", "sklearn-sgd"} <= set(solvers)
    datasets = discover("bench.datasets", "Dataset")
    assert set(datasets) == {"digits", "falling-scales", "fashion-mnist", "synthetic"}
    assert benches() == ["probe", "sgd", "softmax", "svm"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "some_solvers"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("some_solvers")]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def test_a_new_file_is_a_new_part(package: Path) -> None:
    (package / "one.py").write_text(
        "from bench.harness.parts import Part\n"
        "class Solver(Part):\n    name = 'one'\n    parameters = {'a': (1, 2), 'b': ('x', 'y')}\n"
    )
    kind = discover("some_solvers", "Solver")["one"]
    labels = [part.label for part in every(kind)]
    assert labels == ["one[a=1,b=x]", "one[a=1,b=y]", "one[a=2,b=x]", "one[a=2,b=y]"]
    assert kind(b="y").label == "one[a=1,b=y]"
    with pytest.raises(ValueError, match="one has no parameter c"):
        kind(c=1)


def test_a_file_without_its_class_or_with_anothers_name_is_refused(package: Path) -> None:
    (package / "empty.py").write_text("")
    with pytest.raises(ValueError, match=r"some_solvers\.empty has no class Solver"):
        discover("some_solvers", "Solver")
    for name in ("empty", "same"):
        (package / f"{name}.py").write_text("class Solver:\n    name = 'twice'\n")
        sys.modules.pop(f"some_solvers.{name}", None)
    with pytest.raises(ValueError, match="two parts of the name 'twice'"):
        discover("some_solvers", "Solver")


@pytest.mark.parametrize(
    ("pattern", "selected"),
    [
        ("synthetic", True),
        ("synthetic[n=600,d=8", True),
        ("*d=8*", True),
        ("synthetic[[]n=600*", False),  # a bracket is a bracket
        ("d=8", False),
        ("fashion", False),
    ],
)
def test_labels_are_selected_by_their_beginning_or_a_pattern(pattern: str, selected: bool) -> None:
    label = "synthetic[n=600,d=8,c=3,dtype=uint8]"
    assert is_selected(label, [pattern]) == selected
    assert is_selected(label, ["nothing", pattern]) == selected
    assert is_selected(label, [])


def test_the_shelf_finds_data_by_label_and_refuses_what_there_is_not() -> None:
    shelf = Shelf()
    assert shelf.find("synthetic[d=64]").values == {
        "n": 100_000,
        "d": 64,
        "c": 10,
        "dtype": "float32",
    }
    assert shelf.find("fashion-mnist").label == "fashion-mnist[dtype=float32,order=shuffled]"
    for label, words in (("mnist", "No data set 'mnist'"), ("synthetic[e=1]", "no parameter e")):
        with pytest.raises(ValueError, match=words):
            shelf.find(label)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_synthetic_data_are_the_same_each_time_and_have_every_class(dtype: str) -> None:
    one, other = small_data(dtype), small_data(dtype)
    np.testing.assert_array_equal(one.x, other.x)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert one.x.dtype == dtype
    assert set(one.labels.tolist()) == {0, 1, 2}
    floats = one.as_floats()
    assert floats.dtype == np.float32
    assert 0.0 <= floats.min() < 0.02 < 0.98 < floats.max() <= 1.0


def test_cases_follow_the_options() -> None:
    kinds: Any = list(discover("bench.datasets", "Dataset").values())
    default = cases.cases_of(Options(), kinds)
    assert len({(case.dataset, case.batch_size) for case in default}) == len(default)
    fashion = "fashion-mnist[dtype=float32"
    asked = Options(datasets=[fashion], batch_sizes=[256])
    assert [case.batch_size for case in cases.cases_of(asked, kinds)] == [256, 256]  # sorted, too
    asked_size = cases.cases_of(Options(batch_sizes=[128]), kinds)
    assert [(case.dataset[:13], case.batch_size) for case in asked_size] == [("fashion-mnist", 128)]
    assert Options().is_complete
    assert not any(one.is_complete for one in (asked, Options(quick=True), Options(parts=["grid"])))
    full = cases.cases_of(Options(full=True), kinds)
    assert {(case.dataset, case.batch_size) for case in default} < {
        (case.dataset, case.batch_size) for case in full
    }


# --- timing


def test_competitors_take_turns_and_none_always_follows_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timing.gc, "collect", lambda: 0)  # a test session has much to look through
    calls: list[str] = []

    def measure(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    taken = timing.alternate({name: lambda name=name: measure(name) for name in "abc"}, 3)
    assert "".join(calls) == "abcbcacab"
    assert taken == {"a": [1.0, 6.0, 8.0], "b": [2.0, 4.0, 9.0], "c": [3.0, 5.0, 7.0]}


def test_an_epoch_is_the_difference_of_two_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def run(epochs: int) -> None:
        clock[0] += 7.0 + 0.5 * epochs  # 7 s a call, 0.5 s an epoch

    assert timing.two_runs(run, 1, 5) == (7.5, 9.5)
    assert timing.per_epoch((7.5, 9.5), 1, 5) == pytest.approx(0.5)


# --- bars

LOWER = Bar("a", "time", "x", "lower", 3.0, 2.0)
HIGHER = Bar("b", "speed", "x", "higher", 3.0, None)


@pytest.mark.parametrize(
    ("bar", "value", "met", "at_aim"),
    [
        (LOWER, 3.0, True, False),
        (LOWER, 3.001, False, False),
        (LOWER, 2.0, True, True),
        (LOWER, math.nan, False, False),
        (LOWER, None, False, False),
        (HIGHER, 3.0, True, True),
        (HIGHER, 2.99, False, False),
        (HIGHER, math.nan, False, False),
    ],
)
def test_a_bar_is_met_on_the_good_side_of_its_number(
    bar: Bar, value: float | None, met: bool, at_aim: bool
) -> None:
    judged = bars.Judged(bar, value)
    assert (judged.met, judged.at_aim) == (met, at_aim)
    verdict = judged.row()[-1]
    assert verdict.startswith("not measured" if value is None else "yes" if met else "no")


def test_what_was_not_measured_fails_a_complete_run_alone() -> None:
    judged = judge_bars([LOWER, HIGHER], {"a": 1.0})
    assert all_hold(judged, complete=False)
    assert not all_hold(judged, complete=True)
    assert not all_hold(judge_bars([LOWER, HIGHER], {"a": 4.0}), complete=False)
    with pytest.raises(ValueError, match="No bar has the key c"):
        judge_bars([LOWER], {"c": 1.0})


def test_the_bars_of_sgd_can_be_read_and_an_aim_is_beyond_its_bar() -> None:
    read = read_bars(bench.BARS)
    assert len({bar.key for bar in read}) == len(read) > 10
    for bar in read:
        assert bar.better in ("lower", "higher")
        assert bar.aim is None or bar.holds(bar.aim, bar.bar)


# --- tables, records, the page


def test_a_table_is_aligned_and_its_numbers_stand_to_the_right() -> None:
    text = table(["who", "ms", "met"], [["a|b", "1,200", "yes"], ["c", "", "no"]])
    assert text.splitlines() == [
        "| who  |    ms | met |",
        "| ---- | ----: | --- |",
        "| a\\|b | 1,200 | yes |",
        "| c    |       | no  |",
    ]
    with pytest.raises(ValueError, match="1 cells under 2 names"):
        table(["a", "b"], [["c"]])
    assert text_of(Section("T", "text")) == "### T\n\ntext"
