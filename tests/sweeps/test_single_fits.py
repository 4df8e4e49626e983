"""Every model of a sweep is what `fit` gives alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sweep_problem import (
    HINGE,
    SOFTMAX,
    C,
    D,
    MomentumSGD,
    N,
    clouds,
    momentum_sgd,
    same_objective,
)

import jaxlin
from jaxlin import solvers

X, Y = clouds()
HELD_OUT = clouds(90, seed=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [SOFTMAX, HINGE], ids=["softmax", "hinge"])
def test_random_settings_are_single_fits(loss: Any, dtype: Any) -> None:
    rng = np.random.default_rng(3)
    inits = [None] + [
        jaxlin.init_params(D, C, key=jax.random.key(seed), scale=0.3) for seed in range(2)
    ]
    settings = [
        {
            "l2": float(10 ** rng.uniform(-6, 0)),
            "learning_rate": float(10 ** rng.uniform(-3, -1)),
            "momentum": float(rng.uniform(0, 0.95)),
            "init": inits[index % 3],
        }
        for index in range(12)
    ]
    options: dict[str, Any] = {"loss": loss, "key": 5, "dtype": dtype}
    found = jaxlin.sweep(X, Y, grid=settings, solver=momentum_sgd, validation=HELD_OUT, **options)
    assert found.params.W.shape == (12, C, D)
    assert found.params.W.dtype == dtype
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    for row in rng.choice(12, 4, replace=False):
        s = settings[row]
        alone = jaxlin.fit(
            X, Y, l2=s["l2"], init=s["init"], validation=HELD_OUT,
            solver=MomentumSGD(s["learning_rate"], s["momentum"]), **options,
        )  # fmt: skip
        same_objective(found, row, alone, X, Y)
        assert alone.history.validation_loss is not None
        np.testing.assert_allclose(
            found.table["validation_loss"][row], alone.history.validation_loss[-1], rtol=1e-4
        )
        again = found.fit(int(row))
        assert again.outcome == alone.outcome
        assert again.params.W.dtype == dtype
        assert again.objective == alone.objective
        np.testing.assert_array_equal(again.params.W, found.params.W[row])


def test_the_default_solver_takes_its_four_names() -> None:
    grid = {"learning_rate": [0.01, 0.1], "momentum": [0.0, 0.9], "batch_size": [64], "epochs": [5]}
    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid)
    steps = 5 * -(-N // 64)
    for row in (1, 2):
        setting = found.settings[row]
        schedule = optax.cosine_decay_schedule(setting["learning_rate"], steps)
        solver = solvers.SGD(optax.sgd(schedule, setting["momentum"]), 64, 5)
        same_objective(found, row, jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver), X, Y)
    plain = jaxlin.sweep(X, Y, loss=HINGE, grid={"l2": [0.01]})
    same_objective(plain, 0, jaxlin.fit(X, Y, loss=HINGE, l2=0.01), X, Y)


def softmax_of_ones_own(scores: jax.Array, labels: jax.Array) -> jax.Array:
    return SOFTMAX(scores, labels)


def test_the_default_rate_is_one_that_a_large_l2_can_take() -> None:
    shares = np.bincount(Y) / N
    entropy = -float(shares @ np.log(shares))  # of W = 0 and the best b
    found = jaxlin.sweep(X, Y, loss=softmax_of_ones_own, grid={"l2": [1.0, 100.0]})
    for row, l2 in enumerate((1.0, 100.0)):
        alone = jaxlin.fit(X, Y, loss=softmax_of_ones_own, l2=l2)
        same_objective(found, row, alone, X, Y)
        assert alone.history.objective[-1] < entropy
    given = {"l2": [100.0], "learning_rate": [1.0], "epochs": [200]}
    with pytest.raises(jaxlin.DivergedError):  # a rate that is given is taken
        jaxlin.sweep(X, Y, loss=softmax_of_ones_own, grid=given)


def test_a_finished_solver_and_a_class_of_solvers_serve() -> None:
    solver = solvers.GradientDescent(optax.adam(0.05), steps=6)
    found = jaxlin.sweep(
        X, Y, grid={"l2": [0.0, 0.1], "loss": [SOFTMAX, HINGE]}, solver=solver, bias=False
    )
    assert found.params.b is None
    assert found.table["loss"].tolist() == ["SoftmaxCrossEntropy", "WestonWatkinsHinge"] * 2
    for row, s in enumerate(found.settings):
        alone = jaxlin.fit(X, Y, loss=s["loss"], l2=s["l2"], solver=solver, bias=False)
        same_objective(found, row, alone, X, Y)
    # The scale is traced; of the numbers of trials each makes a group.
    grid = {"scale": [0.1, 1.0], "trials": [3, 5]}
    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid=grid, solver=solvers.RandomSearch, key=3)
    for row, s in enumerate(found.settings):
        alone = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solvers.RandomSearch(**s), key=3)
        same_objective(found, row, alone, X, Y)


def clipped(learning_rate: float) -> solvers.SGD:
    return solvers.SGD(
        optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(learning_rate, 0.9)), 32, 4
    )


def test_nothing_of_a_model_leaks_into_its_neighbours() -> None:
    """Neither a norm that is clipped, nor a neighbour that diverges."""
    rates = [0.01, 1e30, 0.1, 0.03]
    start = jaxlin.LinearParams(jnp.full((C, D), 1e3), jnp.zeros(C))
    for make, init in ((clipped, start), (momentum_sgd, None)):
        found = jaxlin.sweep(
            X, Y, loss=SOFTMAX, grid={"learning_rate": rates}, solver=make, init=init
        )
        quiet = jaxlin.sweep(
            X, Y, loss=SOFTMAX, solver=make, init=init,
            grid={"learning_rate": [0.01, 0.02, 0.1, 0.03]},
        )  # fmt: skip
        assert found.table["outcome"][1] == "diverged"
        for row in (0, 2, 3):
            np.testing.assert_array_equal(found.params.W[row], quiet.params.W[row])
        alone = jaxlin.fit(X, Y, loss=SOFTMAX, solver=make(rates[2]), init=init)
        # A start of 1,000 rounds its steps off by so much.
        same_objective(found, 2, alone, X, Y, narrow_rtol=2e-4)


def test_uint8_features_are_scaled_in_the_program() -> None:
    images = np.clip(40 * X + 128, 0, 255).astype(np.uint8)
    scaling = jaxlin.data.Scaling.standardize(images)
    weight = np.random.default_rng(0).integers(0, 4, N)
    options: dict[str, Any] = {"loss": HINGE, "scaling": scaling, "sample_weight": weight}
    found = jaxlin.sweep(
        images, Y, grid={"l2": [1e-3, 0.1], "learning_rate": [0.01]}, solver=momentum_sgd, **options
    )
    for row, s in enumerate(found.settings):
        alone = jaxlin.fit(images, Y, l2=s["l2"], solver=MomentumSGD(0.01), **options)
        np.testing.assert_allclose(
            found.histories[row].objective, alone.history.objective, rtol=2e-5
        )
        proof, proof_alone = found.fit(row).certificate, alone.certificate
        assert proof is not None
        assert proof_alone is not None
        assert proof.primal == pytest.approx(found.table["objective"][row], rel=1e-5)
        assert proof.primal == pytest.approx(proof_alone.primal, rel=2e-5)
        assert 0.0 < proof.dual < proof.primal
        assert found.certificates[row] is proof
    assert found.fit(0).scaling is scaling


def test_a_tolerance_ends_each_model_by_itself() -> None:
    def descent(learning_rate: float) -> solvers.GradientDescent:
        return solvers.GradientDescent(optax.sgd(learning_rate), steps=60)

    options: dict[str, Any] = {"loss": SOFTMAX, "tol": 0.05}
    found = jaxlin.sweep(X, Y, grid={"learning_rate": [0.3, 0.001]}, solver=descent, **options)
    assert found.table["outcome"].tolist() == ["converged", "out_of_steps"]
    for row, rate in enumerate([0.3, 0.001]):
        alone = jaxlin.fit(X, Y, solver=descent(rate), **options)
        same_objective(found, row, alone, X, Y)


def test_a_float32_sweep_is_the_same_under_a_users_global_float64() -> None:
    options: dict[str, Any] = {
        "loss": HINGE, "grid": {"learning_rate": [0.01, 0.03]}, "solver": momentum_sgd, "folds": 3,
        "patience": 2,
    }  # fmt: skip
    narrow = jaxlin.sweep(X, Y, **options)
    with jax.enable_x64(True):
        other = jaxlin.sweep(X, Y, **options)
    assert other.params.W.dtype == jnp.float32
    np.testing.assert_allclose(other.table["objective"], narrow.table["objective"], rtol=2e-5)


def test_whole_numbers_are_what_they_are_in_python() -> None:
    """`10**-k` of an int32 would be 0, or an error; an index has to be one."""
    rates = [0.1, 0.01, 0.001]

    def by_power(k: int) -> solvers.SGD:
        return momentum_sgd(10**-k)

    def by_place(k: int) -> solvers.SGD:
        return momentum_sgd(jnp.array([1.0, *rates])[k])  # pyright: ignore[reportArgumentType]

    plain = jaxlin.sweep(X, Y, loss=SOFTMAX, grid={"learning_rate": rates}, solver=momentum_sgd)
    for make in (by_power, by_place):
        found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid={"k": [1, 2, 3]}, solver=make)
        np.testing.assert_allclose(found.table["objective"], plain.table["objective"], rtol=2e-5)
        assert len(set(found.table["seconds"])) == 1  # one program
