"""Sample weights are proportions: whole ones are copies of rows, and any size will do."""

from __future__ import annotations

from typing import Any

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_programs import AUTODIFF, BY_HAND, VALUE, N, call, data
from problems import LOSSES

import jaxlin
from jaxlin import LinearParams, Objective, losses, metrics
from jaxlin.weights import shares

SOFTMAX = losses.softmax_cross_entropy
JITTED_SHARES: Any = jax.jit(shares, static_argnames=("num_examples", "dtype"))


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25)
@given(
    picked=hnp.arrays(np.int32, (8,), elements=st.integers(0, N - 1)),
    l2=st.sampled_from([0.0, 0.5]),
)
def test_integer_weights_are_copies_of_rows(name: str, picked: np.ndarray, l2: float) -> None:
    d = data()
    params, x = d.params("float32"), d.x.astype(np.float32)
    weight = np.bincount(picked, minlength=N).astype(np.float32)
    objective = Objective(LOSSES[name], l2)
    weighted, copied = (x, d.labels, weight), (x[picked], d.labels[picked])
    np.testing.assert_allclose(
        VALUE(objective, params, *weighted), VALUE(objective, params, *copied), rtol=1e-5, atol=1e-6
    )
    a, b = BY_HAND(objective, params, *weighted), BY_HAND(objective, params, *copied)
    np.testing.assert_allclose(a.W, b.W, rtol=0, atol=1e-5)


# XLA divides by a scalar by multiplying with its reciprocal: of 3e38 a denormal, flushed to 0.
@pytest.mark.parametrize("size", [3e38, 8e37, 1e-30, 1e-37, 2.0])
def test_weights_are_only_proportions(size: float) -> None:
    d = data()
    arguments = (Objective(SOFTMAX, 0.1), d.params("float32"), d.x, d.labels)
    weight = np.full(N, size, np.float32)
    np.testing.assert_allclose(VALUE(*arguments, weight), VALUE(*arguments), rtol=1e-6)
    np.testing.assert_allclose(call(*arguments, weight), VALUE(*arguments), rtol=1e-6)
    np.testing.assert_allclose(BY_HAND(*arguments, weight).W, BY_HAND(*arguments).W, atol=1e-6)


# Rounded to float32 they would be infinity or zero.
@pytest.mark.parametrize("size", [1e300, 1e-60])
def test_weights_beyond_float32_are_only_proportions_too(size: float) -> None:
    d = data()
    objective, params = Objective(SOFTMAX, 0.1), d.params("float32")
    found = objective(params, d.x, d.labels, np.full(N, size))
    np.testing.assert_allclose(found, objective(params, d.x, d.labels), rtol=1e-6)


def mean_of_two_losses_of_2e38(weight: np.ndarray | None) -> None:
    params = LinearParams(jnp.asarray([[-1.0], [1.0]]))
    x, labels = np.full((2, 1), 1e38, np.float32), np.zeros(2, int)
    for name in ("weston_watkins", "crammer_singer", "softmax"):
        objective = Objective(LOSSES[name], 0.5)
        found = VALUE(objective, params, x, labels, weight)
        np.testing.assert_allclose(found, 2e38, rtol=1e-6)
        by_hand = BY_HAND(objective, params, x, labels, weight).W
        np.testing.assert_allclose(by_hand, [[-1e38], [1e38]], rtol=1e-6)


@pytest.mark.parametrize("size", [None, 1.0, 1e30, 3e38])
def test_the_mean_of_two_losses_of_2e38_is_finite(size: float | None) -> None:
    mean_of_two_losses_of_2e38(None if size is None else np.full(2, size, np.float32))


@pytest.mark.parametrize("name", LOSSES)
def test_a_row_of_weight_0_does_not_count_whatever_its_loss(name: str) -> None:
    d = data()
    params, x = d.params("float32"), d.x.astype(np.float32)
    x[0] = 3e38  # its scores, losses and their derivatives overflow
    weight = np.ones(N, np.float32)
    weight[0] = 0.0
    objective = Objective(LOSSES[name], 0.1)
    without = (objective, params, x[1:], d.labels[1:])
    arguments = (objective, params, x, d.labels, weight)
    np.testing.assert_allclose(VALUE(*arguments), VALUE(*without), rtol=1e-6)
    for f in (BY_HAND, AUTODIFF):
        found, expected = f(*arguments), f(*without)
        np.testing.assert_allclose(found.W, expected.W, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", ["uint8", "int64", "float16", "bfloat16", "float32", "float64"])
def test_shares_have_sum_1_in_the_dtype_asked_for(given: str, dtype: str) -> None:
    weight = np.array([0, 1, 7, 240])
    with jax.enable_x64(True):
        jax_weight = jnp.asarray(weight, given)
        for found in (
            shares(weight.astype(jnp.dtype(given)), 4, dtype),
            shares(jax_weight, 4, dtype),
            JITTED_SHARES(jax_weight, 4, dtype),
        ):
            assert found.dtype == dtype
            np.testing.assert_allclose(found, weight / 248, rtol=1e-6)
        assert shares(None, 4, dtype).tolist() == [0.25] * 4


@pytest.mark.parametrize("size", [1.7e308, 1e300, 1e60, 1e-60, 1e-300])
def test_float64_weights_of_any_size_are_brought_to_float32(size: float) -> None:
    with jax.enable_x64(True):
        weight = jnp.asarray([size, size, 0.0])
        assert shares(weight, 3, jnp.float32).tolist() == [0.5, 0.5, 0.0]
        assert JITTED_SHARES(weight, 3, jnp.float64).tolist() == [0.5, 0.5, 0.0]
    d = data()
    with jax.enable_x64(True):
        all_of_them = jnp.full(N, size, jnp.float64)
    objective, params = Objective(SOFTMAX, 0.1), d.params("float32")
    found = objective(params, d.x, d.labels, all_of_them)
    np.testing.assert_allclose(found, objective(params, d.x, d.labels), rtol=1e-6)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.full(N, -1.0), "must not be negative"),
        (np.zeros(N), "at least one non-zero number"),
        (np.full(N, np.nan), "sample_weight contains NaN"),
        (np.full(N, np.inf), "sample_weight contains infinity"),
        (np.ma.masked_equal(np.arange(N), 1), "sample_weight is a masked array"),
        (np.full(N, 1j), "Complex data not supported"),
        (["1"] * N, "sample_weight holds text"),
    ],
)
def test_weights_that_are_none_are_errors_where_they_can_be_seen(weight: Any, message: str) -> None:
    d, objective = data(), Objective(SOFTMAX)
    scores = np.zeros((N, 4), np.float32)
    for f in (objective, objective.gradient_by_hand):
        with pytest.raises(jaxlin.InputError, match=message):
            f(d.params("float32"), d.x, d.labels, weight)
    with pytest.raises(jaxlin.InputError, match=message):
        metrics.accuracy(scores, d.labels, weight)
