"""Certificates on real data: the optimum that SciPy and scikit-learn find lies inside."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import optimize
from sklearn import datasets, linear_model, svm

import jaxlin
from jaxlin import solvers
from jaxlin.certificates import duality_gap
from tests.certificates import exact
from tests.certificates.layout import (
    FEATURES,
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


def spread(problem: Problem) -> Problem:
    """The same objective with as many rows and features as wine has, so that programs are shared.

    Rows are there several times, with their weight shared out.
    """
    n, d = problem.x.shape
    rows = np.resize(np.arange(n), ROWS)
    weight = (problem.weight / np.bincount(rows))[rows]
    return Problem(
        np.pad(problem.x[rows], ((0, 0), (0, FEATURES - d))), problem.labels[rows], weight
    )


@functools.cache
def solved(
    name: str, dataset: str, bias: bool, solver: solvers.LBFGS | None, tol: float
) -> jaxlin.Fit:
    """The optimum of data as they are, or spread."""
    problem = data(dataset)
    if dataset in ("iris", "wine"):
        problem = spread(problem)
    x, labels, weight = problem
    return jaxlin.fit(
        x, labels, loss=LOSSES[name], l2=L2, bias=bias, sample_weight=weight, solver=solver,
        tol=tol, dtype=np.float64,
    )  # fmt: skip


def bound_of(found: jaxlin.Fit, name: str, dataset: str, best: float, tol: float) -> float:
    """The bound of a fit that is at an optimum that is known, and proves so.

    The objective is NumPy's.
    """
    x, labels, _ = data(dataset)
    W = np.asarray(found.params.W)[:, : x.shape[1]]
    value = exact.objective(name, W, found.params.b, x, labels, L2)
    proof = found.certificate
    assert proof is not None
    assert found.outcome.kind == "converged"
    np.testing.assert_allclose(proof.primal, value, rtol=1e-12)
    assert 0.0 <= proof.relative_gap <= tol
    np.testing.assert_allclose(value, best, rtol=max(tol, 1e-9))
    return proof.dual


LBFGS = solvers.LBFGS()


# Each loss on each data set, and each of the solvers on each size; iris and wine are one to L-BFGS.
SMOOTH_CASES = [
    ("iris", "softmax", None),
    ("wine", "squared_weston_watkins", None),
    *(("breast_cancer", name, None) for name in exact.SMOOTH),
    *(("digits", name, None) for name in exact.SMOOTH),
    *((dataset, name, LBFGS) for dataset in ("iris", "wine") for name in exact.SMOOTH),
    ("digits", "softmax", LBFGS),
]


@pytest.mark.parametrize(("dataset", "name", "solver"), SMOOTH_CASES)
def test_smooth_losses(dataset: str, name: str, solver: solvers.LBFGS | None) -> None:
    """Against SciPy's L-BFGS."""
    best = by_scipy(name, dataset)
    # Of the digits' bound 2e-9 are taken off, for what its rounding errors can amount to.
    tol = 4e-9 if dataset == "digits" else 1e-9
    found = solved(name, dataset, True, solver, tol)
    assert bound_of(found, name, dataset, best, tol) <= best


@functools.cache
def by_scipy(name: str, dataset: str) -> float:
    """The optimum with a free bias."""
    x, labels, _ = data(dataset)
    return exact.optimum(name, x, labels, L2, True).value


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
    for solver in (None, LBFGS):
        found = solved(name, "iris", False, solver, 1e-9)
        assert bound_of(found, name, "iris", best.value, 1e-9) <= best.value


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
    for solver in (None, LBFGS):
        ours = solved("weston_watkins", "digits", False, solver, 1e-7)
        assert bound_of(ours, "weston_watkins", "digits", best, 1e-7) <= proof.primal


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
        known, tol = ("softmax", 1e-9) if bias else ("weston_watkins", 1e-6)
        ours = solved(known, "breast_cancer", bias, None, tol)
        assert bound_of(ours, known, "breast_cancer", best, tol) <= best


@pytest.mark.parametrize("name", HINGES)
def test_the_optimum_of_another_is_certified(name: str) -> None:
    """The rounded optimum that an interior-point method in NumPy finds, with a free bias."""
    problem = data("iris")
    best = exact.optimum(name, problem.x, problem.labels, L2, True)
    proof = proof_of(name, params_of(best.W, best.b), problem, L2)
    assert 0.0 <= proof.relative_gap < 1e-6
