"""Where models stand between two epochs, and what ends their training."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax

from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Examples


class Stopping(NamedTuple):
    """What ends a model's training before its last epoch; None for what is not asked.

    Attributes:
      validation: rows to evaluate on after each epoch.
      patience: epochs without a better validation loss after which a model stops, scalar.
      slope_limit: a model stops where `max |gradient|` is at most this (M,). Looking costs a pass
        over the data an epoch.
      last_epoch: of each model, from 1, (M,); the loop's own limit holds as well.
    """

    validation: Examples | None = None
    patience: jax.Array | None = None
    slope_limit: jax.Array | None = None
    last_epoch: jax.Array | None = None


class Standing(NamedTuple):
    """Where M models stand between two epochs. Every leaf has a leading axis M, but for `epoch`.

    Attributes:
      solver: the solvers' states.
      epoch: how many have run, scalar.
      reference: the size of objective that divergence is measured by.
      is_active: whether it still trains.
      epochs: how many of them were the model's own.
      diverged: whether it left the finite numbers, or grew a millionfold.
      stopped_early: whether its patience ran out.
      converged: whether its slope is flat.
      best_loss: the lowest validation loss yet.
      best_epoch: of that, from 1; 0 without patience.
      best_params: of that.
      slope: `max |gradient|` after its last epoch; infinite where nobody asked.
    """

    solver: Any
    epoch: jax.Array
    reference: jax.Array
    is_active: jax.Array
    epochs: jax.Array
    diverged: jax.Array
    stopped_early: jax.Array
    converged: jax.Array
    best_loss: jax.Array
    best_epoch: jax.Array
    best_params: LinearParams
    slope: jax.Array

    @property
    def params(self) -> LinearParams:
        """Of each model where it stands, whichever epoch was its best."""
        return self.solver.params
