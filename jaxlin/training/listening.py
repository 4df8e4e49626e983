"""What is told of a fit on its way to the optimum: validation, and the user's callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.grid import Grid, evaluate_models
from jaxlin.solvers.history import EpochReport
from jaxlin.solvers.optimum.certifying import Round


class Listener:
    """Told of each round; gives whether the user wants it to be the last.

    Attributes:
      seen: of the rows to validate on, after each round.
      is_silent: there are no such rows, and nobody to tell.
    """

    def __init__(
        self,
        objective: Objective,
        held_out: Examples | None,
        scaling: Scaling | None,
        on_epoch: Callable[[EpochReport], Any] | None,
        *,
        num_examples: int,
        most_passes: int,
        users_x64: bool,
    ) -> None:
        """Nothing is heard yet.

        Args:
          objective: of the fit.
          held_out: rows to validate on, or None.
          scaling: of the features, or None.
          on_epoch: the user's, or None.
          num_examples: N.
          most_passes: that there are to be.
          users_x64: the user's own float64 setting.
        """
        self._objective, self._held_out, self._scaling = objective, held_out, scaling
        self._on_epoch, self._users_x64 = on_epoch, users_x64
        self._num_examples, self._most_passes = num_examples, most_passes
        self.seen: list[Evaluation] = []
        self.is_silent = held_out is None and on_epoch is None

    def __call__(self, row: Round, read: Callable[[], LinearParams]) -> bool:
        """Whether to end here.

        Args:
          row: what is known.
          read: gives the parameters.
        """
        validation = None
        if self._held_out is not None:
            validation = validated(self._objective, read(), self._held_out, self._scaling)
            self.seen.append(validation)
        if self._on_epoch is None:
            return False

        def read_params() -> LinearParams:
            with float64_scope(True):  # the user's callback runs under the user's setting
                return read()

        told = EpochReport(
            epoch=row.passes,
            epochs=self._most_passes,
            objective=row.objective,
            accuracy=row.accuracy,
            validation_loss=None if validation is None else float(validation.objective),
            validation_accuracy=None if validation is None else float(validation.accuracy),
            seconds=row.seconds,
            examples=row.passes * self._num_examples,
            read_params=read_params,
        )
        with jax.enable_x64(self._users_x64):
            answer = self._on_epoch(told)
        return isinstance(answer, bool | np.bool_) and bool(answer)


def validated(
    objective: Objective, params: LinearParams, held_out: Examples, scaling: Scaling | None
) -> Evaluation:
    """Mean loss and accuracy on some rows, scalars."""
    leading = jax.tree.map(lambda leaf: leaf[None], params)
    of_data = Objective(objective.loss, jnp.zeros(1, params.W.dtype))
    seen = evaluate_models(Grid((), of_data, leading), held_out, scaling)
    return Evaluation(seen.objective[0], seen.accuracy[0])
