"""Minibatch SGD: follow the slope of a few hundred examples instead of all of them.

The mean over a minibatch estimates the mean over the data, without bias, at a fraction of the
cost; a whole pass then holds hundreds of steps instead of one. Each epoch sees every example once,
in a fresh order.
"""

from __future__ import annotations

import dataclasses

import jax
import optax

from jaxlin.checks import check_count
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Evaluation, Problem
from jaxlin.solvers.optimizer import (
    OptimizerState,
    check_optimizer,
    optimizer_start,
    optimizer_step,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SGD:
    """Minibatch gradient steps through any optax optimiser and schedule.

    Schedules count steps: an epoch has `ceil(N / batch_size)`. The last batch of an epoch holds
    what is left, and its gradient is the mean over just those examples.

    Attributes:
      optimizer: any `optax.GradientTransformation`.
      batch_size: B, at most N is used.
      epochs: passes over the data.

    >>> solver = SGD(optax.adam(1e-3), batch_size=128, epochs=5)
    """

    optimizer: optax.GradientTransformation = dataclasses.field(metadata={"static": True})
    batch_size: int = dataclasses.field(default=256, metadata={"static": True})
    epochs: int = dataclasses.field(default=10, metadata={"static": True})

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        check_count("batch_size", self.batch_size)
        check_count("epochs", self.epochs)

    def init(self, params: LinearParams, key: jax.Array) -> OptimizerState:
        """The parameters, and a fresh state of the optimiser."""
        del key  # the order of the examples is the loop's
        return optimizer_start(self.optimizer, params)

    def step(self, problem: Problem, state: OptimizerState) -> tuple[OptimizerState, Evaluation]:
        """A step along the minibatch's gradient."""
        evaluation, gradient = problem.value_and_gradient(state.params)
        return optimizer_step(self.optimizer, problem, state, evaluation, gradient), evaluation
