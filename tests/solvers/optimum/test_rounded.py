"""The rounded losses against JAX's derivatives and against the conjugates."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin import conjugates, losses
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.rounded import rounding_cost, tangent

LOSSES = [
    losses.softmax_cross_entropy,
    losses.weston_watkins_hinge,
    losses.crammer_singer_hinge,
    losses.squared_weston_watkins_hinge,
    losses.CrammerSingerHinge(margin=0.3),
]


def problem(seed: int = 0) -> tuple[jax.Array, jax.Array, jax.Array]:
    rng = np.random.default_rng(seed)
    scores = jnp.asarray(1.5 * rng.normal(size=(4, 200)))
    return scores, jnp.asarray(rng.integers(0, 4, 200), jnp.int32), jnp.asarray(0.7)


@pytest.fixture(autouse=True)
def float64() -> Any:
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_slopes_are_the_conjugates_dual_point_and_the_derivative(loss: Any) -> None:
    scores, labels, width = problem()
    seen = tangent(loss, scores, labels, width)
    dual = conjugates.dual_point(loss, scores.T, labels, width, jnp.ones(4, bool))
    np.testing.assert_allclose(seen.slopes, dual.T, atol=1e-12)
    if not isinstance(loss, losses.CrammerSingerHinge):  # whose projection is a loop
        by_jax = jax.grad(lambda s: jnp.sum(tangent(loss, s, labels, width).value))(scores)
        np.testing.assert_allclose(seen.slopes, by_jax, atol=1e-12)
    step = 1e-6 * jnp.asarray(np.random.default_rng(1).normal(size=scores.shape))
    change = tangent(loss, scores + step, labels, width).value
    change -= tangent(loss, scores - step, labels, width).value
    np.testing.assert_allclose(change, jnp.sum(2 * seen.slopes * step, 0), atol=1e-10)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_what_the_rounding_costs_is_the_distance_to_the_tangent(loss: Any) -> None:
    scores, labels, width = problem()
    a = tangent(loss, scores, labels, width).slopes
    weight = jnp.full(200, 1 / 200)
    data = Data(jnp.zeros((200, 1)), labels, weight, None)
    exact = loss(scores.T, labels)
    star = conjugates.conjugate(loss, a.T, labels)
    distance = exact - jnp.sum(a * scores, axis=0) + star
    cost = rounding_cost(loss, scores, data, width) if conjugates.is_hinge(loss) else 0.0
    np.testing.assert_allclose(cost, jnp.mean(distance), atol=1e-12)
