"""Weak duality and soundness on thousands of random points, through few compiled programs."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlin
from jaxlin.certificates import certain_predictions, duality_gap
from jaxlin.certificates.bounds import certified, concluded
from jaxlin.certificates.dual_points import Given, Sums, measure
from jaxlin.precision import float64_scope
from tests import oracles
from tests.problems import LOSSES

N, D, C, L2 = 20, 3, 3, 0.05
NAMES = list(LOSSES)
PAIRS = 10_000


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(C), rng.integers(0, C, N - C)])
    return rng.normal(size=(N, D)) + 0.8 * np.eye(C, D)[labels], labels.astype(np.int32)


def given(x: Any, labels: Any, W: Any, b: Any) -> Given:
    """In a float64 scope."""
    params = jaxlin.LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))
    return Given(params, jnp.asarray(x), jnp.asarray(labels), jnp.full(N, 1.0 / N), None)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_weak_duality(name: str, bias: bool) -> None:
    """Ten thousand dual points, feasible or made so, with as many W and b: `D(A) <= P(W, b)`."""
    x, labels = data()
    rng = np.random.default_rng(1)
    size = 10.0 ** rng.uniform(-2, 1, (PAIRS, 1, 1))
    W, b = size * rng.normal(size=(PAIRS, C, D)), size[:, 0] * rng.normal(size=(PAIRS, C))
    # Slopes at other scores, random rows, and both with noise.
    dual = 10.0 ** rng.uniform(-2, 0.5, (PAIRS, 1, 1)) * rng.normal(size=(PAIRS, N, C))
    dual[::2] -= np.eye(C)[labels]
    with float64_scope(True):

        def sums(W: jax.Array, b: jax.Array, dual: jax.Array) -> Sums:
            of_pair = given(x, labels, W, b if bias else None)
            one = jnp.ones(())
            return measure(LOSSES[name], of_pair, L2 * one, one[None], dual, False)

        found = jax.device_get(jax.jit(jax.vmap(sums))(W, b, dual))
        bounds, values = [], []
        for k in range(PAIRS):
            of_pair = given(x, labels, np.asarray(W[k]), b[k] if bias else None)
            part = Sums(*(np.asarray(leaf[k]) for leaf in found))
            proof = concluded(LOSSES[name], of_pair, part, L2, was_given=True)
            bounds.append(proof.dual)
            values.append(proof.primal)
    assert max(bounds) <= min(values)
    assert max(bounds) > 0.1 * min(values)
    for k in range(0, PAIRS, PAIRS // 5):  # and the values are the formula's
        expected = oracles.objective(name, L2, W[k], b[k] if bias else None, x, labels)
        np.testing.assert_allclose(values[k], expected, rtol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["softmax", "squared_weston_watkins"])
def test_a_gradient_of_a_smooth_loss_certifies_itself(name: str, bias: bool) -> None:
    """`P - D(A) = ||grad_W P||^2 / (4 l2) + <b, grad_b P>` for the slopes A."""
    x, labels = data()
    rng = np.random.default_rng(2)
    for _ in range(10):
        W, b = rng.normal(size=(C, D)), rng.normal(size=C) if bias else np.zeros(C)
        dual = oracles.score_gradients(name, oracles.scores(W, b, x), labels)
        gap = oracles.objective(name, L2, W, b, x, labels) - oracles.dual_objective(
            name, L2, dual, x, labels
        )
        by_W, by_b = oracles.objective_gradient(name, L2, W, b, x, labels)
        np.testing.assert_allclose(gap, np.sum(by_W**2) / (4 * L2) + b @ by_b, rtol=1e-11)
        if not bias:
            with float64_scope(True):
                proof = certified(LOSSES[name], given(x, labels, W, None), L2)
            assert proof.gap <= gap * (1 + 1e-9)  # less where scaling back helps


@functools.cache
def exact(name: str, bias: bool, seed: int, l2: float) -> jaxlin.LinearParams:
    x, labels = data(seed)
    newton = jaxlin.solvers.Newton()
    return jaxlin.fit(
        x, labels, loss=LOSSES[name], l2=l2, bias=bias, solver=newton, dtype=np.float64
    ).params


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_no_certificate_says_less_than_the_true_distance(name: str, bias: bool) -> None:
    """On random problems, at the optimum, near it and far away, in float32 and in float64."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(50, D))
    for seed in range(64):
        x, labels = data(seed)
        l2 = 10.0 ** rng.choice([-4.0, -2.0, 0.0])
        objective = jaxlin.Objective(LOSSES[name], l2)
        best = exact(name, bias, seed, l2)
        here = duality_gap(objective, best, x, labels)
        assert 0.0 <= here.gap < 1e-5 * here.primal + 1e-9
        decided = np.asarray(jaxlin.predict(best, rows))
        for size in 10.0 ** rng.uniform(-8, 1, 2):
            W = np.asarray(best.W) + size * rng.normal(size=(C, D))
            b = None if best.b is None else np.asarray(best.b) + size * rng.normal(size=C)
            dtype = rng.choice([np.float32, np.float64])
            with float64_scope(True):
                rough = jaxlin.LinearParams(
                    jnp.asarray(W.astype(dtype)),
                    None if b is None else jnp.asarray(b.astype(dtype)),
                )
            proof = duality_gap(objective, rough, x, labels)
            assert proof.gap >= max(proof.primal - here.primal, 0.0)
            assert proof.dual <= here.primal
            certain = certain_predictions(proof, rough, rows)
            assert (np.asarray(jaxlin.predict(rough, rows)) == decided)[certain].all()


def test_many_calls_are_one_program() -> None:
    """Whatever the parameters, l2 and widths, and in a float64 scope or not."""
    x, labels = data()
    loss: Any = LOSSES["weston_watkins"]
    rng = np.random.default_rng(4)
    with float64_scope(True):
        points = [given(x, labels, rng.normal(size=(C, D)), np.zeros(C)) for _ in range(4)]
    certified(loss, points[0], L2, widths=(1.0, 0.1))
    before = measure._cache_size()  # pyright: ignore[reportFunctionMemberAccess]
    outside = [certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)]
    with float64_scope(True):
        inside = [
            certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)
        ]
    assert measure._cache_size() == before  # pyright: ignore[reportFunctionMemberAccess]
    assert inside == outside
