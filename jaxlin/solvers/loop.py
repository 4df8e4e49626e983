"""The one loop of the first-order solvers.

It trains M models at once; a fit is a grid of one. The compiled unit is a block of epochs
(`jaxlin.solvers.block`); this is the host's side. Between blocks it reads a few numbers a model,
tells the callback, and chooses how many epochs the next block holds: enough that starting it costs
next to nothing, few enough that nobody waits. The order of the next epochs is drawn while the
device is busy. Models that have finished leave the program when that pays
(`jaxlin.solvers.compaction`).
"""

from __future__ import annotations

import collections
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.data.order import epoch_batches, epoch_order, rows_together
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.block import Record, first_standing, run_block
from jaxlin.solvers.compaction import Program, compaction_pays
from jaxlin.solvers.grid import Grid, MakeSolver, largest_slopes, select_models
from jaxlin.solvers.standing import Standing, Stopping

# Starting a block costs the host one to three milliseconds; a callback hears of its epochs at the
# end of it. A tenth of a second loses little on the one side, and nobody notices it on the other.
_BLOCK_SECONDS = 0.1

# The most epochs a block can hold, and the most rows whose order is drawn ahead for it.
_MOST_EPOCHS, _MOST_ROWS = 64, 1 << 18


@dataclasses.dataclass(frozen=True, eq=False)
class LoopRow:
    """An epoch's record: arrays (M,), and None where there is no validation data.

    What stands for a model that has finished before means nothing: `trained` says which did not.
    """

    objective: np.ndarray
    accuracy: np.ndarray
    validation: Evaluation | None
    trained: np.ndarray
    seconds: float


