"""The problem that tests of sweeps share, and what a sweep's setting is when it trains alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import optax

import jaxlin
from jaxlin import losses, solvers

N, D, C = 300, 8, 3
SOFTMAX, HINGE = losses.softmax_cross_entropy, losses.weston_watkins_hinge


def clouds(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three overlapping clusters, float32 (N, D)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, C, n)
    centres = 1.5 * np.random.default_rng(99).normal(size=(C, D))
    return (centres[labels] + 2.0 * rng.normal(size=(n, D))).astype(np.float32), labels


def momentum_sgd(
    learning_rate: float, momentum: float = 0.9, batch_size: int = 32, epochs: int = 4
) -> solvers.SGD:
    """SGD whose numbers a grid can have."""
    return solvers.SGD(optax.sgd(learning_rate, momentum), batch_size, epochs)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class MomentumSGD:
    """The same as a solver with leaves, so that single fits with other numbers do not compile."""

    learning_rate: Any
    momentum: Any = 0.9
    batch_size: int = dataclasses.field(default=32, metadata={"static": True})
    epochs: int = dataclasses.field(default=4, metadata={"static": True})

    @property
    def solver(self) -> solvers.SGD:
        return momentum_sgd(self.learning_rate, self.momentum, self.batch_size, self.epochs)

    def init(self, params: jaxlin.LinearParams, key: jax.Array) -> Any:
        return self.solver.init(params, key)

    def step(self, problem: Any, state: Any) -> Any:
        return self.solver.step(problem, state)


def same_objective(
    found: jaxlin.Sweep, row: int, fit: jaxlin.Fit, x: Any, labels: Any, narrow_rtol: float = 2e-5
) -> None:
    """Checks a setting against the fit that trained it alone, to rounding."""
    wide = found.params.W.dtype == np.float64
    rtol = 1e-10 if wide else narrow_rtol
    narrow = np.asarray(x, None if wide else np.float32)
    alone = float(fit.objective(fit.params, narrow, labels))
    np.testing.assert_allclose(found.table["objective"][row], alone, rtol=rtol)
    np.testing.assert_allclose(
        found.histories[row].objective, fit.history.objective, rtol=rtol, atol=1e-7
    )
    assert found.table["epochs"][row] == len(fit.history)
    assert found.table["outcome"][row] == fit.outcome.kind
