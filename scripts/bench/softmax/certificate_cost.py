"""What a certificate costs, beside a plain float64 objective and gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

import jaxlin
from bench.harness.parts import Data
from bench.harness.timing import alternate, median, seconds
from jaxlin.precision import float64_scope

_ROWS = 4096
_L2 = 1e-4


@jax.jit
def _one_pass(W: jax.Array, b: jax.Array, x: jax.Array, labels: jax.Array) -> Any:
    """The objective and its gradient in float64, a block of rows at a time."""
    exact = jax.lax.Precision.HIGHEST

    def of_block(part: jax.Array, codes: jax.Array) -> Any:
        part = part.astype(jnp.float64)
        s = jnp.matmul(part, W.T, precision=exact) + b[None, :]
        one_hot = jax.nn.one_hot(codes, len(W), dtype=jnp.float64)
        slopes = jax.nn.softmax(s, axis=1) - one_hot
        losses = jax.nn.logsumexp(s, axis=1) - jnp.sum(s * one_hot, axis=1)
        return jnp.sum(losses), jnp.matmul(slopes.T, part, precision=exact), slopes.sum(axis=0)

    def add(total: Any, index: jax.Array) -> Any:
        block = (jax.lax.dynamic_slice_in_dim(a, index * rows, rows) for a in (x, labels))
        return jax.tree.map(jnp.add, total, of_block(*block)), None

    rows = min(_ROWS, len(x))
    whole = len(x) - len(x) % rows
    zero = (jnp.zeros((), jnp.float64), jnp.zeros_like(W), jnp.zeros_like(b))
    total = jax.lax.scan(add, zero, jnp.arange(whole // rows))[0]
    total = jax.tree.map(jnp.add, total, of_block(x[whole:], labels[whole:]))
    loss, of_W, of_b = (leaf / len(x) for leaf in total)
    return loss + _L2 * jnp.sum(W * W), of_W + 2 * _L2 * W, of_b


def measure(data: Data, repeats: int) -> dict[str, Any]:
    """Times `duality_gap` and the plain pass in turns, on the same arrays.

    Args:
      data: float32 features.
      repeats: rounds.
    """
    x, labels = jnp.asarray(data.x), jnp.asarray(data.labels)
    loss = jaxlin.losses.softmax_cross_entropy
    params = jaxlin.fit(data.x, data.labels, loss=loss, l2=_L2, tol=1e-2).params
    objective = jaxlin.Objective(loss, _L2)
    with float64_scope(True):
        wide = [jnp.asarray(leaf, jnp.float64) for leaf in (params.W, params.b)]

    def certify() -> Any:
        return jaxlin.certificates.duality_gap(objective, params, x, labels)

    def one_pass() -> Any:
        with float64_scope(True):
            return jax.block_until_ready(_one_pass(*wide, x, labels))

    primal, plain = certify().primal, float(one_pass()[0])
    taken = alternate(
        {"certificate": lambda: seconds(certify), "pass": lambda: seconds(one_pass)}, repeats
    )
    return {
        "dataset": data.name,
        "certificate_seconds": taken["certificate"],
        "pass_seconds": taken["pass"],
        "difference": abs(primal / plain - 1),
    }


def values(measured: Mapping[str, Any]) -> dict[str, float]:
    """The number of the bar."""
    times = (median(measured[name]) for name in ("certificate_seconds", "pass_seconds"))
    certificate, plain = times
    return {"certificate_cost": certificate / plain}
