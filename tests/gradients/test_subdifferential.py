"""Kinks in closed form, against plain loops and against values alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracles
import pytest

from jaxlin import losses
from jaxlin.gradients.closed_form import HostProblem, margins
from jaxlin.gradients.membership import ANOTHER, Membership, membership, project
from jaxlin.gradients.subdifferential import (
    Ties,
    crossing,
    directional_derivative,
    find_ties,
    one_sided_gradients,
)

HINGES = [
    losses.WestonWatkinsHinge(),
    losses.WestonWatkinsHinge(2.0),
    losses.CrammerSingerHinge(),
    losses.CrammerSingerHinge(2.0),
]
L2 = 0.25


def tied_problem(loss: Any, seed: int, *, has_bias: bool = True, n: int = 20) -> HostProblem:
    """Whole numbers, so that many margins are exactly zero and many maxima shared."""
    rng = np.random.default_rng(seed)
    weights = loss.margin * rng.integers(-1, 2, (4, 3 + has_bias)).astype(float)
    share = rng.integers(0, 4, n).astype(float)
    penalty = 2.0 * L2 * weights
    if has_bias:
        penalty[:, -1] = 0.0
    return HostProblem(
        loss=loss,
        weights=weights,
        x=rng.integers(-1, 2, (n, 3)).astype(np.float32),
        labels=rng.integers(0, 4, n),
        shares=share / share.sum(),
        penalty=penalty,
        has_bias=has_bias,
    )


def value(problem: HostProblem, weights: np.ndarray) -> float:
    """The objective, by the oracles' loops."""
    W, b = (weights[:, :-1], weights[:, -1]) if problem.has_bias else (weights, None)
    one: Any = oracles.crammer_singer
    if isinstance(problem.loss, losses.WestonWatkinsHinge):
        one = oracles.weston_watkins
    s = oracles.scores(W, np.zeros(len(W)) if b is None else b, problem.x)
    each = [
        one(list(row), int(y), problem.margin) for row, y in zip(s, problem.labels, strict=True)
    ]
    return float(np.dot(problem.shares, each)) + L2 * float(np.sum(W**2))


def ties_of(problem: HostProblem) -> Ties:
    return find_ties(problem, margins(problem))


def judged(problem: HostProblem, gradient: np.ndarray) -> Membership:
    ties = ties_of(problem)
    return membership(problem, ties, gradient, np.full(gradient.shape, 1e-13), ties.conventions())


def of_beta(problem: HostProblem, ties: Ties, beta: np.ndarray) -> np.ndarray:
    return problem.gradient(ties.element(beta)) + problem.penalty


def random_beta(ties: Ties, rng: np.random.Generator) -> np.ndarray:
    """Multipliers that are allowed, off their bounds."""
    beta = np.where(ties.tied, rng.uniform(0.05, 0.95, ties.tied.shape), 0.0)
    if ties.is_simplex:
        beta /= beta.sum(axis=1, keepdims=True)
        beta *= np.where(ties.is_whole, 1.0, rng.uniform(0.1, 0.9, len(beta)))[:, None]
    return beta


@pytest.mark.parametrize("loss", HINGES, ids=str)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("has_bias", [True, False])
def test_one_sided_derivatives_are_those_of_the_values(
    loss: Any, seed: int, has_bias: bool
) -> None:
    problem = tied_problem(loss, seed, has_bias=has_bias)
    ties = ties_of(problem)
    assert ties.count
    sides = one_sided_gradients(problem, ties)
    here, step = value(problem, problem.weights), 2.0**-20
    rng = np.random.default_rng(seed)
    for index in np.ndindex(problem.weights.shape):
        axis = np.zeros_like(problem.weights)
        axis[index] = 1.0
        right = (value(problem, problem.weights + step * axis) - here) / step
        left = (here - value(problem, problem.weights - step * axis)) / step
        assert sides.right[index] == pytest.approx(right, abs=1e-6)
        assert sides.left[index] == pytest.approx(left, abs=1e-6)
        assert directional_derivative(problem, ties, axis) == pytest.approx(sides.right[index])
        assert -directional_derivative(problem, ties, -axis) == pytest.approx(sides.left[index])
    for _ in range(5):
        v = rng.normal(size=problem.weights.shape)
        slope = (value(problem, problem.weights + step * v) - here) / step
        assert directional_derivative(problem, ties, v) == pytest.approx(slope, abs=1e-4)


