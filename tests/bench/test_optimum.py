"""The benches on the way to the optimum: bounds, curves and cases.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.harness import pages
from bench.harness.options import Options
from bench.harness.parts import Data
from bench.harness.shelf import Shelf
from bench.optimum import bounds, curves, readings
from bench.optimum.bounds import Bounds, earlier_bounds, key_of, lower_bound
from bench.optimum.competitor import Competitor, RanTooLongError, Stopwatch
from bench.optimum.running import L2, selected
from bench.optimum.task import Task
from bench.softmax import bench as softmax
from bench.svm import bench as svm

import jaxlin


def small_data(classes: int = 3) -> Data:
    return Shelf().get(f"synthetic[n=300,d=6,c={classes},dtype=float32]")


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
    one: dict[str, Any] = {
        "dataset": "digits", "fingerprint": "0a", "loss": "softmax", "l2": 1e-4, "bias": True,
        "bound": "0.39999999123",
    }  # fmt: skip
    other = {**one, "fingerprint": "0b", "bound": "0.1"}
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


class GivingUp(Halving):
    def run(self, budget: int) -> None:
        assert self.most_seconds == 5 * 20.0
        if budget > 4:
            raise RanTooLongError
        super().run(budget)


def test_a_run_that_is_given_up_ends_the_curve_as_cut_off(clock: Clock) -> None:
    solver: Any = GivingUp(clock)
    found = curves.curve(solver, Bounds(solver), cutoff=20.0, repeats=3)
    assert found["cut_off"]
    assert [one["budget"] for one in found["points"]] == [1, 2, 4]


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
    solver: Any = Halving(clock, end=2, pace=0.1)
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
