"""The bench of SGD: its numbers, its page and picture, and that all solve the same problem.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from bench.__main__ import main
from bench.harness import machine, pages
from bench.harness.bars import all_hold, judge_bars, read_bars
from bench.harness.options import Options
from bench.harness.parts import BaseSolver, Data, Part, discover
from bench.harness.shelf import Shelf
from bench.objective import judge
from bench.sgd import account, bench, cases, epochs, limit, picture, programs, ratios
from bench.sgd.task import Task, minibatches, one_against_rest
from sklearn.linear_model import SGDClassifier


def small_data(dtype: str = "float32", classes: int = 3) -> Data:
    label = f"synthetic[n=600,d=8,c={classes},dtype={dtype}]"
    return Shelf().get(label)


def competitor(seconds: float, value: float | None, accuracy: float = 0.8) -> dict[str, Any]:
    return {
        "objective": value,
        "train_accuracy": accuracy,
        "test_accuracy": None,
        "first_call_seconds": 2.0,
        "call_seconds": 1.0,
        "timed_epochs": [1, 5],
        "epoch_seconds": [9.0, seconds, seconds / 2],  # the median is `seconds`
    }


def race(dataset: str, batch_size: int, jaxlins_objective: float = 0.4) -> dict[str, Any]:
    """The limit is 0.01 s."""
    return {
        "dataset": dataset, "n": 100_000, "d": 25, "c": 10, "dtype": dataset.split("=")[1][:5],
        "batch_size": batch_size, "epochs": 10, "learning_rate": 0.01, "l2": 1e-4, "flops": 1e8,
        "matrix_flops": [1e10, 1e10, 2e10], "shape_flops": [5e9, 5e9, 5e9],
        "solvers": {
            "jaxlin": competitor(0.03, jaxlins_objective),
            "optax-loop": competitor(0.12, 0.401),
            "torch-index": competitor(0.15, None),
            "sklearn-sgd": competitor(0.3, 0.7, 0.79),
            "torch-dataloader[num_workers=0]": {"skipped": "is not installed"},
        },
    }  # fmt: skip


def fake_record(jaxlins_objective: float = 0.4) -> dict[str, Any]:
    floats = "fashion-mnist[dtype=float32,order=shuffled]"
    return {
        "bench": "sgd", "complete": True, "full": False, "repeats": 3, "seconds": 60.0,
        "machine": {**machine.machine(), "load_after": 1.5}, "versions": machine.versions(),
        "read_bytes_per_second": [2e10],
        "race": [
            race(floats, 256, jaxlins_objective),
            race(floats, 2048),
            race("fashion-mnist[dtype=uint8,order=shuffled]", 256),
            race("synthetic[dtype=float32]", 256),
        ],
        "grid": {
            "dataset": floats, "models": 32, "epochs": 10, "batch_size": 256, "flops": 3.2e10,
            "matrix_flops": [1e10], "sweep_seconds": [4.0, 5.0, 3.0],
            "sweep_epoch_seconds": [0.4, 0.5, 0.3],
            "sklearn_fit_seconds": [3.0, 4.0, 5.0], "answers": {"largest_difference": 1e-4},
            "more_models": 48, "more_models_seconds": [9.0, 6.0],
        },
        "memory": [
            {"values": {"dtype": dtype}, "level_bytes": 1e8, "peak_bytes": 2e8, "data_bytes": 5e7,
             "device_peak_bytes": None, "ratio": 2.0}
            for dtype in ("float32", "uint8")
        ],
        "rows": [
            {"datasets": [f"synthetic[{dtype}]"] * 2, "n": [10, 100],
             "seconds_per_example": [[1e-7, 2e-7, 9.0], [2.2e-7, 1e-9, 9.0]]}
            for dtype in ("uint8", "float32")
        ],
        "order": {
            "datasets": ["a", "b"], "epochs": 10, "objectives": [[0.4], [0.402]], "ratio": 1.005,
        },
        "programs": [
            {"dataset": floats, "epoch_flops": 1e8, "epoch_bytes": 1e7, "step_flops": 1e5,
             "step_bytes": 1e4, "programs": [
                 {"name": "jit_train", "flops": 2e5, "bytes": 5e4, "argument_bytes": 1,
                  "temporary_bytes": 1},
                 {"name": "unknown", "error": "no | word"}]}
        ],
    }  # fmt: skip


def test_the_numbers_behind_the_bars() -> None:
    found = ratios.values(fake_record())
    expected = {
        "epoch_256": 3.0, "epoch_256_uint8": 3.0, "epoch_2048": 3.0, "against_optax": 4.0,
        "against_torch": 5.0, "against_sklearn": 10.0, "grid_share": 80.0,
        "grid_against_sklearn": 32.0, "grid_seconds": 9.0, "memory_float32": 2.0,
        "memory_uint8": 2.0, "rows_uint8": 1.1, "rows_float32": 1.1, "sorted_labels": 1.005,
    }  # fmt: skip
    assert found == pytest.approx(expected)
    assert set(found) == {bar.key for bar in read_bars(bench.BARS)}
    assert all_hold(judge_bars(read_bars(bench.BARS), found), complete=True)


def test_speed_at_the_cost_of_the_answer_does_not_count() -> None:
    found = ratios.values(fake_record(jaxlins_objective=0.41))  # 2.2 % above optax's
    judged = judge_bars(read_bars(bench.BARS), found)
    failed = {one.bar.key for one in judged if not one.met}
    assert failed == {"epoch_256", "against_optax", "against_torch", "against_sklearn"}
    record = fake_record()
    record["grid"]["answers"]["largest_difference"] = 0.1
    assert math.isnan(ratios.values(record)["grid_share"] or 0.0)


@pytest.mark.parametrize("times", [[-1.0, -0.5, 3.0], [0.001, 0.002, 0.009]])
def test_an_epoch_that_beats_the_limit_is_noise_and_meets_no_bar(times: list[float]) -> None:
    record = fake_record()
    record["race"][0]["solvers"]["jaxlin"]["epoch_seconds"] = times
    judged = judge_bars(read_bars(bench.BARS), ratios.values(record))
    failed = {one.bar.key for one in judged if not one.met}
    assert failed == {"epoch_256", "against_optax", "against_torch", "against_sklearn"}
    assert account.sections(record)
    assert picture.draw(record) is not None


def test_who_is_comparable() -> None:
    case = race("fashion-mnist[dtype=float32]", 256)
    verdicts = {
        name: ratios.is_comparable(case, name)
        for name, one in case["solvers"].items()
        if "skipped" not in one
    }
    # PyTorch's objective is infinite here; scikit-learn's is another one, its accuracy near.
    assert verdicts == {
        "jaxlin": True, "optax-loop": True, "torch-index": False, "sklearn-sgd": True,
    }  # fmt: skip
    case["solvers"]["sklearn-sgd"]["train_accuracy"] = 0.7
    assert not ratios.is_comparable(case, "sklearn-sgd")
    assert not ratios.is_comparable({**case, "c": 2}, "sklearn-sgd")  # two classes: the same one


def test_parts_that_did_not_run_have_no_numbers_and_no_tables() -> None:
    record = fake_record()
    for part in bench.PARTS:
        del record[part]
    assert ratios.values(record) == {}
    assert [section.title for section in account.sections(record)] == ["Epochs"]


def test_the_page_is_made_of_the_records_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / pages.FOLDER
    record = fake_record()
    record["race"][0]["solvers"]["torch-index"]["objective"] = math.inf
    path = pages.write_record(folder, "sgd", pages.rounded(record))
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again["race"][0]["solvers"]["torch-index"]["objective"] is None
    assert ratios.values(again) == ratios.values(record)
    bench.picture(record, folder / "sgd.png")
    assert (folder / "sgd.png").read_bytes().startswith(b"\x89PNG")
    page = pages.page(folder)
    for words in (
        "# Benchmarks", "## Minibatch SGD", "(benchmarks/sgd.png)", "(benchmarks/sgd.json)",
        "| epoch at batch 256, float32 ", "| jaxlin ", "infinite", "no \\| word", "1.0 minutes",
        "torch-dataloader[num_workers=0]: is not installed",
    ):  # fmt: skip
        assert words in page, words
    assert "Not a complete run" not in page
    pages.write_record(folder, "sgd", pages.rounded({**record, "complete": False}))
    assert "Not a complete run" in pages.page(folder)


def test_a_record_keeps_six_digits_and_no_infinity() -> None:
    value = {"a": [1.23456789, math.inf, math.nan], "b": (1, "x", None, True)}
    assert pages.rounded(value) == {"a": [1.23457, None, None], "b": [1, "x", None, True]}


def test_the_picture_has_the_limit_and_everyone_who_ran() -> None:
    figure = picture.draw(fake_record())
    assert figure is not None
    bars_of_all = figure.axes[0]
    names = [label.get_text() for label in bars_of_all.get_yticklabels()]
    assert set(names) == {"products alone", "jaxlin", "optax-loop", "torch-index", "sklearn-sgd"}
    widths = [bar.get_width() for bar in bars_of_all.patches]  # pyright: ignore[reportAttributeAccessIssue]
    assert dict(zip(names, widths, strict=True))["jaxlin"] == pytest.approx(3.0)
    assert len(figure.axes) == 3
    assert {axes.get_xscale() for axes in figure.axes[:1]} == {"log"}
    assert picture.draw({}) is None


# --- the bench of SGD


def test_the_limit_is_a_rate() -> None:
    rates = [limit.MatrixRate(32)(), limit.ShapeRate(small_data().x, 64, 3)()]
    assert all(0 < rate < 1e15 for rate in [*rates, limit.ReadRate(1 << 16)()])


def test_the_products_of_a_shape_are_those_of_a_step() -> None:
    x = small_data().x.reshape(10, 60, 8)
    W = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    expected = sum((batch @ W.T).T @ batch for batch in x)
    np.testing.assert_allclose(limit._two_products(x, W), expected, rtol=1e-4)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_jaxlin_and_the_plain_loop_solve_the_same_problem(dtype: str) -> None:
    data = small_data(dtype)
    task, found = Task(data, batch_size=128, l2=1e-3, rate_times_features=0.4), {}
    for name in ("jaxlin", "optax-loop"):
        solver: Any = discover("bench.sgd.solvers", "Solver")[name]()
        assert solver.skip(task) is None
        solver.set_objective(task)
        solver.run(20)
        W, b = solver.get_result()
        found[name] = judge(W, b, data, l2=task.l2)
        solver.close()
    assert found["jaxlin"].objective == pytest.approx(found["optax-loop"].objective, rel=0.01)
    assert found["jaxlin"].objective < 0.95 * math.log(3)


@pytest.mark.parametrize("name", ["sklearn-sgd", "sklearn-partial-fit"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scikit_learns_answer_is_judged_as_it_predicts(name: str, classes: int) -> None:
    data = small_data(classes=classes)
    solver: Any = discover("bench.sgd.solvers", "Solver")[name]()
    solver.set_objective(Task(data))
    solver.run(3)
    W, b = solver.get_result()
    verdict = judge(W, b, data, l2=0.0)
    accuracy = solver.model.score(data.x, data.labels)
    assert verdict.train_accuracy == pytest.approx(accuracy)
    assert solver.skip(Task(small_data("uint8"))) == "takes floats alone"


def test_two_classes_keep_their_logistic_loss() -> None:
    data = small_data(classes=2)
    model = SGDClassifier(loss="log_loss", random_state=0).fit(data.x, data.labels)
    W, b = one_against_rest(model.coef_, model.intercept_)  # pyright: ignore[reportArgumentType]
    margin = (2 * data.labels - 1) * model.decision_function(data.x)
    expected = np.logaddexp(0.0, -margin).mean()
    assert judge(W, b, data, l2=0.0).objective == pytest.approx(expected)


class Failing(BaseSolver):
    name = "failing"

    def set_objective(self, task: Any) -> None:
        raise RuntimeError("no kernel\nimage")

    run = get_result = set_objective  # pyright: ignore[reportAssignmentType]


def test_a_peer_that_fails_is_a_line_and_what_is_measured_an_error() -> None:
    data = small_data()
    own: Any = discover("bench.sgd.solvers", "Solver")["jaxlin"]
    case = cases.Case(data.name, 300, [""], 2)
    said: list[str] = []
    found = epochs.race(case, data, [Failing, own], Options(repeats=1, quick=True), said.append)
    assert found["solvers"]["failing"]["skipped"] == "failed: RuntimeError: no kernel image"
    assert len(found["solvers"]["jaxlin"]["epoch_seconds"]) == len(found["matrix_flops"]) == 1
    assert found["flops"] == 4 * 600 * 8 * 3
    assert said == ["  failing", "  jaxlin"]
    assert account.sections({"race": [found], "read_bytes_per_second": [1.0]})[1].rows

    class Own(Failing):
        name = "jaxlin"

    with pytest.raises(RuntimeError, match="no kernel"):
        epochs.race(case, data, [Own], Options(repeats=1, quick=True), said.append)


def test_minibatches_cover_an_epoch_once() -> None:
    seen: list[list[int]] = []
    minibatches(np.arange(7), 3, lambda rows: seen.append(rows.tolist()))
    assert seen == [[0, 1, 2], [3, 4, 5], [6]]


def test_new_programs_are_counted_and_others_are_not() -> None:
    import jax

    @jax.jit
    def product(a: jax.Array, b: jax.Array) -> jax.Array:
        return a @ b

    a = jnp.ones((37, 41))
    found = programs.compiled_by(lambda: product(a, a.T).block_until_ready())
    named = {one["name"]: one for one in found}
    assert named["jit_product"]["flops"] == pytest.approx(2 * 37 * 41 * 37, rel=0.1)
    assert programs.compiled_by(lambda: product(a, a.T).block_until_ready()) == []


def test_the_command_line_names_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sgd", "--parts", "races"]) == 2
    assert "race, grid, memory, rows, order, programs" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["svm-of-nobody"])


def test_every_part_has_a_name_and_says_what_it_is() -> None:
    kinds: list[type[Part]] = [
        *discover("bench.datasets", "Dataset").values(),
        *discover("bench.sgd.solvers", "Solver").values(),
    ]
    for kind in kinds:
        assert (sys.modules[kind.__module__].__doc__ or "").strip(), kind.name
        assert all(len(choices) > 0 for choices in kind.parameters.values())
