"""The table, the winner, and what is said about it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sweep_problem import HINGE, SOFTMAX, clouds, momentum_sgd

import jaxlin
from jaxlin.sweeps.choosing import best_row, can_compare_objectives, edges_of
from jaxlin.sweeps.scoring import mean_interval, share_interval
from jaxlin.sweeps.settings import columns_of

X, Y = clouds()
HELD_OUT = clouds(90, seed=1)
GRID = {"l2": [1e-3, 0.1, 10.0], "learning_rate": [1e-4, 0.02]}


@pytest.fixture(scope="module")
def found() -> jaxlin.Sweep:
    return jaxlin.sweep(X, Y, loss=SOFTMAX, grid=GRID, solver=momentum_sgd, validation=HELD_OUT)


def test_the_table_is_a_data_frame_with_a_row_a_setting(found: jaxlin.Sweep) -> None:
    frame: Any = pd.DataFrame(found.table)
    assert len(frame) == len(found) == 6
    assert frame["l2"].tolist() == [1e-3, 1e-3, 0.1, 0.1, 10.0, 10.0]
    assert frame["learning_rate"].tolist() == 3 * [1e-4, 0.02]
    assert (frame["epochs"] == 4).all()
    assert (frame["outcome"] == "out_of_steps").all()
    assert (frame["seconds"] > 0).all()
    assert frame["seconds"].sum() <= found.seconds
    for row in range(6):
        fit = found.fit(row)
        value = float(fit.objective(fit.params, X, Y))
        np.testing.assert_allclose(frame["objective"][row], value, rtol=1e-5)
        seen = jaxlin.evaluate(fit.params, X, Y, loss=SOFTMAX)
        np.testing.assert_allclose(frame["accuracy"][row], float(seen.accuracy), atol=1e-6)
        assert frame["accuracy"][row] in np.arange(301) / 300
        held_out = jaxlin.evaluate(fit.params, *HELD_OUT, loss=SOFTMAX)
        np.testing.assert_allclose(
            frame["validation_loss"][row], float(held_out.objective), rtol=1e-5
        )
        right = int((np.asarray(jaxlin.predict(fit.params, HELD_OUT[0])) == HELD_OUT[1]).sum())
        assert frame["validation_accuracy"][row] == right / 90


def test_the_intervals_are_those_of_a_bootstrap(found: jaxlin.Sweep) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(90, size=(4000, 90))
    for row in (0, 3):
        params = found.fit(row).params
        scores = np.asarray(jaxlin.scores(params, HELD_OUT[0]))
        losses = np.asarray(SOFTMAX(scores, HELD_OUT[1]))
        right = scores.argmax(axis=1) == HELD_OUT[1]
        for name, values, close in (("loss", losses, 0.02), ("accuracy", right, 0.012)):
            low, high = np.quantile(values[rows].mean(axis=1), [0.025, 0.975])
            got = [found.table[f"validation_{name}_{end}"][row] for end in ("low", "high")]
            np.testing.assert_allclose(got, [low, high], rtol=0, atol=close)
            assert got[0] < found.table[f"validation_{name}"][row] < got[1]


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    count, truth = 400, 0.7
    shares = rng.binomial(count, truth, 2000) / count
    shares[:3] = 0.0, 1.0, 1 / count
    low, high = share_interval(shares, count)
    exact = [binom.ppf(q, count, shares) / count for q in (0.025, 0.975)]
    np.testing.assert_array_equal([low, high], exact)
    inside = np.mean((np.array(low) <= truth) & (truth <= np.array(high)))
    assert 0.93 < inside < 0.97
    values = rng.exponential(size=(200, 150))
    low, high = mean_interval(values, jax.random.key(0))
    inside = np.mean((np.array(low) <= 1.0) & (np.array(high) >= 1.0))
    assert 0.88 < inside < 0.99
    assert mean_interval(values, jax.random.key(0)) == (low, high)


def test_the_winner_is_named_with_its_score_and_the_edges_it_is_at(found: jaxlin.Sweep) -> None:
    accuracy = found.table["validation_accuracy"]
    assert found.best is not None
    assert accuracy[found.best] == accuracy.max()
    assert found.outcome.kind == "best_found"
    s = found.settings[found.best]
    assert f"l2={s['l2']:.4g}, learning_rate={s['learning_rate']:.4g} is best" in found.outcome
    assert f"validation accuracy of {accuracy.max():.4f} (95 % interval" in found.outcome
    assert "learning_rate" in found.edges  # it has two values
    end = "highest" if s["learning_rate"] == 0.02 else "lowest"
    assert found.edges["learning_rate"] == end
    assert f"the {end} learning_rate: extend the grid there" in found.outcome
    assert found.best_params is not None
    np.testing.assert_array_equal(found.best_params.W, found.params.W[found.best])


def test_a_winner_by_the_loss_is_that_of_the_lowest() -> None:
    by_loss = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid=GRID, solver=momentum_sgd, validation=HELD_OUT, select_by="loss"
    )
    assert by_loss.best == np.argmin(by_loss.table["validation_loss"])
    assert "validation loss of" in by_loss.outcome


def table(accuracy: list[float], **columns: Any) -> dict[str, np.ndarray]:
    kinds = columns.pop("outcome", ["out_of_steps"] * len(accuracy))
    values = {name: np.array(column) for name, column in columns.items()}
    return {"validation_accuracy": np.array(accuracy), "outcome": np.array(kinds, object), **values}


def test_ties_go_to_the_larger_l2_and_then_to_the_earlier_row() -> None:
    settings = [{"l2": l2, "learning_rate": r} for l2 in (0.1, 1.0, 0.5) for r in (1, 2)]
    assert best_row(table([0.5, 0.9, 0.9, 0.9, 0.9, 0.1]), settings, "accuracy", 0.0) == 2
    assert best_row(table([0.5, 0.9, 0.8, 0.9, 0.9, 0.1]), settings, "accuracy", 0.0) == 3
    nearly = table([0.5, 0.9 + 1e-8, 0.8, 0.9, 0.9, 0.1])
    assert best_row(nearly, settings, "accuracy", 0.0) == 1
    assert best_row(nearly, settings, "accuracy", 1e-7) == 3
    same = [{"learning_rate": rate} for rate in range(6)]
    assert best_row(table([0.1, 0.9, 0.9, 0.2, 0.9, 0.1]), same, "accuracy", 0.0) == 1
    kinds = ["out_of_steps", "diverged", "not_run", "stopped_early", "converged", "out_of_steps"]
    lost = table([0.1, 0.9, np.nan, 0.2, 0.3, 0.1], outcome=kinds)
    assert best_row(lost, same, "accuracy", 0.0) == 4


def test_real_ties_are_exact_however_the_right_rows_lie() -> None:
    """All settings barely move, so that several predict the same rows or as many."""
    folds = np.arange(300) % 3
    found = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid={"l2": [0.0, 1e-9, 1e-8]}, solver=momentum_sgd(0.01), folds=folds
    )
    assert len(set(found.table["validation_accuracy"])) == 1
    assert found.best == 2


def test_edges_are_of_numbers_that_vary_and_have_something_beyond() -> None:
    settings = [
        {"l2": l2, "momentum": m, "epochs": 5, "name": n, "learning_rate": r}
        for l2 in (0.0, 0.1, 1.0) for m in (0.0, 0.9) for n in ("a", "b") for r in (1, 2, 3)
    ]  # fmt: skip

    def at(**wanted: Any) -> int:
        return next(i for i, s in enumerate(settings) if wanted.items() <= s.items())

    assert edges_of(settings, at(l2=0.0, momentum=0.0, learning_rate=2)) == {}
    assert edges_of(settings, at(l2=0.1, momentum=0.9, learning_rate=1)) == {
        "momentum": "highest", "learning_rate": "lowest"
    }  # fmt: skip
    assert edges_of(settings, at(l2=1.0, momentum=0.0, learning_rate=3)) == {
        "l2": "highest", "learning_rate": "highest"
    }  # fmt: skip
    assert edges_of(settings, None) == {}


def test_without_rows_to_judge_by_the_objective_decides_where_it_can() -> None:
    rates = {"learning_rate": [1e-4, 0.02]}
    found = jaxlin.sweep(X, Y, loss=HINGE, grid=rates, solver=momentum_sgd)
    assert found.best == np.argmin(found.table["objective"]) == 1
    assert "training objective of" in found.outcome
    assert "validation_loss" not in found.table
    assert found.fold_scores is None
    unknown = jaxlin.sweep(X, Y, loss=HINGE, grid={"l2": [0.1, 1.0]}, solver=momentum_sgd(0.01))
    assert unknown.best is None
    assert unknown.best_params is None
    assert unknown.outcome.kind == "no_best"
    assert "Pass validation=(x, labels), or folds=5" in unknown.outcome
    assert not can_compare_objectives([{"loss": HINGE}, {"loss": SOFTMAX}])
    assert can_compare_objectives([{"loss": HINGE, "l2": 1, "a": 1}, {"loss": HINGE, "l2": 1}])


def test_what_diverged_is_a_row_and_an_error_where_all_did() -> None:
    grid = {"learning_rate": [1e20, 0.01, 1e30]}
    found = jaxlin.sweep(X, Y, loss=HINGE, grid=grid, solver=momentum_sgd, validation=HELD_OUT)
    assert found.table["outcome"].tolist() == ["diverged", "out_of_steps", "diverged"]
    assert np.isfinite(found.params.W).all()
    assert found.best == 1
    assert "2 of 3 diverged" in found.outcome
    assert [None if o is None else o.kind for o in found.outcomes] == list(found.table["outcome"])
    with pytest.raises(jaxlin.DivergedError, match="Lower the learning rate") as one:
        found.fit(0)
    assert len(one.value.history) == 0
    with pytest.raises(jaxlin.DivergedError, match="Every setting diverged") as caught:
        jaxlin.sweep(X, Y, loss=HINGE, grid={"learning_rate": [1e20, 1e30]}, solver=momentum_sgd)
    assert caught.value.params.W.shape == (3, 8)
    assert np.isfinite(caught.value.params.W).all()


def test_settings_are_counted_from_both_ends_and_no_further(found: jaxlin.Sweep) -> None:
    np.testing.assert_array_equal(found.fit(-1).params.W, found.fit(5).params.W)
    for index in (6, -7, "a", 1.5):
        with pytest.raises(jaxlin.InputError, match="There are settings 0 to 5"):
            found.fit(index)  # pyright: ignore[reportArgumentType]


def test_losses_and_functions_stand_in_the_table_by_name() -> None:
    narrow, wide = (jaxlin.losses.WestonWatkinsHinge(margin) for margin in (1.0, 2.0))
    start = jaxlin.init_params(8, 3)
    settings = [
        {"loss": loss, "init": init, "name": "a", "nesterov": True, "layers": (1, 2), "rate": rate}
        for loss in (narrow, wide, SOFTMAX, len) for init in (None, start) for rate in (1, 0.5)
    ]  # fmt: skip
    columns = columns_of(settings)
    names = ["WestonWatkinsHinge", "WestonWatkinsHinge #1", "SoftmaxCrossEntropy", "len"]
    assert columns["loss"].tolist() == [name for name in names for _ in range(4)]
    assert columns["init"].tolist() == 4 * [None, None, "LinearParams", "LinearParams"]
    assert columns["rate"].tolist() == 8 * [1.0, 0.5]
    assert columns["layers"][0] == "(1, 2)"
    assert (columns["name"][0], columns["nesterov"][0]) == ("a", True)


def test_settings_keep_their_names_and_their_numbers() -> None:
    grid = {"epochs": [300], "batch_size": [16384], "learning_rate": [0.5]}
    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid, validation=HELD_OUT, patience=2)
    assert found.table["epochs"].tolist() == [300]
    assert found.table["epochs_run"][0] == len(found.histories[0]) < 300
    assert "The only setting is epochs=300, batch_size=16384, learning_rate=0.5" in found.outcome


def test_a_setting_of_which_one_folds_model_diverged_says_which() -> None:
    """Fold 1 has nearly all of the weight: without it the huge rows count."""
    folds = np.arange(len(Y)) % 3
    x = np.where(folds[:, None] == 1, X, 1e3 * X)
    found = jaxlin.sweep(
        x, Y, loss=jaxlin.losses.squared_weston_watkins_hinge, folds=folds, solver=momentum_sgd,
        grid={"learning_rate": [1e-12, 1e-3]}, sample_weight=np.where(folds == 1, 1.0, 1e-8),
    )  # fmt: skip
    assert found.table["outcome"].tolist() == ["out_of_steps", "diverged"]
    assert len(found.histories[1]) == 4
    with pytest.raises(jaxlin.DivergedError, match=r"^The model that leaves out fold 1 diverged:"):
        found.fit(1)
