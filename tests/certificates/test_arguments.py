"""What `duality_gap` refuses, and that many calls are one program."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxlin
from jaxlin import losses
from jaxlin.certificates import certain_predictions, duality_gap
from jaxlin.certificates.bounds import certified
from jaxlin.certificates.dual_points import Given, measure
from jaxlin.precision import float64_scope
from tests.certificates.layout import L2, C, D, N, params_of, random_problem
from tests.problems import LOSSES


def test_what_has_no_certificate_says_why() -> None:
    x, labels, _ = random_problem()
    params = params_of(np.zeros((C, D)), None)

    def own_loss(scores: jax.Array, labels: jax.Array) -> jax.Array:
        return losses.softmax_cross_entropy(scores, labels)

    softmax = losses.softmax_cross_entropy
    for objective, words in (
        (jaxlin.Objective(softmax, 0.0), "no certificate with l2 = 0"),
        (jaxlin.Objective(softmax, 0.1, lambda W: jnp.sum(jnp.abs(W))), "penalty of your own"),
        (jaxlin.Objective(own_loss, 0.1), "convex conjugate.*own_loss"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            duality_gap(objective, params, x, labels)
    objective = jaxlin.Objective(softmax, 0.1)
    for dual, words in (
        (np.zeros((N, C + 1)), "dual has 4 features"),
        (np.zeros((N - 1, C)), "20 rows, got 19"),
        (np.full((N, C), np.nan), "dual contains NaN"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            duality_gap(objective, params, x, labels, dual=dual)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_params_must_be_finite(wrong: float) -> None:
    x, labels, _ = random_problem()
    objective = jaxlin.Objective(losses.softmax_cross_entropy, 0.1)
    with pytest.raises(jaxlin.InputError, match="NaN or infinity"):
        duality_gap(objective, params_of(np.full((C, D), wrong), None), x, labels)


def test_examples_are_taken_in_any_form_or_named() -> None:
    x, labels, _ = random_problem()
    softmax, l2 = losses.softmax_cross_entropy, 10.0
    params = params_of(np.zeros((C, D)), np.zeros(C))
    proof = duality_gap(jaxlin.Objective(softmax, l2), params, x, labels)
    expected = certain_predictions(proof, params, x, examples=np.asarray(x))
    for examples in (np.asarray(x).tolist(), pd.DataFrame(np.asarray(x))):
        found = certain_predictions(proof, params, x, examples=examples)
        np.testing.assert_array_equal(found, expected)
    for examples, words in (
        ([["a"] * D] * N, "could not convert string"),
        (np.asarray(x)[0], "Expected 2D array"),
        (np.asarray(x)[:, 1:].tolist(), f"examples has {D - 1} features, but {D} features"),
        (np.full((N, D), np.nan), "examples contains NaN"),
        (3, "Expected 2D array"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            certain_predictions(proof, params, x, examples=examples)


def programs() -> int:
    """How many have been compiled for certificates."""
    return measure._cache_size()  # pyright: ignore[reportAttributeAccessIssue]


def test_many_calls_are_one_program() -> None:
    """Whatever the parameters, l2 and widths, and in a float64 scope or not."""
    x, labels, weight = random_problem()
    loss: Any = LOSSES["weston_watkins"]
    rng = np.random.default_rng(4)
    with float64_scope(True):
        points = [
            Given(
                params_of(rng.normal(size=(C, D)), None),
                jnp.asarray(x),
                jnp.asarray(labels.astype(np.int32)),
                jnp.asarray(weight / N),
                None,
            )
            for _ in range(4)
        ]
    certified(loss, points[0], L2, widths=(1.0, 0.1))
    before = programs()
    outside = [certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)]
    with float64_scope(True):
        inside = [
            certified(loss, p, 10.0**-k, widths=(0.5, 10.0**-k)) for k, p in enumerate(points)
        ]
    assert programs() == before
    assert inside == outside
