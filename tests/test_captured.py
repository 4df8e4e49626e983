"""Functions that close over NumPy arrays keep working for their owner, before and after."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin import gradients
from jaxlin.captured import holds_arrays

LABELS = np.arange(12) % 3  # int64, as NumPy makes them
X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
PARAMS = np.zeros((3, 4), np.float32)


def over_globals(W: Any) -> jax.Array:
    scores = X @ W.T
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - scores[jnp.arange(12), LABELS])


def through_another(W: Any) -> jax.Array:
    return 2.0 * over_globals(W)


def passed(W: Any, x: Any, labels: Any) -> jax.Array:
    scores = x @ W.T
    return jnp.mean(jax.nn.logsumexp(scores, axis=1) - scores[jnp.arange(12), labels])


def over_nonlocals() -> Any:
    x, labels = X.copy(), LABELS.copy()
    return lambda W: passed(W, x, labels)


HOLDING = {
    "globals": over_globals,
    "another": through_another,
    "nonlocals": over_nonlocals(),
    "partial": functools.partial(passed, x=X, labels=LABELS.copy()),
    "jitted": jax.jit(over_nonlocals()),
}


@pytest.mark.parametrize("name", HOLDING)
@pytest.mark.parametrize("first", ["the owner", "the check"])
def test_the_owner_and_the_check_take_turns(name: str, first: str) -> None:
    f = HOLDING[name]
    own = jnp.asarray(PARAMS)
    expected = jax.grad(passed)(own, X, LABELS.copy())

    def owners_turn() -> None:
        jax.jit(f)(own)
        factor = 2.0 if name == "another" else 1.0
        np.testing.assert_allclose(jax.grad(f)(own), factor * expected, atol=1e-6)

    if first == "the owner":
        owners_turn()
    assert gradients.check(f, PARAMS).verdict == "agrees"
    owners_turn()
    found = gradients.numerical(f, PARAMS.astype(np.float64))
    assert found.dtype == np.float64
    owners_turn()


def test_what_holds_arrays_is_told_from_what_does_not() -> None:
    assert all(map(holds_arrays, HOLDING.values()))
    assert not holds_arrays(passed)
    assert not holds_arrays(functools.partial(round, ndigits=3))
    assert not holds_arrays(jnp.sum)
    assert not holds_arrays(jax.jit(passed))
    number = 3.0
    assert not holds_arrays(lambda p: number * jnp.sum(p))
    inside = {"x": X}
    assert holds_arrays(lambda p: jnp.sum(inside["x"] @ p))
