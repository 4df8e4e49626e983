"""A twin of every formula, in plain loops over Python floats: slow, and easy to check by eye.

They are written from the formulas, one example and one class at a time, and share no code with the
library. At a kink they keep its two conventions: the derivative of `max(0, z)` at `z = 0` is 0, and
among equal maxima the lowest class index counts. Everything is float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Value = Callable[[Sequence[float], int], float]
Gradient = Callable[[Sequence[float], int], list[float]]


def rows(array: Any) -> list[list[float]]:
    """An array (N, K) as lists of Python floats."""
    return np.asarray(array).astype(np.float64).tolist()


# Scores


def scores(W: Any, b: Any, x: Any) -> np.ndarray:
    """`s_ik = sum_d W_kd x_id + b_k`, (N, C)."""
    templates = rows(W)
    biases = [0.0] * len(templates) if b is None else rows([b])[0]
    found = []
    for example in rows(x):
        example_scores = []
        for template, bias in zip(templates, biases, strict=True):
            total = bias
            for weight, feature in zip(template, example, strict=True):
                total += weight * feature
            example_scores.append(total)
        found.append(example_scores)
    return np.array(found, np.float64).reshape(len(found), len(templates))


def predicted(s: Sequence[float]) -> int:
    """The class with the highest score, the lowest index among equals."""
    best = 0
    for k in range(1, len(s)):
        if s[k] > s[best]:
            best = k
    return best


def accuracy(score_rows: Any, labels: Any, sample_weight: Any = None) -> float:
    """The weight of the examples whose prediction is the label, by the weight of all."""
    right, total = 0.0, 0.0
    for i, s in enumerate(rows(score_rows)):
        weight = 1.0 if sample_weight is None else float(sample_weight[i])
        total += weight
        if predicted(s) == int(labels[i]):
            right += weight
    return right / total


# Losses of one example with scores s and label y, and their derivatives by s


def weston_watkins(s: Sequence[float], y: int, margin: float = 1.0) -> float:
    """`sum_{j != y} max(0, s_j - s_y + margin)`."""
    total = 0.0
    for j in range(len(s)):
        if j != y:
            total += max(0.0, s[j] - s[y] + margin)
    return total


def weston_watkins_gradient(s: Sequence[float], y: int, margin: float = 1.0) -> list[float]:
    gradient = [0.0] * len(s)
    for j in range(len(s)):
        if j != y and s[j] - s[y] + margin > 0.0:
            gradient[j] += 1.0
            gradient[y] -= 1.0
    return gradient


def squared_weston_watkins(s: Sequence[float], y: int, margin: float = 1.0) -> float:
    """`sum_{j != y} max(0, s_j - s_y + margin)^2`."""
    total = 0.0
    for j in range(len(s)):
        if j != y:
            total += max(0.0, s[j] - s[y] + margin) ** 2
    return total


def squared_weston_watkins_gradient(s: Sequence[float], y: int, margin: float = 1.0) -> list[float]:
    gradient = [0.0] * len(s)
    for j in range(len(s)):
        if j != y:
            slope = 2.0 * max(0.0, s[j] - s[y] + margin)
            gradient[j] += slope
            gradient[y] -= slope
    return gradient


def worst_wrong_class(s: Sequence[float], y: int) -> int | None:
    """The class other than y with the highest score, the lowest index among equals."""
    worst = None
    for j in range(len(s)):
        if j != y and (worst is None or s[j] > s[worst]):
            worst = j
    return worst


def crammer_singer(s: Sequence[float], y: int, margin: float = 1.0) -> float:
    """`max(0, max_{j != y} s_j - s_y + margin)`, and 0 where there is no other class."""
    worst = worst_wrong_class(s, y)
    return 0.0 if worst is None else max(0.0, s[worst] - s[y] + margin)


def crammer_singer_gradient(s: Sequence[float], y: int, margin: float = 1.0) -> list[float]:
    gradient = [0.0] * len(s)
    worst = worst_wrong_class(s, y)
    if worst is not None and s[worst] - s[y] + margin > 0.0:
        gradient[worst] = 1.0
        gradient[y] = -1.0
    return gradient


def softmax_probabilities(s: Sequence[float]) -> list[float]:
    """`exp(s_k) / sum_j exp(s_j)`, with the highest score taken off all of them first."""
    top = max(s)
    exponentials = [math.exp(score - top) for score in s]
    return [exponential / math.fsum(exponentials) for exponential in exponentials]


def softmax_cross_entropy(s: Sequence[float], y: int) -> float:
    """`-log(exp(s_y) / sum_j exp(s_j)) = log(sum_j exp(s_j - s_top)) - (s_y - s_top)`."""
    top = max(s)
    return math.log(math.fsum(math.exp(score - top) for score in s)) - (s[y] - top)


def softmax_cross_entropy_gradient(s: Sequence[float], y: int) -> list[float]:
    gradient = softmax_probabilities(s)
    gradient[y] -= 1.0
    return gradient


VALUES: dict[str, Value] = {
    "weston_watkins": weston_watkins,
    "squared_weston_watkins": squared_weston_watkins,
    "crammer_singer": crammer_singer,
    "softmax": softmax_cross_entropy,
}
GRADIENTS: dict[str, Gradient] = {
    "weston_watkins": weston_watkins_gradient,
    "squared_weston_watkins": squared_weston_watkins_gradient,
    "crammer_singer": crammer_singer_gradient,
    "softmax": softmax_cross_entropy_gradient,
}


def values(name: str, score_rows: Any, labels: Any) -> np.ndarray:
    """The loss of each example, (N,)."""
    return np.array(
        [
            VALUES[name](s, int(y))
            for s, y in zip(rows(score_rows), np.asarray(labels).tolist(), strict=True)
        ]
    )


def score_gradients(name: str, score_rows: Any, labels: Any) -> np.ndarray:
    """The derivative of each example's loss by its scores, (N, C)."""
    return np.array(
        [
            GRADIENTS[name](s, int(y))
            for s, y in zip(rows(score_rows), np.asarray(labels).tolist(), strict=True)
        ]
    )


