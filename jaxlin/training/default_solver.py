"""The solver that `fit` takes when none is given: SGD with momentum and a cosine schedule."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.losses import Loss
from jaxlin.solvers.learning_rate import (
    cosine_decay,
    limited_by_penalty,
    suggested_epochs,
    suggested_learning_rate,
)
from jaxlin.solvers.sgd import SGD

MOMENTUM = 0.9
_BATCH_SIZE = 256


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DefaultNumbers:
    """What the default solver is made of; numbers that data decide on are leaves: no retracing."""

    learning_rate: Any
    momentum: Any
    total_steps: Any
    batch_size: int = dataclasses.field(metadata={"static": True})
    epochs: int = dataclasses.field(metadata={"static": True})


def default_solver(numbers: DefaultNumbers) -> SGD:
    """SGD with momentum, its rate going down along half a cosine."""
    schedule = cosine_decay(numbers.learning_rate, numbers.total_steps)
    return SGD(optax.sgd(schedule, momentum=numbers.momentum), numbers.batch_size, numbers.epochs)


def default_numbers(
    x: jax.Array,
    loss: Loss,
    num_classes: int,
    scaling: Scaling | None,
    dtype: Any,
    *,
    momentum: float = MOMENTUM,
    batch_size: int = _BATCH_SIZE,
    epochs: int | None = None,
    learning_rate: float | None = None,
) -> DefaultNumbers:
    """The numbers that suit some data: a rate by the size of the rows, and for how long.

    Args:
      x: features (N, D).
      loss: what is minimised.
      num_classes: C.
      scaling: of the features, or None.
      dtype: that is computed in.
      momentum: in [0, 1).
      batch_size: B, at most N is used.
      epochs: None is 20 to 200, about 2,000 steps where the data are few.
      learning_rate: at the schedule's start; None is what suits the data and the above.

    Raises:
      InputError: the features are so large that `dtype` cannot hold the learning rate.
    """
    batch_size = min(batch_size, len(x))
    epochs = suggested_epochs(len(x), batch_size) if epochs is None else epochs
    total_steps = float(-(-len(x) // batch_size) * epochs)
    if learning_rate is not None:
        return DefaultNumbers(learning_rate, momentum, total_steps, batch_size, epochs)
    learning_rate = suggested_learning_rate(
        x,
        loss=loss,
        num_classes=num_classes,
        momentum=momentum,
        batch_size=batch_size,
        scaling=scaling,
    )
    if not float(jnp.finfo(dtype).tiny) < learning_rate < float(jnp.finfo(dtype).max):
        raise InputError(
            f"X is so large that a learning rate of {learning_rate:.3g} would be needed, which "
            f"{jnp.dtype(dtype)} cannot hold. Scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)), or pass dtype=jnp.float64."
        )
    return DefaultNumbers(learning_rate, momentum, total_steps, batch_size, epochs)


def with_penalty(numbers: DefaultNumbers, l2: float) -> DefaultNumbers:
    """The same, of a rate that suits some data, for an objective with l2.

    >>> with_penalty(DefaultNumbers(2.0, 0.5, 100.0, 32, 10), 1.0).learning_rate
    0.25
    """
    rate = limited_by_penalty(numbers.learning_rate, l2, numbers.momentum)
    return dataclasses.replace(numbers, learning_rate=rate)
