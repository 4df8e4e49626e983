"""The loop against a plain NumPy one, and what it promises about epochs, batches and models."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxlin
from jaxlin.data.order import epoch_order
from jaxlin.row_blocks import BLOCK_ROWS
from jaxlin.solvers.base import Evaluation, Examples, Problem
from jaxlin.solvers.block import (
    Grid,
    Stopping,
    evaluate_models,
    first_standing,
    largest_slopes,
    run_block,
)
from jaxlin.solvers.loop import minimise
from jaxlin.training.default_solver import DefaultNumbers, default_solver

N, D, C = 21, 5, 3


def problem_data(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, C, n)
    labels[:C] = np.arange(C)
    return rng.normal(size=(n, D)) + labels[:, None], labels


def numpy_softmax_gradient(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, labels: np.ndarray, weight: np.ndarray, l2: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Value and gradient of `sum_i weight_i L_i + l2 sum W^2`, one example at a time."""
    value, dW, db = l2 * float((W**2).sum()), 2 * l2 * W, np.zeros_like(b)
    for x_i, y_i, w_i in zip(x, labels, weight, strict=True):
        s = W @ x_i + b
        p = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
        value += w_i * -np.log(p[y_i])
        p[y_i] -= 1.0
        dW, db = dW + w_i * np.outer(p, x_i), db + w_i * p
    return value, dW, db


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [8, 7, 64])
def test_sgd_is_the_plain_loop(batch_size: int, weighted: bool) -> None:
    x, labels = problem_data()
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.0, 2.0, N) if weighted else np.ones(N)
    key, rate, momentum, l2, epochs = jax.random.key(7), 0.1, 0.9, 0.01, 3
    fit = jaxlin.fit(
        x,
        labels,
        loss=jaxlin.losses.softmax_cross_entropy,
        l2=l2,
        solver=jaxlin.solvers.SGD(optax.sgd(rate, momentum), batch_size, epochs),
        key=key,
        sample_weight=weight,
        dtype=np.float64,
    )
    W, b = np.zeros((C, D)), np.zeros(C)
    vW, vb = np.zeros_like(W), np.zeros_like(b)
    objective = []
    for epoch in range(epochs):
        order = epoch_order(key, epoch, N)
        mean = 0.0
        for start in range(0, N, batch_size):
            rows = order[start : start + batch_size]
            batch_weight = weight[rows] / weight.mean() / len(rows)
            value, dW, db = numpy_softmax_gradient(W, b, x[rows], labels[rows], batch_weight, l2)
            vW, vb = momentum * vW + dW, momentum * vb + db
            W, b = W - rate * vW, b - rate * vb
            mean += value * len(rows) / N
        objective.append(mean)
    np.testing.assert_allclose(fit.params.W, W, rtol=0, atol=1e-12)
    assert fit.params.b is not None
    np.testing.assert_allclose(fit.params.b, b, rtol=0, atol=1e-12)
    np.testing.assert_allclose(fit.history.objective, objective, rtol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 8, 20, 21, 64])
def test_an_epoch_of_batches_at_fixed_parameters_is_the_full_objective(batch_size: int) -> None:
    """The last batch counts for just what it holds, the filled-up rows for nothing."""
    x, labels = problem_data()
    weight = np.random.default_rng(2).integers(0, 4, N)
    init = jaxlin.init_params(D, C, key=jax.random.key(1), scale=1.0)
    fit = jaxlin.fit(
        x,
        labels,
        loss=jaxlin.losses.weston_watkins_hinge,
        l2=0.1,
        solver=jaxlin.solvers.SGD(optax.sgd(0.0), batch_size, epochs=1),
        init=init,
        sample_weight=weight,
    )
    objective = jaxlin.Objective(jaxlin.losses.weston_watkins_hinge, 0.1)
    expected = objective(init, x.astype(np.float32), labels, weight.astype(np.float32))
    np.testing.assert_allclose(fit.history.objective, [float(expected)], rtol=2e-6)
    accuracy = jaxlin.metrics.accuracy(
        jaxlin.scores(init, x.astype(np.float32)), labels, weight.astype(np.float32)
    )
    np.testing.assert_allclose(fit.history.accuracy, [float(accuracy)], rtol=2e-6)
    assert "never moved" in fit.outcome


