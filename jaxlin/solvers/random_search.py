"""Random search: try parameters at random and keep the best. A bad idea, and the baseline.

It uses the objective's values and nothing else; in hundreds of dimensions almost no random
direction is a good one.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.checks import check_count, check_positive
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Evaluation, Problem


class RandomSearchState(NamedTuple):
    """The best parameters yet, how good they are, and the key of the next draw."""

    params: LinearParams
    best: Evaluation
    key: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class RandomSearch:
    """Draws W and b from a normal distribution and keeps what has the lowest objective.

    The draws are around zero wherever the fit starts: of an `init` only the shape counts.

    Attributes:
      trials: how many draws; each costs a pass over the data (and counts as an epoch).
      scale: standard deviation of each draw. A leaf: changing it does not recompile.

    >>> solver = RandomSearch(trials=1000, scale=0.01)
    """

    trials: int = dataclasses.field(default=100, metadata={"static": True})
    scale: jax.typing.ArrayLike = 1.0

    def __post_init__(self) -> None:
        check_count("trials", self.trials)
        if isinstance(self.scale, int | float | str | np.number):
            check_positive("scale", self.scale)

    @property
    def batch_size(self) -> None:
        """None: a step sees all of the data."""
        return None

    @property
    def epochs(self) -> int:
        """One pass a trial."""
        return self.trials

    def init(self, params: LinearParams, key: jax.Array) -> RandomSearchState:
        """Nothing tried yet: the first draw is always better than no draw."""
        worst = jnp.asarray(jnp.inf, params.W.dtype)
        return RandomSearchState(params, Evaluation(worst, jnp.zeros_like(worst)), key)

    def step(
        self, problem: Problem, state: RandomSearchState
    ) -> tuple[RandomSearchState, Evaluation]:
        """Draws once; reports the best so far."""
        key, draw_key = jax.random.split(state.key)
        leaves, structure = jax.tree.flatten(state.params)
        keys = jax.random.split(draw_key, len(leaves))
        draws = [
            jnp.asarray(self.scale, leaf.dtype) * jax.random.normal(k, leaf.shape, leaf.dtype)
            for k, leaf in zip(keys, leaves, strict=True)
        ]
        trial = jax.tree.unflatten(structure, draws)
        evaluation = problem.evaluate(trial)
        is_better = evaluation.objective < state.best.objective

        def keep(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(is_better, new.astype(old.dtype), old)

        best = jax.tree.map(keep, evaluation, state.best)
        return RandomSearchState(jax.tree.map(keep, trial, state.params), best, key), best
