"""Problems in the coordinates of their rows' span: nothing is lost, and sizes are shared."""

from __future__ import annotations

import numpy as np
import pytest

import jaxlin
from jaxlin.solvers.optimum.reduced import padded_size, reduced

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 9)


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("num_features", [4, 30])
def test_products_and_lengths_are_those_of_the_features(num_features: int, has_bias: bool) -> None:
    x, share = RNG.normal(2.0, 1.0, (9, num_features)), RNG.uniform(0.5, 1.0, 9)
    share = share / share.sum()
    rows = reduced(x, LABELS, share, 3, has_bias)
    theta = RNG.normal(size=(3, rows.features.shape[1]))
    theta[:, -1] = 0.0
    W = theta @ rows.back.T
    own = theta @ np.asarray(rows.features).T
    center = rows.center[:num_features]
    np.testing.assert_allclose(own[:, :9], W[:, :num_features] @ (x - center).T, atol=1e-12)
    # All of the rows lie in the span: what a template has outside of it changes no score.
    moments = np.asarray(rows.features).T * np.pad(share, (0, 7)) @ rows.features
    np.testing.assert_allclose(moments, np.diag(rows.variances), atol=1e-12)
    if not has_bias:
        total = np.sum(share[:, None] * x * x)
        np.testing.assert_allclose(np.sum(rows.variances), total, rtol=1e-12)
    used = rows.back[:, : min(num_features, 9 - has_bias)]
    np.testing.assert_allclose(used.T @ used, np.eye(used.shape[1]), atol=1e-12)


def test_neighbouring_sizes_are_filled_up_to_the_same() -> None:
    shapes = set()
    for num_rows in (9, 12, 16):
        rows = reduced(np.ones((num_rows, 5)), np.zeros(num_rows), np.full(num_rows, 0.1), 3, True)
        shapes.add((rows.x.shape, rows.features.shape, rows.back.shape))
    assert shapes == {((16, 8), (16, 8), (8, 8))}
    assert all(n <= padded_size(n) <= 1.25 * n for n in range(65, 3000))


def test_squares_that_overflow_are_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="cannot hold its squares"):
        reduced(np.full((3, 2), 1e200), np.zeros(3), np.full(3, 1 / 3), 2, False)
