"""Every small problem in arrays of one shape, so that one program for each loss serves them all.

Rows without weight count for nothing, and neither do features that are zero: problems of any
smaller size have their place in 178 rows of 13 features, the size of the wine data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

import jaxlin
from jaxlin.certificates import Certificate, duality_gap
from jaxlin.precision import float64_scope
from tests.problems import LOSSES

ROWS, FEATURES, C = 178, 13, 3
# The random problems' size, and their strength where nothing else is said.
N, D, L2 = 20, 3, 0.05
NAMES = list(LOSSES)
HINGES = ("weston_watkins", "crammer_singer")


class Problem(NamedTuple):
    """x (N, D), labels (N,) and weight (N,), before they are laid out."""

    x: np.ndarray
    labels: np.ndarray
    weight: np.ndarray


def random_problem(seed: int = 0, n: int = N, weighted: bool = False) -> Problem:
    """Three overlapping classes, all of them there."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(C), rng.integers(0, C, n - C)])
    x = rng.normal(size=(n, D)) + 0.8 * np.eye(C, D)[labels]
    weight = np.ones(n)
    if weighted:
        weight[C:] = rng.integers(0, 4, n - C)
    return Problem(x, labels, weight)


def params_of(W: Any, b: Any, dtype: Any = np.float64) -> jaxlin.LinearParams:
    """As JAX arrays of a dtype."""
    with float64_scope(True):
        return jaxlin.LinearParams(
            jnp.asarray(W, dtype), None if b is None else jnp.asarray(b, dtype)
        )


def laid_out(problem: Problem) -> Problem:
    """The same problem among rows without weight and features that are zero."""
    n, d = problem.x.shape
    x, labels, weight = np.zeros((ROWS, FEATURES)), np.zeros(ROWS, np.int32), np.zeros(ROWS)
    x[:n, :d], labels[:n], weight[:n] = problem
    return Problem(x, labels, weight)


def wide_params(params: jaxlin.LinearParams) -> jaxlin.LinearParams:
    """With zeros for the features that are zero."""
    W = np.zeros((C, FEATURES), params.W.dtype)
    W[:, : params.num_features] = params.W
    return params_of(W, params.b, params.W.dtype)


def loss_of(name: str, margin: float = 1.0) -> Any:
    """A loss by its name; softmax has no margin."""
    return LOSSES[name] if name == "softmax" else type(LOSSES[name])(margin)  # pyright: ignore[reportCallIssue]


def proof_of(
    name: str, params: jaxlin.LinearParams, problem: Problem, l2: float, margin: float = 1.0
) -> Certificate:
    """The certificate of a small problem's parameters."""
    objective = jaxlin.Objective(loss_of(name, margin), l2)
    return duality_gap(objective, wide_params(params), *laid_out(problem))
