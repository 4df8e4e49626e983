"""The rounded losses against JAX's derivatives and against the conjugates."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin import conjugates, losses
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.rounded import Multipliers, rounded_beta, rounding_cost, tangent

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


HINGES = [loss for loss in LOSSES if conjugates.is_hinge(loss)]


@pytest.mark.parametrize("loss", HINGES, ids=repr)
def test_rounded_around_multipliers_it_is_the_largest_of_its_tangents_less_a_square(
    loss: Any,
) -> None:
    # At any scores no feasible slope gives more than the one that is taken.
    scores, labels, width = problem()
    rng = np.random.default_rng(2)
    is_label = np.asarray(labels)[None, :] == np.arange(4)[:, None]
    center = rounded_beta(loss, jnp.asarray(2.0 * rng.normal(size=(4, 200))), labels, width)
    moved = scores + width * center
    value = tangent(loss, moved, labels, width).value - 0.5 * width * jnp.sum(center**2, axis=0)
    of_label = np.asarray(scores)[np.asarray(labels), np.arange(200)]
    margins = np.where(is_label, 0.0, np.asarray(scores) - of_label + loss.margin)

    def worth(beta: jax.Array) -> jax.Array:
        return jnp.sum(beta * margins - 0.5 * width * (beta - center) ** 2, axis=0)

    found = rounded_beta(loss, moved, labels, width)
    np.testing.assert_allclose(value, worth(found), atol=1e-12)
    for _ in range(50):
        other = rounded_beta(loss, jnp.asarray(2.0 * rng.normal(size=(4, 200))), labels, width)
        for share in (1e-3, 0.3, 1.0):
            assert (worth((1 - share) * found + share * other) <= value + 1e-12).all()


@pytest.mark.parametrize("loss", HINGES, ids=repr)
def test_around_its_own_slopes_a_rounding_costs_less(loss: Any) -> None:
    # Repeated at the same scores the slopes go to the exact hinge's, and the cost to nothing.
    scores, labels, width = problem()
    data = Data(jnp.zeros((200, 1)), labels, jnp.full(200, 1 / 200), None)
    around, costs = Multipliers(jnp.zeros_like(scores), jnp.zeros(())), []
    for _ in range(40):
        costs.append(float(rounding_cost(loss, scores, data, width, around)))
        beta = rounded_beta(loss, scores + width * around.beta, labels, width)
        around = Multipliers(beta, data.weight @ jnp.sum(beta * beta, axis=0))
    assert costs[0] > 1e-2
    assert all(after <= before + 1e-15 for before, after in itertools.pairwise(costs))
    assert costs[-1] < 1e-2 * costs[0]
