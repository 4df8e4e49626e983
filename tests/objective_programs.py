"""The objective and its gradients, compiled once for the tests that share them, and a problem."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import LinearParams

N, D, C = 9, 3, 4
Tree = Any


def call(objective: Any, params: Any, x: Any, labels: Any, weight: Any = None) -> jax.Array:
    return objective(params, x, labels, weight)


def call_by_hand(objective: Any, params: Any, x: Any, labels: Any, weight: Any = None) -> Tree:
    return objective.gradient_by_hand(params, x, labels, weight)


# The loss and the penalty are static, l2 is a leaf.
VALUE: Callable[..., jax.Array] = jax.jit(call)
BY_HAND: Callable[..., LinearParams] = jax.jit(call_by_hand)
AUTODIFF: Callable[..., LinearParams] = jax.jit(jax.grad(call, argnums=1))


@dataclasses.dataclass(frozen=True)
class Data:
    """A problem in NumPy float64."""

    W: np.ndarray
    b: np.ndarray | None
    x: np.ndarray
    labels: np.ndarray
    weight: np.ndarray | None

    def params(self, dtype: Any) -> LinearParams:
        b = None if self.b is None else jnp.asarray(self.b, dtype)
        return LinearParams(jnp.asarray(self.W, dtype), b)


def data(bias: bool = True, weighted: bool = False, whole: bool = False, seed: int = 5) -> Data:
    rng = np.random.default_rng(seed)
    W, b, x = rng.normal(size=(C, D)), rng.normal(size=C), rng.normal(size=(N, D))
    if whole:  # in whole numbers scores and margins are exact, and tie
        W, b, x = (rng.integers(-1, 2, a.shape).astype(np.float64) for a in (W, b, x))
    weight = rng.integers(0, 4, N).astype(np.float64) if weighted else None
    return Data(W, b if bias else None, x, rng.integers(0, C, N), weight)


def assert_params_close(found: LinearParams, W: Any, b: Any, atol: float, bias: bool) -> None:
    np.testing.assert_allclose(found.W, W, rtol=0, atol=atol)
    if bias:
        assert found.b is not None
        np.testing.assert_allclose(found.b, b, rtol=0, atol=atol)
    else:
        assert found.b is None
