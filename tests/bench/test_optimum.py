"""The benches on the way to the optimum: bounds, curves, readings, pages, and the problems solved.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.harness import machine, pages
from bench.harness.bars import all_hold, judge_bars, read_bars
from bench.harness.options import Options
from bench.harness.parts import Data, discover
from bench.harness.shelf import Shelf
from bench.optimum import account, bounds, curves, picture, readings, running
from bench.optimum.bounds import Bounds, earlier_bounds, key_of, lower_bound
from bench.optimum.competitor import Competitor, Stopwatch
from bench.optimum.running import FASHION, L2, Case, race_all, selected
from bench.optimum.task import Task
from bench.softmax import bench as softmax
from bench.softmax import certificate_cost, path
from bench.svm import bench as svm
from bench.svm import ratios

import jaxlin

SKLEARN = ("lbfgs", "lbfgs-float64", "newton-cg", "newton-cholesky", "sag", "saga")


def small_data(classes: int = 3) -> Data:
    return Shelf().get(f"synthetic[n=300,d=6,c={classes},dtype=float32]")


def solver_of(bench: str, name: str, **values: Any) -> Any:
    kinds: dict[str, Any] = discover(f"bench.{bench}.solvers", "Solver")
    return kinds[name](**values)


# --- records to read from


def point(seconds: float, far: float | None, proved: float | None = None, **more: Any) -> Any:
    return {
        "budget": 1, "seconds": seconds, "times": [seconds], "objective": None if far is None else
        0.4 * (1 + far), "test_accuracy": 0.84, "own_bound": None, "suboptimality": far,
        "certified": proved, "ended": False, **more,
    }  # fmt: skip


def solver_record(*points: Any, cut_off: bool = False) -> dict[str, Any]:
    return {
        "first_call_seconds": 9.0, "limit": 40.0, "points": list(points), "cut_off": cut_off,
    }  # fmt: skip


OWN = solver_record(
    point(1.0, 5e-3, 9e-3), point(2.0, 4e-4, 8e-4), point(3.0, 5e-6, 9e-6), point(4.0, 1e-7, 8e-7)
)
PEERS = {
    "cyanure": solver_record(point(4.0, 2e-2), point(8.0, 9e-4), point(16.0, 8e-7)),
    "sklearn[solver=lbfgs]": solver_record(
        point(10.0, 0.1), point(20.0, None), point(38.0, 2e-3), cut_off=True
    ),
    "sklearn[solver=newton-cholesky]": {"skipped": "too large"},
    "torch-lbfgs": solver_record(point(9.0, 9e-3), point(12.0, 3e-3, ended=True)),
}


def case(l2: float, loss: str = "softmax", bias: bool = True, **solvers: Any) -> dict[str, Any]:
    return {
        "dataset": FASHION, "fingerprint": "0a", "n": 60_000, "d": 784, "c": 10, "loss": loss,
        "l2": l2, "bias": bias, "cutoff": 40.0, "bound": "0.39999999123", "bound_by": "jaxlin",
        "refuted": [], "best": "0.4", "bound_gap": 2e-8,
        "solvers": solvers or {"jaxlin": OWN, **PEERS},
    }  # fmt: skip


def of_machine(bench: str) -> dict[str, Any]:
    return {
        "bench": bench, "complete": True, "full": False, "repeats": 3, "seconds": 60.0,
        "machine": {**machine.machine(), "load_after": 1.5}, "versions": machine.versions(),
        "cutoff": 40.0,
    }  # fmt: skip


def softmax_record() -> dict[str, Any]:
    l2 = path.path_of(45)
    return {
        **of_machine("softmax"),
        "curves": [case(value) for value in L2],
        "path": {
            "dataset": FASHION, "l2": l2, "gap": 1e-3, "cutoff": 200.0,
            "sweep_first_seconds": 9.0, "sweep_seconds": 5.0,
            "sweep_suboptimality": [5e-4] * 45, "sweep_certified": [9e-4] * 45,
            "peer_factor": 0.01, "peer_trial_l2": [10.0, 1e-3],
            "peer_seconds": [5.0] * 40, "peer_suboptimality": [9e-4] * 39 + [2e-3],
            "single_l2": l2[:15], "single_seconds": [1.0] * 15,
        },
        "certificate": {
            "dataset": FASHION, "certificate_seconds": [0.2, 0.3, 0.9],
            "pass_seconds": [0.1, 0.2, 0.25], "difference": 1e-16,
        },
    }  # fmt: skip


def svm_record() -> dict[str, Any]:
    ascent = solver_record(point(17.0, 5e-3, 9e-3), point(42.0, 5e-4, 9e-4))
    svc = solver_record(point(50.0, 1e-2), point(90.0, 5e-4))
    problems = [
        case(1e-4, "weston-watkins", False, **{"jaxlin": OWN, "dual-ascent": ascent}),
        case(1e-4, "weston-watkins", True, jaxlin=OWN),
        case(1e-4, "crammer-singer", False, **{"jaxlin": OWN, "linear-svc": svc}),
    ]
    one = {"dataset": FASHION, "l2": 1e-4, "C": 1 / 12, "seconds": 220.0, "objective": 0.3}
    return {**of_machine("svm"), "curves": problems, "linear_svc": one}


def test_seconds_are_those_of_the_fastest_run_that_got_there() -> None:
    assert [readings.reached(OWN, target) for target in (1e-2, 1e-3, 1e-6)] == [1.0, 2.0, 4.0]
    assert readings.reached(PEERS["cyanure"], 1e-4) == 16.0
    assert readings.reached(PEERS["torch-lbfgs"], 1e-3) == math.inf
    assert readings.certified(PEERS["cyanure"], 1e-2) == math.inf  # it proves nothing
    unproved = solver_record(point(1.0, 1e-3, 1e-2), point(2.0, 2e-3, 1e-9))
    assert readings.certified(unproved, 1e-2) == 1.0
    assert readings.certified(unproved, 1e-3) == math.inf  # what the judge denies is no proof


def test_who_missed_a_target_needs_more_than_its_longest_run_that_did() -> None:
    lbfgs = PEERS["sklearn[solver=lbfgs]"]
    assert readings.at_least(lbfgs, 1e-3) == 38.0
    assert readings.at_least(PEERS["cyanure"], 1e-3) == 4.0
    assert readings.at_least(PEERS["cyanure"], 0.5) == 0.0
    assert readings.at_least(PEERS["torch-lbfgs"], 1e-3) == math.inf  # it had stopped by itself
    assert readings.at_least({"skipped": "no"}, 1e-3) == math.inf


def test_the_best_peer_is_who_reached_it_first_and_else_a_bound() -> None:
    whole = case(1e-4)
    assert readings.fastest_peer(whole, 1e-3) == readings.Fastest(8.0, "cyanure", False)
    assert readings.times_faster(whole, 1e-3) == pytest.approx(4.0)
    slow = {name: PEERS[name] for name in ("sklearn[solver=lbfgs]", "torch-lbfgs")}
    cut = case(1e-4, jaxlin=OWN, **slow)
    assert readings.fastest_peer(cut, 1e-3) == readings.Fastest(38.0, None, True)
    assert readings.times_faster(cut, 1e-3) == pytest.approx(19.0)
    assert readings.times_faster(case(1e-4, jaxlin=OWN), 1e-3) is None
    assert readings.times_faster(case(1e-4, **PEERS), 1e-3) is None
    no_proof = solver_record(point(1.0, 1e-9))
    assert math.isnan(readings.times_faster(case(1e-4, jaxlin=no_proof, **PEERS), 1e-3) or 0.0)
    assert readings.find_case({"curves": [whole]}, FASHION, "softmax", 1e-6, True) is None


def test_the_numbers_behind_the_bars_of_softmax() -> None:
    found = softmax.values(softmax_record())
    expected = {
        "l2_1e-4_to_1e-3": 4.0, "l2_1e-4_to_1e-6": 4.0, "l2_1e-6_to_1e-3": 4.0,
        "l2_1e-6_to_1e-5": 16 / 3, "path_against_sklearn": 40.0, "path_against_fits": 9.0,
        "certificate_cost": 1.5,
    }  # fmt: skip
    assert found == pytest.approx(expected)
    bars = read_bars(softmax.BARS)
    assert set(found) == {bar.key for bar in bars}
    assert all_hold(judge_bars(bars, found), complete=True)


def test_the_numbers_behind_the_bars_of_the_svm() -> None:
    found = svm.values(svm_record())
    expected = {
        "no_bias_to_1e-2": 1.0, "no_bias_to_1e-3": 2.0, "no_bias_to_1e-6": 4.0,
        "free_bias_to_1e-2": 1.0, "free_bias_to_1e-3": 2.0, "free_bias_to_1e-6": 4.0,
        "against_linear_svc": 110.0, "against_dual_ascent": 21.0,
    }  # fmt: skip
    assert found == pytest.approx(expected)
    bars = read_bars(svm.BARS)
    assert set(found) == {bar.key for bar in bars}
    assert all_hold(judge_bars(bars, found), complete=True)


def test_a_dual_ascent_that_was_cut_off_gives_a_bound() -> None:
    record = svm_record()
    record["curves"][0]["solvers"]["dual-ascent"]["points"].pop()
    assert ratios.dual_ascent_seconds(record["curves"][0]) == (17.0, True)
    assert ratios.against_dual_ascent(record) == pytest.approx(8.5)
    assert "> 17" in str(svm.sections(record)[0].rows)


@pytest.mark.parametrize("bench", [softmax, svm])
def test_an_aim_is_beyond_its_bar(bench: Any) -> None:
    for bar in read_bars(bench.BARS):
        assert bar.better in ("lower", "higher")
        assert bar.aim is None or bar.holds(bar.aim, bar.bar)


def test_a_sweep_without_proofs_meets_no_bar() -> None:
    record = softmax_record()
    for gaps in ([None] * 45, [9e-4] * 44 + [2e-3]):
        record["path"]["sweep_certified"] = gaps
        assert all(math.isnan(value) for value in path.values(record["path"]).values())
        assert "did not prove" in softmax.sections(record)[-2].text


@pytest.mark.parametrize(("name", "make"), [("softmax", softmax_record), ("svm", svm_record)])
def test_the_page_and_the_picture_are_made_of_a_record(
    name: str, make: Any, tmp_path: Path
) -> None:
    bench: Any = {"softmax": softmax, "svm": svm}[name]
    folder, record = tmp_path / pages.FOLDER, make()
    path = pages.write_record(folder, name, pages.rounded(record))
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again["curves"][0]["bound"] == "0.39999999123"  # not rounded: it would be none
    assert bench.values(again) == pytest.approx(bench.values(record))
    bench.picture(record, folder / f"{name}.png")
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = pages.page(folder)
    words = {
        "softmax": ("> 38", "too large", "jaxlin, certified", "with 40 of the points done",
                    "At 1 of its points", "| `duality_gap` ", "84.00"),
        "svm": ("one LinearSVC fit: 220", "dual-ascent, certified", "uncertified: 90"),
    }  # fmt: skip
    for word in (f"## {bench.TITLE}", f"benchmarks/{name}.png", *words[name]):
        assert word in page, word


def test_the_picture_has_a_panel_an_l2_and_a_line_a_solver() -> None:
    figure = picture.draw(softmax_record())
    assert figure is not None
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["l2 = 0.01", "l2 = 0.0001", "l2 = 1e-06"]
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in panels} == {("log", "log")}
    assert len(panels[0].lines) == 2 * 4  # those who ran, each with its proofs
    names = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert names == {"jaxlin", "cyanure", "sklearn lbfgs", "torch-lbfgs", "by its own proof"}
    assert picture.draw({}) is None
    assert picture.draw({"curves": [case(1e-4, cyanure={"skipped": "no"})]}) is None


@pytest.mark.parametrize("bench", [softmax, svm])
def test_parts_that_did_not_run_have_no_numbers_and_no_tables(bench: Any) -> None:
    assert bench.values({}) == {}
    assert bench.sections({}) == []


def test_a_solver_without_a_certificate_is_told_of() -> None:
    no_proof = solver_record(point(1.0, 1e-9))
    text = account.curve_sections({"curves": [case(1e-4, jaxlin=no_proof)]})[1].text
    assert "jaxlin gave no certificate" in text


# --- bounds


def test_a_bound_comes_from_the_best_point_and_from_every_proof() -> None:
    task = Task(small_data(), "softmax", 1e-2)
    found, zero = Bounds(task), np.zeros((3, 6))
    assert (found.value, found.by) == (0.0, "zero")
    objective = task.judge(zero, None).objective
    assert found.see("somebody", zero, None, objective) is None
    assert found.value == lower_bound(task, zero, None) < objective
    assert found.by == "a point of somebody"
    assert found.suboptimality(objective) == pytest.approx((objective - found.value) / objective)
    proof = jaxlin.certificates.Certificate(objective, 0.999 * objective, "", 1e-2, True)
    assert found.see("prover", zero, None, objective, proof) == 0.999 * objective
    assert (found.value, found.by, found.refuted()) == (0.999 * objective, "prover", [])
    # Somebody gets below what was proved: then it was no proof.
    found.see("better", zero, None, 0.99 * objective)
    assert found.by != "prover"
    assert found.refuted() == ["prover"]
    assert found.suboptimality(math.inf) == math.inf
    assert found.see("broken", zero, None, math.inf) is None


def test_earlier_bounds_count_for_the_same_problem_alone(tmp_path: Path) -> None:
    one, other = case(1e-4), {**case(1e-4), "fingerprint": "0b", "bound": "0.1"}
    for name, cases in (("first", [one]), ("second", [{**one, "bound": "0.3999999913"}, other])):
        folder = tmp_path / name
        pages.write_record(folder, "softmax", {"curves": cases})
    found = earlier_bounds("softmax", [tmp_path / "first", tmp_path / "second", tmp_path / "none"])
    assert found == {key_of(one): 0.3999999913, key_of(other): 0.1}
    assert key_of({**one, "bias": False}) not in found


def test_a_fingerprint_tells_data_apart() -> None:
    data = small_data()
    changed = Data(data.name, data.x + np.float32(1), data.labels, data.num_classes)
    assert Task(data).fingerprint == Task(small_data()).fingerprint != Task(changed).fingerprint


# --- curves, on a clock of their own


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("bench.harness.timing.time.perf_counter", lambda: self.now)


class Halving(Competitor):
    """`1 + 1 / budget` after as many seconds, whatever the task."""

    name = "halving"
    best = 1.0

    def __init__(self, clock: Clock, end: int = 1 << 30, pace: float = 1.0) -> None:
        super().__init__()
        self.clock, self.end, self.pace, self.ran = clock, end, pace, []
        self.task: Any = self

    def judge(self, W: Any, b: Any) -> Any:
        del b
        return type("Verdict", (), {"objective": float(W), "test_accuracy": None})

    def run(self, budget: int) -> None:
        self.ran.append(budget)
        self.done = min(budget, self.end)
        self.clock.now += self.pace * self.done

    def has_ended(self) -> bool:
        return self.ran[-1] > self.end

    def get_result(self) -> Any:
        return self.best + 1.0 / self.done, None


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(bounds, "lower_bound", lambda *given: 1.0)
    return Clock(monkeypatch)


def test_budgets_double_until_the_next_would_take_too_long(clock: Clock) -> None:
    solver: Any = Halving(clock)
    found = curves.curve(solver, Bounds(solver), cutoff=20.0, repeats=3)
    assert solver.ran == [1, 1, 2, 4, 8, 16]  # the first to warm up; and 32 s are too long
    assert found["cut_off"]
    assert [one["seconds"] for one in found["points"]] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert found["points"][-1]["objective"] == 1.0625


def test_a_curve_ends_where_a_solver_does_or_the_last_target_is(clock: Clock) -> None:
    solver: Any = Halving(clock, end=5)
    found = curves.curve(solver, Bounds(solver), cutoff=1e9, repeats=1)
    assert solver.ran == [1, 1, 2, 4, 8]
    assert not found["cut_off"]
    assert found["points"][-1]["ended"]
    solver = Halving(clock)
    found = curves.curve(solver, Bounds(solver), cutoff=1e9, repeats=1)
    assert solver.ran[-1] == 1 << 20  # 1 / 2^20 is under 1e-6
    assert not found["cut_off"]


def test_short_runs_are_repeated_and_who_compiles_runs_twice(clock: Clock) -> None:
    solver: Any = Halving(clock, end=2, pace=0.4)
    found = curves.curve(solver, Bounds(solver), cutoff=10.0, repeats=3)
    assert solver.ran == [1, 1, 1, 1, 2, 2, 2, 4, 4, 4]
    assert len(found["points"][0]["times"]) == 3
    solver = type("Compiling", (Halving,), {"compiles": True})(clock, end=3)
    curves.curve(solver, Bounds(solver), cutoff=10.0, repeats=1)
    assert solver.ran == [1, 1, 1, 2, 2, 4]  # what takes over a quarter of the limit runs once


def test_snapshots_are_taken_with_the_clock_stopped(clock: Clock) -> None:
    class Watched(Halving):
        name = "watched"

        def snapshots(self) -> Iterator[tuple[int, float]]:
            watch = Stopwatch()
            for budget in (1, 2, 4, 8):
                with watch.running():
                    self.run(budget)
                clock.now += 100.0
                yield budget, watch.seconds

    solver: Any = Watched(clock)
    found = curves.curve(solver, Bounds(solver), cutoff=5.0, repeats=3)
    assert [one["seconds"] for one in found["points"]] == [1.0, 3.0, 7.0]
    assert found["cut_off"]


def test_who_could_be_the_fastest_is_narrowed_down(clock: Clock) -> None:
    quick, slow = Halving(clock), Halving(clock, pace=10.0)
    solvers: Any = {"quick": quick, "slow": slow}
    shared = Bounds(solvers["quick"])
    records = {
        label: curves.curve(solver, shared, cutoff=1e3, repeats=1)
        for label, solver in solvers.items()
    }
    before = len(slow.ran)
    curves.refine(solvers, records, shared, 1 / 200)  # reached from 199 on
    budgets = [one["budget"] for one in records["quick"]["points"]]
    assert budgets == sorted(budgets)
    assert {181, 215} <= set(budgets)
    assert len(slow.ran) == before  # its run that missed took longer than the other's that did not
    curves.finish(records, shared)
    assert readings.reached(records["quick"], 1 / 200) < 1.25 * 199


def test_a_point_has_its_own_proof_beside_the_best_bound() -> None:
    points = [
        {"objective": 1.25, "own_bound": repr(1.0)}, {"objective": math.inf, "own_bound": None},
        {"objective": 1.25, "own_bound": repr(1.3)},
    ]  # fmt: skip
    found: Any = Bounds(Task(small_data()), earlier=1.1)
    found.best = 1.2
    curves.finish({"one": {"points": points}, "none": {"skipped": "no"}}, found)
    assert points[0]["suboptimality"] == pytest.approx(0.15 / 1.25)
    assert points[0]["certified"] == pytest.approx(0.2)
    assert points[1]["suboptimality"] == math.inf
    assert points[2]["certified"] is None  # refuted


def test_cases_follow_the_options() -> None:
    cases = softmax.cases(quick=False)
    assert len(cases) == 15
    assert {one.sharp for one in cases} == {(), (1e-3, 1e-6), (1e-3, 1e-5)}
    some = selected(cases, Options(datasets=["digits"], l2=[1e-4, 1e-3]))
    assert [(one.dataset, one.l2) for one in some] == [("digits", 1e-4), ("digits", 1e-3)]
    other = selected(cases, Options(datasets=["synthetic[n=50,d=3,c=3]"]))
    assert [one.l2 for one in other] == sorted(L2)
    assert other[0].dataset == "synthetic[n=50,d=3,c=3,dtype=float32]"
    assert len({(one.dataset, one.loss, one.bias, one.l2) for one in svm.cases(False)}) == 33
    assert not Options(l2=[1.0]).is_complete
    assert Options(cutoff=600.0).is_complete


# --- the problems, solved


@pytest.mark.parametrize("name", SKLEARN)
def test_scikit_learn_solves_this_problem(name: str) -> None:
    data = small_data()
    task, solver = Task(data, "softmax", 1e-2), solver_of("softmax", "sklearn", solver=name)
    assert solver.skip(task) is None
    solver.set_objective(task)
    solver.run(200)
    W, b = solver.get_result()
    objective = task.judge(W, b).objective
    assert objective == pytest.approx(lower_bound(task, W, b), rel=1e-5)
    assert solver.skip(Task(small_data(2))) == "keeps one row for two classes"


def test_a_hessian_that_does_not_fit_is_a_reason() -> None:
    x = np.broadcast_to(np.float32(0), (60_000, 784))
    labels = np.zeros(60_000, np.int32)
    solver = solver_of("softmax", "sklearn", solver="newton-cholesky")
    assert "7850 x 7850" in solver.skip(Task(Data("large", x, labels, 10)))


def test_liblinear_solves_the_crammer_singer_problem() -> None:
    task, solver = Task(small_data(), "crammer-singer", 1e-1, False), solver_of("svm", "linear-svc")
    assert solver.skip(task) is None
    solver.set_objective(task)
    solver.run(1e-6)
    W, b = solver.get_result()
    objective = task.judge(W, b).objective
    assert objective == pytest.approx(lower_bound(task, W, b), rel=1e-3)
    for other in (Task(small_data(), "weston-watkins", 1e-1, False), Task(small_data())):
        assert "no free bias" in solver.skip(other)


def test_the_plain_dual_ascent_proves_its_gap() -> None:
    data = small_data()
    x = data.x.copy()
    x[7] = 0.0  # an example without features has a step of its own
    task = Task(Data("zeros", x, data.labels, 3), "weston-watkins", 1e-2, bias=False)
    solver = solver_of("svm", "dual-ascent")
    reason = solver.skip(task)
    assert reason in (None, "g++ is not installed")
    if reason is not None:
        return
    solver.set_objective(task)
    solver.run(200)
    W, b = solver.get_result()
    dual = solver.dual()
    np.testing.assert_allclose(W, -(dual.T @ x) / (2 * task.l2 * len(x)), atol=1e-9)
    np.testing.assert_array_equal(dual[7], np.where(np.arange(3) == data.labels[7], -2.0, 1.0))
    objective = task.judge(W, b).objective
    assert lower_bound(task, W, None, dual) <= objective
    assert objective == pytest.approx(lower_bound(task, W, None, dual), rel=1e-4)
    snapshots = [budget for budget, _ in zip(solver.snapshots(), range(6), strict=False)]
    assert [done for done, _ in snapshots] == [1, 2, 3, 4, 5, 6]
    assert "no bias" in solver.skip(Task(data, "weston-watkins", 1e-2))


@pytest.mark.parametrize(
    ("bench", "loss", "bias"),
    [("softmax", "softmax", True), ("svm", "weston-watkins", False)],
)
def test_jaxlins_answer_is_judged_from_outside(bench: str, loss: str, bias: bool) -> None:
    data = Shelf().get("digits")
    solver = solver_of(bench, "jaxlin")
    task = Task(data, loss, 1e-2, bias)
    assert solver.skip(task) is None
    solver.set_objective(task)
    solver.run(1e-2)
    W, b = solver.get_result()
    assert (b is not None) == bias
    verdict = task.judge(W, b)
    assert verdict.test_accuracy is not None
    assert verdict.test_accuracy > 0.9
    found = Bounds(task)
    own = found.see("jaxlin", W, b, verdict.objective, solver.certificate())
    assert found.suboptimality(verdict.objective) < 0.2
    assert found.refuted() == []
    assert own is None or found.suboptimality(verdict.objective, own) <= 1.0001e-2
    assert solver.notes()["told_seconds"] > 0.0


class Failing(Competitor):
    name = "failing"

    def run(self, budget: Any) -> None:
        raise RuntimeError("no kernel\nimage")

    get_result = run  # pyright: ignore[reportAssignmentType]


class Given(Competitor):
    """Always the same answer; two budgets."""

    name = "given"

    def budgets(self) -> Iterator[int]:
        return iter((1, 2))

    def run(self, budget: int) -> None:
        self.budget = budget

    def get_result(self) -> Any:
        return np.zeros((3, 6)), np.zeros(3)


def test_a_race_has_everyone_and_survives_who_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "earlier_bounds", lambda bench: {})
    said: list[str] = []
    label = "synthetic[n=300,d=6,c=3,dtype=float32]"
    found = race_all(
        "softmax", [Case(label, "softmax", 1e-2, True, sharp=(1e-3,))], [Failing, Given],
        cutoff=1.0, options=Options(repeats=1), shelf=Shelf(), say=said.append,
    )  # fmt: skip
    (one,) = found
    assert one["solvers"]["failing"]["skipped"] == "failed: RuntimeError: no kernel image"
    points = one["solvers"]["given"]["points"]
    assert [point["budget"] for point in points] == [1, 2]
    assert points[0]["objective"] == pytest.approx(math.log(3))
    assert 0.0 < float(one["bound"]) < math.log(3)
    assert one["bound_by"] == "a point of given"
    assert points[0]["suboptimality"] == pytest.approx(one["bound_gap"])
    assert account.curve_sections({"curves": found})[1].rows
    assert said[0].startswith("1: synthetic")


# --- the path and the certificate


def test_every_beginning_of_an_order_is_spread() -> None:
    order = path.spread(45)
    assert sorted(order) == list(range(45))
    assert order[:3] == [0, 44, 22]
    assert path.spread(1) == [0]


def test_the_loosest_tolerance_that_gets_there_is_chosen() -> None:
    tried: list[float] = []

    def trial(factor: float) -> list[float]:
        tried.append(factor)
        return [factor * 1e-2, 1e-5]

    assert path.choose_factor(trial, (1.0, 0.3, 0.1, 0.03)) == 0.1
    assert tried == [1.0, 0.3, 0.1]
    assert path.choose_factor(lambda factor: [1.0], (1.0, 0.1)) == 0.1
    trials = path.trial_points(path.path_of(45))
    assert trials[0] == 0
    assert len(trials) == 4
    assert path.path_of(45)[trials[-1]] >= 1e-3


def test_a_path_is_measured_beside_single_fits_and_the_peer() -> None:
    measured = path.measure(small_data(), points=3, cutoff=60.0, say=lambda line: None)
    assert len(measured["peer_seconds"]) == len(measured["single_seconds"]) == 3
    assert measured["peer_suboptimality"][0] <= path.GAP
    assert set(path.values(measured)) == {"path_against_sklearn", "path_against_fits"}
    assert softmax.sections({"path": measured})[0].rows


def test_a_certificate_is_measured_beside_a_plain_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_cost, "_ROWS", 128)  # blocks, and a rest
    measured = certificate_cost.measure(small_data(), 1)
    assert measured["difference"] < 1e-12
    assert certificate_cost.values(measured)["certificate_cost"] > 0.0


# --- data


def test_the_scales_fall_and_no_feature_shows_them() -> None:
    data = Shelf().get("falling-scales[n=400,d=20,c=4]")
    assert set(data.labels.tolist()) == {0, 1, 2, 3}
    values = np.linalg.eigvalsh(np.cov(data.x.T))
    assert 100 < values[-1] / values[0] < 2_000  # about 20^2
    spread = data.x.std(axis=0)
    assert spread.max() < 20 * spread.min()
    np.testing.assert_array_equal(data.x, Shelf().get("falling-scales[n=400,d=20,c=4]").x)
