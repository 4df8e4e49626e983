"""Data with something wrong: rows twice, constant features, a class missing, fewer rows than D."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import datasets

import jaxlin
from jaxlin.certificates import duality_gap
from tests.certificates import exact
from tests.certificates.layout import (
    HINGES,
    L2,
    NAMES,
    C,
    D,
    Problem,
    params_of,
    proof_of,
    random_problem,
)
from tests.problems import LOSSES

CASES = {
    "rows twice": lambda x, labels: (np.tile(x, (2, 1)), np.tile(labels, 2)),
    "constant features": lambda x, labels: (
        np.c_[x, np.zeros(len(x)), np.full(len(x), 7.0)], labels,
    ),
    "fewer rows than features": lambda x, labels: (
        np.random.default_rng(1).normal(size=(5, 13)), labels[:5],
    ),
}  # fmt: skip


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_gap_closes_on_awkward_data(name: str, bias: bool) -> None:
    for case, change in CASES.items():
        x, labels = change(*random_problem()[:2])
        problem = Problem(x, labels, np.ones(len(x)))
        best = exact.optimum(name, x, labels, L2, bias, num_classes=C)
        proof = proof_of(name, params_of(best.W, best.b), problem, L2)
        assert proof.dual <= best.value, case
        assert 0.0 <= proof.relative_gap < (1e-6 if name in HINGES else 1e-9), case


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_no_example_has(name: str, bias: bool) -> None:
    """Where a bias is free, an absent class's runs away: the gap closes as far as it has run."""
    x, labels, weight = random_problem()
    present = labels != 1
    problem = Problem(x[present], labels[present], weight[present])
    if not bias:
        best = exact.optimum(name, problem.x, problem.labels, L2, False)
        proof = proof_of(name, params_of(best.W, None), problem, L2)
        assert 0.0 <= proof.relative_gap < (1e-6 if name in HINGES else 1e-9)
        return
    # With two classes alone the optimum is the same, and the absent class is far below.
    best = exact.optimum(name, problem.x, problem.labels // 2, L2, True)
    assert best.b is not None
    W, b = np.zeros((C, D)), np.zeros(C)
    W[[0, 2]], b[[0, 2]] = best.W, best.b
    for far, most in ((5.0, 1.0), (50.0, 1e-6)):
        b[1] = b[[0, 2]].min() - far
        proof = proof_of(name, params_of(W, b), problem, L2)
        assert 0.0 <= proof.relative_gap < most
        assert proof.dual <= best.value


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_integer_weights_act_as_copies(name: str, bias: bool) -> None:
    x, labels, _ = random_problem()
    weight = np.random.default_rng(5).integers(0, 4, len(x)).astype(float)
    rows = np.repeat(np.arange(len(x)), weight.astype(int))
    copies = Problem(x[rows], labels[rows], np.ones(len(rows)))
    rng = np.random.default_rng(6)
    params = params_of(0.5 * rng.normal(size=(C, D)), rng.normal(size=C) if bias else None)
    a = proof_of(name, params, Problem(x, labels, weight), L2)
    b = proof_of(name, params, copies, L2)
    np.testing.assert_allclose([a.primal, a.dual], [b.primal, b.dual], rtol=1e-9)


@pytest.mark.parametrize("name", exact.SMOOTH)
def test_rows_that_fill_the_arrays_prove_the_same(name: str) -> None:
    """Fewer rows than features, not laid out among others without weight."""
    wine: Any = datasets.load_wine()
    x, labels = (wine.data[::20] - wine.data.mean(0)) / wine.data.std(0), wine.target[::20]
    assert len(x) < x.shape[1]
    best = exact.optimum(name, x, labels, L2, False)
    objective = jaxlin.Objective(LOSSES[name], L2)
    alone = duality_gap(objective, params_of(best.W, None), x, labels)
    among = proof_of(name, params_of(best.W, None), Problem(x, labels, np.ones(len(x))), L2)
    assert 0.0 <= alone.relative_gap < 1e-9
    np.testing.assert_allclose([alone.primal, alone.dual], [among.primal, among.dual], rtol=1e-9)
