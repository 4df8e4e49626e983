"""The penalty: the sum of squares, without a factor 1/2."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jaxlin import gradients, penalties

W = np.random.default_rng(0).normal(size=(3, 4))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_l2_is_the_loop(dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        weights = jnp.asarray(W, dtype)
        found, gradient = penalties.l2(weights), jax.grad(penalties.l2)(weights)
    assert found.dtype == gradient.dtype == dtype
    tolerance = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found, oracles.l2(W), rtol=tolerance)
    np.testing.assert_allclose(gradient, 2.0 * W, rtol=tolerance, atol=tolerance)


def test_the_numerical_gradient_agrees() -> None:
    np.testing.assert_allclose(gradients.numerical(penalties.l2, W), 2.0 * W, rtol=0, atol=1e-8)


def test_float64_needs_no_global_switch() -> None:
    with jax.enable_x64(True):
        weights = jnp.asarray(W)
    assert penalties.l2(weights).dtype == jnp.float64
    np.testing.assert_allclose(penalties.l2(weights), oracles.l2(W), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_width_weights_are_squared_and_summed_in_float32(dtype: str) -> None:
    large = {"float16": 64.0, "bfloat16": 16.0}[dtype]  # its square is where ones are lost
    weights = jnp.asarray([[large] + [1.0] * int(large**2)], dtype)
    found = penalties.l2(weights)
    assert found.dtype == dtype
    assert float(found) == 2.0 * large**2
    # 0.001 squared is a denormal of float16.
    small = jnp.full((1, 4096), 1e-3, dtype)
    np.testing.assert_allclose(float(penalties.l2(small)), 4096e-6, rtol=0.01)