@pytest.mark.parametrize("loss", HINGES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_ties_are_where_whole_numbers_tie(loss: Any, seed: int) -> None:
    problem = tied_problem(loss, seed)
    found = margins(problem)
    s = oracles.scores(problem.weights[:, :-1], problem.weights[:, -1], problem.x)
    expected = np.zeros(problem.shape, bool)
    for i, y in enumerate(problem.labels):
        row = {j: s[i][j] - s[i][y] + problem.margin for j in range(4) if j != y}
        for j, margin in row.items():
            assert found.value[i, j] == margin
            top = max(row.values())
            if isinstance(loss, losses.WestonWatkinsHinge):
                expected[i, j] = margin == 0
            else:
                shared = list(row.values()).count(top) > 1
                expected[i, j] = margin == top and (top == 0 or (top > 0 and shared))
    ties = ties_of(problem)
    seen = np.zeros_like(expected)
    seen[ties.rows] = ties.tied
    assert np.array_equal(seen, expected & (problem.shares > 0)[:, None])


@pytest.mark.parametrize("loss", HINGES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_the_librarys_element_is_the_oracles_gradient(loss: Any, seed: int) -> None:
    problem = tied_problem(loss, seed)
    ties = ties_of(problem)
    gradient: Any = oracles.crammer_singer_gradient
    if isinstance(loss, losses.WestonWatkinsHinge):
        gradient = oracles.weston_watkins_gradient
    s = oracles.scores(problem.weights[:, :-1], problem.weights[:, -1], problem.x)
    pairs = zip(s, problem.labels, strict=True)
    ds = np.array([gradient(list(row), int(y), problem.margin) for row, y in pairs])
    expected = (ds * problem.shares[:, None]).T @ np.c_[problem.x, np.ones(len(ds))]
    np.testing.assert_allclose(
        of_beta(problem, ties, ties.library()), expected + problem.penalty, atol=1e-15
    )


@pytest.mark.parametrize("loss", HINGES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_every_element_is_recognised(loss: Any, seed: int) -> None:
    problem = tied_problem(loss, seed)
    ties = ties_of(problem)
    for name, beta in ties.conventions():
        found = judged(problem, of_beta(problem, ties, beta))
        assert found.answer == "member"
        assert found.convention in [known for known, _ in ties.conventions()], name
    rng = np.random.default_rng(seed)
    for _ in range(3):
        gradient = of_beta(problem, ties, random_beta(ties, rng))
        found = judged(problem, gradient)
        assert found.answer == "member"
        assert found.convention == ANOTHER
        np.testing.assert_allclose(found.nearest, gradient, atol=1e-13)


@pytest.mark.parametrize("loss", HINGES, ids=str)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mistake", [2.0, -1.0, "row", "small"])
def test_what_is_no_element_is_separated(loss: Any, seed: int, mistake: Any) -> None:
    problem = tied_problem(loss, seed)
    ties = ties_of(problem)
    gradient = of_beta(problem, ties, ties.library())
    if mistake == "row":
        gradient[0] += 1e-3  # the rows of a data term sum to zero; no tie changes that
    elif mistake == "small":
        worst = max(np.ndindex(gradient.shape), key=lambda at: abs(gradient[at]))
        gradient[worst] *= 1.0 + 1e-6
    else:
        gradient = of_beta(problem, ties, np.where(ties.tied, mistake, 0.0))
    found = judged(problem, gradient)
    assert found.answer == "outside"
    assert found.separation is not None
    v = found.separation / np.abs(found.separation).max()
    assert np.vdot(gradient, v) > directional_derivative(problem, ties, v)


def test_multipliers_that_contradict_each_other_are_outside() -> None:
    # Two copies of one example: only the sum of their multipliers can be seen, at most 2 shares.
    problem = HostProblem(
        loss=losses.WestonWatkinsHinge(),
        weights=np.array([[1.0], [0.0]]),
        x=np.ones((2, 1)),
        labels=np.zeros(2, np.int64),
        shares=np.full(2, 0.5),
        penalty=np.zeros((2, 1)),
        has_bias=False,
    )
    ties = ties_of(problem)
    for beta, answer in (((0.2, 0.9), "member"), ((1.5, 0.4), "member"), ((1.5, 0.6), "outside")):
        full = np.array([[0.0, beta[0]], [0.0, beta[1]]])
        assert judged(problem, of_beta(problem, ties, full)).answer == answer


@pytest.mark.parametrize("loss", HINGES, ids=str)
def test_crossings_are_where_the_derivative_changes(loss: Any) -> None:
    rng = np.random.default_rng(0)
    problem = tied_problem(loss, 1, n=30)
    generic = HostProblem(
        **{**vars(problem), "x": rng.normal(size=(30, 3)), "penalty": np.zeros((4, 4))}
    )
    for step in (1e-2, 0.2, 1.0):
        v = rng.normal(size=generic.weights.shape)
        met = crossing(generic, margins(generic), v, step)
        ends = [
            HostProblem(**{**vars(generic), "weights": generic.weights + t * v})
            for t in (step, -step)
        ]
        slopes = [directional_derivative(end, ties_of(end), v) for end in ends]
        change = slopes[0] - slopes[1]
        assert 0.0 <= change <= met.jump + 1e-12
        if isinstance(loss, losses.WestonWatkinsHinge):
            signs = [margins(end).value > 0 for end in ends]
            wrong = generic.is_wrong & (generic.shares > 0)[:, None]
            expected = np.argwhere((signs[0] != signs[1]) & wrong)
            assert np.array_equal(np.stack([met.rows, met.classes], 1), expected)
            assert met.jump == pytest.approx(change)


def test_the_projection_is_the_nearest_point() -> None:
    rng = np.random.default_rng(3)
    problem = tied_problem(losses.CrammerSingerHinge(), 2)
    ties = ties_of(problem)
    wanted = 2.0 * rng.normal(size=ties.tied.shape)
    found = project(ties, wanted)
    sums = found.sum(axis=1)
    assert (found >= 0).all()
    assert (sums <= 1 + 1e-12).all()
    np.testing.assert_allclose(sums[ties.is_whole], 1.0)
    for _ in range(200):  # nothing that is allowed lies on the other side of it
        other = project(ties, 2.0 * rng.normal(size=wanted.shape))
        assert np.vdot(wanted - found, other - found) <= 1e-12
