"""How a sweep is cut up does not show in what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pytest
from sweep_problem import HINGE, SOFTMAX, clouds, momentum_sgd, same_objective

import jaxlin
from jaxlin import solvers
from jaxlin.solvers import loop
from jaxlin.solvers.compaction import compaction_pays
from jaxlin.sweeps import memory

X, Y = clouds()
HELD_OUT = clouds(90, seed=1)


class Reports(list[jaxlin.SweepReport]):
    """What a callback has heard."""

    def __call__(self, report: jaxlin.SweepReport) -> None:
        self.append(report)


def same_tables(a: jaxlin.Sweep, b: jaxlin.Sweep) -> None:
    assert a.table.keys() == b.table.keys()
    for name, column in a.table.items():
        if name == "seconds":
            continue
        if column.dtype == object:
            assert column.tolist() == b.table[name].tolist()
        else:
            np.testing.assert_allclose(column, b.table[name], rtol=1e-4, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(a.params.W, b.params.W, rtol=1e-3, atol=1e-5)
    for one, other in zip(a.histories, b.histories, strict=True):
        np.testing.assert_allclose(one.objective, other.objective, rtol=1e-4)
    assert (a.best, a.edges) == (b.best, b.edges)


def test_what_cannot_be_traced_makes_groups() -> None:
    def make(learning_rate: float, batch_size: int, name: str) -> solvers.SGD:
        rate = learning_rate if name == "plain" else 2 * learning_rate
        return solvers.SGD(optax.sgd(rate, 0.9), batch_size, 3)

    heard = Reports()
    grid = {
        "batch_size": [32, 300], "name": ["plain", "double"], "learning_rate": [0.01, 0.02, 0.04],
    }  # fmt: skip
    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid, solver=make, on_epoch=heard)
    assert {report.groups for report in heard} == {4}
    assert [report.group for report in heard] == [g for g in range(1, 5) for _ in range(3)]
    assert {report.models for report in heard} == {3}
    for row in (1, 11):
        s = found.settings[row]
        same_objective(found, row, jaxlin.fit(X, Y, loss=SOFTMAX, solver=make(**s)), X, Y)
    # What is double at half the rate is the same model.
    by = {tuple(s.values()): row for row, s in enumerate(found.settings)}
    for rate in (0.01, 0.02):
        a, b = by[32, "double", rate], by[32, "plain", 2 * rate]
        np.testing.assert_allclose(found.params.W[a], found.params.W[b], rtol=1e-5, atol=1e-6)


def test_a_number_that_python_branches_on_makes_groups() -> None:
    def make(learning_rate: float, boost: float) -> solvers.SGD:
        return solvers.SGD(optax.sgd(learning_rate * (2 if boost > 1 else 1)), 32, 2)

    heard = Reports()
    grid = {"learning_rate": [0.01, 0.02], "boost": [0.5, 1.5]}
    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid, solver=make, on_epoch=heard)
    assert {(report.groups, report.models) for report in heard} == {(2, 2)}
    np.testing.assert_allclose(found.params.W[1], found.params.W[2], rtol=1e-6)


def test_whole_numbers_stay_whole_in_a_program() -> None:
    def make(power: int) -> solvers.SGD:
        def schedule(step: Any) -> Any:
            return 0.1 / (1 + step // power)

        return solvers.SGD(optax.sgd(schedule), 32, 2)

    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid={"power": [3, 7]}, solver=make)
    for row, power in enumerate([3, 7]):
        same_objective(found, row, jaxlin.fit(X, Y, loss=SOFTMAX, solver=make(power)), X, Y)


def test_a_second_sweep_of_the_same_function_does_not_retrace() -> None:
    traces: list[int] = []

    def counting(scores: Any, labels: Any) -> Any:
        traces.append(1)
        return SOFTMAX(scores, labels)

    def run(l2: float) -> int:
        before = len(traces)
        jaxlin.sweep(
            X, Y, loss=counting, grid={"l2": [l2, 0.5], "learning_rate": [l2, 0.2]},
            solver=momentum_sgd, validation=HELD_OUT,
        )  # fmt: skip
        return len(traces) - before

    first, second = run(0.01), run(0.02)
    assert second < first
    assert second <= 2  # the probe of what can be traced


@pytest.mark.parametrize("validated", ["folds", "held out"])
def test_chunks_give_what_one_program_gives(
    validated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: dict[str, Any] = {"folds": 3} if validated == "folds" else {"validation": HELD_OUT}
    grid = {"l2": [0.01, 0.1, 1.0], "learning_rate": [0.01, 1e30]}
    options: dict[str, Any] = {"loss": HINGE, "grid": grid, "solver": momentum_sgd, **judged}
    at_once = jaxlin.sweep(X, Y, **options)
    models = 4 if validated == "folds" else 1
    seen: list[int] = []

    def two_settings(bytes_each: int) -> int:
        seen.append(bytes_each)
        return 2 * models

    monkeypatch.setattr(memory, "most_models", two_settings)
    heard = Reports()
    cut = jaxlin.sweep(X, Y, on_epoch=heard, **options)
    assert {(r.groups, r.models) for r in heard} == {(3, 2 * models)}
    same_tables(at_once, cut)
    # At the least the params, the momentum and the gradient, in float32.
    assert seen[0] > 3 * 4 * (3 * 8 + 3)


def test_a_memory_that_holds_nothing_trains_one_setting_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)
    heard = Reports()
    jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid={"l2": [0.1, 0.2]}, solver=momentum_sgd(0.01), on_epoch=heard
    )
    assert {(r.groups, r.models) for r in heard} == {(2, 1)}


def test_the_memory_that_is_free_is_more_than_nothing() -> None:
    assert 1 << 20 < memory.available_bytes() < 1 << 50


@pytest.mark.parametrize("validated", ["folds", "held out"])
def test_leaving_out_the_finished_changes_nothing(
    validated: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: dict[str, Any] = {"folds": 2} if validated == "folds" else {"validation": HELD_OUT}
    options: dict[str, Any] = {
        "loss": HINGE, "solver": momentum_sgd, "patience": 2, "tol": 1e-6, **judged,
        "grid": {"learning_rate": [0.5, 1e30, 0.01, 0.05, 0.002], "epochs": [25]},
    }  # fmt: skip
    monkeypatch.setattr(loop, "compaction_pays", lambda *_: False)
    whole = jaxlin.sweep(X, Y, **options)
    sizes: list[tuple[int, int]] = []

    def always(models: int, active: int, *_: Any) -> bool:
        sizes.append((models, active))
        return active < models

    monkeypatch.setattr(loop, "compaction_pays", always)
    heard = Reports()
    compacted = jaxlin.sweep(X, Y, on_epoch=heard, **options)
    same_tables(whole, compacted)
    assert whole.table["outcome"][1] == "diverged"
    assert len({models for models, _ in sizes}) > 1, sizes
    assert {r.models for r in heard if r.group == 1} == {5 if validated != "folds" else 10}
    active = [r.active for r in heard if r.group == 1]
    assert active == sorted(active, reverse=True)


@pytest.mark.parametrize(
    ("models", "active", "epochs", "epoch_seconds", "compile_seconds", "pays"),
    [
        (10, 10, 1000, 1.0, 1.0, False),  # nobody has finished
        (10, 0, 1000, 1.0, 1.0, False),  # nobody is left
        (10, 5, 8, 1.0, 2.0, False),  # saves 4 s, for 2 s of compiling
        (10, 5, 9, 1.0, 2.0, True),
        (10, 5, 100, 0.01, 0.0, False),  # saves 0.5 s: compiling costs something
        (10, 1, 1000, 0.01, 0.0, True),
    ],
)
def test_the_finished_are_left_out_where_that_saves_twice_what_it_costs(
    models: int, active: int, epochs: int, epoch_seconds: float, compile_seconds: float, pays: bool
) -> None:
    assert compaction_pays(models, active, epochs, epoch_seconds, compile_seconds) == pays


def test_models_with_keys_of_their_own_can_be_left_out_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {
        "loss": SOFTMAX, "solver": solvers.RandomSearch, "patience": 4, "validation": HELD_OUT,
        "grid": {"l2": [0.0, 1.0], "scale": [0.1, 1.0], "trials": [40]}, "key": 5,
    }  # fmt: skip
    found = []
    for pays in (lambda *_: False, lambda models, active, *_: active < models):
        monkeypatch.setattr(loop, "compaction_pays", pays)
        found.append(jaxlin.sweep(X, Y, **options))
    same_tables(*found)
    assert len(set(found[0].table["epochs"])) > 1, found[0].table["epochs"]


def test_a_callback_that_stops_in_a_compacted_program_undoes_what_ran_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "compaction_pays", lambda models, active, *_: active < models)
    grid = {"learning_rate": [1e30, 0.01, 0.02], "epochs": [60]}
    found = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid=grid, solver=momentum_sgd, on_epoch=lambda r: r.epoch == 41
    )
    assert found.table["epochs_run"].tolist() == [0, 41, 41]
    assert found.table["outcome"].tolist() == ["diverged"] + 2 * ["stopped_by_callback"]
    alone = jaxlin.fit(
        X, Y, loss=SOFTMAX, solver=momentum_sgd(0.02, epochs=60),
        on_epoch=lambda r: r.epoch == 41,
    )  # fmt: skip
    np.testing.assert_allclose(found.params.W[2], alone.params.W, rtol=1e-4, atol=1e-5)


def test_a_callback_stops_everything() -> None:
    heard = Reports()

    def stop(report: jaxlin.SweepReport) -> bool:
        heard(report)
        return report.group == 2 and report.epoch == 2

    grid = {"batch_size": [30, 60, 100], "learning_rate": [0.01, 0.02]}
    found = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid=grid, solver=momentum_sgd, validation=HELD_OUT, on_epoch=stop
    )
    kinds = 2 * ["out_of_steps"] + 2 * ["stopped_by_callback"] + 2 * ["not_run"]
    assert found.table["outcome"].tolist() == kinds
    assert found.table["epochs"].tolist() == [4, 4, 2, 2, 0, 0]
    assert found.outcome.kind == "stopped_by_callback"
    assert "Stopped by on_epoch; 2 have no model." in found.outcome
    assert np.isnan(found.table["objective"][4:]).all()
    assert found.best is not None
    assert found.best < 4
    assert found.fit(2).outcome.kind == "stopped_by_callback"
    with pytest.raises(jaxlin.InputError, match="Setting 4 has no model"):
        found.fit(4)
    last = heard[-1]
    assert (last.group, last.groups, last.epoch, last.epochs) == (2, 3, 2, 4)
    assert (last.models, last.active) == (2, 2)
    best = [r.best_validation_accuracy for r in heard]
    assert best == sorted(best, key=lambda value: value or 0.0)
    seconds = [r.seconds for r in heard]
    assert seconds == sorted(seconds)


def test_a_callback_that_stops_before_the_models_on_all_rows_leaves_none() -> None:
    found = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid={"learning_rate": [0.01, 0.02]}, solver=momentum_sgd, folds=2,
        patience=3, on_epoch=lambda report: report.epoch == 2,
    )  # fmt: skip
    assert found.table["outcome"].tolist() == ["not_run", "not_run"]
    assert found.best is None
    assert "No setting can be chosen: none has been trained." in found.outcome
    assert not np.asarray(found.params.W).any()


def test_progress_of_folds_is_their_mean_and_no_part_of_a_history() -> None:
    heard = Reports()
    found = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid={"learning_rate": [0.01, 0.02]}, solver=momentum_sgd, folds=3,
        on_epoch=heard,
    )  # fmt: skip
    assert {(r.groups, r.models, r.active) for r in heard} == {(1, 8, 8)}
    best = max(found.table["validation_accuracy"])
    assert heard[-1].best_validation_accuracy is not None
    assert heard[-1].best_validation_accuracy >= best - 1e-6
    assert heard[-1].best_validation_accuracy < 1.0
    assert found.histories[0].validation_loss is None
