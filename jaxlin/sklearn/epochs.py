"""Epochs of minibatch SGD that go on where others have ended.

The engine's own block of epochs (`jaxlin.solvers.block`), with the optimiser's state kept between
calls as NumPy arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.conjugates import Known
from jaxlin.data.order import epoch_batches, epoch_order
from jaxlin.errors import DivergedError
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.solvers.block import first_standing, run_block
from jaxlin.solvers.grid import Grid
from jaxlin.solvers.history import History
from jaxlin.solvers.optimum import reduced
from jaxlin.solvers.standing import Stopping
from jaxlin.training.account import divergence_sentence
from jaxlin.training.default_solver import DefaultNumbers, default_solver

# As `jaxlin.solvers.loop` has it: epochs of a block, and rows whose order lies ready for it.
_MOST_EPOCHS, _MOST_ROWS = 64, 1 << 18
# Features beyond this are not padded.
_PADDED_FEATURES = 64


class Rows(NamedTuple):
    """Rows to train on, in the shape that the program takes.

    Attributes:
      x: features (N', D').
      codes: (N',) int32.
      weight: the share of each row in the objective (N',), in the dtype that is computed in; 0 of
        rows that were added.
      batch_size: B.
      num_features: D.
    """

    x: np.ndarray
    codes: np.ndarray
    weight: np.ndarray
    batch_size: int
    num_features: int


class Progress(NamedTuple):
    """Where the training stands: NumPy arrays, all that the next epoch needs.

    Attributes:
      state: the solver's, a leading axis of 1.
      epoch: how many have run.
    """

    state: Any
    epoch: int

    def params(self, num_features: int) -> LinearParams:
        """W (C, D) and b (C,) or None."""
        W, b = self.state.params.W, self.state.params.b
        return LinearParams(W[0, :, :num_features], None if b is None else b[0])


def padded_shape(num_rows: int, num_features: int) -> tuple[int, int]:
    """The shape that features (N, D) are filled up to."""
    is_narrow = num_features <= _PADDED_FEATURES
    columns = reduced.padded_size(num_features) if is_narrow else num_features
    return reduced.padded_rows(num_rows), columns


def padded_rows(
    x: np.ndarray, codes: np.ndarray, share: np.ndarray, batch_size: int, dtype: np.dtype
) -> Rows:
    """Rows in one of few shapes: what fits into a batch is one, with rows of weight 0 added.

    Args:
      x: features (N, D).
      codes: class indices (N,).
      share: of each row in the objective (N,).
      batch_size: B.
      dtype: that is computed in.
    """
    num_rows, num_features = x.shape
    rows, columns = padded_shape(num_rows, num_features)
    if num_rows > batch_size:  # a row of weight 0 would take the place of one that counts
        rows, batch = num_rows, batch_size
    else:
        batch = rows
    wide = np.zeros(rows, dtype)
    wide[:num_rows] = share
    labels = np.zeros(rows, np.int32)
    labels[:num_rows] = codes
    if (rows, columns) != x.shape:
        larger = np.zeros((rows, columns), x.dtype)
        larger[:num_rows, :num_features] = x
        x = larger
    return Rows(x, labels, wide, batch, num_features)


def run_epochs(
    rows: Rows,
    loss: Known,
    *,
    l2: float,
    learning_rate: float,
    total_steps: float,
    momentum: float,
    count: int,
    progress: Progress | None,
    start: LinearParams,
    seed: int,
    dtype: np.dtype,
) -> Progress:
    """Some more epochs.

    Args:
      rows: to train on.
      loss: which.
      l2: not negative.
      learning_rate: at step 0.
      total_steps: where the rate has gone down to 0, along half a cosine; infinite keeps it.
      momentum: in [0, 1).
      count: how many epochs.
      progress: where the last ones ended; None begins.
      start: W (C, D) and b to begin with.
      seed: of the order of the rows, which depends on it and the epoch.
      dtype: that is computed in.

    Raises:
      DivergedError: the parameters left the finite numbers, or the objective grew a millionfold.
    """
    num_rows = len(rows.codes)
    capacity = max(1, min(_MOST_EPOCHS, _MOST_ROWS // num_rows)) if count > 1 else 1
    key = jax.random.key(np.uint32(seed))
    with float64_scope(dtype == np.float64):
        rate, kept, steps = (
            jnp.asarray([value], dtype) for value in (learning_rate, momentum, total_steps)
        )
        numbers = DefaultNumbers(rate, kept, steps, 1, 1)
        W = np.zeros((1, start.W.shape[0], rows.x.shape[1]), dtype)
        W[0, :, : rows.num_features] = start.W
        b = None if start.b is None else np.asarray(start.b, dtype)[None]
        objective = Objective(loss, jnp.asarray([l2], dtype))
        grid = Grid(numbers, objective, LinearParams(W, b))  # pyright: ignore[reportArgumentType]
        examples = Examples(jnp.asarray(rows.x), jnp.asarray(rows.codes), jnp.asarray(rows.weight))
        # A millionfold of what the rows would be at scores of zero if they all counted is growth,
        # however little these count.
        counted = jnp.maximum(examples.weight, jnp.asarray(1.0 / num_rows, dtype))
        standing = first_standing(default_solver, grid, examples._replace(weight=counted), key)
        done = 0
        if progress is not None:
            done = progress.epoch
            standing = standing._replace(solver=progress.state, epoch=np.int32(done))
        end = done + count
        while done < end:
            now = min(capacity, end - done)
            batches = np.zeros(
                (capacity, -(-num_rows // rows.batch_size), rows.batch_size), np.int32
            )
            for place in range(now):
                order = epoch_order(key, done + place, num_rows)
                batches[place] = epoch_batches(order, rows.batch_size)
            standing, _ = run_block(
                default_solver, capacity, grid, standing, np.int32(now), examples, None,
                jnp.asarray(batches), Stopping(),
            )  # fmt: skip
            if bool(standing.diverged[0]):
                last = jax.device_get(standing.solver)
                found = Progress(last, done).params(rows.num_features)
                nothing = np.empty(int(standing.epochs[0]))
                history = History(nothing, nothing, nothing)
                raise DivergedError(divergence_sentence(history), params=found, history=history)
            done += now
        return Progress(jax.tree.map(np.array, jax.device_get(standing.solver)), done)
