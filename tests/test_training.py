"""`fit`: what it finds, how it ends, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin import losses, solvers

N, D, C = 60, 6, 3
SOFTMAX = losses.softmax_cross_entropy
LOSSES = {
    "weston_watkins": losses.weston_watkins_hinge,
    "squared_weston_watkins": losses.squared_weston_watkins_hinge,
    "crammer_singer": losses.crammer_singer_hinge,
    "softmax": SOFTMAX,
}


def blobs(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clusters, float32 (N, D), sorted by label."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, C, n))
    centres = np.random.default_rng(99).normal(size=(C, D))
    return (centres[labels] + 0.7 * rng.normal(size=(n, D))).astype(np.float32), labels


X, Y = blobs()


def same(a: jaxlin.LinearParams, b: jaxlin.LinearParams) -> bool:
    return all(
        bool(jnp.array_equal(u, v))
        for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_the_default_solver_gets_near_the_optimum(name: str, bias: bool, dtype: Any) -> None:
    fit = jaxlin.fit(X, Y, loss=LOSSES[name], l2=0.01, bias=bias, dtype=dtype)
    assert fit.params.W.dtype == dtype
    assert (fit.params.b is None) == (not bias)
    best = jaxlin.fit(
        X,
        Y,
        loss=LOSSES[name],
        l2=0.01,
        bias=bias,
        solver=solvers.GradientDescent(optax.sgd(lambda t: 0.3 / (1 + 0.02 * t)), steps=1500),
    )
    value = float(fit.objective(best.params, X, Y))
    assert fit.history.objective[-1] < 1.1 * value + 0.01
    assert fit.outcome.kind == "out_of_steps"
    assert fit.certificate is None


@pytest.mark.parametrize("name", LOSSES)
def test_the_three_gradients_take_the_same_steps(name: str) -> None:
    fits = [
        jaxlin.fit(
            X,
            Y,
            loss=LOSSES[name],
            l2=0.01,
            dtype=np.float64,
            solver=solvers.GradientDescent(optax.sgd(0.1), steps=5, gradient=method),
        )
        for method in ("autodiff", "by_hand", "numerical")
    ]
    for other in fits[1:]:
        np.testing.assert_allclose(other.params.W, fits[0].params.W, rtol=0, atol=1e-6)
        np.testing.assert_allclose(other.history.objective, fits[0].history.objective, rtol=1e-6)


def test_a_plain_function_serves_as_a_loss() -> None:
    def cross_entropy(scores: jax.Array, labels: jax.Array) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels)

    solver = solvers.SGD(optax.sgd(0.1), batch_size=16, epochs=3)
    mine = jaxlin.fit(X, Y, loss=cross_entropy, l2=0.1, solver=solver)
    theirs = jaxlin.fit(X, Y, loss=SOFTMAX, l2=0.1, solver=solver)
    np.testing.assert_allclose(mine.params.W, theirs.params.W, rtol=1e-4, atol=1e-6)
    with pytest.raises(jaxlin.InputError, match=r"cross_entropy has none.*autodiff"):
        jaxlin.fit(
            X,
            Y,
            loss=cross_entropy,
            solver=solvers.GradientDescent(optax.sgd(0.1), steps=2, gradient="by_hand"),
        )
    assert jaxlin.fit(X, Y, loss=cross_entropy).history.accuracy[-1] > 0.8


def test_a_loss_that_reduces_is_told_so() -> None:
    with pytest.raises(jaxlin.InputError, match=r"one value an example, shape \(\d+,\), got \(\)"):
        jaxlin.fit(X, Y, loss=lambda s, y: jnp.mean(SOFTMAX(s, y)), solver=solvers.SGD(optax.sgd(1.0)))


def l1(W: jax.Array) -> jax.Array:
    return 0.05 * jnp.sum(jnp.abs(W))


@pytest.mark.parametrize("method", ["autodiff", "by_hand", "numerical"])
def test_a_penalty_is_added_as_it_is(method: Any) -> None:
    solver = solvers.GradientDescent(optax.sgd(0.1), steps=40, gradient=method)
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, penalty=l1, solver=solver, dtype=np.float64)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, dtype=np.float64)
    assert float(jnp.abs(fit.params.W).sum()) < 0.8 * float(jnp.abs(plain.params.W).sum())
    value = jaxlin.Objective(SOFTMAX)(plain.params, X, Y) + l1(plain.params.W)
    np.testing.assert_allclose(
        float(jaxlin.Objective(SOFTMAX, penalty=l1)(plain.params, X, Y)), float(value), rtol=1e-6
    )


OPTIMIZERS: dict[str, optax.GradientTransformation] = {
    "adam": optax.adam(0.05),
    "adamw": optax.adamw(0.05),
    "nesterov": optax.sgd(0.05, momentum=0.9, nesterov=True),
    "clipped": optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(0.1)),
    "schedule": optax.sgd(optax.exponential_decay(0.2, 10, 0.9)),
    "lion": optax.lion(0.01),
    "polyak": optax.polyak_sgd(),
    "plateau": optax.chain(
        optax.sgd(0.05), optax.contrib.reduce_on_plateau(patience=50, accumulation_size=1)
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optax_optimiser_serves(name: str) -> None:
    fit = jaxlin.fit(
        X, Y, loss=SOFTMAX, l2=0.01, solver=solvers.SGD(OPTIMIZERS[name], batch_size=16, epochs=8)
    )
    assert fit.history.objective[-1] < 0.8 * fit.history.objective[0]


def test_a_line_search_serves_gradient_descent() -> None:
    fit = jaxlin.fit(
        X, Y, loss=SOFTMAX, l2=0.01, solver=solvers.GradientDescent(optax.lbfgs(), steps=25), tol=1e-3
    )
    assert fit.outcome.kind == "converged"
    assert "no certificate" in fit.outcome


def test_weight_decay_is_twice_l2() -> None:
    """`optax.add_decayed_weights(2 * l2)` on W, before the learning rate, is this l2."""
    l2 = 0.05
    decayed = optax.chain(
        optax.add_decayed_weights(2 * l2, mask=lambda p: jaxlin.LinearParams(True, False)),
        optax.sgd(0.1, momentum=0.9),
    )
    a = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solvers.SGD(decayed, 16, 4))
    b = jaxlin.fit(
        X, Y, loss=SOFTMAX, l2=l2, solver=solvers.SGD(optax.sgd(0.1, momentum=0.9), 16, 4)
    )
    np.testing.assert_allclose(a.params.W, b.params.W, rtol=1e-4, atol=1e-6)


def test_integer_weights_are_copies_of_rows() -> None:
    weight = np.random.default_rng(3).integers(0, 4, N)
    solver = solvers.GradientDescent(optax.sgd(0.2), steps=10)
    weighted = jaxlin.fit(
        X, Y, loss=SOFTMAX, l2=0.01, solver=solver, sample_weight=weight, dtype=np.float64
    )
    rows = np.repeat(np.arange(N), weight)
    copied = jaxlin.fit(X[rows], Y[rows], loss=SOFTMAX, l2=0.01, solver=solver, dtype=np.float64)
    np.testing.assert_allclose(weighted.params.W, copied.params.W, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(weighted.history.objective, copied.history.objective, rtol=1e-12)
    np.testing.assert_allclose(weighted.history.accuracy, copied.history.accuracy, rtol=1e-12)


def test_huge_and_tiny_weights_are_only_proportions() -> None:
    solver = solvers.SGD(optax.sgd(0.2), 16, 2)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    for size in (1e300, 1e-300):
        fit = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, sample_weight=np.full(N, size))
        np.testing.assert_allclose(fit.params.W, plain.params.W, rtol=1e-5, atol=1e-7)


def test_random_search_keeps_the_best() -> None:
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, l2=0.01, solver=solvers.RandomSearch(trials=60, scale=0.3))
    assert (np.diff(fit.history.objective) <= 0).all()
    assert fit.history.objective[-1] < fit.history.objective[0]
    value = float(fit.objective(fit.params, X, Y))
    np.testing.assert_allclose(fit.history.objective[-1], value, rtol=1e-5)


class CountingLoss:
    """A loss that knows how often it has been traced."""

    def __init__(self) -> None:
        self.traces = 0

    def __call__(self, scores: jax.Array, labels: jax.Array) -> jax.Array:
        self.traces += 1
        return SOFTMAX(scores, labels)


@pytest.mark.parametrize(
    "solver",
    [
        None,
        solvers.SGD(optax.adam(0.01), batch_size=16, epochs=2),
        solvers.GradientDescent(optax.sgd(0.1), steps=2),
        solvers.RandomSearch(trials=2),
    ],
    ids=["default", "sgd", "gradient_descent", "random_search"],
)
def test_a_second_call_does_not_retrace(solver: Any) -> None:
    counting = CountingLoss()
    validation = blobs(20, seed=5)

    def run(l2: float, seed: int, factor: float) -> None:
        jaxlin.fit(
            factor * X,
            np.roll(Y, seed),
            loss=counting,
            l2=l2,
            key=jax.random.key(seed),
            solver=solver,
            validation=validation,
            patience=50,
            tol=1e-9,
            init=jaxlin.init_params(D, C, key=jax.random.key(seed), scale=0.1),
        )

    run(0.0, 0, 1.0)
    first = counting.traces
    run(0.1, 1, 2.0)
    # The default solver looks at the loss's slope at zero scores to choose its step: one eager
    # evaluation of a C x C matrix a fit, outside of any compiled program.
    assert counting.traces - first <= (1 if solver is None else 0)


def test_the_scale_of_random_search_is_a_leaf() -> None:
    counting = CountingLoss()
    jaxlin.fit(X, Y, loss=counting, solver=solvers.RandomSearch(trials=2, scale=1.0))
    first = counting.traces
    jaxlin.fit(X, Y, loss=counting, solver=solvers.RandomSearch(trials=2, scale=3.0))
    assert counting.traces == first


def test_the_same_key_repeats_bit_for_bit_and_another_does_not() -> None:
    solver = solvers.SGD(optax.sgd(0.1), 16, 3)

    def run(key: Any) -> jaxlin.LinearParams:
        return jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, key=key).params

    assert same(run(3), run(jax.random.key(3)))
    assert same(run(None), run(0))
    assert not same(run(3), run(4))
    assert same(run(jax.random.PRNGKey(3)), run(3))


def test_data_sorted_by_label_are_no_worse() -> None:
    x, y = blobs(600)
    order = np.random.default_rng(0).permutation(600)
    solver = solvers.SGD(optax.sgd(0.05), 32, 10)
    ordered = jaxlin.fit(x, y, loss=SOFTMAX, l2=0.01, solver=solver)
    mixed = jaxlin.fit(x[order], y[order], loss=SOFTMAX, l2=0.01, solver=solver)
    a, b = (float(f.objective(f.params, x, y)) for f in (ordered, mixed))
    assert abs(a - b) < 0.01 * b


# Divergence


@pytest.mark.parametrize("rate", [1e10, 1e308])
@pytest.mark.parametrize("name", ["weston_watkins", "softmax"])
def test_an_absurd_learning_rate_is_an_error_with_finite_parameters(name: str, rate: float) -> None:
    with pytest.raises(jaxlin.DivergedError, match="Lower the learning rate") as caught:
        jaxlin.fit(X, Y, loss=LOSSES[name], solver=solvers.SGD(optax.sgd(rate), 16, 5))
    assert np.isfinite(caught.value.params.W).all()
    assert caught.value.params.W.shape == (C, D)
    assert len(caught.value.history) == 0


def test_divergence_keeps_the_last_good_epoch() -> None:
    steps = -(-N // 16)
    schedule = optax.piecewise_constant_schedule(0.1, {3 * steps: 1e30})
    seen: list[jaxlin.EpochReport] = []
    with pytest.raises(jaxlin.DivergedError, match="diverged in epoch 4") as caught:
        jaxlin.fit(
            X,
            Y,
            loss=SOFTMAX,
            solver=solvers.SGD(optax.sgd(schedule), 16, 9),
            on_epoch=lambda report: seen.append(report),
        )
    assert len(seen) == len(caught.value.history) == 3
    assert same(seen[-1].params, caught.value.params)
    assert np.isfinite(caught.value.history.objective).all()


def test_a_warm_start_at_a_tiny_objective_is_no_divergence() -> None:
    x = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    init = jaxlin.LinearParams(40.0 * jnp.eye(2))
    fit = jaxlin.fit(
        x,
        [0, 1],
        loss=SOFTMAX,
        l2=1e-3,
        init=init,
        bias=False,
        solver=solvers.GradientDescent(optax.sgd(100.0), steps=3),
    )
    assert np.isfinite(fit.params.W).all()


def test_a_loss_that_is_nan_is_divergence() -> None:
    with pytest.raises(jaxlin.DivergedError):
        jaxlin.fit(X, Y, loss=lambda s, y: SOFTMAX(s, y) * jnp.nan, solver=solvers.SGD(optax.sgd(0.1)))


# Validation, callbacks, stopping


def test_validation_is_evaluated_after_each_epoch() -> None:
    x, y = blobs(40, seed=7)
    reports: list[jaxlin.EpochReport] = []
    fit = jaxlin.fit(
        X,
        Y,
        loss=losses.crammer_singer_hinge,
        l2=0.5,
        solver=solvers.SGD(optax.sgd(0.1), 16, 3),
        validation=(x, y),
        on_epoch=reports.append,
    )
    for report in reports:
        seen = jaxlin.evaluate(report.params, x, y, loss=losses.crammer_singer_hinge)
        np.testing.assert_allclose(report.validation_loss, float(seen.objective), rtol=1e-6)
        np.testing.assert_allclose(report.validation_accuracy, float(seen.accuracy), rtol=1e-6)
    assert [r.epoch for r in reports] == [1, 2, 3]
    assert [r.examples for r in reports] == [N, 2 * N, 3 * N]
    assert {r.epochs for r in reports} == {3}
    assert fit.history.validation_loss is not None
    np.testing.assert_allclose(fit.history.validation_loss, [r.validation_loss for r in reports])
    np.testing.assert_allclose(fit.history.objective, [r.objective for r in reports])
    assert (np.diff(fit.history.seconds) > 0).all()
    assert len(fit.history) == 3


def test_early_stopping_returns_the_best_epoch() -> None:
    x, y = blobs(12, seed=11)
    reports: list[jaxlin.EpochReport] = []
    fit = jaxlin.fit(
        X[::6],
        Y[::6],
        loss=SOFTMAX,
        solver=solvers.SGD(optax.sgd(1.0), 4, 200),
        validation=(x, y),
        patience=3,
        on_epoch=reports.append,
    )
    assert fit.outcome.kind == "stopped_early"
    assert len(reports) < 200
    validation = [r.validation_loss for r in reports]
    best = int(np.argmin(np.array(validation, float)))
    assert len(reports) == best + 1 + 3
    assert same(fit.params, reports[best].params)
    assert f"epoch {best + 1}" in fit.outcome


def test_a_callback_can_stop_the_fit() -> None:
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, on_epoch=lambda report: report.epoch == 2)
    assert len(fit.history) == 2
    assert fit.outcome.kind == "stopped_by_callback"


def test_a_callback_runs_under_the_users_own_precision() -> None:
    dtypes = []

    def on_epoch(report: jaxlin.EpochReport) -> None:
        del report
        dtypes.append(jnp.asarray(np.zeros(1)).dtype)

    jaxlin.fit(
        X,
        Y,
        loss=SOFTMAX,
        dtype=np.float64,
        solver=solvers.SGD(optax.sgd(0.1), epochs=1),
        on_epoch=on_epoch,
    )
    assert dtypes == [jnp.float32]
    assert jnp.asarray(np.zeros(1)).dtype == jnp.float32


def test_out_of_steps_with_a_tolerance_says_how_far() -> None:
    fit = jaxlin.fit(
        X, Y, loss=SOFTMAX, l2=0.01, solver=solvers.SGD(optax.sgd(0.01), 16, 2), tol=1e-6
    )
    assert fit.outcome.kind == "out_of_steps"
    assert "largest |gradient| is still" in fit.outcome


def test_an_objective_that_rises_is_said_to() -> None:
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solvers.GradientDescent(optax.sgd(-0.1), steps=5))
    assert "ended higher than it began" in fit.outcome


# Arrays in


def test_float64_needs_no_global_setting_and_leaves_it() -> None:
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, dtype="float64", solver=solvers.SGD(optax.adam(0.01)))
    assert fit.params.W.dtype == jnp.float64
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    with jax.enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
    assert jaxlin.fit(x, Y, loss=SOFTMAX).params.W.dtype == jnp.float64
    assert jaxlin.fit(X.astype(np.float64), Y, loss=SOFTMAX).params.W.dtype == jnp.float32
    assert jaxlin.scores(fit.params, X).dtype == jnp.float64


def test_float32_stays_float32_under_a_users_global_float64() -> None:
    solver = solvers.SGD(optax.sgd(lambda t: 0.1 / (1 + t)), 16, 3)
    narrow = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    with jax.enable_x64(True):
        fit = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, validation=(X, Y), tol=1e-9)
        default = jaxlin.fit(X, Y, loss=losses.weston_watkins_hinge)
        searched = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solvers.RandomSearch(3))
        numerical = jaxlin.fit(
            X,
            Y,
            loss=SOFTMAX,
            solver=solvers.GradientDescent(optax.sgd(0.1), steps=2, gradient="numerical"),
        )
    for found in (fit, default, searched, numerical):
        assert found.params.W.dtype == jnp.float32
    np.testing.assert_allclose(fit.params.W, narrow.params.W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "int64", "bool", "float16", "bfloat16"])
def test_narrow_features_give_what_their_float32_values_give(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 120, (N, D))
    x = np.asarray(jnp.asarray(values).astype(dtype)) if dtype != "int64" else values
    scaling = jaxlin.data.Scaling.unit_range(values.astype(np.float32))
    solver = solvers.SGD(optax.sgd(0.1), 16, 3)
    narrow = jaxlin.fit(x, Y, loss=SOFTMAX, solver=solver, scaling=scaling)
    wide = jaxlin.fit(values.astype(np.float32), Y, loss=SOFTMAX, solver=solver, scaling=scaling)
    assert same(narrow.params, wide.params)


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]


def reversed_view(x: np.ndarray) -> np.ndarray:
    return x[::-1].copy()[::-1]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def big_endian(x: np.ndarray) -> np.ndarray:
    return x.astype(">f4")


def nested_lists(x: np.ndarray) -> Any:
    return x.tolist()


def jax_array(x: np.ndarray) -> Any:
    return jnp.asarray(x.copy())


@pytest.mark.parametrize(
    "view", [fortran, strided, reversed_view, read_only, big_endian, nested_lists, jax_array]
)
def test_memory_layout_changes_no_bit(view: Callable[[np.ndarray], Any]) -> None:
    solver = solvers.SGD(optax.sgd(0.1), 16, 3)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    assert same(jaxlin.fit(view(X), Y, loss=SOFTMAX, solver=solver).params, plain.params)


def test_the_callers_arrays_may_change_while_the_fit_runs() -> None:
    solver = solvers.SGD(optax.sgd(0.1), 16, 4)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    x, y, weight = X.copy(), Y.copy(), np.ones(N)

    def vandal(report: jaxlin.EpochReport) -> None:
        del report
        x[:], y[:], weight[:] = np.nan, 0, 0.0

    fit = jaxlin.fit(x, y, loss=SOFTMAX, solver=solver, sample_weight=weight, on_epoch=vandal)
    assert same(fit.params, plain.params)


def test_a_scaling_folds_into_the_parameters() -> None:
    x = 50.0 * X + 300.0
    scaling = jaxlin.data.Scaling.standardize(x)
    for bias in (True, False):
        fit = jaxlin.fit(x, Y, loss=SOFTMAX, scaling=scaling, bias=bias, dtype=np.float64)
        with jax.enable_x64(True):
            inside = jaxlin.scores(fit.params, scaling(x.astype(np.float64)))
        outside = jaxlin.scores(fit.raw_params, x)
        np.testing.assert_allclose(outside, inside, rtol=1e-9, atol=1e-9)


def test_features_of_any_size_are_scaled_by_the_default_step() -> None:
    for size in (1e-6, 1e6, 1e15):
        fit = jaxlin.fit((size * X).astype(np.float32), Y, loss=losses.crammer_singer_hinge)
        assert np.isfinite(fit.params.W).all()
    with pytest.raises(jaxlin.InputError, match=r"Scale the features.*dtype=jnp.float64"):
        jaxlin.fit(X * np.float32(1e30), Y, loss=SOFTMAX)
    fit = jaxlin.fit(X.astype(np.float64) * 1e100, Y, loss=SOFTMAX, dtype=np.float64)
    assert fit.history.accuracy[-1] > 0.8


def test_one_example_a_class_one_feature_and_constant_features() -> None:
    fit = jaxlin.fit([[0.0], [1.0]], [0, 1], loss=SOFTMAX)
    assert fit.params.W.shape == (2, 1)
    constant = np.concatenate([X, np.full((N, 1), 3.0), np.zeros((N, 1))], axis=1)
    scaling = jaxlin.data.Scaling.standardize(constant)
    fit = jaxlin.fit(constant, Y, loss=SOFTMAX, scaling=scaling)
    assert fit.history.accuracy[-1] > 0.8
    contradictory = jaxlin.fit(np.zeros((4, 2)), [0, 1, 0, 1], loss=SOFTMAX, l2=0.1)
    assert abs(contradictory.history.objective[-1] - np.log(2)) < 1e-3


def test_classes_can_be_declared_by_init() -> None:
    fit = jaxlin.fit(X, np.ones(N, int), loss=SOFTMAX, init=jaxlin.init_params(D, 5), l2=0.01)
    assert fit.params.W.shape == (5, D)
    assert (np.asarray(jaxlin.predict(fit.params, X)) == 1).all()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "l2 negative": ({"l2": -1.0}, "l2 must be finite and not negative, got -1.0"),
    "l2 nan": ({"l2": float("nan")}, "l2 must be finite"),
    "l2 text": ({"l2": "1"}, "l2 must be a number, got '1'"),
    "loss text": ({"loss": "svm"}, r"loss must be a loss of jaxlin.losses.*got 'svm'"),
    "penalty": ({"penalty": 3.0}, "penalty must be a function of W"),
    "penalty not scalar": ({"penalty": lambda W: W}, "penalty must return a scalar"),
    "solver text": ({"solver": "sgd"}, "solver must be one of jaxlin.solvers"),
    "solver optimiser": ({"solver": optax.sgd(0.1)}, "solver must be one of jaxlin.solvers"),
    "key text": ({"key": "1"}, "key must be"),
    "key negative": ({"key": -1}, r"0 to 2\*\*32 - 1, got -1"),
    "key too large": ({"key": 2**63}, r"0 to 2\*\*32 - 1"),
    "tol": ({"tol": 0.0}, "tol must be a positive"),
    "patience": ({"patience": 0}, "patience must be at least 1"),
    "patience alone": ({"patience": 2}, "patience needs validation"),
    "on_epoch": ({"on_epoch": 1}, "on_epoch must be a function"),
    "dtype": ({"dtype": "float16"}, "dtype must be float32 or float64"),
    "dtype nonsense": ({"dtype": "floaty"}, "dtype must be float32 or float64"),
    "validation": ({"validation": X}, r"validation must be a pair"),
    "validation D": ({"validation": (X[:, 1:], Y)}, "validation X has 5 features, but 6"),
    "validation labels": ({"validation": (X, Y + 1)}, r"validation labels must be .*0\.\.2"),
    "validation nan": ({"validation": (X * np.nan, Y)}, "Input validation X contains NaN"),
    "init": ({"init": np.zeros((C, D))}, "init must be LinearParams"),
    "init D": ({"init": jaxlin.init_params(D + 1, C)}, r"init.W must have shape \(3, 6\)"),
    "init C": ({"init": jaxlin.init_params(D, 2)}, r"labels must be integers 0\.\.1"),
    "init nan": (
        {"init": jaxlin.LinearParams(jnp.full((C, D), jnp.nan))},
        "init holds NaN or infinity",
    ),
    "init b": (
        {"init": jaxlin.LinearParams(jnp.zeros((C, D)), jnp.zeros(2))},
        r"init.b must have shape \(3,\)",
    ),
    "init b unwanted": ({"init": jaxlin.init_params(D, C), "bias": False}, "init has a b"),
    "scaling": ({"scaling": "standardize"}, "scaling must be a jaxlin.data.Scaling"),
    "scaling shape": (
        {"scaling": jaxlin.data.Scaling(np.zeros(2), np.ones(2))},
        r"scaling.shift must be finite, a scalar or of shape \(6,\)",
    ),
    "weight length": ({"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\)"),
    "weight 2-D": ({"sample_weight": np.ones((N, 1))}, "Sample weights must be 1D array"),
    "weight nan": ({"sample_weight": np.full(N, np.nan)}, "Input sample_weight contains NaN"),
    "weight negative": ({"sample_weight": -np.ones(N)}, "sample_weight must not be negative"),
    "weight zero": ({"sample_weight": np.zeros(N)}, "at least one non-zero number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_named(name: str) -> None:
    changed, message = BAD[name]
    arguments: dict[str, Any] = {"loss": SOFTMAX, **changed}
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.fit(X, Y, **arguments)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(N, int), "contains only one class: 0"),
        (Y[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
        (Y - 1, r"got -1 at index 0.*encode_labels"),
        (Y.astype(float) + 0.5, "Unknown label type: continuous"),
        (np.array(["a", "b", "c"])[Y], "encode_labels"),
        (np.eye(C)[Y], r"labels must have shape \(N,\), got \(60, 3\)"),
        (None, "labels must be given"),
        (np.full(N, 2**33), "got 8589934592 at index 0"),
    ],
)
def test_bad_labels_are_told_apart(labels: Any, message: str) -> None:
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.fit(X, labels, loss=SOFTMAX)


def test_solvers_check_their_numbers() -> None:
    with pytest.raises(jaxlin.InputError, match="batch_size must be at least 1"):
        solvers.SGD(optax.sgd(0.1), batch_size=0)
    with pytest.raises(jaxlin.InputError, match="epochs must be a whole number"):
        solvers.SGD(optax.sgd(0.1), epochs=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match=r"optimizer must be an optax.*got 0.1"):
        solvers.SGD(0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match="gradient must be one of"):
        solvers.GradientDescent(optax.sgd(0.1), gradient="symbolic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match="scale must be a positive"):
        solvers.RandomSearch(scale=0.0)
    with pytest.raises(jaxlin.InputError, match="learning_rate must be a positive"):
        solvers.cosine_decay(float("nan"), 10)
