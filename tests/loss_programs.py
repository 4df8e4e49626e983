"""The losses, compiled once for the tests that share them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from problems import LOSSES

from jaxlin import losses


def total(loss: Any) -> Callable[[jax.Array, Any], jax.Array]:
    return lambda scores, labels: jnp.sum(loss(scores, labels))


# Compiled once for each shape; what is checked outside of jit is called by its own name.
VALUE: dict[str, Callable[..., jax.Array]] = {name: jax.jit(f) for name, f in LOSSES.items()}
BY_HAND: dict[str, Callable[..., jax.Array]] = {
    name: jax.jit(f.score_gradient) for name, f in LOSSES.items()
}
AUTODIFF: dict[str, Callable[..., jax.Array]] = {
    name: jax.jit(jax.grad(total(f))) for name, f in LOSSES.items()
}
PROBABILITIES: Callable[..., jax.Array] = jax.jit(losses.softmax_probabilities)


def random_scores(num_classes: int = 5, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return 2.0 * rng.normal(size=(n, num_classes)), rng.integers(0, num_classes, n)
