"""Leaving out of the program the models of a grid that have finished.

A model that has diverged or stopped is frozen, but its columns are still computed: what an epoch
costs depends on how many models the program holds. A program for fewer has to be compiled, which
takes as long as many epochs of a small problem. Both are known by then: the first block's time is
mostly compilation, every other block's is its epochs. So the finished are left out once what that
saves, taken as in proportion to the models, is twice what compiling has cost so far. A first block
that another fit had compiled before says nothing about compiling: it counts as half a second.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.linear import LinearParams
from jaxlin.solvers.block import Grid, Standing, Stopping

_LEAST_COMPILE_SECONDS = 0.5
_GAIN = 2.0


def compaction_pays(
    models: int, active: int, epochs_left: int, epoch_seconds: float, compile_seconds: float
) -> bool:
    """Whether a program for the active models alone saves more than it costs.

    Args:
      models: in the program, M.
      active: how many of them still train.
      epochs_left: at most to come.
      epoch_seconds: of all M models.
      compile_seconds: what compiling has cost.

    >>> compaction_pays(100, 5, 50, 0.5, 2.0), compaction_pays(100, 95, 50, 0.5, 2.0)
    (True, False)
    """
    saved = epochs_left * epoch_seconds * (1.0 - active / models)
    return 0 < active < models and saved > _GAIN * max(compile_seconds, _LEAST_COMPILE_SECONDS)


class _Last(NamedTuple):
    """All that is kept of a finished model's solver."""

    params: LinearParams


class Program:
    """Which of a grid's M models the program still holds, and where the others ended.

    Args:
      standing: where all models start.
    """

    def __init__(self, standing: Standing) -> None:
        self._all = standing._replace(solver=_Last(standing.params))
        self._models = np.arange(standing.is_active.shape[0])

    def without_finished(
        self, grid: Grid, standing: Standing, stopping: Stopping
    ) -> tuple[Grid, Standing, Stopping]:
        """The same for the models that are active; the others are remembered as they are."""
        self._all = self.whole(standing)
        kept = np.flatnonzero(np.asarray(standing.is_active))
        self._models = self._models[kept]

        def of_kept(tree: Any) -> Any:
            return jax.tree.map(lambda leaf: leaf[kept], tree)

        return (
            of_kept(grid),
            of_kept(standing._replace(epoch=None))._replace(epoch=standing.epoch),
            stopping._replace(
                last_epoch=of_kept(stopping.last_epoch), slope_limit=of_kept(stopping.slope_limit)
            ),
        )

    def whole(self, standing: Standing) -> Standing:
        """Where all M models stand; of a solver's state only the params."""
        epoch, last = standing.epoch, standing._replace(solver=_Last(standing.params))
        if len(self._models) == self._all.is_active.shape[0]:
            return last
        models = jnp.asarray(self._models)
        old, new = self._all._replace(epoch=None), last._replace(epoch=None)
        whole = jax.tree.map(lambda o, n: o.at[models].set(n), old, new)
        return whole._replace(epoch=epoch)

    def widened(self, values: np.ndarray) -> np.ndarray:
        """Values of the program's models as values of all M; NaN or False for the others."""
        total = self._all.is_active.shape[0]
        if len(values) == total:
            return values
        nothing = False if values.dtype == bool else np.nan
        wide = np.full(total, nothing, values.dtype)
        wide[self._models] = values
        return wide
