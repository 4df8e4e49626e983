"""2,000 correct problems in which nothing may be called wrong, and the same ones with a mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import planted_bugs
import pytest

from jaxlin import LinearParams, Objective, losses
from jaxlin.gradients.objective_check import check_objective

PROBLEMS_EACH, PLANTED_EACH = 125, 24
LOSSES = {
    "weston_watkins": losses.weston_watkins_hinge,
    "crammer_singer": losses.crammer_singer_hinge,
    "squared_weston_watkins": losses.squared_weston_watkins_hinge,
    "softmax": losses.softmax_cross_entropy,
}
HINGES = ("weston_watkins", "crammer_singer")


@dataclasses.dataclass(frozen=True)
class Shape:
    """Few shapes, so that few programs are compiled."""

    n: int
    d: int
    c: int
    bias: bool
    weighted: bool
    dtype: Any


SHAPES = {
    "2 classes": Shape(24, 3, 2, False, False, np.float64),
    "3 classes": Shape(16, 4, 3, True, True, np.float32),
    "9 classes": Shape(30, 5, 9, True, False, np.float32),
    "50 classes": Shape(40, 2, 50, True, True, np.float64),
}
CASES = [(loss, shape) for loss in LOSSES for shape in SHAPES]


@dataclasses.dataclass(frozen=True)
class Problem:
    objective: Objective
    params: LinearParams
    x: np.ndarray
    labels: np.ndarray
    weight: np.ndarray | None

    @property
    def args(self) -> tuple[Any, ...]:
        return (self.x, self.labels) if self.weight is None else (self.x, self.labels, self.weight)

    def check(self, by_hand: Callable[..., Any] | None = None) -> Any:
        return check_objective(
            self.objective, self.params, *self.args, by_hand=by_hand, coordinates=6
        )


def drawn(rng: np.random.Generator, name: str, shape: Shape, is_tied: bool) -> Problem:
    """A random problem; with `is_tied` one with exact ties, made in one of several ways."""
    n, d, c = shape.n, shape.d, shape.c
    loss = LOSSES[name]
    margin = getattr(loss, "margin", 1.0)
    labels = rng.integers(0, c, n)
    size = 10.0 ** rng.uniform(-6, 6)
    x = rng.normal(size=(n, d)) * size
    W = rng.normal(size=(c, d)) * 10.0 ** rng.uniform(-1, 1) / (size if rng.random() < 0.7 else 1)
    b = rng.normal(size=c)
    if is_tied:
        way = rng.choice(["one-hot", "equal rows", "integers", "duplicates"])
        if way == "one-hot" and shape.bias:
            W, b = np.zeros((c, d)), margin * np.eye(c)[labels[0]]
        elif way == "equal rows" and shape.bias:
            # Powers of 2, so that sums are exact in whatever order: equal scores, and zero margins.
            W = np.tile(2.0 ** rng.integers(-3, 3, d), (c, 1))
            x = np.sign(x) * 2.0 ** rng.integers(-2, 3, (n, d))
            b = margin * (np.arange(c) == labels[0]) * rng.integers(0, 2)
        else:
            W = margin * rng.integers(-1, 2, (c, d)).astype(float)
            b = margin * rng.integers(-1, 2, c).astype(float)
            x = rng.integers(-2, 3, (n, d)).astype(float)
            # One margin at zero at least: labels[0] and its neighbour differ by one feature.
            x[0], W[labels[0]] = np.eye(d)[0], margin * np.eye(d)[0]
            other = (labels[0] + 1) % c
            W[other] = 0.0
            b[other] = b[labels[0]] = 0.0
            power = 2.0 ** rng.integers(-19, 20)
            x, W = x * power, W / power
        if way == "duplicates":
            x[n // 2 :], labels[n // 2 :] = x[: n - n // 2], labels[: n - n // 2]
    weight = None
    if shape.weighted:
        weight = rng.integers(1, 5, n).astype(float)
        weight[-1] = 0.0
    dtype = shape.dtype
    params: Any = LinearParams
    params = params(W.astype(dtype), b.astype(dtype) if shape.bias else None)
    l2 = float(rng.choice([0.0, 1e-3, 0.3]))
    return Problem(Objective(loss, l2), params, x.astype(dtype), labels, weight)


def problems(name: str, shape: str, count: int) -> list[tuple[Problem, bool]]:
    rng = np.random.default_rng([*map(ord, name + shape)])
    return [(drawn(rng, name, SHAPES[shape], i % 2 == 1), i % 2 == 1) for i in range(count)]


def exact_kinks(problem: Problem) -> np.ndarray:
    """Examples with a kink (N,), where all sums are exact."""
    W = problem.params.W.astype(np.float64)
    s = problem.x.astype(np.float64) @ W.T
    if problem.params.b is not None:
        s = s + problem.params.b.astype(np.float64)
    n, c = s.shape
    loss: Any = problem.objective.loss
    margins = s - s[np.arange(n), problem.labels, None] + loss.margin
    wrong = np.arange(c)[None] != problem.labels[:, None]
    if isinstance(loss, losses.CrammerSingerHinge):
        top = np.where(wrong, margins, -np.inf).max(axis=1)
        several = ((margins == top[:, None]) & wrong).sum(axis=1) > 1
        found = (top == 0) | ((top > 0) & several)
    else:
        found = ((margins == 0) & wrong).any(axis=1)
    if problem.weight is not None:
        found &= problem.weight > 0
    return found if problem.params.b is not None else found & (problem.x != 0).any(axis=1)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_correct_gradients_are_never_called_wrong(name: str, shape: str) -> None:
    for index, (problem, is_tied) in enumerate(problems(name, shape, PROBLEMS_EACH)):
        report = problem.check()
        where = f"problem {index}: {report}"
        assert report.verdict in ("agrees", "kink"), where
        if name not in HINGES:
            assert report.verdict == "agrees", where
        elif is_tied:
            assert (report.verdict == "kink") == bool(exact_kinks(problem).any()), where


SCORE_GRADIENTS = {
    "weston_watkins": planted_bugs.hinge,
    "crammer_singer": planted_bugs.crammer_singer,
    "squared_weston_watkins": planted_bugs.squared_hinge,
    "softmax": planted_bugs.softmax,
}


def by_hand(
    problem: Problem,
    name: str,
    *,
    row_factor: float = 1.0,
    penalty_factor: float = 1.0,
    at_zero: float | np.ndarray = 0.0,
) -> Callable[..., Any]:
    """The gradient in NumPy: one class row of W may be wrong by a factor, or the penalty.

    `at_zero` is what a Weston-Watkins margin of zero counts for, in all examples or by example.
    """
    l2 = penalty_factor * float(np.asarray(problem.objective.l2))

    def gradient(p: LinearParams, x: np.ndarray, y: np.ndarray, weight: Any = None) -> Any:
        W = np.asarray(p.W)
        s = x @ W.T + (0.0 if p.b is None else np.asarray(p.b))
        ds = SCORE_GRADIENTS[name](s, y)
        if np.any(at_zero):
            tied = (planted_bugs.margins_of(s, y) == 0.0) & ~planted_bugs.label_mask(s, y)
            more = tied * np.broadcast_to(at_zero, len(y))[:, None]
            ds = ds + more - planted_bugs.label_mask(s, y) * more.sum(axis=1, keepdims=True)
        ds = ds / len(y) if weight is None else ds * (weight / weight.sum())[:, None]
        dW = ds.T @ x + 2.0 * l2 * W
        dW[np.abs(dW).max(axis=1).argmax()] *= row_factor
        return dataclasses.replace(p, W=dW, b=None if p.b is None else ds.sum(axis=0))

    return gradient


MISTAKES = (
    {"row_factor": 1.0 + 1e-4},
    {"penalty_factor": 0.0},
    {"penalty_factor": 2.0},
)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_planted_mistakes_are_always_called_wrong(name: str, shape: str) -> None:
    found = 0
    for index, (problem, _) in enumerate(problems(name, shape, PLANTED_EACH)):
        args = (problem.params, *problem.args)
        wrong = by_hand(problem, name, **MISTAKES[index // 2 % len(MISTAKES)])
        difference = wrong(*args).W - by_hand(problem, name)(*args).W
        if np.abs(difference).max() > 1e-5 * np.abs(by_hand(problem, name)(*args).W).max():
            report = problem.check(wrong)
            assert report.verdict == "disagrees", f"problem {index}: {report}"
            found += 1
    assert found >= PLANTED_EACH // 3


@pytest.mark.parametrize("shape", [name for name, shape in SHAPES.items() if shape.bias])
def test_ways_to_count_ties_are_told_from_mistakes(shape: str) -> None:
    name, found = "weston_watkins", 0
    for index, (problem, is_tied) in enumerate(problems(name, shape, 2 * PLANTED_EACH)):
        kinks = exact_kinks(problem)
        if not (is_tied and kinks.any()):
            continue
        found += 1
        for at_zero, words in ((1.0, "`>=`"), (0.5, "`jnp.maximum`")):
            report = problem.check(by_hand(problem, name, at_zero=at_zero))
            assert report.verdict == "kink", f"problem {index}: {report}"
            assert words in report.explanation
        # With a bias the multipliers of a class add up, and no other example makes up for them.
        for wrong in (2.0, -1.0, np.where(kinks, 2.0, 0.0)):
            report = problem.check(by_hand(problem, name, at_zero=wrong))
            assert report.verdict == "disagrees", f"problem {index}, {wrong}: {report}"
    assert found >= PLANTED_EACH // 3
