"""Large data lie in a random order in memory, and epochs shuffle groups: nobody notices."""

from __future__ import annotations

import tracemalloc

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin import losses
from jaxlin.checks import _aligned_copy, as_features
from jaxlin.data import order as orders
from jaxlin.data.order import epoch_order, memory_order, rows_together
from jaxlin.solvers import SGD, GradientDescent

N, D, C = 603, 8, 3
SOLVER = SGD(optax.sgd(0.1, momentum=0.9), batch_size=64, epochs=6)
SOFTMAX = losses.softmax_cross_entropy


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "_LARGE_NUMBERS", N * D)


def problem(dtype: str = "float32", seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, C, N)
    x = rng.normal(100.0, 20.0, (N, D)) + 40.0 * np.eye(D)[labels]
    return np.clip(x, 0, 255).astype(dtype), labels


SCALING = jaxlin.data.Scaling(np.float32(100.0), np.float32(0.02))


def fitted(x, labels, **options):
    return jaxlin.fit(x, labels, loss=SOFTMAX, l2=1e-3, solver=SOLVER, scaling=SCALING, **options)


def loss_of(fit, x, labels) -> float:
    seen = jaxlin.evaluate(fit.params, x, labels, loss=SOFTMAX, scaling=SCALING)
    return float(seen.objective)


@pytest.mark.parametrize("num_examples", [1, 15, 16, 603, 1000])
@pytest.mark.parametrize("together", [1, 4, 16])
def test_an_order_in_groups_has_every_example_once(num_examples: int, together: int) -> None:
    order = epoch_order(jax.random.key(0), 3, num_examples, together)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(num_examples))
    others = {tuple(epoch_order(jax.random.key(0), e, num_examples, together)) for e in range(8)}
    assert len(others) > 1 or num_examples <= together


def test_neighbours_keep_together_and_groups_do_not() -> None:
    first, second = (epoch_order(jax.random.key(0), e, 1600, 16) for e in (0, 1))
    for order in (first, second):
        groups = order.reshape(-1, 16)
        assert (groups == groups[:, :1] + np.arange(16)).all()
    assert (first[::16] == second[::16]).mean() < 0.2


def test_only_large_data_are_laid_out_anew() -> None:
    assert memory_order(jax.random.key(0), N - 1, D) is None
    order, again, other = (memory_order(jax.random.key(seed), N, D) for seed in (0, 0, 1))
    assert order is not None
    assert again is not None
    assert other is not None
    assert sorted(order.tolist()) == list(range(N))
    assert np.array_equal(order, again)
    assert not np.array_equal(order, other)
    assert [rows_together(b) for b in (1, 16, 31, 32, 256, 4096)] == [1, 1, 1, 2, 16, 16]


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64", "float16", "bool"])
@pytest.mark.parametrize("layout", ["C", "F", "strided", "jax"])
def test_a_copy_in_an_order_is_the_copy_in_that_order(dtype: str, layout: str) -> None:
    x, _ = problem(dtype)
    given = {
        "C": x,
        "F": np.asfortranarray(x),
        "strided": np.repeat(x, 2, axis=0)[::2],
        "jax": jnp.asarray(x.astype("float32") if dtype in ("float64", "int64") else x),
    }[layout]
    order = np.random.default_rng(0).permutation(N).astype(np.int32)
    found = as_features(given, jnp.float32, order=order)
    plain = as_features(given, jnp.float32)
    assert found.dtype == plain.dtype
    assert np.array_equal(np.asarray(found), np.asarray(plain)[order])


@pytest.mark.parametrize("layout", ["F", "columns", "float64"])
def test_a_copy_in_an_order_takes_no_second_copy(layout: str) -> None:
    whole = np.ones((40_000, 257), np.float64 if layout == "float64" else np.float32)
    x = np.asfortranarray(whole[:, :256]) if layout == "F" else whole[:, :256]
    order = np.random.default_rng(0).permutation(len(x)).astype(np.int32)
    kept = 4 * x.size
    tracemalloc.start()
    try:
        copy = _aligned_copy(x, np.dtype(np.float32), order)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert copy.all()
    assert peak < 1.9 * kept


def test_what_is_not_finite_is_found_in_any_order() -> None:
    x, labels = problem()
    x[5, 2] = np.nan
    with pytest.raises(jaxlin.InputError, match="contains NaN"):
        fitted(x, labels)


def test_rows_labels_and_weights_stay_together() -> None:
    x, labels = problem()
    wrong = np.arange(N) % 3 == 0
    spoiled = np.where(wrong, (labels + 1) % C, labels)
    fit = fitted(x, spoiled, sample_weight=np.where(wrong, 0.0, 1.0))
    predicted = np.asarray(jaxlin.predict(fit.raw_params, x))
    assert (predicted == labels).mean() > 0.85
    assert loss_of(fit, x, labels) < 1.1 * loss_of(fitted(x, labels), x, labels)


def test_rows_sorted_by_label_are_no_worse() -> None:
    x, labels = problem()
    by_label = np.argsort(labels, kind="stable")
    ends = [
        [
            loss_of(fitted(x[rows], labels[rows], key=key), x, labels)
            for rows in (np.arange(N), by_label)
        ]
        for key in range(4)
    ]
    mixed, in_order = np.mean(ends, axis=0)
    assert in_order < 1.03 * mixed


def test_a_run_repeats_and_follows_its_key() -> None:
    x, labels = problem("uint8")
    first, again, on_device = (fitted(given, labels, key=3) for given in (x, x, jnp.asarray(x)))
    for other in (again, on_device):
        assert np.array_equal(first.params.W, other.params.W)
        assert np.array_equal(first.history.objective, other.history.objective)
    assert not np.array_equal(first.params.W, fitted(x, labels, key=4).params.W)


def test_one_pass_of_all_rows_is_not_affected(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = problem()
    solver = GradientDescent(optax.sgd(0.1), steps=3)

    def end() -> np.ndarray:
        fit = jaxlin.fit(x, labels, loss=SOFTMAX, solver=solver, scaling=SCALING)
        return np.asarray(fit.params.W)

    large = end()
    monkeypatch.setattr(orders, "_LARGE_NUMBERS", 1 << 40)
    assert np.array_equal(large, end())


@pytest.mark.parametrize("is_weighted", [False, True])
def test_folds_are_of_the_users_rows(is_weighted: bool) -> None:
    x, labels = problem()
    rng = np.random.default_rng(5)
    folds = rng.integers(0, 2, N)
    weight = rng.integers(1, 4, N).astype(float) if is_weighted else None
    found = jaxlin.sweep(
        x, labels, loss=SOFTMAX, grid={"l2": [1e-3]}, solver=SOLVER, scaling=SCALING, folds=folds,
        sample_weight=weight,
    )  # fmt: skip
    assert found.fold_scores is not None
    for fold in range(2):
        ones = np.ones(N) if weight is None else weight
        alone = fitted(x, labels, sample_weight=np.where(folds == fold, 0.0, ones))
        seen = jaxlin.evaluate(
            alone.params, x, labels, loss=SOFTMAX, scaling=SCALING,
            sample_weight=np.where(folds == fold, ones, 0.0),
        )  # fmt: skip
        np.testing.assert_allclose(found.fold_scores["loss"][0, fold], seen.objective, rtol=1e-4)
