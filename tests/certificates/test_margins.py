"""Margins other than 1: certificates as tight, fits as exact, and both follow the law of scales.

With `W = m U`, a hinge of margin m is m times that of margin 1 at U, and the squared one m^2 times:

    P_m(m U; l2) = m P_1(U; m l2)        and        P_m(m U; l2) = m^2 P_1(U; l2)

so that the optima are m times those with margin 1, at `m l2` and at `l2`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jaxlin
from jaxlin import solvers
from tests.certificates import exact
from tests.certificates.layout import (
    L2,
    ROWS,
    C,
    D,
    loss_of,
    params_of,
    proof_of,
    random_problem,
)

NAMES = ("weston_watkins", "crammer_singer", "squared_weston_watkins")
# Those of the tests of soundness, which compile them.
CASES = ((0.5, False), (3.0, True))


def by_the_law(
    name: str, x: Any, labels: Any, l2: float, bias: bool, weight: Any, margin: float
) -> exact.Optimum:
    """The optimum with a margin, from one that is found with margin 1."""
    is_squared = name == "squared_weston_watkins"
    own_l2 = l2 if is_squared else margin * l2
    best = exact.optimum(name, x, labels, own_l2, bias, weight)
    b = None if best.b is None else margin * best.b
    return exact.Optimum(margin * best.W, b, margin ** (1 + is_squared) * best.value)


@pytest.mark.parametrize(("margin", "bias"), CASES)
@pytest.mark.parametrize("name", NAMES)
def test_a_certificate_is_tight_at_the_optimum_and_holds_everywhere(
    name: str, margin: float, bias: bool
) -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        problem, l2 = random_problem(seed, weighted=seed % 4 > 1), (L2, 1.0)[seed % 2]
        x, labels, weight = problem
        best = exact.optimum(name, x, labels, l2, bias, weight, margin=margin)
        there = proof_of(name, params_of(best.W, best.b), problem, l2, margin)
        assert 0.0 <= there.relative_gap < (1e-9 if name in exact.SMOOTH else 1e-6)
        law = by_the_law(name, x, labels, l2, bias, weight, margin)
        at_law = exact.objective(name, law.W, law.b, x, labels, l2, weight, margin)
        np.testing.assert_allclose([at_law, law.value], best.value, rtol=1e-6)
        for size in (1e-4, 1e-2, 1.0):
            b = None if best.b is None else best.b + size * rng.normal(size=C)
            rough = params_of(best.W + size * rng.normal(size=(C, D)), b)
            proof = proof_of(name, rough, problem, l2, margin)
            assert max(proof.dual, there.dual) <= min(best.value, at_law, proof.primal)
            assert proof.gap >= proof.primal - best.value


@pytest.mark.parametrize(
    ("name", "margin", "bias", "solver"),
    [
        ("weston_watkins", 3.0, True, None),
        ("crammer_singer", 0.5, False, solvers.LBFGS()),
        ("squared_weston_watkins", 3.0, True, None),
    ],
)
def test_a_fit_with_a_margin_is_the_one_without_scaled(
    name: str, margin: float, bias: bool, solver: Any
) -> None:
    """By the interior point, by Newton's steps for many small problems, and by L-BFGS."""
    x, labels, weight = random_problem(n=ROWS)
    x = np.pad(x, ((0, 0), (0, 10)))
    best = by_the_law(name, x, labels, L2, bias, weight, margin)
    found = jaxlin.fit(
        x, labels, loss=loss_of(name, margin), l2=L2, bias=bias, solver=solver, tol=1e-6,
        dtype=np.float64,
    )  # fmt: skip
    proof = found.certificate
    assert proof is not None
    assert found.outcome.kind == "converged"
    assert proof.relative_gap <= 1e-6
    value = exact.objective(name, found.params.W, found.params.b, x, labels, L2, margin=margin)
    np.testing.assert_allclose(proof.primal, value, rtol=1e-12)
    assert proof.dual <= best.value
    np.testing.assert_allclose(value, best.value, rtol=1e-6)
    assert np.linalg.norm(np.asarray(found.params.W) - best.W) <= proof.radius + 1e-4