@pytest.mark.parametrize("n", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS - 7])
def test_a_pass_in_blocks_is_the_pass_in_one(n: int) -> None:
    x, labels = problem_data(n)
    params = jaxlin.init_params(D, C, key=jax.random.key(3), scale=0.5)
    objective = jaxlin.Objective(jaxlin.losses.crammer_singer_hinge, 0.2)
    x32, y32 = jnp.asarray(x, jnp.float32), jnp.asarray(labels, jnp.int32)
    problem = Problem(objective, Examples(x32, y32, jnp.full(n, 1 / n, jnp.float32)), None)
    expected, expected_gradient = jax.value_and_grad(objective)(params, x32, y32)
    for method in ("autodiff", "by_hand"):
        seen, gradient = problem.value_and_gradient(params, method)
        np.testing.assert_allclose(seen.objective, expected, rtol=2e-5)
        np.testing.assert_allclose(gradient.W, expected_gradient.W, rtol=0, atol=2e-5)
        assert gradient.b is not None
        assert expected_gradient.b is not None
        np.testing.assert_allclose(gradient.b, expected_gradient.b, rtol=0, atol=2e-5)
    correct = np.mean(np.asarray(jaxlin.predict(params, x32)) == labels)
    np.testing.assert_allclose(problem.evaluate(params).accuracy, correct, rtol=1e-4)


def make_grid(rates: list[float], l2s: list[float], epochs: int = 4) -> Grid:
    m = len(rates)
    numbers = DefaultNumbers(
        jnp.array(rates, jnp.float32), jnp.full(m, 0.9), jnp.full(m, 1e6), 8, epochs
    )
    params = jaxlin.LinearParams(jnp.zeros((m, C, D)), jnp.zeros((m, C)))
    objective = jaxlin.Objective(jaxlin.losses.softmax_cross_entropy, jnp.array(l2s, jnp.float32))
    return Grid(numbers, objective, params)


def as_examples(x: np.ndarray, labels: np.ndarray) -> Examples:
    n = len(labels)
    return Examples(
        jnp.asarray(x, jnp.float32),
        jnp.asarray(labels, jnp.int32),
        jnp.full(n, 1 / n, jnp.float32),
    )


def test_models_of_a_grid_are_what_each_is_alone_even_beside_one_that_diverges() -> None:
    examples = as_examples(*problem_data())
    key = jax.random.key(5)
    rates, l2s = [0.1, 1e12, 0.01], [0.0, 0.1, 0.3]
    together = minimise(default_solver, make_grid(rates, l2s), examples, key)
    np.testing.assert_array_equal(together.diverged, [False, True, False])
    np.testing.assert_array_equal(together.epochs, [4, 0, 4])
    assert np.isfinite(together.params.W).all()
    for i in (0, 2):
        alone = minimise(default_solver, make_grid(rates[i : i + 1], l2s[i : i + 1]), examples, key)
        np.testing.assert_allclose(together.params.W[i], alone.params.W[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(
            together.rows[-1].objective[i], alone.rows[-1].objective[0], rtol=1e-5
        )


def test_early_stopping_is_each_models_own() -> None:
    x, labels = problem_data()
    examples, held_out = as_examples(x, labels), as_examples(*problem_data(seed=9))
    key = jax.random.key(5)
    rates, l2s = [0.05, 1.5], [0.0, 0.0]
    together = minimise(
        default_solver,
        make_grid(rates, l2s, epochs=25),
        examples,
        key,
        validation=held_out,
        patience=2,
    )
    assert together.epochs[0] != together.epochs[1]
    for i in (0, 1):
        alone = minimise(
            default_solver,
            make_grid(rates[i : i + 1], l2s[i : i + 1], epochs=25),
            examples,
            key,
            validation=held_out,
            patience=2,
        )
        assert together.epochs[i] == alone.epochs[0]
        assert together.best_epoch[i] == alone.best_epoch[0]
        np.testing.assert_allclose(together.params.W[i], alone.params.W[0], rtol=1e-4, atol=1e-5)


def static_solver(numbers: Any) -> Any:
    return numbers


SOLVERS = {
    "sgd": jaxlin.solvers.SGD(optax.adam(1e-2), batch_size=8, epochs=2),
    "autodiff": jaxlin.solvers.GradientDescent(optax.sgd(0.1), steps=2),
    "by_hand": jaxlin.solvers.GradientDescent(optax.sgd(0.1), steps=2, gradient="by_hand"),
    "numerical": jaxlin.solvers.GradientDescent(optax.sgd(0.1), steps=2, gradient="numerical"),
    "random_search": jaxlin.solvers.RandomSearch(trials=2, scale=0.1),
}


@pytest.mark.parametrize(
    ("name", "folded"), [(name, False) for name in SOLVERS] + [("sgd", True), ("autodiff", True)]
)
def test_the_compiled_programs_lower_for_every_platform(name: str, folded: bool) -> None:
    """On this machine's CPU; uint8 features and a scaling, as images have them."""
    solver = SOLVERS[name]
    n = BLOCK_ROWS + 1
    examples = Examples(
        jnp.zeros((n, D), jnp.uint8), jnp.zeros(n, jnp.int32), jnp.full(n, 1 / n, jnp.float32)
    )
    scaling = jaxlin.data.Scaling(jnp.zeros(D), jnp.ones(D))
    params = jaxlin.LinearParams(jnp.zeros((1, C, D)), jnp.zeros((1, C)))
    objective = jaxlin.Objective(jaxlin.losses.weston_watkins_hinge, jnp.zeros(1))
    numbers = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32)[None], solver)
    grid = Grid(numbers, objective, params)
    key = jax.random.key(0)
    last_epoch = None
    if folded:
        examples = examples._replace(weight=jnp.full((2, n), 1 / n, jnp.float32))
        grid = grid._replace(fold=jnp.ones(1, jnp.int32))
        last_epoch = jnp.ones(1, jnp.int32)
    stopping = Stopping(examples, jnp.asarray(3, jnp.int32), jnp.zeros(1), last_epoch)

    def block(grid: Grid, examples: Examples, batches: Any, stopping: Stopping) -> Any:
        start = first_standing(static_solver, grid, examples, key)
        standing, record = run_block(
            static_solver, 2, grid, start, 2, examples, scaling, batches, stopping
        )
        return jax.tree.leaves(standing.params), standing.epochs, record

    batches = jnp.zeros((2, 3, 8), jnp.int32) if solver.batch_size else None
    programs = [
        (jax.jit(block), (grid, examples, batches, stopping)),
        (evaluate_models, (grid._replace(numbers=()), examples, scaling)),
        (largest_slopes, (grid._replace(numbers=()), examples, scaling)),
    ]
    for program, args in programs:
        leaves, structure = jax.tree.flatten(args)

        def flat(*leaves: Any, program: Any = program, structure: Any = structure) -> Any:
            return jax.tree.leaves(program(*jax.tree.unflatten(structure, leaves)))

        exported = jax.export.export(jax.jit(flat), platforms=["cpu", "cuda", "tpu"])(*leaves)
        assert exported.platforms == ("cpu", "cuda", "tpu")


