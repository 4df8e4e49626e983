"""Accuracy against a plain loop."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jaxlin
from jaxlin import metrics

RNG = np.random.default_rng(3)
SCORES = RNG.integers(-1, 2, (40, 3)).astype(np.float64)  # with many ties
LABELS = RNG.integers(0, 3, 40)
WEIGHT = RNG.integers(0, 4, 40).astype(np.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_accuracy_is_the_loop(dtype: str, weighted: bool) -> None:
    weight = WEIGHT if weighted else None
    expected = oracles.accuracy(SCORES, LABELS, weight)
    assert 0.2 < expected < 0.8
    with jax.enable_x64(dtype == "float64"):
        scores = jnp.asarray(SCORES, dtype)
        found = metrics.accuracy(scores, LABELS, weight)
        under_jit = jax.jit(metrics.accuracy)(scores, LABELS, weight)
    assert found.dtype == ("float64" if dtype == "float64" else "float32")
    np.testing.assert_allclose([found, under_jit], expected, rtol=1e-6)


def test_ties_go_to_the_lowest_class() -> None:
    scores = np.zeros((3, 3), np.float32)
    assert metrics.is_correct(jnp.asarray(scores), jnp.arange(3)).tolist() == [True, False, False]
    np.testing.assert_allclose(metrics.accuracy(scores, np.arange(3)), 1 / 3, rtol=1e-6)


def test_integer_weights_are_copies_of_rows() -> None:
    rows = np.repeat(np.arange(40), WEIGHT.astype(int))
    np.testing.assert_allclose(
        metrics.accuracy(SCORES, LABELS, WEIGHT),
        metrics.accuracy(SCORES[rows], LABELS[rows]),
        rtol=1e-6,
    )


def test_float64_needs_no_global_switch() -> None:
    with jax.enable_x64(True):
        scores = jnp.asarray([[1.0, 1.0 + 1e-12]])
    assert float(metrics.accuracy(scores, np.array([1]))) == 1.0
    assert metrics.accuracy(scores, np.array([1])).dtype == jnp.float64


def test_wrong_shapes_raise_under_every_transformation() -> None:
    scores, weight = jnp.zeros((4, 3)), jnp.ones(4)
    wrong = [
        (jnp.zeros(3, jnp.int32), None),
        (jnp.zeros((4, 1), jnp.int32), None),
        (jnp.zeros(4, jnp.int32), jnp.ones(3)),
        (jnp.zeros(4, jnp.int32), jnp.ones((4, 1))),
    ]
    for labels, weights in wrong:
        for call in (metrics.accuracy, jax.jit(metrics.accuracy)):
            with pytest.raises((AssertionError, ValueError)):
                call(scores, labels, weights)
        with pytest.raises((AssertionError, ValueError)):
            stacked = None if weights is None else weights[None]
            jax.vmap(metrics.accuracy)(scores[None], labels[None], stacked)
    labels = jnp.zeros(4, jnp.int32)
    found = jax.vmap(metrics.accuracy)(scores[None], labels[None], weight[None])
    assert found.tolist() == [1.0]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_wrong_class_is_not_right_for_being_256_away(dtype: str) -> None:
    scores = np.zeros((1, 300), np.float32)
    scores[0, 261] = 1.0
    assert float(metrics.accuracy(scores, np.array([5], dtype))) == 0.0


# JAX cuts 2**32 + 1 down to 1 without a word.
def test_a_label_that_names_no_class_is_an_error_where_it_is_seen_and_wrong_where_not() -> None:
    scores = np.array([[0.0, 1.0]], np.float32)
    with jax.enable_x64(True):
        wide = jnp.asarray([2**32 + 1])
    for labels in (np.array([2**32 + 1]), wide, np.array([-1]), np.array([2], np.int8)):
        with pytest.raises(
            jaxlin.InputError, match=r"labels must lie in 0\.\.1 .* at index \(0,\)"
        ):
            metrics.accuracy(scores, labels)
    for labels in (wide, np.array([-1]), np.array([2], np.int8)):
        assert float(jax.jit(metrics.accuracy)(scores, labels)) == 0.0
    for labels in (np.array([1.0]), np.array([True])):
        for call in (metrics.accuracy, jax.jit(metrics.accuracy)):
            with pytest.raises(jaxlin.InputError, match="labels must be integers"):
                call(scores, labels)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [3e38, 8e37, 1e-37, 1e-5])
def test_weights_are_only_proportions(size: float, dtype: str) -> None:
    weight = np.array([size, 0.5 * size, 0.5 * size], dtype)
    scores, labels = np.eye(3, dtype=np.float32), np.array([0, 0, 2])
    for call in (metrics.accuracy, jax.jit(metrics.accuracy)):
        np.testing.assert_allclose(call(scores, labels, weight), 0.75, rtol=1e-6)
    beyond = np.array([1e300, 3e300, 0.0])
    np.testing.assert_allclose(metrics.accuracy(scores, labels, beyond), 0.25, rtol=1e-6)


def test_with_all_right_the_accuracy_is_one_to_the_bit() -> None:
    weight = np.random.default_rng(0).uniform(size=1000)
    scores = np.tile(np.array([[1.0, 0.0]], np.float32), (1000, 1))
    assert float(metrics.accuracy(scores, np.zeros(1000, int), weight)) == 1.0
