"""Training the groups of a sweep: chunk by chunk, and what became of every setting."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective, Penalty
from jaxlin.outcomes import Outcome
from jaxlin.solvers.base import Examples
from jaxlin.solvers.grid import Grid, evaluate_models
from jaxlin.solvers.history import History
from jaxlin.solvers.loop import LoopResult, minimise
from jaxlin.sweeps import memory
from jaxlin.sweeps.programs import Group
from jaxlin.sweeps.progress import Progress, SweepReport
from jaxlin.sweeps.scoring import Score, fold_scores, held_out_scores, share_of
from jaxlin.training.account import (
    divergence_sentence,
    has_moved,
    have_grown,
    history_of,
    outcome_of,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """What became of a setting.

    Attributes:
      params: NumPy arrays.
      history: of the model on all rows.
      outcome: as `fit` gives it, or that it diverged; None where it was not trained.
      objective: at the end, on all rows.
      accuracy: likewise.
      score: on rows that were not trained on, or None.
      seconds: its share of its group's time.
      certificate: of the model on all rows, where it went to the certified optimum.
    """

    params: LinearParams
    history: History
    outcome: Outcome | None
    objective: float
    accuracy: float
    score: Score | None
    seconds: float
    certificate: Certificate | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """What all groups of a sweep have in common.

    Attributes:
      examples: all rows, weights (N,).
      held_out: rows to validate on, or None; with folds the same rows, weights a table.
      fold_table: weights (k + 1, N) of the rows that each fold's model trains on, or None.
      is_weighted: whether the examples have weights.
      starts: where each setting starts, NumPy arrays, leading axis S.
      l2: of each setting, float64 (S,).
      key: of everything random.
      penalty: as for `fit`; so are scaling, patience and tol.
      is_mixed: whether the examples lie in a random order.
      on_epoch: the user's function, made to run under the user's settings.
      started: by the monotonic clock.
    """

    examples: Examples
    held_out: Examples | None
    fold_table: jax.Array | None
    is_weighted: bool
    starts: LinearParams
    l2: np.ndarray
    key: jax.Array
    penalty: Penalty | None
    scaling: Scaling | None
    is_mixed: bool
    patience: int | None
    tol: float | None
    on_epoch: Callable[[SweepReport], Any] | None
    started: float

    @property
    def num_folds(self) -> int:
        """k, or 0."""
        return 0 if self.fold_table is None else len(self.fold_table) - 1

    @property
    def masks(self) -> list[int | None]:
        """The rows of the fold table, the last of which is all of the data; or None, for that."""
        return [None] if self.fold_table is None else [*range(len(self.fold_table))]


class Plan(NamedTuple):
    """What the groups of a sweep come to.

    Attributes:
      chunks: groups, with the positions of the settings in them that train together.
      loops: how many there will be.
    """

    chunks: list[tuple[Group, list[int]]]
    loops: int


def planned(groups: list[Group], work: Work) -> Plan:
    """The parts of groups that memory holds."""
    chunks = [(group, chunk) for group in groups for chunk in _chunks(group, work)]
    loops = 2 if work.num_folds and work.patience is not None else 1
    return Plan(chunks, loops * len(chunks))


def run_groups(plan: Plan, work: Work, progress: Progress) -> list[Trained | None]:
    """Trains every setting of some groups.

    Returns:
      What became of each setting of the sweep (S,), None where it has no model.
    """
    found: list[Trained | None] = [None] * len(work.l2)
    for group, chunk in plan.chunks:
        if progress.stopped:
            break
        trained = _run_chunk(group, chunk, work, progress)
        for position, one in zip(chunk, trained, strict=True):
            found[group.settings[position]] = one
    return found


def _chunks(group: Group, work: Work) -> list[list[int]]:
    """A group's settings, as positions in it, in parts that memory holds."""
    one = _grid(group, [0], work, [])
    numbers, start = (
        jax.tree.map(lambda leaf: leaf[0], tree) for tree in (one.numbers, one.params)
    )
    solver = group.make_solver(numbers)
    state = jax.eval_shape(
        lambda numbers, start, key: group.make_solver(numbers).init(start, key),
        numbers, start, work.key,
    )  # fmt: skip
    own_rows = 2 * len(work.examples.labels) if work.num_folds else 0
    if work.held_out is not None:
        own_rows += len(work.held_out.labels)
    each = memory.model_bytes(state, start, start.num_classes, solver.batch_size, own_rows)
    most = max(1, memory.most_models(each) // (work.num_folds + 1))
    count = len(group.settings)
    return [part.tolist() for part in np.array_split(np.arange(count), -(-count // most))]


def _grid(group: Group, chunk: list[int], work: Work, folds: list[int]) -> Grid:
    """The models of some settings: one each, or one a fold, a setting's beside each other.

    In NumPy: JAX would compile every step on the way.
    """
    rows, dtype = np.array(group.settings)[chunk], work.starts.W.dtype
    times = len(folds) or 1

    def repeated(leaf: np.ndarray) -> np.ndarray:
        return np.repeat(leaf, times, axis=0)

    l2 = work.l2[rows].astype(dtype)
    fold: Any = np.tile(np.array(folds, np.int32), len(chunk)) if folds else None
    return Grid(
        jax.tree.map(repeated, group.stacked_numbers(chunk, dtype)),
        Objective(group.loss, repeated(l2), work.penalty),
        jax.tree.map(lambda leaf: repeated(leaf[rows]), work.starts),
        fold,
    )


class _Models:
    """Models of some settings, trained.

    Attributes:
      end: where they ended, a grid without numbers.
      result: of the loop.
      seen: objective and accuracy at the end, on the rows that each was trained on (M,).
      diverged: (M,).
    """

    def __init__(
        self,
        group: Group,
        chunk: list[int],
        work: Work,
        folds: list[int],
        progress: Progress,
        last_epoch: np.ndarray | None = None,
    ) -> None:
        """Trains them.

        Args:
          group: that they are of.
          chunk: the settings, as positions in the group.
          work: what all groups have in common.
          folds: the models of a setting, by the fold that they leave out; k leaves none out.
          progress: hears of every epoch.
          last_epoch: as for `minimise`.
        """
        in_numpy = _grid(group, chunk, work, folds)
        grid = jax.tree.map(jnp.asarray, in_numpy)
        examples, held_out, judged = work.examples, work.held_out, int(work.held_out is not None)
        if work.fold_table is not None:
            examples = examples._replace(weight=work.fold_table)
            judged = min(len(folds), work.num_folds) if last_epoch is None else 0
            # Looking costs a pass over the data an epoch: only where somebody watches.
            if not judged or (work.patience is None and work.on_epoch is None):
                held_out = None
        self.result: LoopResult = minimise(
            group.make_solver,
            grid,
            examples,
            work.key,
            scaling=work.scaling,
            is_mixed=work.is_mixed,
            validation=held_out,
            patience=work.patience if judged else None,
            tol=work.tol,
            last_epoch=last_epoch,
            on_epoch=progress.next_loop(len(folds) or 1, judged),
        )
        self.end = grid._replace(numbers=(), params=self.result.params)
        self.seen = jax.tree.map(np.asarray, evaluate_models(self.end, examples, work.scaling))
        self.diverged = self.result.diverged | have_grown(self.result, self.seen.objective)
        self._last_epoch = last_epoch
        self._work, self._start = work, in_numpy.params
        self._params = jax.tree.map(np.asarray, self.result.params)

    def trained(self, model: int, fold: int | None, score: Score | None, seconds: float) -> Trained:
        """What became of a setting, of which this is the model on all rows.

        Args:
          model: its place.
          fold: whose model diverged, the first; None where none did.
          score: of the setting.
          seconds: its share of the time.
        """
        history = history_of(self.result, model)
        if self._work.num_folds:  # this model leaves no rows out to validate on
            history = dataclasses.replace(history, validation_loss=None, validation_accuracy=None)
        params, start = (
            jax.tree.map(lambda leaf: leaf[model], tree) for tree in (self._params, self._start)
        )
        work = self._work
        if self.diverged[model] or fold is not None:
            first = None if self.diverged[model] else fold
            outcome = Outcome(divergence_sentence(history, first), kind="diverged")
        else:
            moved = has_moved(params, start)
            outcome = outcome_of(self.result, history, work.tol, work.patience, moved, model)
            if self._last_epoch is not None and outcome.kind == "out_of_steps":
                outcome = Outcome(
                    f"Stopped after epoch {len(history)}: so many were best for the models that "
                    "leave a fold out, in the median.",
                    kind="stopped_early",
                )
        objective, accuracy = (float(values[model]) for values in self.seen)
        if not work.is_weighted:
            accuracy = float(share_of(accuracy, len(work.examples.labels)))
        return Trained(params, history, outcome, objective, accuracy, score, seconds)


def _run_chunk(
    group: Group, chunk: list[int], work: Work, progress: Progress
) -> list[Trained | None]:
    """Trains some settings of a group, and scores them; None where none is trained on all rows."""
    since, k = time.monotonic(), work.num_folds
    scores: list[Score | None] = [None] * len(chunk)
    lost = np.zeros((len(chunk), k), bool)  # which folds' models diverged
    if not k:
        whole = _Models(group, chunk, work, [], progress)
        if work.held_out is not None:
            scores = [*held_out_scores(whole.end, work.held_out, work.scaling, work.key)]
    else:
        assert work.held_out is not None
        early = work.patience is not None
        parts = _Models(group, chunk, work, [*range(k if early else k + 1)], progress)
        scores = [*fold_scores(parts.end, work.held_out, work.scaling, work.is_weighted)]
        lost = parts.diverged.reshape(len(chunk), -1)[:, :k]
        whole = parts
        if early:
            # The model on all rows has none to watch: it goes as far as the folds' did.
            best = parts.result.best_epoch.reshape(len(chunk), k)
            last = np.maximum(1, np.rint(np.median(best, axis=1))).astype(np.int32)
            if progress.stopped:
                return [None] * len(chunk)
            whole = _Models(group, chunk, work, [k], progress, last)
    seconds = (time.monotonic() - since) / len(chunk)
    models = len(whole.diverged) // len(chunk)
    return [
        whole.trained(
            models * (i + 1) - 1,
            int(lost[i].argmax()) if lost[i].any() else None,
            scores[i],
            seconds,
        )
        for i in range(len(chunk))
    ]
