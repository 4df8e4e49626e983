"""Certificates on real data: the optimum that SciPy and scikit-learn find lies inside."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from sklearn import datasets, linear_model, svm

import jaxlin
from jaxlin.certificates import Certificate, duality_gap
from tests.certificates import exact
from tests.certificates.layout import (
    HINGES,
    ROWS,
    C,
    Problem,
    laid_out,
    params_of,
    proof_of,
    wide_params,
)
from tests.problems import LOSSES

L2 = 1e-2


@functools.cache
def data(name: str) -> Problem:
    """Features with mean 0 and variance 1, float64."""
    x, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1.0)
    return Problem(x, labels, np.ones(len(x)))


@functools.cache
def solved(name: str, dataset: str, bias: bool) -> Certificate:
    """Of Newton's optimum; iris and wine are solved by the same program."""
    problem = data(dataset)
    if dataset in ("iris", "wine"):
        problem = laid_out(problem)
    x, labels, weight = problem
    found = jaxlin.fit(
        x, labels, loss=LOSSES[name], l2=L2, bias=bias, sample_weight=weight,
        solver=jaxlin.solvers.Newton(), dtype=np.float64,
    )  # fmt: skip
    return duality_gap(found.objective, found.params, x, labels, weight)


@pytest.mark.parametrize("name", exact.SMOOTH)
@pytest.mark.parametrize("dataset", ["iris", "wine", "breast_cancer", "digits"])
def test_smooth_losses(dataset: str, name: str) -> None:
    """With a free bias, against SciPy's L-BFGS."""
    x, labels, _ = data(dataset)
    proof, best = solved(name, dataset, True), exact.optimum(name, x, labels, L2, True)
    np.testing.assert_allclose(proof.primal, best.value, rtol=1e-9)
    # Of the digits' bound 2e-9 are taken off, for what its rounding errors can amount to.
    assert 0.0 <= proof.relative_gap < (4e-9 if dataset == "digits" else 1e-9)
    assert proof.dual <= best.value


