"""Optima in NumPy and SciPy, float64, by methods that the library does not have.

A smooth loss is minimised by L-BFGS. A hinge is minimised through its dual, a quadratic program
over the wrong classes' beta, by an interior-point method: the optimum of such a program is a
matrix factorisation away, whatever the strength. Whoever doubts them need not: the objective at
what they give is at least the optimum, and a certificate says by how much.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import threadpoolctl
from scipy import linalg, optimize

SMOOTH = ("softmax", "squared_weston_watkins")
# Beside other processes, threads that wait for each other make these small products take minutes.
one_thread = threadpoolctl.ThreadpoolController().wrap(limits=1)


@dataclasses.dataclass(frozen=True)
class Optimum:
    """W (C, D), b (C,) or None, the objective there, and for a hinge the rows a_i (N, C)."""

    W: np.ndarray
    b: np.ndarray | None
    value: float
    dual: np.ndarray | None = None


def losses_and_slopes(
    name: str, s: np.ndarray, labels: np.ndarray, margin: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The losses (N,) and their slopes (N, C) at scores (N, C)."""
    rows, one_hot = np.arange(len(s)), np.eye(s.shape[1])[labels]
    if name == "softmax":
        powers = np.exp(s - s.max(axis=1, keepdims=True))
        total = powers.sum(axis=1, keepdims=True)
        values = np.log(total[:, 0]) + s.max(axis=1) - s[rows, labels]
        return values, powers / total - one_hot
    margins = np.maximum(s - s[rows, labels][:, None] + margin, 0.0) * (1.0 - one_hot)
    if name == "squared_weston_watkins":
        values, beta = np.sum(margins**2, axis=1), 2.0 * margins
    elif name == "weston_watkins":
        values, beta = np.sum(margins, axis=1), (margins > 0.0).astype(float)
    else:
        values = np.max(margins, axis=1)
        beta = np.eye(s.shape[1])[margins.argmax(axis=1)] * (values > 0.0)[:, None]
    return values, beta - one_hot * np.sum(beta, axis=1, keepdims=True)


def objective(
    name: str, W: Any, b: Any, x: np.ndarray, labels: np.ndarray, l2: float, weight: Any = None,
    margin: float = 1.0,
) -> float:  # fmt: skip
    """The objective, in float64."""
    W = np.asarray(W, np.float64)
    s = x @ W.T + (0.0 if b is None else np.asarray(b, np.float64))
    values = losses_and_slopes(name, s, labels, margin)[0]
    return float(np.average(values, weights=weight) + l2 * np.sum(W * W))


@one_thread
def optimum(
    name: str,
    x: np.ndarray,
    labels: np.ndarray,
    l2: float,
    bias: bool,
    weight: np.ndarray | None = None,
    num_classes: int = 0,
    width: float = 1e-7,
    margin: float = 1.0,
) -> Optimum:
    """The minimum.

    A hinge's kink is rounded over `width`, so that its slopes can be told from the scores, as a
    certificate tells them; 0 leaves it as it is.
    """
    num_classes = num_classes or int(labels.max()) + 1
    share = np.full(len(x), 1.0 / len(x)) if weight is None else weight / np.sum(weight)
    if name in SMOOTH:
        return _smooth(name, x, labels, l2, bias, share, num_classes, margin)
    return _hinge(name, x, labels, l2, bias, share, num_classes, width, margin)


def _smooth(
    name: str, x: np.ndarray, labels: np.ndarray, l2: float, bias: bool, share: Any, c: int,
    margin: float,
) -> Optimum:  # fmt: skip
    features = np.c_[x, np.ones((len(x), int(bias)))]
    strength = np.full(features.shape[1], l2)
    strength[x.shape[1] :] = 0.0

    def f(v: np.ndarray) -> tuple[float, np.ndarray]:
        W = v.reshape(c, -1)
        values, slopes = losses_and_slopes(name, features @ W.T, labels, margin)
        gradient = (slopes * share[:, None]).T @ features + 2.0 * strength * W
        return float(values @ share + np.sum(strength * W * W)), gradient.ravel()

    start = np.zeros(c * features.shape[1])
    pairs, gtol = min(len(start), 30), 1e-8 if len(start) < 100 else 1e-7
    options = {"maxiter": 5000, "maxfun": 10000, "ftol": 0.0, "gtol": gtol, "maxcor": pairs}
    found = optimize.minimize(f, start, jac=True, method="L-BFGS-B", options=options)
    W = found.x.reshape(c, -1)
    return Optimum(W[:, : x.shape[1]], W[:, -1] if bias else None, float(found.fun))


