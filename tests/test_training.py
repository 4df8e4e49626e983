"""`fit`: what it finds, how it ends, and what it refuses."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import LOSSES, C, D, N, blobs, same_params

import jaxlin
from jaxlin import data, losses, solvers
from jaxlin.training.proving import LateCertificate

SOFTMAX = losses.softmax_cross_entropy
X, Y = blobs()


@pytest.mark.parametrize(
    ("name", "bias", "dtype"),
    [(name, True, np.float32) for name in LOSSES]
    + [("softmax", False, np.float32), ("softmax", True, np.float64)],
)
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
        solver=solvers.GradientDescent(optax.sgd(lambda t: 0.3 / (1 + 0.02 * t)), steps=400),
    )
    value = float(fit.objective(best.params, X, Y))
    assert fit.history.objective[-1] < 1.1 * value + 0.01
    assert fit.outcome.kind == "converged"
    assert fit.certificate is not None
    assert fit.certificate.relative_gap <= (1e-4 if name == "softmax" else 1e-3)
    assert fit.certificate.dual <= value


def test_a_fit_by_minibatches_has_a_certificate_of_the_weighted_rows_in_their_order() -> None:
    # So many that they are laid out in another order.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1 << 17).astype(np.int32)
    x = (rng.integers(0, 200, (len(labels), 32)) + 20 * labels[:, None]).astype(np.uint8)
    weight = rng.uniform(0.1, 2.0, len(labels))
    scaling = data.Scaling.unit_range(x)
    found = jaxlin.fit(
        x, labels, loss=losses.softmax_cross_entropy, l2=0.01, sample_weight=weight,
        solver=solvers.SGD(optax.sgd(0.1), batch_size=2048, epochs=1), scaling=scaling,
    )  # fmt: skip
    assert isinstance(found.proof, LateCertificate)
    W, b = (np.asarray(leaf, np.float64) for leaf in (found.params.W, found.params.b))
    s = x / x.max() @ W.T + b
    each = np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(s)), labels]
    value = np.average(each, weights=weight) + 0.01 * np.sum(W * W)
    assert found.certificate is not None
    assert found.certificate.primal == pytest.approx(value, rel=1e-10)
    assert 0.0 < found.certificate.dual < value
    assert found.certificate is found.certificate


def test_without_l2_no_fit_has_a_certificate() -> None:
    sgd = solvers.SGD(optax.sgd(0.1), epochs=1)
    found = jaxlin.fit(X, Y, loss=losses.softmax_cross_entropy, solver=sgd)
    assert found.certificate is None


@pytest.mark.parametrize("name", LOSSES)
def test_the_three_gradients_take_the_same_steps(name: str) -> None:
    # Not from zero: there all wrong classes tie, and at a kink the three need not agree.
    init = jaxlin.init_params(D, C, key=jax.random.key(1), scale=0.1)
    fits = [
        jaxlin.fit(
            X,
            Y,
            loss=LOSSES[name],
            l2=0.01,
            dtype=np.float64,
            init=init,
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


@pytest.mark.parametrize("n", [50, 135, 450, 1000, 5000])
def test_an_accuracy_of_all_or_nothing_is_exact(n: int) -> None:
    labels = np.arange(n) % 2
    x = np.where(labels == 1, 1.0, -1.0)[:, None].astype(np.float32)
    right = jaxlin.LinearParams(jnp.asarray([[-1.0], [1.0]]))
    wrong = jaxlin.LinearParams(jnp.asarray([[1.0], [-1.0]]))
    assert float(jaxlin.evaluate(right, x, labels, loss=SOFTMAX).accuracy) == 1.0
    assert 0.0 <= float(jaxlin.evaluate(wrong, x, labels, loss=SOFTMAX).accuracy) < 1e-6
    solver = solvers.SGD(optax.sgd(0.0), batch_size=33, epochs=1)
    fit = jaxlin.fit(x, labels, loss=SOFTMAX, solver=solver, init=right, bias=False)
    assert fit.history.accuracy[-1] == 1.0
    assert jaxlin.fit(x, labels, loss=SOFTMAX, l2=1e-3).history.accuracy[-1] == 1.0


def test_a_loss_that_reduces_is_told_so() -> None:
    with pytest.raises(jaxlin.InputError, match=r"one value an example, shape \(\d+,\), got \(\)"):
        jaxlin.fit(
            X, Y, loss=lambda s, y: jnp.mean(SOFTMAX(s, y)), solver=solvers.SGD(optax.sgd(1.0))
        )


def l1(W: jax.Array) -> jax.Array:
    return 0.05 * jnp.sum(jnp.abs(W))


@pytest.mark.parametrize("method", ["autodiff", "by_hand", "numerical"])
def test_a_penalty_is_added_as_it_is(method: Any) -> None:
    solver = solvers.GradientDescent(optax.sgd(0.1), steps=40, gradient=method)
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, penalty=l1, solver=solver, dtype=np.float64)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, dtype=np.float64)
    assert np.abs(np.asarray(fit.params.W)).sum() < 0.8 * np.abs(np.asarray(plain.params.W)).sum()
    mean_loss = float(jaxlin.Objective(SOFTMAX)(fit.params, X, Y))
    penalty = 0.05 * np.abs(np.asarray(fit.params.W)).sum()
    np.testing.assert_allclose(
        float(fit.objective(fit.params, X, Y)), mean_loss + penalty, rtol=1e-6
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
        X,
        Y,
        loss=SOFTMAX,
        l2=0.01,
        solver=solvers.GradientDescent(optax.lbfgs(), steps=25),
        tol=1e-3,
    )
    assert fit.outcome.kind == "converged"
    assert "the certificate tells" in fit.outcome


def test_weight_decay_is_twice_l2() -> None:
    """`optax.add_decayed_weights` of it, on W and before the learning rate, is this l2."""
    l2 = 0.05
    decay = jaxlin.scales.weight_decay_of_l2(l2)
    assert decay == 2 * l2
    decayed = optax.chain(
        optax.add_decayed_weights(decay, mask=jaxlin.LinearParams(True, False)),  # pyright: ignore[reportArgumentType]
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

    assert same_params(run(3), run(jax.random.key(3)))
    assert same_params(run(None), run(0))
    assert not same_params(run(3), run(4))
    assert same_params(run(jax.random.PRNGKey(3)), run(3))


def test_data_sorted_by_label_are_no_worse() -> None:
    x, y = blobs(600)
    order = np.random.default_rng(0).permutation(600)
    solver = solvers.SGD(optax.sgd(0.05), 32, 10)
    ordered = jaxlin.fit(x, y, loss=SOFTMAX, l2=0.01, solver=solver)
    mixed = jaxlin.fit(x[order], y[order], loss=SOFTMAX, l2=0.01, solver=solver)
    a, b = (float(f.objective(f.params, x, y)) for f in (ordered, mixed))
    assert abs(a - b) < 0.01 * b


# Divergence


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # of 1e308, by optax
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
    assert same_params(seen[-1].params, caught.value.params)
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
        jaxlin.fit(
            X, Y, loss=lambda s, y: SOFTMAX(s, y) * jnp.nan, solver=solvers.SGD(optax.sgd(0.1))
        )


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
        assert report.validation_loss == pytest.approx(float(seen.objective), rel=1e-6)
        assert report.validation_accuracy == pytest.approx(float(seen.accuracy), rel=1e-6)
    assert [r.epoch for r in reports] == [1, 2, 3]
    assert [r.examples for r in reports] == [N, 2 * N, 3 * N]
    assert {r.epochs for r in reports} == {3}
    assert fit.history.validation_loss is not None
    assert fit.history.validation_loss.tolist() == [r.validation_loss for r in reports]
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
    assert same_params(fit.params, reports[best].params)
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
