"""No certificate says less than the true distance: on 500 random problems, near and far."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxlin
from jaxlin.certificates import certain_predictions
from jaxlin.certificates.bias_shift import largest_falls
from tests.certificates import exact
from tests.certificates.exact import Optimum
from tests.certificates.layout import (
    HINGES,
    NAMES,
    C,
    D,
    N,
    Problem,
    params_of,
    proof_of,
    random_problem,
)

STRENGTHS = (1e-4, 1e-2, 1.0)
PROBLEMS = 63  # for each of eight tests: 504
# Beside 1, each with a free bias or without: a margin is a program of its own.
MARGIN = {False: 0.5, True: 3.0}


@functools.cache
def solved(name: str, bias: bool) -> list[tuple[Problem, float, Optimum]]:
    """Random problems, a third of them weighted, with their strengths and optima."""
    found = []
    for seed in range(42):
        problem, l2 = random_problem(seed, weighted=seed % 9 < 3), STRENGTHS[seed % 3]
        x, labels, weight = problem
        found.append((problem, l2, exact.optimum(name, x, labels, l2, bias, weight)))
    return found


class Drawn(NamedTuple):
    """What hypothesis draws of a problem, and of the parameters whose certificate is looked at.

    Attributes:
      seed: of the features, the labels and the direction away from the optimum.
      present: the classes that examples have, though perhaps without weight.
      weight: (N,), zeros among them, but of the first example.
      has_margin: other than 1.
      log_l2: the decimal logarithm.
      log_size: of the way from the optimum (or from zero); None is none.
      from_zero: whether the parameters are near zero, and not near the optimum.
      dtype: of the parameters.
    """

    seed: int
    present: list[int]
    weight: list[float]
    has_margin: bool
    log_l2: float
    log_size: float | None
    from_zero: bool
    dtype: Any


DRAWN = st.builds(
    Drawn,
    seed=st.integers(0, 2**32 - 1),
    present=st.lists(st.integers(0, C - 1), min_size=1, max_size=C, unique=True),
    weight=st.lists(st.sampled_from([0.0, 0.01, 1.0, 3.0]), min_size=N, max_size=N),
    has_margin=st.booleans(),
    log_l2=st.floats(-6.0, 2.0),
    log_size=st.none() | st.floats(-8.0, 2.0),
    from_zero=st.booleans(),
    dtype=st.sampled_from([np.float64, np.float32]),
)


def drawn_problem(drawn: Drawn) -> tuple[Problem, float]:
    """The problem, and its strength."""
    x, labels, _ = random_problem(drawn.seed)
    labels, weight = np.resize(drawn.present, C)[labels], np.array(drawn.weight)
    weight[0] = max(weight[0], 1.0)
    return Problem(x, labels, weight), 10.0**drawn.log_l2


def lowest(name: str, problem: Problem, l2: float, bias: bool, margin: float) -> Optimum:
    """Where a class that counts for nothing is as low as it likes, with a free bias."""
    x, labels, weight = problem
    if not bias:
        return exact.optimum(name, x, labels, l2, False, weight, C, margin=margin)
    present = np.unique(labels[weight > 0.0])
    W, b, value = np.zeros((C, D)), np.zeros(C), 0.0
    if len(present) > 1:
        # Labels of rows without weight may be of any class.
        codes = np.minimum(np.searchsorted(present, labels), len(present) - 1)
        few = exact.optimum(name, x, codes, l2, True, weight, len(present), margin=margin)
        W[present], b[present], value = few.W, few.b, few.value
    absent = np.setdiff1d(np.arange(C), present)
    b[absent] = b[present].min() - 50.0 * margin
    return Optimum(W, b, value)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=PROBLEMS)
@given(drawn=DRAWN)
def test_no_certificate_says_less_than_the_true_distance(
    name: str, bias: bool, drawn: Drawn
) -> None:
    """At the optimum, near it and far away; of parameters in float64 and in float32."""
    problem, l2 = drawn_problem(drawn)
    margin = MARGIN[bias] if drawn.has_margin and name != "softmax" else 1.0
    best = lowest(name, problem, l2, bias, margin)
    rng = np.random.default_rng(drawn.seed)
    start = 0.0 if drawn.from_zero else 1.0
    size = 0.0 if drawn.log_size is None else 10.0**drawn.log_size
    b = None if best.b is None else start * best.b + size * rng.normal(size=C)
    params = params_of(start * best.W + size * rng.normal(size=(C, D)), b, drawn.dtype)
    proof = proof_of(name, params, problem, l2, margin)
    expected = exact.objective(name, params.W, params.b, *problem[:2], l2, problem.weight, margin)
    np.testing.assert_allclose(proof.primal, expected, rtol=1e-12, atol=1e-15)
    assert proof.dual <= best.value
    assert proof.gap >= max(proof.primal - best.value, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_certain_predictions_are_those_of_the_optimum(name: str) -> None:
    rows = np.random.default_rng(5).normal(size=(50, D))
    rng = np.random.default_rng(6)
    sizes = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    claimed = np.zeros(len(sizes))
    for problem, l2, best in solved(name, False):
        decided = np.argmax(rows @ best.W.T, axis=1)
        at = int(rng.integers(len(sizes)))
        W = best.W + sizes[at] * rng.normal(size=(C, D))
        rough = params_of(W, None)
        proof = proof_of(name, rough, problem, l2)
        if at == 0:  # at the optimum the gap closes, at any strength
            assert proof.relative_gap < (1e-5 if name in HINGES else 1e-8)
        # The optimum is known to about 1e-8 of its value, where it is a hinge's.
        assert np.linalg.norm(W - best.W) <= proof.radius + np.sqrt(1e-7 / l2)
        certain = certain_predictions(proof, rough, rows)
        assert (np.asarray(jaxlin.predict(rough, rows)) == decided)[certain].all()
        claimed[at] += certain.mean()
    assert claimed[0] > 5.0
    assert claimed[0] > claimed[-1]


def test_certain_predictions_with_a_free_bias_are_those_of_the_optimum() -> None:
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(50, D))
    sizes = (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
    claimed = np.zeros(len(sizes))
    for k, (problem, l2, best) in enumerate(solved("softmax", True)):
        assert best.b is not None
        at = k % len(sizes)
        b = best.b + sizes[at] * rng.normal(size=C)
        rough = params_of(best.W + sizes[at] * rng.normal(size=(C, D)), b)
        proof = proof_of("softmax", rough, problem, l2)
        certain = certain_predictions(
            proof, rough, rows, examples=problem.x, sample_weight=problem.weight
        )
        decided = np.argmax(rows @ best.W.T + best.b, axis=1)
        assert (np.asarray(jaxlin.predict(rough, rows)) == decided)[certain].all()
        claimed[at] += certain.mean()
    assert claimed[0] > 3.0
    assert claimed[0] > claimed[-1]


def test_no_lead_of_the_optimum_falls_by_more_than_is_claimed() -> None:
    """The bound of the bias, at the examples' mean; and it is no wild guess."""
    rng = np.random.default_rng(9)
    tightness = []
    for problem, l2, best in solved("softmax", True):
        x, _, weight = problem
        shares = np.ones(len(x)) if weight is None else np.asarray(weight)
        assert best.b is not None
        size = 10.0 ** rng.uniform(-5, -1)
        b = best.b + size * rng.normal(size=C)
        rough = params_of(best.W + size * rng.normal(size=(C, D)), b)
        proof = proof_of("softmax", rough, problem, l2)
        center = x.mean(axis=0)
        bound = largest_falls(
            x @ np.asarray(rough.W).T + b, shares / shares.sum(),
            np.linalg.norm(x - center, axis=1), proof.gap, proof.radius,
        )  # fmt: skip
        before, after = np.asarray(rough.W) @ center + b, best.W @ center + best.b
        fall = (before[:, None] - before) - (after[:, None] - after)
        assert (fall <= bound + 1e-7).all()
        tightness.append(np.max(fall) / np.max(bound[np.isfinite(bound)], initial=1e-300))
    assert max(tightness) > 0.05


def test_a_row_that_hardly_counts_holds_no_bias() -> None:
    # Whatever the shift, it costs less than 1e-6 * 60: less than the gap.
    falls = largest_falls(np.array([[60.0, 0.0]]), np.array([1e-6]), np.zeros(1), 1e-3, 0.0)
    assert falls[0, 1] == np.inf


def test_with_a_free_bias_nothing_is_claimed_of_what_is_not_known() -> None:
    problem, l2, best = solved("softmax", True)[1]
    params = params_of(best.W, best.b)
    proof = proof_of("softmax", params, problem, l2)
    assert not certain_predictions(proof, params, problem.x).any()
    seen: dict[str, Any] = {"examples": problem.x, "sample_weight": problem.weight}
    without = proof_of("softmax", params_of(best.W, None), problem, l2)
    assert not certain_predictions(without, params, problem.x, **seen).any()
    hinge, l2, best = solved("weston_watkins", True)[1]
    params = params_of(best.W, best.b)
    proof = proof_of("weston_watkins", params, hinge, l2)
    assert not certain_predictions(proof, params, hinge.x, examples=hinge.x).any()
