"""The losses from their other side: conjugates, slopes and curvature against slow twins."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin import conjugates
from jaxlin.precision import float64_scope
from tests import oracles
from tests.certificates.layout import NAMES, C
from tests.problems import LOSSES


@pytest.mark.parametrize("name", NAMES)
def test_conjugates_bound_the_loss_and_touch_it_at_its_slope(name: str) -> None:
    """Fenchel and Young: `L(s) + L*(a) >= <a, s>`, with equality at the slope."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        y = int(rng.integers(C))
        s = (rng.normal(size=C) * 3).tolist()
        slope = oracles.GRADIENTS[name](s, y)
        touching = oracles.VALUES[name](s, y) + oracles.conjugate(name, slope, y)
        np.testing.assert_allclose(touching, np.dot(slope, s), atol=1e-12)
        other = oracles.GRADIENTS[name]((rng.normal(size=C) * 3).tolist(), y)
        assert oracles.VALUES[name](s, y) + oracles.conjugate(name, other, y) >= (
            np.dot(other, s) - 1e-12
        )


@pytest.mark.parametrize("margin", [1.0, 0.25])
@pytest.mark.parametrize("name", NAMES)
def test_the_dual_side_matches_its_twin(name: str, margin: float) -> None:
    rng = np.random.default_rng(1)
    loss: Any = LOSSES[name]
    if name != "softmax":
        loss = type(loss)(margin)
    labels = rng.integers(0, 5, 200)
    with float64_scope(True):
        every, width = jnp.ones(5, bool), jnp.asarray(0.5)
        codes = jnp.asarray(labels.astype(np.int32))
        wild = jnp.asarray(rng.normal(size=(200, 5)))
        tame = np.asarray(conjugates.feasible(loss, wild, codes, every))
        again = np.asarray(conjugates.feasible(loss, jnp.asarray(tame), codes, every))
        stars = np.asarray(conjugates.conjugate(loss, jnp.asarray(tame), codes))
        s = jnp.asarray(rng.normal(size=(200, 5)) * 2)
        slopes = np.asarray(conjugates.dual_point(loss, s, codes, width, every))
    expected = [
        oracles.conjugate(name, a, int(y), margin) for a, y in zip(tame, labels, strict=True)
    ]
    np.testing.assert_allclose(stars, expected, atol=1e-14)
    np.testing.assert_allclose(again, tame, atol=1e-15)
    np.testing.assert_allclose(tame.sum(axis=1), 0.0, atol=1e-14)
    for a, y in zip(slopes, labels, strict=True):
        assert np.isfinite(oracles.conjugate(name, a, int(y)))


@pytest.mark.parametrize("name", ["weston_watkins", "crammer_singer", "softmax"])
def test_curvature_is_the_derivative_of_the_slope(name: str) -> None:
    rng = np.random.default_rng(2)
    loss: Any = LOSSES[name]
    labels = jnp.asarray(rng.integers(0, 4, 30).astype(np.int32))
    weight = rng.uniform(size=30)
    with float64_scope(True):
        every, width = jnp.ones(4, bool), jnp.asarray(0.7)
        s = jnp.asarray(rng.normal(size=(30, 4)))

        def mean_slope(b: jax.Array) -> jax.Array:
            points = conjugates.dual_point(loss, s + b[None, :], labels, width, every)
            return jnp.asarray(weight) @ points

        a = conjugates.dual_point(loss, s, labels, width, every)
        curve = conjugates.curvature(loss, a, labels, width)
        found = conjugates.mean_curvature(loss, curve, labels, jnp.asarray(weight))
        expected = jax.jit(jax.jacfwd(mean_slope))(jnp.zeros(4))
        np.testing.assert_allclose(found, expected, atol=1e-12)
        if name != "softmax":
            hessians = conjugates.score_hessians(curve, conjugates.label_mask(labels, 4))
            np.testing.assert_allclose(
                np.tensordot(weight, np.asarray(hessians), 1), expected, atol=1e-12
            )
        shift = 1e-7 * rng.normal(size=4)
        moved = conjugates.shifted_point(loss, a, labels, width, jnp.asarray(shift), every)
        np.testing.assert_allclose(
            weight @ np.asarray(moved - a), np.asarray(expected) @ shift, atol=1e-12
        )
