"""The numerical gradient against plain loops and against what is known exactly."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jaxlin
from jaxlin import LinearParams, Objective, gradients, losses


def cubic(p: Any) -> Any:
    return p[0] ** 3 - 2.0 * p[0] * p[1] + p[1] ** 2


POINT = np.array([0.7, -1.3])
EXACT = np.array([3 * 0.7**2 - 2 * -1.3, -2 * 0.7 + 2 * -1.3])


@pytest.mark.parametrize("step", [1e-2, 1e-4])
def test_both_schemes_are_the_loops(step: float) -> None:
    central = gradients.numerical(cubic, POINT, step)
    forward = gradients.numerical(cubic, POINT, step, "forward")
    assert central.dtype == forward.dtype == np.float64
    tolerance = 1e-14 / step
    np.testing.assert_allclose(
        central, oracles.central_difference(cubic, POINT, step), rtol=0, atol=tolerance
    )
    np.testing.assert_allclose(
        forward, oracles.forward_difference(cubic, POINT, step), rtol=0, atol=tolerance
    )


def test_the_schemes_are_told_apart_by_their_errors() -> None:
    point = jnp.asarray([1.0])

    def square(p: jax.Array) -> jax.Array:
        return p[0] ** 2

    assert gradients.numerical(square, point, 0.5).tolist() == [2.0]
    assert gradients.numerical(square, point, 0.5, "forward").tolist() == [2.5]


@pytest.mark.parametrize(
    ("dtype", "scheme", "tolerance"),
    [
        (np.float32, "central", 1e-3),
        (np.float32, "forward", 1e-2),
        (np.float64, "central", 1e-9),
        (np.float64, "forward", 1e-6),
    ],
)
def test_the_default_step_suits_the_dtype(dtype: Any, scheme: Any, tolerance: float) -> None:
    found = gradients.numerical(cubic, POINT.astype(dtype), scheme=scheme)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, EXACT, rtol=0, atol=tolerance)


def test_the_default_step_grows_with_the_parameter() -> None:
    point = np.array([1e6, 1.0], np.float32)
    found = gradients.numerical(lambda p: jnp.sum(jnp.log(p)), point)
    np.testing.assert_allclose(found, [1e-6, 1.0], rtol=1e-2)


@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_the_difference_is_divided_by_the_step_that_rounding_took(scheme: Any) -> None:
    # 1000.1 and 1000.101 are 16 or 17 float32 spacings apart, not 0.001.
    point = np.array([1000.1], np.float32)
    assert gradients.numerical(lambda p: p[0], point, 1e-3, scheme).tolist() == [1.0]
    under_jit = jax.jit(lambda p: gradients.numerical(lambda q: q[0], p, 1e-3, scheme))
    assert under_jit(point).tolist() == [1.0]


def test_any_pytree_of_floats_will_do() -> None:
    params = {
        "W": jnp.asarray([[1.0, 2.0], [3.0, 4.0]]),
        "b": [jnp.asarray(5.0)],
        "none": None,
        "empty": jnp.zeros((0, 3)),
    }

    def f(p: Any) -> jax.Array:
        return jnp.sum(p["W"] ** 2) + 3.0 * p["b"][0]

    found = gradients.numerical(f, params)
    assert jax.tree.structure(found) == jax.tree.structure(params)
    np.testing.assert_allclose(found["W"], 2.0 * params["W"], rtol=1e-3)
    np.testing.assert_allclose(found["b"][0], 3.0, rtol=1e-3)
    assert found["empty"].shape == (0, 3)
    assert gradients.numerical(lambda p: jnp.sum(p), jnp.zeros(0)).shape == (0,)
    found = gradients.numerical(lambda p: p**2, 3.0)
    np.testing.assert_allclose(found, 6.0, rtol=1e-3)


def test_a_model_without_a_bias_has_no_derivative_by_it() -> None:
    x, labels = np.eye(3), np.array([0, 1, 1])
    objective = Objective(losses.softmax_cross_entropy, 0.1)
    params = LinearParams(jnp.ones((2, 3)))
    found = gradients.numerical(lambda p: objective(p, x, labels), params)
    assert found.b is None
    W, _ = oracles.objective_gradient("softmax", 0.1, params.W, None, x, labels)
    np.testing.assert_allclose(found.W, W, rtol=0, atol=1e-3)


def test_float64_needs_no_global_switch() -> None:
    with jax.enable_x64(True):
        point = jnp.asarray(POINT)
    for params in (point, POINT):
        found = gradients.numerical(cubic, params)
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, EXACT, rtol=0, atol=1e-9)


def test_it_works_inside_jit_and_vmap() -> None:
    points = jnp.asarray(np.stack([POINT, 2 * POINT]), jnp.float32)
    found = jax.jit(jax.vmap(lambda p: gradients.numerical(cubic, p)))(points)
    for row, point in zip(found, points, strict=True):
        np.testing.assert_allclose(row, jax.grad(cubic)(point), rtol=0, atol=1e-2)


def test_leaves_of_different_dtypes_have_steps_of_their_own() -> None:
    params = {"a": np.ones(1), "b": np.ones(1, np.float32)}
    found = gradients.numerical(lambda p: p["a"][0] ** 2 + p["b"][0] ** 2, params)
    assert found["a"].dtype == np.float64
    assert found["b"].dtype == np.float32
    np.testing.assert_allclose(found["a"], [2.0], rtol=1e-6)
    np.testing.assert_allclose(found["b"], [2.0], rtol=1e-3)


def test_a_step_that_cannot_be_taken_is_named() -> None:
    point = np.array([1.0, 1e6], np.float32)
    for scheme in ("central", "forward"):
        with pytest.raises(
            jaxlin.InputError, match=r"step=0.0001 is too small for float32 parameters .*1e\+06"
        ):
            gradients.numerical(cubic, point, 1e-4, scheme)
    assert np.isfinite(gradients.numerical(cubic, point.astype(np.float64), 1e-4)).all()
    for step in (0.0, -1e-4, float("nan"), float("inf")):
        with pytest.raises(jaxlin.InputError, match="step must be positive and finite"):
            gradients.numerical(cubic, point, step)


def test_what_has_no_numerical_gradient_is_named() -> None:
    nonsense: Any = "backward"
    with pytest.raises(jaxlin.InputError, match="scheme must be"):
        gradients.numerical(cubic, POINT, scheme=nonsense)
    for bad in (np.array([1, 2]), np.array([True, False]), np.array([1j, 2j])):
        with pytest.raises(jaxlin.InputError, match="params must be floating-point"):
            gradients.numerical(cubic, bad)
    with pytest.raises(jaxlin.InputError, match=r"f must return a scalar, got .*\(2,\)"):
        gradients.numerical(lambda p: 2.0 * p, jnp.asarray([1.0, 2.0]))


@pytest.mark.parametrize("scheme", ["central", "forward"])
def test_at_a_kink_it_is_between_the_one_sided_derivatives(scheme: Any) -> None:
    def loss(s: Any) -> jax.Array:
        return losses.weston_watkins_hinge(s, np.array(0))

    tie = np.array([1.0, 0.0, -3.0])  # the margin of class 1 is exactly 0
    found = np.asarray(gradients.numerical(loss, tie, 2.0**-10, scheme))
    # Central: half of the one side and half of the other. Forward: the side it goes to.
    expected = [-0.5, 0.5, 0.0] if scheme == "central" else [0.0, 1.0, 0.0]
    assert found.tolist() == expected
