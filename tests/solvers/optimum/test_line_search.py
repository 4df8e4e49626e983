"""The point that a line search ends at is no higher, and nearly level."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin.precision import float64_scope
from jaxlin.solvers.optimum.line_search import lowest_on_line

FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "newton_is_right": lambda t: 0.5 * t**2 - t,
    "further": lambda t: 1e-6 * t**2 - t,
    "a_kink_close_by": lambda t: 1e6 * jnp.maximum(0.0, t - 1e-5) ** 2 - t,
    "a_kink_far_away": lambda t: jnp.maximum(0.0, t - 30.0) ** 2 - 0.1 * t,
    "many_kinks": lambda t: jnp.sum(jnp.maximum(0.0, t - 0.01 * jnp.arange(1, 50)) ** 2) - t,
    "exponential": lambda t: jnp.exp(20.0 * (t - 0.9)) - t,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_nearly_level(name: str) -> None:
    function = FUNCTIONS[name]
    with float64_scope(True):
        zero = jnp.zeros(())
        slope = jax.grad(function)(zero)

        def seen_at(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            return t, function(t), jax.grad(function)(t)

        place, t = lowest_on_line(seen_at, zero, function(zero), slope, jnp.asarray(1e-15))
        assert float(place) == float(t) > 0.0
        assert function(t) < function(zero)
        assert abs(jax.grad(function)(t)) <= 0.25 * abs(slope)


def test_it_stays_where_nothing_is_lower() -> None:
    with float64_scope(True):
        zero = jnp.zeros(())

        def seen_at(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            return t, 1.0 + t, jnp.ones(())  # not what the slope at the start promised

        place, t = lowest_on_line(seen_at, zero, zero, zero - 1.0, zero)
    np.testing.assert_array_equal([place, t], [0.0, 0.0])


def test_it_does_not_end_at_what_is_no_number() -> None:
    with float64_scope(True):
        zero = jnp.zeros(())

        def seen_at(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            value = jnp.where(t > 0.3, jnp.nan, (t - 0.2) ** 2)
            return t, value, jnp.where(t > 0.3, jnp.nan, 2.0 * (t - 0.2))

        place, _ = lowest_on_line(seen_at, zero, zero + 0.04, zero - 0.4, zero + 1e-15)
    assert 0.15 <= float(place) <= 0.25