def test_nothing_of_the_data_is_a_constant_of_the_program() -> None:
    """Closing over an array would copy it into the compiled program."""
    x, labels = problem_data(BLOCK_ROWS + 5)
    grid = make_grid([0.1], [0.0])
    key = jax.random.key(0)
    examples = as_examples(x, labels)
    lowered = run_block.lower(
        default_solver,
        2,
        grid,
        first_standing(default_solver, grid, examples, key),
        2,
        examples,
        None,
        jnp.zeros((2, 3, 8), jnp.int32),
        Stopping(),
    )
    assert len(lowered.as_text()) < 200_000


def test_evaluation_in_blocks_of_uint8_matches_numpy_beyond_70000_rows() -> None:
    n = 70_001
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (n, 20), dtype=np.uint8)
    labels = rng.integers(0, 5, n)
    params = jaxlin.init_params(20, 5, key=jax.random.key(0), scale=0.01)
    scaling = jaxlin.data.Scaling.standardize(x)
    seen = jaxlin.evaluate(
        params, x, labels, loss=jaxlin.losses.softmax_cross_entropy, scaling=scaling
    )
    wide = (x - np.asarray(scaling.shift)) * np.asarray(scaling.scale)
    s = wide @ np.asarray(params.W, np.float64).T
    expected = np.mean(np.log(np.exp(s).sum(axis=1)) - s[np.arange(n), labels])
    np.testing.assert_allclose(float(seen.objective), expected, rtol=2e-6)
    np.testing.assert_allclose(
        float(seen.accuracy), np.mean(s.argmax(axis=1) == labels), atol=3.1 / n
    )


def test_a_solver_of_ones_own() -> None:
    """The protocol is all there is to it: sign descent, in a few lines."""

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class State:
        params: jaxlin.LinearParams

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class SignDescent:
        rate: Any
        epochs: int = dataclasses.field(default=30, metadata={"static": True})
        batch_size: None = dataclasses.field(default=None, metadata={"static": True})

        def init(self, params: jaxlin.LinearParams, key: jax.Array) -> State:
            del key
            return State(params)

        def step(self, problem: Problem, state: State) -> tuple[State, Evaluation]:
            seen, gradient = problem.value_and_gradient(state.params)
            moved = jax.tree.map(lambda p, g: p - self.rate * jnp.sign(g), state.params, gradient)
            return State(moved), seen

    x, labels = problem_data()
    fit = jaxlin.fit(x, labels, loss=jaxlin.losses.softmax_cross_entropy, solver=SignDescent(0.02))
    assert fit.history.objective[-1] < 0.8 * fit.history.objective[0]
