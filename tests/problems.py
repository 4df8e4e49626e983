"""A small problem that tests of training share, so that they share its compiled programs too."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import jaxlin
from jaxlin import losses

N, D, C = 60, 6, 3
LOSSES = {
    "weston_watkins": losses.weston_watkins_hinge,
    "squared_weston_watkins": losses.squared_weston_watkins_hinge,
    "crammer_singer": losses.crammer_singer_hinge,
    "softmax": losses.softmax_cross_entropy,
}


def blobs(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clusters, float32 (N, D), sorted by label."""
    rng = np.random.default_rng(seed)
    labels = np.sort(rng.integers(0, C, n))
    centres = np.random.default_rng(99).normal(size=(C, D))
    return (centres[labels] + 0.7 * rng.normal(size=(n, D))).astype(np.float32), labels


def same_params(a: jaxlin.LinearParams, b: jaxlin.LinearParams) -> bool:
    """Whether two models agree in every bit."""
    return all(
        bool(jnp.array_equal(u, v))
        for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