# Called with (epoch from 1, epochs, record, a function that gives the params there); True stops.
OnEpoch = Callable[[int, int, LoopRow, Callable[[], LinearParams]], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class LoopResult:
    """How the loop left M models.

    Attributes:
      params: leading axis M; with `patience`, of each model's best epoch.
      rows: a record of each epoch.
      epochs: how many epochs of the record are each model's own (M,).
      diverged: (M,) bool.
      stopped_early: (M,) bool.
      converged: (M,) bool.
      stopped_by_callback: whether `on_epoch` asked for the end.
      best_epoch: from 1, (M,); 0 without `patience`.
      reference: the size of objective that divergence is measured by (M,).
      slope: largest |gradient| over its value at zero parameters (M,), where `tol` was given.
    """

    params: LinearParams
    rows: list[LoopRow]
    epochs: np.ndarray
    diverged: np.ndarray
    stopped_early: np.ndarray
    converged: np.ndarray
    stopped_by_callback: bool
    best_epoch: np.ndarray
    reference: np.ndarray
    slope: np.ndarray | None


class _Batches:
    """Row numbers of the epochs to come, drawn ahead."""

    def __init__(
        self, key: jax.Array, num_examples: int, batch_size: int | None, is_mixed: bool
    ) -> None:
        self._key, self._num_examples, self._batch_size = key, num_examples, batch_size
        self._together = rows_together(batch_size) if is_mixed and batch_size is not None else 1
        self._drawn: collections.deque[np.ndarray] = collections.deque()
        self._next_epoch = 0

    @property
    def capacity(self) -> int:
        """How many epochs a block can hold."""
        if self._batch_size is None:
            return _MOST_EPOCHS
        return max(1, min(_MOST_EPOCHS, _MOST_ROWS // self._num_examples))

    def draw(self, count: int) -> None:
        """Sees to it that `count` epochs lie ready."""
        if self._batch_size is None:
            return
        batch_size = min(self._batch_size, self._num_examples)
        while len(self._drawn) < count:
            order = epoch_order(self._key, self._next_epoch, self._num_examples, self._together)
            self._drawn.append(epoch_batches(order, batch_size))
            self._next_epoch += 1

    def take(self, count: int) -> jax.Array | None:
        """The next epochs (capacity, number of batches, B); what is beyond `count` is not read."""
        if self._batch_size is None:
            return None
        self.draw(count)
        taken = [self._drawn.popleft() for _ in range(count)]
        if self.capacity == 1:
            return jnp.asarray(taken[0][None])
        filled = np.zeros((self.capacity, *taken[0].shape), taken[0].dtype)
        filled[:count] = taken
        return jnp.asarray(filled)


def _read(
    program: Program, record: Record, standing: Standing, before: int, begin: float, started: float
) -> list[LoopRow]:
    """The rows of a block's epochs, but for one in which the last models diverged."""
    epochs, record = jax.device_get((standing.epochs, record))
    end, ran = time.monotonic() - started, int(standing.epoch) - before
    rows = []
    for i in range(int(epochs.max()) - before):
        seen, validation, trained = jax.tree.map(lambda all_, i=i: program.widened(all_[i]), record)
        seconds = begin + (end - begin) * (i + 1) / ran
        rows.append(LoopRow(seen.objective, seen.accuracy, validation, trained, seconds))
    return rows


class _Told(NamedTuple):
    """What the callback did: the last epoch that it heard of, and whether it stopped there."""

    epoch: int
    stopped: bool
    was_read: bool


def _tell(
    on_epoch: OnEpoch,
    rows: list[LoopRow],
    before: int,
    epochs: int,
    params_after: Callable[[int], LinearParams],
) -> _Told:
    """Tells the callback of the rows after the first `before`, until it wants no more.

    The parameters within a block are not kept: who asks for them has the block run again so far.
    """
    was_read = False

    def params(count: int) -> LinearParams:
        nonlocal was_read
        was_read = True
        return params_after(count)

    for index in range(before, len(rows)):
        read = functools.partial(params, index + 1 - before)
        answer = on_epoch(index + 1, epochs, rows[index], read)
        if isinstance(answer, bool | np.bool_) and answer:
            return _Told(index + 1, True, was_read)
    return _Told(len(rows), False, was_read)


def minimise(
    make_solver: MakeSolver,
    grid: Grid,
    examples: Examples,
    key: jax.Array,
    *,
    scaling: Scaling | None = None,
    is_mixed: bool = False,
    validation: Examples | None = None,
    patience: int | None = None,
    tol: float | None = None,
    last_epoch: np.ndarray | None = None,
    on_epoch: OnEpoch | None = None,
) -> LoopResult:
    """Trains every model of a grid.

    Args:
      make_solver: makes a model's solver of its numbers.
      grid: the models.
      examples: rows to train on, weights with sum 1; of a grid with folds a table of them.
      key: of the order of the examples, and of whatever a solver draws.
      scaling: applied to each batch inside the program.
      is_mixed: whether the examples lie in a random order: neighbours may then keep together.
      validation: rows to evaluate on after each epoch.
      patience: epochs without a better validation loss after which a model stops; the result then
        holds its best epoch.
      tol: a model stops where `max |gradient| <= tol *` its value at zero parameters. Looking
        costs a pass over the data an epoch.
      last_epoch: of each model, from 1, (M,); None lets all run through the solver's epochs.
      on_epoch: hears of every epoch, in order, at the end of its block. True stops there.

    Returns:
      `LoopResult`.
    """
    started = time.monotonic()
    solver = make_solver(jax.tree.map(lambda leaf: leaf[0], grid.numbers))
    order = _Batches(key, len(examples.labels), solver.batch_size, is_mixed)
    standing = first_standing(make_solver, grid, examples, key)
    slope_at_zero, stopping = None, Stopping(validation)
    if patience is not None:
        stopping = stopping._replace(patience=jnp.asarray(patience, jnp.int32))
    if last_epoch is not None:
        stopping = stopping._replace(last_epoch=jnp.asarray(last_epoch, jnp.int32))
    if tol is not None:
        zero = jax.tree.map(jnp.zeros_like, grid.params)
        slope_at_zero = largest_slopes(grid._replace(params=zero), examples, scaling)
        limit = jnp.asarray(tol, slope_at_zero.dtype) * slope_at_zero
        stopping = stopping._replace(slope_limit=limit)

    program, rows = Program(standing), []
    stopped_by_callback, count = False, 1
    compile_seconds, first_block, new_program = 0.0, (0.0, 1), True
    while True:
        since = time.monotonic()
        run = functools.partial(
            run_block, make_solver, order.capacity, grid, standing, examples=examples,
            scaling=scaling, batches=order.take(count), stopping=stopping,
        )  # fmt: skip
        before = len(rows)
        standing, record = run(count=np.int32(count))
        order.draw(min(2 * count, solver.epochs - before - count))  # while the device is busy
        rows += _read(program, record, standing, before, since - started, started)
        seconds = time.monotonic() - since
        was_read = False
        if on_epoch is not None:

            def params_after(count: int, run: Any = run) -> LinearParams:
                return program.whole(run(count=np.int32(count))[0]).params

            told = _tell(on_epoch, rows, before, solver.epochs, params_after)
            was_read, stopped_by_callback = told.was_read, told.stopped
            if told.stopped and told.epoch < int(standing.epoch):
                # What ran after the epoch that the callback stopped at is undone.
                standing, _ = run(count=np.int32(told.epoch - before))
                del rows[told.epoch :]
        active = int(np.asarray(standing.is_active).sum())
        left = solver.epochs - int(standing.epoch)
        if not left or not active or stopped_by_callback:
            break
        if new_program:  # this block has compiled: its time says little about an epoch
            first_block, new_program = (seconds, len(rows) - before), False
        else:
            epoch_seconds, models = seconds / (len(rows) - before), len(standing.is_active)
            count = max(1, min(2 * count, int(_BLOCK_SECONDS / epoch_seconds)))
            compiled = first_block[0] - first_block[1] * epoch_seconds
            compile_seconds = max(compile_seconds, compiled)
            if compaction_pays(models, active, left, epoch_seconds, compile_seconds):
                grid, standing, stopping = program.without_finished(grid, standing, stopping)
                new_program = True
        if was_read:
            count = 1  # so that reading the parameters costs nothing
        count = min(count, order.capacity, left)
    standing = program.whole(standing)
    slope = None
    if slope_at_zero is not None:
        at_zero = np.asarray(slope_at_zero)
        slope = np.asarray(standing.slope) / np.where(at_zero > 0, at_zero, 1.0)
    return LoopResult(
        params=select_models(standing.best_epoch > 0, standing.best_params, standing.params),
        rows=rows,
        epochs=np.asarray(standing.epochs),
        diverged=np.asarray(standing.diverged),
        stopped_early=np.asarray(standing.stopped_early),
        converged=np.asarray(standing.converged),
        stopped_by_callback=stopped_by_callback,
        best_epoch=np.asarray(standing.best_epoch),
        reference=np.asarray(standing.reference),
        slope=slope,
    )
