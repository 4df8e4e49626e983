"""What is told of a fit on its way to the optimum: validation, and the user's callback."""

from __future__ import annotations

import dataclasses
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
from jaxlin.solvers.history import EpochReport, History
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
        self._before = (0, 0.0)

    def go_on_from(self, history: History) -> None:
        """What comes now is another way, after one that has ended: counts go on, and the clock."""
        passes = len(history) if history.passes is None else int(history.passes[-1])
        self._before = (passes, float(history.seconds[-1]))
        self.seen.clear()

    def counted_on(self, history: History) -> History:
        """The history of the way that came last, with the counts that were told of it."""
        passes, seconds = self._before
        if history.passes is None:
            return history
        return dataclasses.replace(
            history, passes=history.passes + passes, seconds=history.seconds + seconds
        )

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

        passes, seconds = self._before[0] + row.passes, self._before[1] + row.seconds
        told = EpochReport(
            epoch=passes,
            # A way that counts products with the rows has no such limit.
            epochs=max(self._before[0] + self._most_passes, passes),
            objective=row.objective,
            accuracy=row.accuracy,
            validation_loss=None if validation is None else float(validation.objective),
            validation_accuracy=None if validation is None else float(validation.accuracy),
            seconds=seconds,
            examples=passes * self._num_examples,
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
