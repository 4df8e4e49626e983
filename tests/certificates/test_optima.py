"""Certificates on real data: the optimum that SciPy and scikit-learn find lies inside."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special
from sklearn import datasets, linear_model, svm

import jaxlin
from jaxlin.certificates import Certificate, duality_gap
from tests.problems import LOSSES

NEWTON = jaxlin.solvers.Newton()
Value = tuple[float, np.ndarray]


@functools.cache
def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features with mean 0 and variance 1, float64."""
    x, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1.0), labels


def solved(
    name: str, x: np.ndarray, labels: np.ndarray, l2: float, bias: bool
) -> tuple[jaxlin.LinearParams, Certificate]:
    found = jaxlin.fit(
        x, labels, loss=LOSSES[name], l2=l2, bias=bias, solver=NEWTON, dtype=np.float64
    )
    return found.params, duality_gap(found.objective, found.params, x, labels)


def smooth_optimum(name: str, x: np.ndarray, labels: np.ndarray, l2: float) -> float:
    """With a free bias, by L-BFGS-B."""
    n, num_classes = len(x), int(labels.max()) + 1
    one_hot = np.eye(num_classes)[labels]

    def f(v: np.ndarray) -> Value:
        W = v.reshape(num_classes, -1)
        s = x @ W[:, :-1].T + W[:, -1]
        if name == "softmax":
            value = np.mean(special.logsumexp(s, axis=1) - s[np.arange(n), labels])
            slope = special.softmax(s, axis=1) - one_hot
        else:
            violation = np.maximum(s - s[np.arange(n), labels][:, None] + 1.0, 0.0) * (1 - one_hot)
            value = np.mean(np.sum(violation**2, axis=1))
            slope = 2 * (violation - one_hot * violation.sum(1, keepdims=True))
        gradient = np.c_[slope.T @ x / n + 2 * l2 * W[:, :-1], slope.mean(0)]
        return float(value + l2 * np.sum(W[:, :-1] ** 2)), gradient.ravel()

    start = np.zeros(num_classes * (x.shape[1] + 1))
    options = {"maxiter": 5000, "maxfun": 10000, "ftol": 0.0, "gtol": 1e-9, "maxcor": 30}
    return float(optimize.minimize(f, start, jac=True, method="L-BFGS-B", options=options).fun)


@pytest.mark.parametrize("loss", ["softmax", "squared_weston_watkins"])
@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "digits"])
def test_smooth_losses_on_real_data(name: str, loss: str) -> None:
    x, labels = data(name)
    _, proof = solved(loss, x, labels, 1e-2, True)
    best = smooth_optimum(loss, x, labels, 1e-2)
    np.testing.assert_allclose(proof.primal, best, rtol=1e-9)
    assert 0.0 <= proof.relative_gap < 1e-9
    assert proof.dual <= best * (1 + 1e-12)


class Dual:
    """A hinge's dual without a bias, by the wrong classes' beta (N, C - 1), to be minimised."""

    def __init__(self, x: np.ndarray, labels: np.ndarray, l2: float) -> None:
        self.x, self.l2, (n, num_classes) = x, l2, (len(x), int(labels.max()) + 1)
        wrong = [[k for k in range(num_classes) if k != y] for y in labels]
        self.one_hot = np.eye(num_classes)[labels]
        self.step = np.eye(num_classes)[wrong] - self.one_hot[:, None, :]  # (N, C - 1, C)
        self.shape = (n, num_classes - 1)

    def __call__(self, v: np.ndarray) -> Value:
        beta = v.reshape(self.shape)
        V = np.einsum("nk,nkc->nc", beta, self.step).T @ self.x / len(self.x)
        value = np.sum(V**2) / (4 * self.l2) - beta.sum() / len(self.x)
        s = self.x @ V.T / (2 * self.l2)
        gradient = (np.einsum("nc,nkc->nk", s, self.step) - 1.0) / len(self.x)
        return float(value), gradient.ravel()


