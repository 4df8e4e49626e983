"""Features that float32 would round to others are refused, not fitted."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlin
from jaxlin import checks, losses

SECONDS = 1_700_000_000 + 60 * np.arange(8)
PLAIN = np.arange(8.0)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64, np.float64])
def test_times_in_seconds_are_refused_in_float32(dtype: Any) -> None:
    x = np.column_stack([PLAIN, SECONDS]).astype(dtype)
    with pytest.raises(jaxlin.InputError, match=r"Column 1 of X is about 1\.7e\+09 with a"):
        jaxlin.fit(x, np.arange(8) % 2, loss=losses.softmax_cross_entropy, l2=1e-3)


def test_in_float64_they_are_what_they_were() -> None:
    kept = checks.as_features(SECONDS[:, None], jnp.float64)
    np.testing.assert_array_equal(np.asarray(kept)[:, 0], SECONDS)


@pytest.mark.parametrize(
    "column",
    [
        SECONDS - SECONDS.mean(),
        np.full(8, 0.1),  # rounded, and the same for all
        1e4 + PLAIN,
        np.random.default_rng(0).normal(size=8) * 1e-30,
    ],
)
def test_what_float32_holds_passes(column: np.ndarray) -> None:
    kept = checks.as_features(column[:, None], jnp.float32)
    np.testing.assert_array_equal(np.asarray(kept)[:, 0], column.astype(np.float32))