@dataclasses.dataclass(frozen=True)
class DualProgram:
    """Minimise `v^T H v / 2 - g^T v` with v >= 0, U v <= 1 and E v = 0; v are N (C - 1) betas."""

    H: np.ndarray
    g: np.ndarray
    U: np.ndarray
    E: np.ndarray
    steps: np.ndarray  # from beta to a: e_j - e_y (N (C - 1), C)

    def rows(self, v: np.ndarray, num_examples: int) -> np.ndarray:
        """The rows a_i (N, C)."""
        return np.sum((v[:, None] * self.steps).reshape(num_examples, -1, len(self.E)), axis=1)


def dual_program(
    name: str, x: np.ndarray, labels: np.ndarray, l2: float, share: Any, c: int,
    width: float = 0.0, margin: float = 1.0,
) -> DualProgram:  # fmt: skip
    """A hinge's dual; E has a row for each class, of which a free bias needs all but one."""
    wrong = np.array([[k for k in range(c) if k != y] for y in labels])
    steps = (np.eye(c)[wrong] - np.eye(c)[labels][:, None, :]).reshape(-1, c)
    each = np.repeat(share, c - 1)
    by_beta = each[:, None, None] * steps[:, :, None] * np.repeat(x, c - 1, 0)[:, None, :]
    by_beta = by_beta.reshape(len(each), -1)
    H = by_beta @ by_beta.T / (2.0 * l2) + width * np.diag(each)
    shares_slack = name == "crammer_singer"
    U = np.kron(np.eye(len(x)), np.ones((1, c - 1))) if shares_slack else np.eye(len(each))
    return DualProgram(H, margin * each, U, each * steps.T, steps)


def _hinge(
    name: str, x: np.ndarray, labels: np.ndarray, l2: float, bias: bool, share: Any, c: int,
    width: float, margin: float,
) -> Optimum:  # fmt: skip
    kept = share > 0.0
    program = dual_program(name, x[kept], labels[kept], l2, share[kept], c, width, margin)
    present = np.unique(labels[kept])
    # The last class that is there keeps b = 0, and those that are not may have no part.
    free = present[:-1] if bias else present[:0]
    v, multipliers = _interior_point(program, program.E[free])
    dual = np.zeros((len(x), c))
    dual[kept] = program.rows(v, int(np.sum(kept)))
    W = -(dual * share[:, None]).T @ x / (2.0 * l2)
    b = np.zeros(c) if bias else None
    if b is not None:
        b[free] = -multipliers
    return Optimum(W, b, objective(name, W, b, x, labels, l2, share, margin), dual)


def _interior_point(program: DualProgram, E: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """v and the multipliers of `E v = 0`: Mehrotra's predictor and corrector."""
    # In the units of one example. Slacks of v >= 0 are v, and of U v <= 1 they are s[n:].
    unit, U, n = program.g.max(), program.U, len(program.g)
    H, g, E = program.H / unit, program.g / unit, E / unit
    v, y = np.full(n, 0.5 / U.sum(axis=1).max()), np.zeros(len(E))
    s: np.ndarray = np.concatenate([v, 1.0 - U @ v])
    z: np.ndarray = np.ones(len(s))
    rows = np.concatenate([U, E])
    for _ in range(60):
        slope = H @ v - g - z[:n] + U.T @ z[n:] + E.T @ y
        mu = s @ z / len(s)
        if mu < 1e-15:
            break
        # z of U v <= 1 stays in the system: a large z / s would swamp H.
        corner = np.diag(np.concatenate([-s[n:] / z[n:], np.zeros(len(E))]))
        K = np.block([[H + np.diag(z[:n] / v), rows.T], [rows, corner]])
        system = (linalg.lu_factor(K), U, s, z, slope, E @ v)
        ds, dz, _ = _direction(system, np.zeros(len(s)))
        t = min(_longest(s, ds), _longest(z, dz))
        sigma = max((s + t * ds) @ (z + t * dz) / len(s) / mu, 0.0) ** 3
        ds, dz, dy = _direction(system, sigma * mu - ds * dz)
        t = 0.99 * min(_longest(s, ds), _longest(z, dz))
        v, s, z, y = v + t * ds[:n], s + t * ds, z + t * dz, y + t * dy
    return v, y


def _direction(system: Any, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For s, z and y, where s * z is wanted to be this."""
    factor, U, s, z, slope, unbalanced = system
    n = len(slope)
    moved = wanted - s * z
    right = (moved[:n] / s[:n] - slope, -moved[n:] / z[n:], -unbalanced)
    dv, dz_above, dy = np.split(linalg.lu_solve(factor, np.concatenate(right)), [n, len(s)])
    dz = np.concatenate([(moved[:n] - z[:n] * dv) / s[:n], dz_above])
    return np.concatenate([dv, -U @ dv]), dz, dy


def _longest(values: np.ndarray, direction: np.ndarray) -> float:
    """The step at which the first value would be zero, or 1 / 0.99."""
    falls = direction < 0.0
    return min([1.0 / 0.99, *(-values[falls] / direction[falls])])
