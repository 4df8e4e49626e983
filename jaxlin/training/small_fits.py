"""Small fits with a smooth loss: all of those that share their rows at once.

Which are small: where a product with the rows takes so little that what counts is how often the
host is asked (`takes_small`). They are solved in float64, whatever the dtype of their parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.optimum.at_once import equal_parts, models_at_once
from jaxlin.solvers.optimum.certifying import Ending, Round
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.reduced import Rows, reduced, seen_by_model
from jaxlin.solvers.optimum.small import MOST_STEPS, SmallProblems
from jaxlin.solvers.optimum.standings import Standing, together_at
from jaxlin.training.listening import Listener
from jaxlin.training.proof_sentences import (
    Shortfall,
    newton_words,
    proof_sentence,
    why_short,
)
from jaxlin.training.proved import ToOptimum, history_of_rounds

# Numbers of the rows in their own coordinates, times the classes; and of the features.
_SMALL_WORK, _SMALL_SIZE = 10_000_000, 20_000_000
# Coordinates, and classes: matrices of so many rows are factored, those of the classes each step.
_FEW, _FEW_CLASSES = 1024, 256
# A promised gap that is met where rounding ends everything, and not before.
TO_ROUNDING = 1e-22


def takes_small(loss: Loss, num_rows: int, num_features: int, num_classes: int) -> bool:
    """Whether problems are small enough to be solved together: those with a smooth loss.

    >>> from jaxlin.losses import softmax_cross_entropy
    >>> takes_small(softmax_cross_entropy, 160, 784, 10)
    True
    >>> takes_small(softmax_cross_entropy, 60_000, 784, 10)
    False
    """
    size = min(num_rows, num_features) + 1
    is_small = num_rows * size * num_classes <= _SMALL_WORK and size <= _FEW
    is_small = is_small and num_rows * num_features <= _SMALL_SIZE
    is_small = is_small and num_classes <= _FEW_CLASSES
    return not conjugates.is_hinge(loss) and is_small


class SmallFits:
    """Fits on the same rows, one a table of weights."""

    def __init__(
        self,
        loss: Loss,
        examples: Examples,
        weight: np.ndarray,
        start: LinearParams,
        *,
        scaling: Scaling | None,
        dtype: Any,
    ) -> None:
        """In a float64 scope; nothing is solved yet.

        Args:
          loss: a smooth one with a known conjugate.
          examples: all rows.
          weight: of each fit (M, N), float64, sum 1 each.
          start: W (C, D) and b (C,) or None.
          scaling: of the features, or None.
          dtype: of the parameters.
        """
        self._data = Data(examples.x, examples.labels, examples.weight, scaling)
        x = seen_by_model(np.asarray(examples.x), scaling)
        self._start, self._weight, self._dtype = start, weight, dtype
        self._num_rows = len(x)
        self._loss, self._has_bias = conjugates.known_conjugate(loss), start.b is not None
        self._rows = reduced(
            x, np.asarray(examples.labels), weight.mean(axis=0), start.num_classes, self._has_bias
        )

    def at(
        self, l2: list[float], tol: float, on_l2: Callable[[int, int], bool] | None = None
    ) -> list[list[ToOptimum]]:
        """Every fit at every l2, which fall; a list an l2.

        Args:
          l2: positive, falling.
          tol: certified relative gap.
          on_l2: as for `SmallProblems.solve`.
        """
        since = time.monotonic()
        found = self.standings(l2, tol, on_l2=on_l2)
        seconds = (time.monotonic() - since) / len(found)
        return [
            [
                ended_of(one, model, tol, self._data, [round_of(one, model, seconds)], [])
                for model in range(len(one.certificates))
            ]
            for one in found
        ]

    def standings(
        self,
        l2: list[float],
        tol: float,
        *,
        on_l2: Callable[[int, int], bool] | None = None,
        **options: Any,
    ) -> list[Standing]:
        """Where every fit stands at every l2: as many at once as memory is meant to hold.

        Args:
          l2: positive, falling.
          tol: relative gap.
          on_l2: as for `SmallProblems.solve`; told of the last of those that are solved at once.
          options: the others of it.
        """
        shape = (self._start.num_classes, self._start.num_features)
        most = models_at_once(self._num_rows, shape[1], shape[0], len(l2), own_rows=False)
        rows = jax.tree.map(jnp.asarray, self._rows)
        parts = []
        for places in equal_parts(len(self._weight), most):
            problems = self._problems(rows, places)
            is_last = places[-1] == len(self._weight) - 1
            hear = on_l2 if is_last else None
            parts.append(problems.solve(l2, tol, start=self._start, on_l2=hear, **options))
        return [together_at(of_l2, len(self._weight)) for of_l2 in zip(*parts, strict=False)]

    def _problems(self, rows: Rows, places: np.ndarray) -> SmallProblems:
        shape = (self._start.num_classes, self._start.num_features)
        return SmallProblems(
            self._loss, rows, self._weight[places], shape, has_bias=self._has_bias,
            dtype=self._dtype,
        )  # fmt: skip

    def one(self, l2: float, tol: float, listener: Listener) -> ToOptimum:
        """The only fit, at one l2.

        Args:
          l2: positive.
          tol: certified relative gap.
          listener: told of each step, if there is anybody to tell.
        """
        if listener.is_silent:
            return self.at([l2], tol)[0][0]
        rounds: list[Round] = []

        def hear(now: Standing, seconds: float) -> bool:
            rounds.append(round_of(now, 0, seconds))
            return listener(rounds[-1], lambda: jax.tree.map(jnp.asarray, params_of(now, 0)))

        problems = self._problems(self._rows, np.zeros(1, np.int64))
        found, is_stopped = problems.rounds(l2, tol, self._start, hear)
        return ended_of(found, 0, tol, self._data, rounds, listener.seen, is_stopped=is_stopped)


def ended_of(
    standing: Standing,
    model: int,
    tol: float,
    data: Data,
    rounds: list[Round],
    seen: list[Evaluation],
    more: str = "Try solver=solvers.LBFGS(passes=...)",
    *,
    is_stopped: bool = False,
) -> ToOptimum:
    """What one of the models came to.

    Args:
      standing: where all of them ended.
      model: which.
      tol: that it was to reach.
      data: what it was fitted on.
      rounds: the way there.
      seen: the validation rows after each of them.
      more: how to have more steps, for who has run out of them; "" where there is no way.
      is_stopped: whether the user's callback ended it.
    """
    certificate, params = standing.certificates[model], params_of(standing, model)
    steps = int(standing.found.steps[model])
    ending: Ending = "stuck" if steps < MOST_STEPS else "out_of_steps"
    if is_stopped:
        ending = "stopped"
    elif certificate.relative_gap <= tol:
        ending = "certified"
    why = ""
    if ending in ("stuck", "out_of_steps"):
        rounding = certificate.primal - float(standing.found.value[model])
        short = Shortfall(ending, certificate, params, rounds[-1].accuracy, rounding)
        why = why_short(short, tol, data, more)
    words = newton_words(steps)
    outcome = proof_sentence(ending, certificate, tol, words, why)
    return ToOptimum(params, history_of_rounds(rounds, seen), outcome, certificate)


def round_of(standing: Standing, model: int, seconds: float) -> Round:
    """Where a model stands, and after how long."""
    found = standing.found
    return Round(
        int(found.products[model]), float(found.value[model]), float(found.accuracy[model]),
        float(found.gap[model]), seconds,
    )  # fmt: skip


def params_of(standing: Standing, model: int) -> LinearParams:
    """NumPy arrays."""
    return jax.tree.map(lambda leaf: leaf[model], standing.params)