@pytest.mark.parametrize("loss", ["weston_watkins", "crammer_singer"])
def test_hinges_on_iris(loss: str) -> None:
    """Against the dual quadratic program, by SLSQP."""
    x, labels = (part[::3] for part in data("iris"))
    _, proof = solved(loss, x, labels, 1e-2, False)
    dual = Dual(x, labels, 1e-2)
    rows = np.kron(np.eye(len(x)), np.ones((1, 2)))
    limits: Any = () if loss == "weston_watkins" else {
        "type": "ineq", "fun": lambda v: 1.0 - rows @ v, "jac": lambda v: -rows,
    }  # fmt: skip
    found = optimize.minimize(
        dual, np.full(rows.shape[1], 0.25), jac=True, method="SLSQP", constraints=limits,
        bounds=[(0.0, 1.0)] * rows.shape[1], options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    # The interior-point method rounds the kink off over 1e-7, and ends at that optimum.
    np.testing.assert_allclose(proof.primal, -found.fun, rtol=2e-8)
    assert proof.dual <= -found.fun * (1 + 1e-9)
    assert 0.0 <= proof.relative_gap < 1e-6


def test_a_hinge_on_digits() -> None:
    """Against the dual, whose box is all that there is to keep to, by L-BFGS-B."""
    x, labels = data("digits")
    _, proof = solved("weston_watkins", x, labels, 1e-2, False)
    dual = Dual(x, labels, 1e-2)
    size = int(np.prod(dual.shape))
    found = optimize.minimize(
        dual, np.zeros(size), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * size,
        options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 20000, "maxfun": 20000, "maxcor": 30},
    )  # fmt: skip
    np.testing.assert_allclose(proof.primal, -found.fun, rtol=1e-7)
    assert -found.fun <= proof.primal * (1 + 1e-12)
    assert 0.0 <= proof.relative_gap < 1e-6


def test_two_classes_as_scikit_learn_has_them() -> None:
    """It keeps one row w = W_1 - W_0, whose square is twice that of W: C = 1 / (l2 N)."""
    x, labels = data("breast_cancer")
    l2 = 1e-2
    theirs = 1.0 / (l2 * len(x))
    hinge = svm.LinearSVC(loss="hinge", fit_intercept=False, C=theirs, tol=1e-10, max_iter=10**6)
    logistic = linear_model.LogisticRegression(C=theirs, tol=1e-10, max_iter=10**4)
    for name, model, bias in (
        ("weston_watkins", hinge, False),
        ("crammer_singer", hinge, False),
        ("softmax", logistic, True),
    ):
        model.fit(x, labels)
        _, proof = solved(name, x, labels, l2, bias)
        sign = 2.0 * labels - 1.0
        score = sign * (x @ model.coef_[0] + (model.intercept_ if bias else 0.0))
        hurt = np.logaddexp(0.0, -score) if bias else np.maximum(1.0 - score, 0.0)
        best = float(np.mean(hurt) + l2 * np.sum(model.coef_**2) / 2)
        np.testing.assert_allclose(proof.primal, best, rtol=1e-6)
        assert proof.dual <= best


@pytest.mark.parametrize("loss", list(LOSSES))
def test_data_with_something_wrong(loss: str) -> None:
    """Rows twice, features that are constant, a class that nobody has, fewer rows than features."""
    x, labels = (part[::3] for part in data("wine"))
    twice = np.tile(x, (2, 1)), np.tile(labels, 2)
    constant = np.c_[x, np.zeros(len(x)), np.full(len(x), 7.0)], labels
    few = x[::10], labels[::10]
    for features, codes in (twice, constant, few):
        for bias in (False, True):
            _, proof = solved(loss, features, codes, 1e-2, bias)
            assert 0.0 <= proof.relative_gap < 1e-5
    # Where a bias is free, an absent class's runs away.
    missing = np.where(labels == 1, 2, labels)
    for bias, most in ((False, 1e-5), (True, 1e-3)):
        _, proof = solved(loss, x, missing, 1e-2, bias)
        assert 0.0 <= proof.relative_gap < most
