"""2,000 correct problems in which nothing may be called wrong, and the same ones with a mistake."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from jaxlin import LinearParams, Objective, losses
from jaxlin.gradients.objective_check import check_objective

PROBLEMS_EACH = 125
LOSSES = {
    "weston_watkins": losses.weston_watkins_hinge,
    "crammer_singer": losses.CrammerSingerHinge(2.0),
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
    params = LinearParams(W.astype(dtype), b.astype(dtype) if shape.bias else None)
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
