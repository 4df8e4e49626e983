"""The limit: how fast this machine multiplies matrices and reads memory, measured by JAX.

An epoch cannot take less than `4 N D C M` floating-point operations at the rate of a large product.
The products of the shape at hand are measured too, alone, on contiguous batches: nobody who makes
one product a batch can be faster.
"""

from __future__ import annotations

import concurrent.futures
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bench.harness.machine import cores
from bench.harness.timing import seconds

_READ_BYTES = 1 << 29


@functools.partial(jax.jit, static_argnames="precision")
def _product(a: jax.Array, b: jax.Array, precision: Any) -> jax.Array:
    return jnp.matmul(a, b, precision=precision)


def square_size(quick: bool) -> int:
    """Rows of the square product: large enough for the device's full rate, and no larger."""
    if quick:
        return 512
    return 2048 if jax.default_backend() == "cpu" else 8192


class MatrixRate:
    """FLOP/s of a square float32 product."""

    def __init__(self, size: int, precision: Any = jax.lax.Precision.HIGHEST) -> None:
        rng = np.random.default_rng(0)
        self._factors = [
            jnp.asarray(rng.standard_normal((size, size), np.float32)) for _ in range(2)
        ]
        self._precision, self._flops = precision, 2.0 * size**3
        self()

    def __call__(self) -> float:
        """One measurement, the best of three products."""
        run = functools.partial(_product, *self._factors, self._precision)
        return self._flops / min(seconds(lambda: jax.block_until_ready(run())) for _ in range(3))


@jax.jit
def _two_products(x: jax.Array, W: jax.Array) -> jax.Array:
    """`S = x W^T` and `S^T x` of every batch (number, B, D), added up so that none is left out."""

    def one_batch(total: jax.Array, batch: jax.Array) -> tuple[jax.Array, None]:
        exact = jax.lax.Precision.HIGHEST
        scores = jnp.matmul(batch, W.T, precision=exact)
        return total + jnp.matmul(scores.T, batch, precision=exact), None

    return jax.lax.scan(one_batch, jnp.zeros_like(W), x)[0]


class ShapeRate:
    """FLOP/s of the two products of a step, on contiguous batches."""

    def __init__(self, x: np.ndarray, batch_size: int, columns: int) -> None:
        count = max(1, len(x) // batch_size)
        batches = x[: count * batch_size].reshape(count, -1, x.shape[1])
        self._x = jnp.asarray(batches, jnp.float32)
        rng = np.random.default_rng(0)
        self._W = jnp.asarray(1e-3 * rng.standard_normal((columns, x.shape[1]), np.float32))
        self._flops = 4.0 * self._x.size * columns
        self()

    def __call__(self) -> float:
        """One measurement, the best of three passes."""
        run = functools.partial(_two_products, self._x, self._W)
        return self._flops / min(seconds(lambda: jax.block_until_ready(run())) for _ in range(3))


class ReadRate:
    """Bytes a second: the faster of an XLA reduction, and, on a CPU, of NumPy in all cores."""

    def __init__(self, num_bytes: int = _READ_BYTES) -> None:
        host = np.ones(num_bytes // 4, np.float32)
        self._on_device = jnp.asarray(host)
        self._sum = jax.jit(jnp.sum)
        self._bytes = float(host.nbytes)
        self._parts: list[np.ndarray] = []
        if jax.default_backend() == "cpu":
            self._parts = np.array_split(host.view(np.uint64), cores())
        self()

    def __call__(self) -> float:
        """One measurement."""
        times = [seconds(lambda: jax.block_until_ready(self._sum(self._on_device)))]
        if self._parts:
            with concurrent.futures.ThreadPoolExecutor(len(self._parts)) as pool:
                list(pool.map(np.max, self._parts))  # starts the threads
                times.append(seconds(lambda: list(pool.map(np.max, self._parts))))
        return self._bytes / min(times)
