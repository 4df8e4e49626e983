"""A step through any optax optimiser: what SGD and gradient descent have in common."""

from __future__ import annotations

from typing import Any, NamedTuple

import optax

from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Evaluation, Problem


class OptimizerState(NamedTuple):
    """Parameters, and what the optimiser remembers."""

    params: LinearParams
    optimizer: optax.OptState


def check_optimizer(optimizer: object) -> None:
    """Raises `InputError` for what is not an optax `GradientTransformation`."""
    if not all(callable(getattr(optimizer, name, None)) for name in ("init", "update")):
        raise InputError(
            "optimizer must be an optax.GradientTransformation, for example optax.sgd(0.1, "
            f"momentum=0.9), got {optimizer!r}."
        )


def optimizer_start(
    optimizer: optax.GradientTransformation, params: LinearParams
) -> OptimizerState:
    """The parameters, and a fresh state of the optimiser."""
    tree: Any = params  # optax's types know arrays and containers, not registered dataclasses
    return OptimizerState(params, optimizer.init(tree))


def optimizer_step(
    optimizer: optax.GradientTransformation,
    problem: Problem,
    state: OptimizerState,
    evaluation: Evaluation,
    gradient: LinearParams,
) -> OptimizerState:
    """One update by any optax optimiser, those with a line search (`optax.lbfgs`) included."""
    old: Any = state.params
    slope: Any = gradient
    updates, optimizer_state = optax.with_extra_args_support(optimizer).update(
        slope,
        state.optimizer,
        old,
        value=evaluation.objective,
        grad=slope,
        value_fn=lambda params: problem.evaluate(params).objective,
    )
    params: Any = optax.apply_updates(old, updates)
    return OptimizerState(params, optimizer_state)
