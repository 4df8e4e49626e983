"""Lower bounds: never above the optimum, whatever they were made of, and what they amount to."""

from __future__ import annotations

import numpy as np
import pytest

import jaxlin
from jaxlin.certificates import duality_gap
from tests import oracles
from tests.certificates import exact
from tests.certificates.layout import (
    HINGES,
    L2,
    NAMES,
    C,
    D,
    N,
    params_of,
    proof_of,
    random_problem,
)
from tests.certificates.pairs import PAIRS, proofs
from tests.problems import LOSSES


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_weak_duality(name: str, bias: bool) -> None:
    """Ten thousand dual points, with as many W and b: `D(A) <= P(W, b)`, each with each."""
    x, labels, _ = random_problem()
    rng = np.random.default_rng(1)
    size = 10.0 ** rng.uniform(-2, 1, (PAIRS, 1, 1))
    W, b = size * rng.normal(size=(PAIRS, C, D)), size[:, 0] * rng.normal(size=(PAIRS, C))
    # Slopes at the scores, scaled back (feasible, but for the bias), and rows of any kind.
    dual = 10.0 ** rng.uniform(-2, 0.5, (PAIRS, 1, 1)) * rng.normal(size=(PAIRS, N, C))
    scores = (np.tile(x, (PAIRS // 2, 1, 1)) @ W[::2].swapaxes(1, 2)).reshape(-1, C)
    slopes = exact.losses_and_slopes(name, scores, np.tile(labels, PAIRS // 2))[1]
    dual[::2] = rng.uniform(size=(PAIRS // 2, 1, 1)) * slopes.reshape(-1, N, C)
    found = proofs(name, W, b if bias else None, dual)
    bounds, values = np.array([p.dual for p in found]), np.array([p.primal for p in found])
    best = exact.optimum(name, x, labels, L2, bias)
    assert bounds.max() <= best.value * (1 + 1e-14) <= values.min() * (1 + 2e-14)
    assert bounds.max() > 0.2 * best.value
    assert min(p.gap for p in found) >= 0.0
    for k in range(0, PAIRS, PAIRS // 5):  # and the values are the formula's
        expected = oracles.objective(name, L2, W[k], b[k] if bias else None, x, labels)
        np.testing.assert_allclose(values[k], expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_is_the_formula(name: str) -> None:
    """Of feasible rows, without a bias: D at the best point of the line from zero to them."""
    x, labels, _ = random_problem()
    rng = np.random.default_rng(2)
    W = rng.normal(size=(20, C, D)) * 0.3
    scores = [oracles.scores(w, None, x) for w in W]
    dual = np.array([oracles.score_gradients(name, s, labels) for s in scores])
    for rows, proof in zip(dual, proofs(name, W, None, dual), strict=True):
        along = [oracles.dual_objective(name, L2, t * rows, x, labels) for t in (0.3, 0.7, 1.0)]
        assert proof.dual >= max(along) - 1e-12 or name in exact.SMOOTH
        assert proof.dual >= along[-1] - 1e-12
        if "scaled back" not in proof.how:
            np.testing.assert_allclose(proof.dual, along[-1], atol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", exact.SMOOTH)
def test_a_gradient_of_a_smooth_loss_certifies_itself(name: str, bias: bool) -> None:
    """`P - D(A) = ||grad_W P||^2 / (4 l2) + <b, grad_b P>` for the slopes A."""
    problem = random_problem()
    x, labels, _ = problem
    rng = np.random.default_rng(2)
    for _ in range(10):
        W, b = rng.normal(size=(C, D)), rng.normal(size=C) if bias else None
        shift = np.zeros(C) if b is None else b
        dual = oracles.score_gradients(name, oracles.scores(W, shift, x), labels)
        primal = oracles.objective(name, L2, W, shift, x, labels)
        gap = primal - oracles.dual_objective(name, L2, dual, x, labels)
        by_W, by_b = oracles.objective_gradient(name, L2, W, shift, x, labels)
        np.testing.assert_allclose(gap, np.sum(by_W**2) / (4 * L2) + shift @ by_b, rtol=1e-11)
        if b is None:  # where scaling back helps, the bound is better
            proof = proof_of(name, params_of(W, None), problem, L2)
            assert proof.gap <= gap * (1 + 1e-9)
            if "scaled back" not in proof.how:
                np.testing.assert_allclose(proof.gap, gap, rtol=1e-9)


@pytest.mark.parametrize("name", exact.SMOOTH)
def test_near_the_optimum_the_gap_is_the_gradient(name: str) -> None:
    """With a free bias as well: it is minimised first, so that only `grad_W` is left."""
    problem = random_problem()
    x, labels, _ = problem
    best = exact.optimum(name, x, labels, L2, True)
    W = best.W + 1e-3 * np.random.default_rng(3).normal(size=(C, D))
    # The bias that suits W, by gradient descent.
    b = np.asarray(best.b)
    for _ in range(300):
        s = x @ W.T + b
        b = b - 0.3 * exact.losses_and_slopes(name, s, labels)[1].mean(axis=0)
    by_W, by_b = oracles.objective_gradient(name, L2, W, b, x, labels)
    assert np.abs(by_b).max() < 1e-9
    proof = proof_of(name, params_of(W, b), problem, L2)
    np.testing.assert_allclose(proof.gap, np.sum(by_W**2) / (4 * L2), rtol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_the_bias_trap(name: str) -> None:
    """A bound that forgets `sum a = 0` exceeds the optimum here; ours does not."""
    problem = random_problem()
    x, labels, _ = problem
    best = exact.optimum(name, x, labels, L2, True)
    alone = exact.optimum(name, x, labels, L2, False)
    trapped = proof_of(name, params_of(alone.W, None), problem, L2)
    assert trapped.dual > best.value * 1.03
    at_zero = np.zeros(C)
    assert proof_of(name, params_of(alone.W, at_zero), problem, L2).dual <= best.value
    dual = alone.dual
    if dual is None:
        dual = oracles.score_gradients(name, x @ alone.W.T, labels)
    # The same rows, as given: without a bias they prove the same.
    proof = proofs(name, alone.W[None], None, dual[None])[0]
    np.testing.assert_allclose(proof.dual, trapped.dual, rtol=1e-6)
    proof = proofs(name, alone.W[None], at_zero[None], dual[None])[0]
    assert 0.0 < proof.dual <= best.value


def test_given_rows_are_those_of_the_caller() -> None:
    """`dual=` proves what the vmapped program does."""
    x, labels, _ = random_problem()
    rng = np.random.default_rng(4)
    W, dual = rng.normal(size=(1, C, D)), rng.normal(size=(1, N, C))
    expected = proofs("softmax", W, None, dual)[0]
    objective = jaxlin.Objective(LOSSES["softmax"], L2)
    proof = duality_gap(objective, params_of(W[0], None), x, labels, dual=dual[0])
    np.testing.assert_allclose(
        [proof.primal, proof.dual], [expected.primal, expected.dual], rtol=1e-12
    )
    assert proof.how.startswith("The dual point was given")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_at_the_optimum_the_gap_closes(name: str, bias: bool, weighted: bool) -> None:
    for seed in range(3):
        problem = random_problem(seed, weighted=weighted)
        x, labels, weight = problem
        best = exact.optimum(name, x, labels, L2, bias, weight)
        proof = proof_of(name, params_of(best.W, best.b), problem, L2)
        assert 0.0 <= proof.relative_gap < (1e-6 if name in HINGES else 1e-9)
        assert proof.dual <= best.value
        np.testing.assert_allclose(proof.primal, best.value, rtol=1e-14)
