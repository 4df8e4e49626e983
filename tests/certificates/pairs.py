"""The bounds that thousands of given dual points prove, each from one program for a loss."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import LinearParams
from jaxlin.certificates import Certificate
from jaxlin.certificates.bounds import concluded
from jaxlin.certificates.dual_points import Given, Sums, measure
from jaxlin.precision import float64_scope
from tests.certificates.layout import L2, N, random_problem
from tests.problems import LOSSES

PAIRS = 10_000


@functools.cache
def _sums(name: str) -> Any:
    def of_pair(params: LinearParams, dual: jax.Array, x: jax.Array, labels: jax.Array) -> Sums:
        given = Given(params, x, labels, jnp.full(N, 1.0 / N), None)
        return measure(LOSSES[name], given, jnp.asarray(L2), jnp.ones(1), dual, False)

    return jax.jit(jax.vmap(of_pair, in_axes=(0, 0, None, None)))


def proofs(name: str, W: np.ndarray, b: np.ndarray | None, dual: np.ndarray) -> list[Certificate]:
    """Of W (K, C, D), b (K, C) and rows (K, N, C) on the first random problem, K at most 10,000.

    What `duality_gap(..., dual=)` does: the same functions, vmapped.
    """
    x, labels, weight = random_problem()
    labels = labels.astype(np.int32)

    def repeated(a: np.ndarray) -> np.ndarray:
        return np.resize(a, (PAIRS, *a.shape[1:]))

    params = LinearParams(repeated(W), None if b is None else repeated(b))  # pyright: ignore[reportArgumentType]
    with float64_scope(True):
        found = jax.device_get(_sums(name)(params, repeated(dual), x, labels))
    results = []
    for k in range(len(dual)):
        one: Any = LinearParams(W[k], None if b is None else b[k])  # pyright: ignore[reportArgumentType]
        given: Any = Given(one, x, labels, weight / N, None)  # pyright: ignore[reportArgumentType]
        part = Sums(*(leaf[k] for leaf in found))
        results.append(concluded(LOSSES[name], given, part, L2, made_by="given"))
    return results
