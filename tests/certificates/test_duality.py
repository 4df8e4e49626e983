"""Weak duality and soundness on thousands of random points, through few compiled programs."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlin
from jaxlin import LinearParams, conjugates
from jaxlin.certificates import Certificate, certain_predictions
from jaxlin.certificates.bounds import SEARCHED_WIDTHS, certified, concluded
from jaxlin.certificates.dual_points import Given, Sums, measure
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples, Problem
from tests import oracles
from tests.problems import LOSSES

N, D, C, L2 = 20, 3, 3, 0.05
NAMES = list(LOSSES)
PAIRS = 10_000
PROBLEMS = 63  # for each of eight tests: 504


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(C), rng.integers(0, C, N - C)])
    return rng.normal(size=(N, D)) + 0.8 * np.eye(C, D)[labels], labels.astype(np.int32)


def given(x: Any, labels: Any, W: Any, b: Any) -> Given:
    """In a float64 scope."""
    params = LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))
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


class Problems(NamedTuple):
    """As many random problems as there are programs to share."""

    x: np.ndarray
    labels: np.ndarray
    l2: np.ndarray


@functools.cache
def problems() -> Problems:
    rng = np.random.default_rng(3)
    x, labels = zip(*(data(seed) for seed in range(PROBLEMS)), strict=True)
    return Problems(np.array(x), np.array(labels), 10.0 ** rng.choice([-4.0, -2.0, 0.0], PROBLEMS))


def optima(name: str, bias: bool) -> LinearParams:
    """Of all problems, by Newton's method: W (K, C, D), b (K, C)."""
    newton = jaxlin.solvers.Newton()

    def solve(x: jax.Array, labels: jax.Array, l2: jax.Array) -> LinearParams:
        examples = Examples(x, labels, jnp.full(N, 1.0 / N))
        problem = Problem(jaxlin.Objective(LOSSES[name], l2), examples, None)
        start = LinearParams(jnp.zeros((C, D)), jnp.zeros(C) if bias else None)
        state = newton.init(start, jax.random.key(0))
        steps = 2 if conjugates.is_hinge(LOSSES[name]) else 40
        return jax.lax.fori_loop(0, steps, lambda _, s: newton.step(problem, s)[0], state).params

    return jax.jit(jax.vmap(solve))(*problems())


def certificates(name: str, params: LinearParams) -> list[Certificate]:
    """Of all problems, through the program that `duality_gap` runs."""
    widths = np.array(SEARCHED_WIDTHS) if is_hinge(name) else np.ones(1)

    def sums(x: jax.Array, labels: jax.Array, l2: jax.Array, params: LinearParams) -> Sums:
        of_problem = given(x, labels, params.W, params.b)
        return measure(LOSSES[name], of_problem, l2, jnp.asarray(widths), None, is_hinge(name))

    x, labels, l2 = problems()
    found = jax.device_get(jax.jit(jax.vmap(sums))(x, labels, l2, params))
    params = jax.device_get(params)
    proofs = []
    for k in range(PROBLEMS):
        of_problem = given(x[k], labels[k], params.W[k], None if params.b is None else params.b[k])
        part = Sums(*(leaf[k] for leaf in found))
        proofs.append(concluded(LOSSES[name], of_problem, part, float(l2[k]), was_given=False))
    return proofs


def is_hinge(name: str) -> bool:
    return conjugates.is_hinge(LOSSES[name])


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_no_certificate_says_less_than_the_true_distance(name: str, bias: bool) -> None:
    """At the optimum, near it and far away; and what is certain there is so at the optimum."""
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(50, D))
    sizes = 10.0 ** rng.uniform(-8, 1, PROBLEMS)
    with float64_scope(True):
        best = optima(name, bias)
        there = certificates(name, best)
        W = best.W + sizes[:, None, None] * rng.normal(size=best.W.shape)
        b = None if best.b is None else best.b + sizes[:, None] * rng.normal(size=best.b.shape)
        # Half of them as a float32 fit would leave them.
        half = jnp.asarray(np.arange(PROBLEMS) % 2 == 0)
        W = jnp.where(half[:, None, None], W.astype(jnp.float32).astype(jnp.float64), W)
        rough = LinearParams(W, b)
        here = certificates(name, rough)
        for k, (exact, proof) in enumerate(zip(there, here, strict=True)):
            assert 0.0 <= exact.gap < 1e-4 * exact.primal + 1e-9
            assert proof.gap >= max(proof.primal - exact.primal, 0.0)
            assert proof.dual <= exact.primal
            if k % 7 == 0:
                one, other = (jax.tree.map(lambda leaf: leaf[k], p) for p in (rough, best))  # noqa: B023
                certain = certain_predictions(proof, one, rows)
                same = np.asarray(jaxlin.predict(one, rows)) == np.asarray(
                    jaxlin.predict(other, rows)
                )
                assert same[certain].all()


def programs() -> int:
    """How many have been compiled for certificates."""
    return measure._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def test_many_calls_are_one_program() -> None:
    """Whatever the parameters, l2 and widths, and in a float64 scope or not."""
    x, labels = data()
    loss: Any = LOSSES["weston_watkins"]
    rng = np.random.default_rng(4)
    with float64_scope(True):
        points = [given(x, labels, rng.normal(size=(C, D)), np.zeros(C)) for _ in range(4)]
    certified(loss, points[0], L2, widths=(1.0, 0.1))
    before = programs()
    outside = [certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)]
    with float64_scope(True):
        inside = [
            certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)
        ]
    assert measure._cache_size() == before  # pyright: ignore[reportFunctionMemberAccess]
    assert inside == outside
