"""The objective and its gradient: against plain loops, three ways, at ties; and what goes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.experimental import checkify
from objective_programs import (
    AUTODIFF,
    BY_HAND,
    VALUE,
    C,
    D,
    N,
    assert_params_close,
    call,
    call_by_hand,
    data,
)
from problems import LOSSES

import jaxlin
from jaxlin import LinearParams, Objective, gradients, losses

SOFTMAX = losses.softmax_cross_entropy


def cosh_penalty(W: jax.Array) -> jax.Array:
    return 0.1 * jnp.sum(jnp.cosh(W))


# The formulas


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("bias", "weighted"), [(True, True), (False, False)])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradients_are_the_loops(
    name: str, bias: bool, weighted: bool, dtype: str
) -> None:
    d = data(bias, weighted)
    with jax.enable_x64(dtype == "float64"):
        params, x = d.params(dtype), jnp.asarray(d.x, dtype)
        objective = Objective(LOSSES[name], 0.3)
        value = VALUE(objective, params, x, d.labels, d.weight)
        by_hand = BY_HAND(objective, params, x, d.labels, d.weight)
        autodiff = AUTODIFF(objective, params, x, d.labels, d.weight)
    assert value.dtype == by_hand.W.dtype == autodiff.W.dtype == dtype
    assert value.shape == ()
    arguments = (name, 0.3, d.W, d.b, d.x, d.labels, d.weight)
    atol = 1e-13 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(value, oracles.objective(*arguments), rtol=0, atol=atol)
    W, b = oracles.objective_gradient(*arguments)
    for found in (by_hand, autodiff):
        assert_params_close(found, W, b, atol, bias)


@pytest.mark.parametrize(
    ("bias", "weighted", "penalty"), [(True, False, cosh_penalty), (False, True, None)]
)
@pytest.mark.parametrize("name", LOSSES)
def test_the_three_gradients_agree(
    name: str, bias: bool, weighted: bool, penalty: Callable[[jax.Array], jax.Array] | None
) -> None:
    d = data(bias, weighted)
    with jax.enable_x64(True):
        objective = Objective(LOSSES[name], 0.3, penalty)
        arguments = (jnp.asarray(d.x), d.labels, d.weight)
        params = d.params("float64")
        by_hand = BY_HAND(objective, params, *arguments)
        autodiff = AUTODIFF(objective, params, *arguments)
        numerical = gradients.numerical(lambda p: objective(p, *arguments), params)
    assert_params_close(by_hand, autodiff.W, autodiff.b, 1e-13, bias)
    assert_params_close(by_hand, numerical.W, numerical.b, 1e-8, bias)


def test_a_penalty_is_added_as_it_is_and_spares_the_bias() -> None:
    d = data()
    params = d.params("float32")
    plain, more = Objective(SOFTMAX, 0.3), Objective(SOFTMAX, 0.3, cosh_penalty)
    extra = 0.1 * np.cosh(d.W).sum()
    difference = float(VALUE(more, params, d.x, d.labels) - VALUE(plain, params, d.x, d.labels))
    np.testing.assert_allclose(difference, extra, rtol=1e-5)
    for f in (BY_HAND, AUTODIFF):
        a, b = f(more, params, d.x, d.labels), f(plain, params, d.x, d.labels)
        np.testing.assert_allclose(a.W - b.W, 0.1 * np.sinh(d.W), rtol=0, atol=1e-6)
        assert a.b is not None
        assert b.b is not None
        np.testing.assert_allclose(a.b, b.b, rtol=0, atol=1e-7)


def test_float64_needs_no_global_switch() -> None:
    d = data(weighted=True)
    with jax.enable_x64(True):
        params, x = d.params("float64"), jnp.asarray(d.x)
    objective = Objective(SOFTMAX, 0.3)
    arguments = ("softmax", 0.3, d.W, d.b, d.x, d.labels, d.weight)
    value = objective(params, x, d.labels, d.weight)
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(value, oracles.objective(*arguments), rtol=1e-13)
    by_hand = objective.gradient_by_hand(params, x, d.labels, d.weight)
    assert_params_close(by_hand, *oracles.objective_gradient(*arguments), 1e-13, True)
    np.testing.assert_allclose(jax.jit(objective)(params, x, d.labels, d.weight), value, rtol=1e-13)


# With W in float32 and x in float64 the scores are float64, and so has 1/N to be.
def test_the_wider_dtype_wins_in_the_weights_too() -> None:
    d = data()
    with jax.enable_x64(True):
        params, x = d.params("float32"), jnp.asarray(d.x)
        value = Objective(SOFTMAX)(params, x, d.labels)
    assert value.dtype == jnp.float64
    expected = oracles.objective("softmax", 0.0, params.W, params.b, d.x, d.labels)
    np.testing.assert_allclose(value, expected, rtol=1e-12)


# Kinks


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_at_ties_the_gradients_are_one_subgradient_and_that_of_the_loops(
    name: str, bias: bool
) -> None:
    d = data(bias, weighted=True, whole=True)
    arguments = (d.params("float32"), d.x.astype(np.float32), d.labels, d.weight)
    objective = Objective(LOSSES[name], 0.25)
    by_hand, autodiff = BY_HAND(objective, *arguments), AUTODIFF(objective, *arguments)
    W, b = oracles.objective_gradient(name, 0.25, d.W, d.b, d.x, d.labels, d.weight)
    for found in (by_hand, autodiff):
        assert_params_close(found, W, b, 2e-6, bias)
    # From below, in every direction: that is to be between the one-sided derivatives.
    rng = np.random.default_rng(0)
    here = oracles.objective(name, 0.25, d.W, d.b, d.x, d.labels, d.weight)
    for _ in range(20):
        step_W, step_b = rng.integers(-1, 2, d.W.shape) / 64, rng.integers(-1, 2, C) / 64
        there = oracles.objective(
            name,
            0.25,
            d.W + step_W,
            None if d.b is None else d.b + step_b,
            d.x,
            d.labels,
            d.weight,
        )
        for found in (by_hand, autodiff):
            slope = float(np.sum(found.W * step_W))
            slope += 0.0 if found.b is None else float(np.sum(found.b * step_b))
            assert there >= here + slope - 1e-6


@pytest.mark.parametrize("name", ["weston_watkins", "crammer_singer"])
def test_at_zero_parameters_all_wrong_classes_tie(name: str) -> None:
    d = data()
    arguments = (jaxlin.init_params(D, C), d.x, d.labels)
    value = VALUE(Objective(LOSSES[name]), *arguments)
    assert float(value) == pytest.approx(C - 1.0 if name == "weston_watkins" else 1.0)
    W, b = oracles.objective_gradient(name, 0.0, np.zeros((C, D)), np.zeros(C), d.x, d.labels)
    for f in (BY_HAND, AUTODIFF):
        assert_params_close(f(Objective(LOSSES[name]), *arguments), W, b, 1e-6, True)


# What goes in


# The sum of squares is infinite, and 0 times infinity is NaN.
@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e38), ("float32", 1e20), ("float16", 300)]
)
def test_without_l2_large_weights_cost_nothing(dtype: str, size: float) -> None:
    params = LinearParams(jnp.asarray([[-size], [size]], dtype))
    x, labels = jnp.ones((2, 1), dtype), np.zeros(2, int)
    objective = Objective(losses.weston_watkins_hinge)
    found = VALUE(objective, params, x, labels)
    np.testing.assert_allclose(float(found), 2 * size + 1, rtol=1e-3)
    for f in (BY_HAND, AUTODIFF):
        assert np.asarray(f(objective, params, x, labels).W).tolist() == [[-1.0], [1.0]]


# The square of 1e20 is beyond float32, 1e-10 times it is not; that of 1e-25 is flushed to 0.
@pytest.mark.parametrize(("l2", "size"), [(1e-10, 1e20), (1e30, 1e-25), (3e38, 1e-30), (0.25, 3.0)])
def test_the_penalty_is_finite_where_it_can_be(l2: float, size: float) -> None:
    params = LinearParams(jnp.asarray([[size, -size]]))
    objective = Objective(SOFTMAX, l2)
    value, gradient = jax.value_and_grad(lambda p: objective.penalty_term(p))(params)
    np.testing.assert_allclose(value, l2 * size * size * 2, rtol=1e-6)
    by_hand = objective.penalty_gradient_by_hand(params)
    for found in (gradient, by_hand):
        np.testing.assert_allclose(found.W, [[2 * l2 * size, -2 * l2 * size]], rtol=1e-6)


@pytest.mark.parametrize("l2", [0.0, 0.5])
def test_the_derivative_in_l2_is_the_sum_of_squares_at_zero_too(l2: float) -> None:
    params = LinearParams(jnp.asarray([[1.0, 2.0], [0.0, -1.0]]))

    def value(l2: jax.Array) -> jax.Array:
        return Objective(SOFTMAX, l2).penalty_term(params)

    assert float(jax.jit(jax.grad(value))(jnp.asarray(l2))) == 6.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", LOSSES)
def test_half_width_parameters_are_computed_in_float32(name: str, dtype: str) -> None:
    d = data(weighted=True)
    narrow, x = d.params(dtype), jnp.asarray(d.x, dtype)
    wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), narrow)
    objective = Objective(LOSSES[name], 1e-9)  # 0 in float16
    arguments = (x.astype(jnp.float32), d.labels, d.weight)
    value = VALUE(objective, narrow, x, *arguments[1:])
    assert value.dtype == dtype
    assert float(value) == float(VALUE(objective, wide, *arguments).astype(dtype))
    found = BY_HAND(objective, narrow, x, *arguments[1:])
    expected = BY_HAND(objective, wide, *arguments)
    for narrow_leaf, leaf in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
        assert narrow_leaf.dtype == dtype
        assert np.array_equal(narrow_leaf, leaf.astype(dtype))


def test_any_function_serves_as_a_loss() -> None:
    def squared_error(scores: jax.Array, labels: jax.Array) -> jax.Array:
        right = jax.nn.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
        return jnp.sum((scores - right) ** 2, axis=-1)

    d = data()
    objective = Objective(squared_error, 0.1)
    s = oracles.scores(d.W, d.b, d.x)
    expected = ((s - np.eye(C)[d.labels]) ** 2).sum(axis=1).mean() + 0.1 * oracles.l2(d.W)
    value = VALUE(objective, d.params("float32"), d.x, d.labels)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    slope = 2 * (s - np.eye(C)[d.labels]) / N
    found = AUTODIFF(objective, d.params("float32"), d.x, d.labels)
    np.testing.assert_allclose(found.W, slope.T @ d.x + 0.2 * d.W, rtol=0, atol=1e-5)
    with pytest.raises(jaxlin.InputError, match=r"squared_error has none.*autodiff"):
        objective.gradient_by_hand(d.params("float32"), d.x, d.labels)


def test_what_cannot_be_an_objective_is_named() -> None:
    nonsense: Any = "svm"
    with pytest.raises(jaxlin.InputError, match="loss must be a loss of"):
        Objective(nonsense)
    with pytest.raises(jaxlin.InputError, match="penalty must be a function of W"):
        Objective(SOFTMAX, penalty=nonsense)
    infinite = np.array([0.0, np.inf])
    for l2 in (
        *(-1.0, float("nan"), float("inf"), "1", None, np.float32(-1.0), -1),
        *(10**400, 1j, np.complex64(1.0), b"1", np.array(-1.0), infinite, np.array("1")),
    ):
        bad: Any = l2
        with pytest.raises(jaxlin.InputError, match="l2 must be"):
            Objective(SOFTMAX, bad)
    d = data()
    with pytest.raises(jaxlin.InputError, match="penalty must return a scalar"):
        Objective(SOFTMAX, penalty=lambda W: W)(d.params("float32"), d.x, d.labels)
    with pytest.raises(jaxlin.InputError, match=r"one value an example, shape \(9,\), got \(\)"):
        Objective(lambda s, y: jnp.mean(SOFTMAX(s, y)))(d.params("float32"), d.x, d.labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(N, C), r"got 4 at index \(0,\)"),
        (np.full(N, -1), "got -1"),
        (np.full(N, 2**32 + 1), "got 4294967297"),
        (np.full(N, 2**63, np.uint64), "got 9223372036854775808"),
        (np.zeros(N), "labels must be integers"),
    ],
)
def test_labels_that_name_no_class_are_errors(labels: np.ndarray, message: str) -> None:
    d, objective = data(), Objective(SOFTMAX)
    for f in (objective, objective.gradient_by_hand):
        with pytest.raises(jaxlin.InputError, match=message):
            f(d.params("float32"), d.x, labels)


def test_labels_that_name_no_class_are_nan_under_jit_and_reported_by_checkify() -> None:
    d = data()
    arguments = (Objective(SOFTMAX), d.params("float32"), d.x.astype(np.float32))
    bad = np.where(np.arange(N) == 4, C, d.labels).astype(np.int32)
    assert np.isnan(VALUE(*arguments, bad))
    assert np.isnan(BY_HAND(*arguments, bad).W).all()
    assert np.isnan(AUTODIFF(*arguments, bad).W).any()
    checked = jax.jit(checkify.checkify(call, errors=checkify.user_checks))
    error, _ = checked(*arguments, bad)
    assert "labels must lie in 0..C-1" in str(error.get())


def test_labels_of_64_bits_serve() -> None:
    d = data()
    arguments = (Objective(SOFTMAX), d.params("float32"), d.x)
    expected = VALUE(*arguments, d.labels.astype(np.int32))
    for dtype in ("int64", "uint64"):
        assert float(call(*arguments, d.labels.astype(dtype))) == pytest.approx(float(expected))


# float64 arrays bring their scope along, int64 arrays do not.
def test_jax_labels_of_64_bits_serve() -> None:
    d = data()
    arguments = (Objective(SOFTMAX), d.params("float32"), d.x)
    expected = call(*arguments, d.labels)
    with jax.enable_x64(True):
        wide = jnp.asarray(d.labels, jnp.int64)
    assert float(call(*arguments, wide)) == pytest.approx(float(expected))


@pytest.mark.parametrize(
    ("x", "labels", "weight"),
    [
        ((N, D + 1), (N,), None),
        ((N, D), (N - 1,), None),
        ((N, D), (N, 1), None),
        ((N, D), (N,), (N - 1,)),
        ((N, D), (N,), (N, 1)),
        ((N, D), (N,), (1,)),
    ],
)
def test_wrong_shapes_raise_under_every_transformation(
    x: tuple[int, ...], labels: tuple[int, ...], weight: tuple[int, ...] | None
) -> None:
    objective, params = Objective(SOFTMAX), jaxlin.init_params(D, C)
    arrays = (
        jnp.zeros(x),
        jnp.zeros(labels, jnp.int32),
        None if weight is None else jnp.ones(weight),
    )
    for f in (call, call_by_hand, VALUE, BY_HAND, AUTODIFF):
        with pytest.raises((AssertionError, ValueError)):
            f(objective, params, *arrays)
    with pytest.raises((AssertionError, ValueError)):
        jax.vmap(call, in_axes=(None, 0, None, None, None))(
            objective, jax.tree.map(lambda leaf: leaf[None], params), *arrays
        )


def test_models_and_strengths_can_be_mapped_over() -> None:
    d = data()
    params, x = d.params("float32"), d.x.astype(np.float32)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf]), params)
    strengths = jnp.asarray([0.0, 0.5])

    def value(l2: jax.Array, params: LinearParams) -> jax.Array:
        return Objective(SOFTMAX, l2)(params, x, d.labels)

    found = jax.jit(jax.vmap(value))(strengths, stacked)
    for index, sign in enumerate((1.0, -1.0)):
        b = None if d.b is None else sign * d.b
        expected = oracles.objective(
            "softmax", float(strengths[index]), sign * d.W, b, d.x, d.labels
        )
        np.testing.assert_allclose(found[index], expected, rtol=1e-5)


def test_a_second_call_compiles_nothing() -> None:
    traces = 0

    def counting(scores: jax.Array, labels: jax.Array) -> jax.Array:
        nonlocal traces
        traces += 1
        return SOFTMAX(scores, labels)

    d = data(weighted=True)
    for f in (VALUE, AUTODIFF):
        traces = 0
        for l2, factor in ((0.0, 1.0), (0.1, 2.0), (3.0, -1.0)):
            params = jax.tree.map(lambda leaf, factor=factor: factor * leaf, d.params("float32"))
            labels = np.roll(d.labels, int(factor))
            f(Objective(counting, l2), params, factor * d.x, labels, d.weight)
        assert traces == 1


def test_the_objective_is_a_pytree_with_l2_as_its_leaf() -> None:
    objective = Objective(SOFTMAX, 0.5, cosh_penalty)
    assert jax.tree.leaves(objective) == [0.5]
    doubled = jax.tree.map(lambda leaf: 2 * leaf, objective)
    assert (doubled.l2, doubled.loss, doubled.penalty) == (1.0, SOFTMAX, cosh_penalty)
