"""What gradients cost: the same work by hand and by jax.grad, and the numerical one's beside it."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jaxlin import InputError, LinearParams, Objective, init_params, losses
from jaxlin.gradients.cost import GradientCost, gradient_cost
from jaxlin.gradients.step_errors import step_errors
from jaxlin.gradients.wrong_coordinates import wrong_coordinates

# The digits' shape.
N, D, C = 1347, 64, 10
LOSSES = (
    losses.weston_watkins_hinge,
    losses.squared_weston_watkins_hinge,
    losses.crammer_singer_hinge,
    losses.softmax_cross_entropy,
)
# Floating-point operations of the two matrix products, x W^T and dS^T x.
PRODUCTS = 4 * N * D * C


@pytest.fixture(scope="module", params=LOSSES, ids=lambda loss: type(loss).__name__)
def cost(request: pytest.FixtureRequest) -> GradientCost:
    rng = np.random.default_rng(0)
    x = rng.random((N, D)).astype(np.float32)
    labels = rng.integers(0, C, N)
    params = init_params(D, C, key=jax.random.key(0), scale=0.1)
    return gradient_cost(Objective(request.param, l2=1e-3), params, x, labels)


def test_by_hand_and_autodiff_are_the_same_work(cost: GradientCost) -> None:
    assert cost.by_hand is not None
    by_hand, autodiff = cost.by_hand, cost.autodiff
    assert by_hand.flops == pytest.approx(autodiff.flops, rel=0.03)
    # An array (N, C) more or less written and read again is a twelfth of the bytes.
    assert by_hand.bytes_accessed == pytest.approx(autodiff.bytes_accessed, rel=0.15)
    assert abs(by_hand.temporary_bytes - autodiff.temporary_bytes) <= 4 * N * C + 4096


def test_the_products_are_most_of_it(cost: GradientCost) -> None:
    assert PRODUCTS < cost.autodiff.flops < 1.2 * PRODUCTS
    assert cost.autodiff.bytes_accessed > 4 * N * D  # x once at least
    assert 0 < cost.autodiff.temporary_bytes < 8 * 4 * N * C


def test_a_numerical_coordinate_costs_two_values(cost: GradientCost) -> None:
    # A value is half a gradient: one product of the two.
    for one in (cost.numerical, cost.one_at_a_time):
        assert one.flops == pytest.approx(cost.autodiff.flops, rel=0.1)
        assert one.seconds > 0.0
    assert cost.num_coordinates == C * D + C
    assert 1 <= cost.batch_size <= 64


def test_all_coordinates_take_hundreds_of_times_as_long(cost: GradientCost) -> None:
    # About 650 times half a gradient's time twice; a busy machine may be off by some factor.
    assert 20 < cost.numerical_factor < 20_000
    assert 20 < cost.one_at_a_time_factor < 20_000


def test_the_table_names_every_program(cost: GradientCost) -> None:
    text = str(cost)
    for words in ("by hand", "jax.grad", "numerical, each", "one at a time, each", "All 650"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_loss_without_a_gradient_by_hand_is_compared_without_it() -> None:
    def smooth(scores: jax.Array, labels: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(scores, axis=-1)

    params = LinearParams(np.zeros((3, 4)))  # pyright: ignore[reportArgumentType]
    found = gradient_cost(Objective(smooth), params, np.ones((9, 4)), np.arange(9) % 3)
    assert found.by_hand is None
    assert "by hand" not in str(found)


def test_what_does_not_fit_is_said() -> None:
    params = init_params(4, 3)
    objective = Objective(losses.softmax_cross_entropy)
    with pytest.raises(InputError, match="9 rows"):
        gradient_cost(objective, params, np.ones((9, 4)), np.zeros(8, int))
    with pytest.raises(InputError, match="features"):
        gradient_cost(objective, params, np.ones((9, 5)), np.zeros(9, int))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_error_against_the_step_is_a_v(dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.random((50, 6)), rng.integers(0, 3, 50)
    params = LinearParams(rng.normal(size=(3, 6)))  # pyright: ignore[reportArgumentType]
    objective = Objective(losses.softmax_cross_entropy, l2=0.1)
    forward, central = step_errors(objective, params, x, labels, dtype=dtype)
    eps = np.finfo(dtype).eps
    for curve, power in ((forward, 1 / 2), (central, 1 / 3)):
        assert curve.dtype == np.dtype(dtype).name
        best = int(np.argmin(curve.errors))
        assert 0 < best < len(curve.steps) - 1  # both ends are worse
        assert curve.errors[0] > 30 * curve.errors[best] < curve.errors[-1]
        assert curve.chosen == pytest.approx(eps**power)
        assert curve.chosen_error < 100 * curve.errors[best]
    assert central.errors.min() < 0.1 * forward.errors.min()


def test_wrong_coordinates_are_those_that_were_made_wrong() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.random((20, 4)), rng.integers(0, 3, 20)
    params = LinearParams(rng.normal(size=(3, 4)), rng.normal(size=3))  # pyright: ignore[reportArgumentType]
    objective = Objective(losses.softmax_cross_entropy, l2=0.1)

    def by_hand(params: LinearParams, x: np.ndarray, labels: np.ndarray) -> LinearParams:
        right = objective.gradient_by_hand(params, x, labels)
        return LinearParams(right.W.at[1, 2].add(0.5), right.b)

    found = wrong_coordinates(objective, params, x, labels, by_hand=by_hand)
    assert found is not None
    assert found.name == "W"
    assert np.argwhere(found.error > 1e-6).tolist() == [[1, 2]]
    assert found.error[1, 2] == pytest.approx(0.5)
    transposed = wrong_coordinates(
        objective, params, x, labels, by_hand=lambda p, x, y: LinearParams(p.W.T, p.b)
    )
    assert transposed is None
