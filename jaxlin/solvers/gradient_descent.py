"""Gradient descent: look at the slope of the whole objective, take a step down, repeat.

The slope can be had in three ways: numerically (slow, approximate, easy to write), by hand (exact,
fast, easy to get wrong), or by `jax.grad` (exact, fast, and nobody to get it wrong).
"""

from __future__ import annotations

import dataclasses

import jax
import optax

from jaxlin.checks import check_count
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import (
    GRADIENT_METHODS,
    Evaluation,
    GradientMethod,
    Problem,
)
from jaxlin.solvers.optimizer import (
    OptimizerState,
    check_optimizer,
    optimizer_start,
    optimizer_step,
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GradientDescent:
    """Full-batch steps through any optax optimiser, those with a line search included.

    Attributes:
      optimizer: any `optax.GradientTransformation`.
      steps: how many; each is a pass over the data (and counts as an epoch), or two passes for
        every parameter where the gradient is numerical.
      gradient: `"autodiff"`, `"by_hand"` or `"numerical"`.

    >>> solver = GradientDescent(optax.sgd(0.1), steps=50, gradient="by_hand")
    """

    optimizer: optax.GradientTransformation = dataclasses.field(metadata={"static": True})
    steps: int = dataclasses.field(default=100, metadata={"static": True})
    gradient: GradientMethod = dataclasses.field(default="autodiff", metadata={"static": True})

    def __post_init__(self) -> None:
        check_optimizer(self.optimizer)
        check_count("steps", self.steps)
        if self.gradient not in GRADIENT_METHODS:
            raise InputError(
                f"gradient must be one of {', '.join(GRADIENT_METHODS)}, got {self.gradient!r}."
            )

    @property
    def batch_size(self) -> None:
        """None: a step sees all of the data."""
        return None

    @property
    def epochs(self) -> int:
        """One pass a step."""
        return self.steps

    def init(self, params: LinearParams, key: jax.Array) -> OptimizerState:
        """The parameters, and a fresh state of the optimiser."""
        del key  # nothing here is random
        return optimizer_start(self.optimizer, params)

    def step(self, problem: Problem, state: OptimizerState) -> tuple[OptimizerState, Evaluation]:
        """A step along the gradient of the whole objective."""
        evaluation, gradient = problem.value_and_gradient(state.params, self.gradient)
        return optimizer_step(self.optimizer, problem, state, evaluation, gradient), evaluation
