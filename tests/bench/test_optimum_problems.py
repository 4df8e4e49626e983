"""The benches on the way to the optimum: that all solve the problem that is judged.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bench.harness.options import Options
from bench.harness.parts import Data, discover
from bench.harness.shelf import Shelf
from bench.optimum import account, running
from bench.optimum.bounds import Bounds, lower_bound
from bench.optimum.competitor import Competitor, RanTooLongError
from bench.optimum.running import Case, race_all
from bench.optimum.task import Task
from bench.softmax import bench as softmax
from bench.softmax import certificate_cost, path

SKLEARN = ("lbfgs", "lbfgs-float64", "newton-cg", "newton-cholesky", "sag", "saga")


def small_data(classes: int = 3) -> Data:
    return Shelf().get(f"synthetic[n=300,d=6,c={classes},dtype=float32]")


def solver_of(bench: str, name: str, **values: Any) -> Any:
    kinds: dict[str, Any] = discover(f"bench.{bench}.solvers", "Solver")
    return kinds[name](**values)


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
    solver.close()
    solver.most_seconds = 1e-3  # its process takes longer to begin
    with pytest.raises(RanTooLongError, match=r"LinearSVC took over 0\.001 s"):
        solver.run(1e-6)
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

    def trial(factor: float) -> float:
        tried.append(factor)
        return factor * 1e-2

    assert path.choose_factor(trial, (1.0, 0.3, 0.1, 0.03)) == 0.1
    assert tried == [1.0, 0.3, 0.1]
    assert path.choose_factor(lambda factor: 1.0, (1.0, 0.1)) == 0.1
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