# The objective


def l2(W: Any) -> float:
    """`sum_kl W_kl^2`."""
    total = 0.0
    for row in rows(W):
        for weight in row:
            total += weight * weight
    return total


def objective(
    name: str, strength: float, W: Any, b: Any, x: Any, labels: Any, sample_weight: Any = None
) -> float:
    """`sum_i w_i L_i / sum_i w_i + strength * sum_kl W_kl^2`."""
    weighted, total = 0.0, 0.0
    for i, s in enumerate(rows(scores(W, b, x))):
        weight = 1.0 if sample_weight is None else float(sample_weight[i])
        weighted += weight * VALUES[name](s, int(labels[i]))
        total += weight
    return weighted / total + strength * l2(W)


def objective_gradient(
    name: str, strength: float, W: Any, b: Any, x: Any, labels: Any, sample_weight: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives of `objective` by W (C, D) and by b (C,)."""
    examples, templates = rows(x), rows(W)
    num_classes, num_features = len(templates), len(templates[0])
    weights = [1.0] * len(examples) if sample_weight is None else [float(w) for w in sample_weight]
    total = sum(weights)
    by_W = [[2.0 * strength * weight for weight in row] for row in templates]
    by_b = [0.0] * num_classes
    for i, s in enumerate(rows(scores(W, b, x))):
        by_score = GRADIENTS[name](s, int(labels[i]))
        for k in range(num_classes):
            share = weights[i] / total * by_score[k]
            by_b[k] += share
            for d in range(num_features):
                by_W[k][d] += share * examples[i][d]
    return np.array(by_W), np.array(by_b)


# Numerical gradients


def central_difference(
    f: Callable[[np.ndarray], float], point: np.ndarray, step: float
) -> np.ndarray:
    """`(f(p + h) - f(p - h)) / 2h` for each coordinate of a vector."""
    gradient = []
    for i in range(len(point)):
        up, down = point.astype(np.float64), point.astype(np.float64)
        up[i] += step
        down[i] -= step
        gradient.append((f(up) - f(down)) / (2.0 * step))
    return np.array(gradient)


def forward_difference(
    f: Callable[[np.ndarray], float], point: np.ndarray, step: float
) -> np.ndarray:
    """`(f(p + h) - f(p)) / h` for each coordinate of a vector."""
    gradient = []
    for i in range(len(point)):
        up = point.astype(np.float64)
        up[i] += step
        gradient.append((f(up) - f(point.astype(np.float64))) / step)
    return np.array(gradient)


def slope_along(value: Value, s: Sequence[float], y: int, direction: Sequence[float]) -> float:
    """The one-sided derivative of a loss along a direction, by a small step of a power of two.

    Exact for a loss that is piecewise linear, where scores and direction are small multiples of a
    power of two.
    """
    step = 2.0**-20
    there = [score + step * part for score, part in zip(s, direction, strict=True)]
    return (value(there, y) - value(s, y)) / step


# Scaling


def standardisation(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (divided by N) of each feature, (D,) both."""
    examples = rows(x)
    means, deviations = [], []
    for d in range(len(examples[0])):
        column = [example[d] for example in examples]
        mean = math.fsum(column) / len(column)
        variance = math.fsum((value - mean) ** 2 for value in column) / len(column)
        means.append(mean)
        deviations.append(math.sqrt(variance))
    return np.array(means), np.array(deviations)


def largest_absolute_value(x: Any) -> float:
    top = 0.0
    for example in rows(x):
        for value in example:
            top = max(top, abs(value))
    return top


# Conjugates and the dual


def conjugate(name: str, a: Sequence[float], y: int, margin: float = 1.0) -> float:
    """`sup_s <a, s> - L(s)` for a row a that sums to 0; infinite outside the feasible set."""
    if name == "softmax":
        p = [value + (1.0 if j == y else 0.0) for j, value in enumerate(a)]
        if min(p) < -1e-15:
            return math.inf
        return math.fsum(value * math.log(value) for value in p if value > 0.0)
    beta = [value for j, value in enumerate(a) if j != y]
    if any(value < 0.0 for value in beta):
        return math.inf
    if name == "weston_watkins" and any(value > 1.0 for value in beta):
        return math.inf
    if name == "crammer_singer" and math.fsum(beta) > 1.0 + 1e-13:
        return math.inf
    value = -margin * math.fsum(beta)
    if name == "squared_weston_watkins":
        value += math.fsum(b * b for b in beta) / 4.0
    return value


def dual_objective(
    name: str, strength: float, dual: Any, x: Any, labels: Any, sample_weight: Any = None
) -> float:
    """`-sum_i w_i L*_i(a_i) - ||sum_i w_i a_i x_i^T||^2 / (4 strength)`, weights with sum 1."""
    points, examples = rows(dual), rows(x)
    weights = [1.0] * len(points) if sample_weight is None else [float(w) for w in sample_weight]
    total = math.fsum(weights)
    value = 0.0
    V = np.zeros((len(points[0]), len(examples[0])))
    for a, example, y, weight in zip(points, examples, labels, weights, strict=True):
        value -= weight / total * conjugate(name, a, int(y))
        V += weight / total * np.outer(a, example)
    return value - float((V**2).sum()) / (4.0 * strength)