def by_slsqp(program: exact.DualProgram) -> float:
    """The maximum of a hinge's dual."""
    size = len(program.g)

    def f(v: np.ndarray) -> tuple[float, np.ndarray]:
        return float(0.5 * v @ program.H @ v - program.g @ v), program.H @ v - program.g

    limits = {"type": "ineq", "fun": lambda v: 1.0 - program.U @ v, "jac": lambda v: -program.U}
    found: Any = optimize.minimize(
        f, np.full(size, 0.25), jac=True, method="SLSQP", constraints=limits,
        bounds=[(0.0, 1.0)] * size, options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    return -float(found.fun)


@pytest.mark.parametrize("name", HINGES)
def test_hinges_on_iris(name: str) -> None:
    """Without a bias, against the dual quadratic program.

    By SLSQP, which takes ten seconds for all of the rows, for every other; and by the interior
    points of `exact`, which it agrees with there, for all.
    """
    x, labels, weight = problem = data("iris")
    program = exact.dual_program(name, x[::2], labels[::2], L2, weight[::2] / 75.0, 3)
    half = exact.optimum(name, x[::2], labels[::2], L2, False, width=0.0)
    np.testing.assert_allclose(half.value, by_slsqp(program), rtol=1e-12)

    best = exact.optimum(name, x, labels, L2, False, width=0.0)
    assert best.dual is not None
    dual = np.zeros((ROWS, C))
    dual[: len(x)] = best.dual
    objective = jaxlin.Objective(LOSSES[name], L2)
    proof = duality_gap(
        objective, wide_params(params_of(best.W, None)), *laid_out(problem), dual=dual
    )
    np.testing.assert_allclose([proof.primal, proof.dual], best.value, rtol=1e-9)

    # Newton's optimum is that of a hinge with its kinks rounded off over 1e-7: no nearer.
    ours = solved(name, "iris", False)
    np.testing.assert_allclose(ours.primal, best.value, rtol=2e-8)
    assert ours.dual <= best.value
    assert 0.0 <= ours.relative_gap < 1e-6


@exact.one_thread
def test_a_hinge_on_digits() -> None:
    """Without a bias, against the dual, whose box is all that there is to keep to, by L-BFGS-B."""
    x, labels, _ = data("digits")
    n, c = len(x), 10
    one_hot = np.eye(c)[labels]

    def rows(v: np.ndarray) -> np.ndarray:
        beta = v.reshape(n, c) * (1.0 - one_hot)
        return beta - one_hot * beta.sum(axis=1, keepdims=True)

    def f(v: np.ndarray) -> tuple[float, np.ndarray]:
        a = rows(v)
        V = a.T @ x / n
        s = x @ V.T / (2.0 * L2)
        slope = (s - np.sum(s * one_hot, axis=1, keepdims=True) - 1.0) * (1.0 - one_hot) / n
        return float(np.sum(V * V) / (4.0 * L2) + np.sum(a * one_hot) / n), slope.ravel()

    found: Any = optimize.minimize(
        f, np.zeros(n * c), jac=True, method="L-BFGS-B", bounds=[(0.0, 1.0)] * (n * c),
        options={"ftol": 0.0, "gtol": 1e-10, "maxiter": 5000, "maxfun": 6000, "maxcor": 20},
    )  # fmt: skip
    best, dual = -float(found.fun), rows(found.x)
    params = params_of(-dual.T @ x / n / (2.0 * L2), None)
    objective = jaxlin.Objective(LOSSES["weston_watkins"], L2)
    proof = duality_gap(objective, params, x, labels, dual=dual)
    np.testing.assert_allclose(proof.dual, best, rtol=1e-9)
    # W is the slow half: 1e-7 here, and with another order of sums it may be twice that.
    assert 0.0 <= proof.relative_gap < 3e-7
    assert duality_gap(objective, params, x, labels).dual <= proof.primal


def test_two_classes_as_scikit_learn_has_them() -> None:
    """It keeps one row w = W_1 - W_0, whose square is twice that of W: C = 1 / (l2 N).

    Its optimum, as two rows, has the objective that it has there, and is certified.
    """
    x, labels, _ = data("breast_cancer")
    theirs = 1.0 / (L2 * len(x))
    hinge = svm.LinearSVC(loss="hinge", fit_intercept=False, C=theirs, tol=1e-10, max_iter=10**6)
    logistic = linear_model.LogisticRegression(C=theirs, tol=1e-10, max_iter=10**4)
    sign = 2.0 * labels - 1.0
    for name, model in (*((name, hinge) for name in HINGES), ("softmax", logistic)):
        model.fit(x, labels)
        bias = name == "softmax"
        w, intercept = model.coef_[0], np.ravel(model.intercept_)[0] if bias else 0.0
        score = sign * (x @ w + intercept)
        hurt = np.logaddexp(0.0, -score) if bias else np.maximum(1.0 - score, 0.0)
        best = float(np.mean(hurt) + L2 * np.sum(w**2) / 2)
        b = np.array([-0.5, 0.5]) * intercept if bias else None
        params = params_of(np.array([-0.5 * w, 0.5 * w]), b)
        proof = duality_gap(jaxlin.Objective(LOSSES[name], L2), params, x, labels)
        np.testing.assert_allclose(proof.primal, best, rtol=1e-12)
        assert proof.dual <= best
        ours = solved("softmax" if bias else "weston_watkins", "breast_cancer", bias)
        np.testing.assert_allclose(ours.primal, best, rtol=1e-7)
        assert ours.dual <= best
        assert 0.0 <= ours.relative_gap < 1e-6


@pytest.mark.parametrize("name", HINGES)
def test_the_optimum_of_another_is_certified(name: str) -> None:
    """The rounded optimum that an interior-point method in NumPy finds, with a free bias."""
    problem = data("iris")
    best = exact.optimum(name, problem.x, problem.labels, L2, True)
    proof = proof_of(name, params_of(best.W, best.b), problem, L2)
    assert 0.0 <= proof.relative_gap < 1e-6
