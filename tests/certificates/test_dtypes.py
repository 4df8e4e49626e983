"""Certificates of data and parameters of any dtype, beyond a block of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import jaxlin
from jaxlin.certificates import Certificate, certain_predictions, duality_gap
from jaxlin.certificates.dual_points import BLOCK_ROWS
from tests.certificates import exact
from tests.certificates.layout import L2, C, D, params_of
from tests.problems import LOSSES

RNG = np.random.default_rng(4)
N = BLOCK_ROWS + 7
LABELS = RNG.integers(0, C, N)
PIXELS = RNG.integers(0, 100, (N, D)) + 40 * np.eye(C, D, dtype=int)[LABELS]
WEIGHT = RNG.uniform(size=N)
SCALING = jaxlin.data.Scaling(10.0, 0.01)
W, B = 0.1 * RNG.normal(size=(C, D)), 0.1 * RNG.normal(size=C)


def proof_of(name: str, params: jaxlin.LinearParams, dtype: Any) -> Certificate:
    x = PIXELS.astype(dtype)
    objective = jaxlin.Objective(LOSSES[name], L2)
    return duality_gap(objective, params, x, LABELS, WEIGHT, scaling=SCALING)


def expected(name: str, params: jaxlin.LinearParams) -> float:
    wide = (PIXELS - 10.0) * 0.01
    return exact.objective(name, params.W, params.b, wide, LABELS, L2, WEIGHT)


@pytest.mark.parametrize("of_params", [np.float32, np.float64])
def test_every_dtype_proves_the_same(of_params: Any) -> None:
    """Rows are wide before a loss sees them."""
    params = params_of(W, None, of_params)
    assert params.W.dtype == of_params
    found = [
        proof_of("softmax", params, dtype)
        for dtype in (np.uint8, np.int16, np.float16, np.float32, np.float64)
    ]
    for proof in found:
        np.testing.assert_allclose(proof.primal, expected("softmax", params), rtol=1e-12)
        np.testing.assert_allclose(proof.dual, found[-1].dual, rtol=1e-9)
        assert 0.0 < proof.dual < proof.primal


@pytest.mark.parametrize(
    ("name", "bias"),
    [("weston_watkins", True), ("squared_weston_watkins", True), ("crammer_singer", False)],
)
def test_float32_params_on_bytes(name: str, bias: bool) -> None:
    params = params_of(W, B if bias else None, np.float32)
    proof = proof_of(name, params, np.uint8)
    np.testing.assert_allclose(proof.primal, expected(name, params), rtol=1e-12)
    assert 0.0 < proof.dual < proof.primal
    wide = (PIXELS - 10.0) * 0.01
    best = exact.optimum("squared_weston_watkins", wide, LABELS, L2, bias, WEIGHT)
    if name == "squared_weston_watkins":
        assert proof.dual <= best.value <= proof.primal


def test_certain_predictions_of_any_dtype() -> None:
    params = params_of(100.0 * W, None, np.float32)
    proof = Certificate(primal=1.5, dual=0.5, how="", l2=1.0, has_bias=False)
    found = [
        certain_predictions(proof, params, PIXELS.astype(dtype), SCALING)
        for dtype in (np.uint8, np.float32, np.float64)
    ]
    assert 0 < found[0].sum() < N
    for certain in found:
        np.testing.assert_array_equal(certain, found[0])
