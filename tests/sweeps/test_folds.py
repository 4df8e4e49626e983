"""Folds: each model sees its own rows alone, and is judged on the others."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from sweep_problem import HINGE, SOFTMAX, C, MomentumSGD, N, clouds, momentum_sgd, same_objective

import jaxlin
from jaxlin.sweeps.folding import fold_numbers

X, Y = clouds()
GRID = {"l2": [1e-3, 0.1], "learning_rate": [0.01, 0.05]}
WEIGHT = np.random.default_rng(4).integers(0, 3, N).astype(float)


def alone(s: dict[str, Any], inside: np.ndarray, weight: np.ndarray, **options: Any) -> jaxlin.Fit:
    return jaxlin.fit(
        X, Y, l2=s["l2"], solver=MomentumSGD(s["learning_rate"]),
        sample_weight=np.where(inside, weight, 0.0), **options,
    )  # fmt: skip


def left_out_score(fit: jaxlin.Fit, loss: Any, inside: np.ndarray, weight: np.ndarray) -> Any:
    outside = np.where(inside, 0.0, weight)
    return jaxlin.evaluate(fit.params, X, Y, loss=loss, sample_weight=outside)


@pytest.mark.parametrize(
    ("loss", "weight", "dtype"),
    [(SOFTMAX, None, np.float32), (HINGE, WEIGHT, np.float32), (HINGE, None, np.float64)],
    ids=["softmax", "hinge, weighted", "hinge, float64"],
)
def test_a_fold_is_a_fit_with_a_mask(loss: Any, weight: Any, dtype: Any) -> None:
    folds = np.random.default_rng(2).integers(0, 3, N)
    options: dict[str, Any] = {"loss": loss, "key": 1, "dtype": dtype}
    found = jaxlin.sweep(
        X, Y, grid=GRID, solver=momentum_sgd, folds=folds, sample_weight=weight, **options
    )
    assert found.fold_scores is not None
    assert found.fold_scores["loss"].shape == (4, 3)
    every = np.ones(N) if weight is None else weight
    rtol = 1e-10 if dtype == np.float64 else 1e-4
    for row in (0, 3):
        s = found.settings[row]
        whole = alone(s, np.ones(N, bool), every, **options)
        if weight is None:
            same_objective(found, row, whole, X, Y)
        np.testing.assert_allclose(
            found.histories[row].objective, whole.history.objective, rtol=1e-4
        )
        for fold in range(3):
            one = alone(s, folds != fold, every, **options)
            seen = left_out_score(one, loss, folds != fold, every)
            got = {name: scores[row, fold] for name, scores in found.fold_scores.items()}
            np.testing.assert_allclose(got["loss"], float(seen.objective), rtol=rtol)
            np.testing.assert_allclose(got["accuracy"], float(seen.accuracy), atol=1e-6)
            assert found.table[f"validation_loss_fold_{fold}"][row] == got["loss"]
    for name in ("loss", "accuracy"):
        scores = found.fold_scores[name]
        np.testing.assert_allclose(found.table[f"validation_{name}"], scores.mean(axis=1))
        np.testing.assert_allclose(found.table[f"validation_{name}_sd"], scores.std(axis=1, ddof=1))
    assert found.best == np.argmax(found.table["validation_accuracy"]) or weight is None


def test_patience_watches_the_fold_that_is_left_out() -> None:
    folds, patience = np.arange(N) % 2, 3
    grid = {"l2": [0.0], "learning_rate": [0.5, 0.01], "epochs": [25]}
    options: dict[str, Any] = {"loss": HINGE, "patience": patience}
    found = jaxlin.sweep(X, Y, grid=grid, solver=momentum_sgd, folds=folds, **options)
    assert found.fold_scores is not None
    for row, s in enumerate(found.settings):
        solver = MomentumSGD(s["learning_rate"], epochs=25)
        best = []
        for fold in range(2):
            inside = folds != fold
            one = jaxlin.fit(
                X, Y, solver=solver, sample_weight=inside.astype(float),
                validation=(X[~inside], Y[~inside]), **options,
            )  # fmt: skip
            assert one.history.validation_loss is not None
            best.append(int(np.argmin(one.history.validation_loss)) + 1)
            least = one.history.validation_loss.min()
            np.testing.assert_allclose(found.fold_scores["loss"][row, fold], least, rtol=1e-4)
        epochs = max(1, round(float(np.median(best))))
        assert found.table["epochs_run"][row] == epochs
        whole = jaxlin.fit(
            X, Y, loss=HINGE, solver=solver, on_epoch=lambda r, n=epochs: r.epoch == n
        )
        np.testing.assert_allclose(
            found.histories[row].objective, whole.history.objective, rtol=2e-5
        )
        outcome = found.fit(row).outcome
        assert outcome.kind == "stopped_early"
        assert f"epoch {epochs}: so many were best" in outcome


def test_folds_that_are_drawn_are_stratified_and_the_keys() -> None:
    key = jax.random.key(0)
    numbers = fold_numbers(5, Y, key)
    counts = np.array([np.bincount(Y[numbers == fold], minlength=C) for fold in range(5)])
    assert (np.ptp(counts, axis=0) <= 1).all()
    np.testing.assert_array_equal(numbers, fold_numbers(np.int64(5), Y, key))
    assert (numbers != fold_numbers(5, Y, jax.random.key(1))).any()
    grid = {"l2": [0.1]}
    drawn = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid, solver=momentum_sgd(0.01), folds=3, key=0)
    given = jaxlin.sweep(
        X, Y, loss=SOFTMAX, grid=grid, solver=momentum_sgd(0.01), folds=fold_numbers(3, Y, key),
        key=0,
    )  # fmt: skip
    np.testing.assert_array_equal(drawn.table["validation_loss"], given.table["validation_loss"])


def test_a_setting_of_which_one_fold_diverges_never_wins() -> None:
    """A row far off, in the first fold alone: the models that see it diverge, one does not."""
    x = X.copy()
    x[0] *= 1e9
    folds = np.arange(N) % 3
    found = jaxlin.sweep(
        x, Y, loss=HINGE, grid={"learning_rate": [1e-2, 1e-10]}, solver=momentum_sgd, folds=folds
    )
    assert found.table["outcome"].tolist() == ["diverged", "out_of_steps"]
    assert found.best == 1
    assert np.isfinite(found.params.W).all()
    with pytest.raises(jaxlin.DivergedError):
        found.fit(0)
