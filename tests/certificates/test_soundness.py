"""No certificate says less than the true distance: on 500 random problems, near and far."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import jaxlin
from jaxlin.certificates import certain_predictions
from jaxlin.certificates.bias_shift import largest_falls
from tests.certificates import exact
from tests.certificates.exact import Optimum
from tests.certificates.layout import (
    HINGES,
    NAMES,
    C,
    D,
    Problem,
    params_of,
    proof_of,
    random_problem,
)

PROBLEMS = 63  # for each of eight tests: 504
STRENGTHS = (1e-4, 1e-2, 1.0)


@functools.cache
def solved(name: str, bias: bool) -> list[tuple[Problem, float, Optimum]]:
    """Random problems, a third of them weighted, with their strengths and optima."""
    found = []
    for seed in range(PROBLEMS):
        problem, l2 = random_problem(seed, weighted=seed % 9 < 3), STRENGTHS[seed % 3]
        x, labels, weight = problem
        found.append((problem, l2, exact.optimum(name, x, labels, l2, bias, weight)))
    return found


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_no_certificate_says_less_than_the_true_distance(name: str, bias: bool) -> None:
    """At the optimum, near it and far away; of parameters in float64 and in float32."""
    rng = np.random.default_rng(4)
    for k, (problem, l2, best) in enumerate(solved(name, bias)):
        there = proof_of(name, params_of(best.W, best.b), problem, l2)
        assert there.gap >= 0.0
        assert there.dual <= best.value
        assert there.relative_gap < (1e-5 if name in HINGES else 1e-8)
        size = 10.0 ** rng.uniform(-8, 1)
        dtype = (np.float64, np.float32)[k % 2]
        b = None if best.b is None else best.b + size * rng.normal(size=C)
        params = params_of(best.W + size * rng.normal(size=(C, D)), b, dtype)
        proof = proof_of(name, params, problem, l2)
        x, labels, weight = problem
        expected = exact.objective(name, params.W, params.b, x, labels, l2, weight)
        np.testing.assert_allclose(proof.primal, expected, rtol=1e-13)
        assert proof.gap >= max(proof.primal - best.value, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_certain_predictions_are_those_of_the_optimum(name: str) -> None:
    rows = np.random.default_rng(5).normal(size=(50, D))
    rng = np.random.default_rng(6)
    sizes = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    claimed = np.zeros(len(sizes))
    for problem, l2, best in solved(name, False):
        decided = np.argmax(rows @ best.W.T, axis=1)
        at = int(rng.integers(len(sizes)))
        W = best.W + sizes[at] * rng.normal(size=(C, D))
        rough = params_of(W, None)
        proof = proof_of(name, rough, problem, l2)
        # The optimum is known to about 1e-8 of its value, where it is a hinge's.
        assert np.linalg.norm(W - best.W) <= proof.radius + np.sqrt(1e-7 / l2)
        certain = certain_predictions(proof, rough, rows)
        assert (np.asarray(jaxlin.predict(rough, rows)) == decided)[certain].all()
        claimed[at] += certain.mean()
    assert claimed[0] > 5.0
    assert claimed[0] > claimed[-1]


def test_certain_predictions_with_a_free_bias_are_those_of_the_optimum() -> None:
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(50, D))
    sizes = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    claimed = np.zeros(len(sizes))
    for k, (problem, l2, best) in enumerate(solved("softmax", True)):
        assert best.b is not None
        at = k % len(sizes)
        b = best.b + sizes[at] * rng.normal(size=C)
        rough = params_of(best.W + sizes[at] * rng.normal(size=(C, D)), b)
        proof = proof_of("softmax", rough, problem, l2)
        certain = certain_predictions(
            proof, rough, rows, examples=problem.x, sample_weight=problem.weight
        )
        decided = np.argmax(rows @ best.W.T + best.b, axis=1)
        assert (np.asarray(jaxlin.predict(rough, rows)) == decided)[certain].all()
        claimed[at] += certain.mean()
    assert claimed[0] > 3.0
    assert claimed[0] > claimed[-1]


def test_no_lead_of_the_optimum_falls_by_more_than_is_claimed() -> None:
    """The bound of the bias, at the examples' mean; and it is no wild guess."""
    rng = np.random.default_rng(9)
    tightness = []
    for problem, l2, best in solved("softmax", True):
        x, _, weight = problem
        shares = np.ones(len(x)) if weight is None else np.asarray(weight)
        assert best.b is not None
        size = 10.0 ** rng.uniform(-5, -1)
        b = best.b + size * rng.normal(size=C)
        rough = params_of(best.W + size * rng.normal(size=(C, D)), b)
        proof = proof_of("softmax", rough, problem, l2)
        center = x.mean(axis=0)
        bound = largest_falls(
            x @ np.asarray(rough.W).T + b, shares / shares.sum(),
            np.linalg.norm(x - center, axis=1), proof.gap, proof.radius,
        )  # fmt: skip
        before, after = np.asarray(rough.W) @ center + b, best.W @ center + best.b
        fall = (before[:, None] - before) - (after[:, None] - after)
        assert (fall <= bound + 1e-7).all()
        tightness.append(np.max(fall) / np.max(bound[np.isfinite(bound)], initial=1e-300))
    assert max(tightness) > 0.05


def test_a_row_that_hardly_counts_holds_no_bias() -> None:
    # Whatever the shift, it costs less than 1e-6 * 60: less than the gap.
    falls = largest_falls(np.array([[60.0, 0.0]]), np.array([1e-6]), np.zeros(1), 1e-3, 0.0)
    assert falls[0, 1] == np.inf


def test_with_a_free_bias_nothing_is_claimed_of_what_is_not_known() -> None:
    problem, l2, best = solved("softmax", True)[1]
    params = params_of(best.W, best.b)
    proof = proof_of("softmax", params, problem, l2)
    assert not certain_predictions(proof, params, problem.x).any()
    seen: dict[str, Any] = {"examples": problem.x, "sample_weight": problem.weight}
    without = proof_of("softmax", params_of(best.W, None), problem, l2)
    assert not certain_predictions(without, params, problem.x, **seen).any()
    hinge, l2, best = solved("weston_watkins", True)[1]
    params = params_of(best.W, best.b)
    proof = proof_of("weston_watkins", params, hinge, l2)
    assert not certain_predictions(proof, params, hinge.x, examples=hinge.x).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_holds_at_other_parameters_too(name: str) -> None:
    """The bound made at one point is below the objective at every other: no solver is needed.

    At any l2 and any size of the parameters, with rows that do not count and a class that is
    missing.
    """
    rng = np.random.default_rng(7)
    for seed in range(60):
        x, labels, weight = random_problem(seed, weighted=True)
        if seed % 3 == 0:
            labels = np.where(labels == 1, 0, labels)
        problem, l2 = Problem(x, labels, weight), 10.0 ** rng.uniform(-6, 2)
        found = []
        for size in 10.0 ** rng.uniform(-3, 2, 3):
            b = size * rng.normal(size=C) if seed % 2 else None
            found.append(proof_of(name, params_of(size * rng.normal(size=(C, D)), b), problem, l2))
        assert max(proof.dual for proof in found) <= min(proof.primal for proof in found)
