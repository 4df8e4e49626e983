"""What a fit remembers of its way, and what it tells a callback after each epoch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from jaxlin.linear import LinearParams


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """One entry an epoch (a step, where a step sees all of the data), NumPy arrays (E,).

    L-BFGS on its way to the certified optimum has an entry for some passes each: then the objective
    and the accuracy are those at the parameters after them, a hinge's with its kinks as far rounded
    off as they were then.

    Attributes:
      objective: mean loss + penalties over the epoch's batches as they passed, each at the
        parameters that its step started from. Random search: the best so far.
      accuracy: of the same passes, 0 to 1.
      validation_loss: mean loss, without penalties, on the validation data after each epoch;
        None where there is none.
      validation_accuracy: likewise.
      seconds: since the start of the fit, compilation included. Epochs of a few milliseconds run
        several in one program, and share its time evenly.
      passes: over the data so far, of L-BFGS on its way to the certified optimum; None where each
        entry is one.
    """

    objective: np.ndarray
    accuracy: np.ndarray
    seconds: np.ndarray
    validation_loss: np.ndarray | None = None
    validation_accuracy: np.ndarray | None = None
    passes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.objective)

    def until_settled(self) -> History:
        """Without the entries at the end that only repeat the objective of the one before.

        Newton's steps after the last useful one change nothing.

        >>> told = History(np.array([2.0, 0.5, 0.5]), np.array([0.5, 1.0, 1.0]), np.arange(3.0))
        >>> len(told.until_settled())
        2
        """
        moves = np.flatnonzero(np.diff(self.objective) != 0.0)
        count = 1 + (int(moves[-1]) + 1 if len(moves) else 0)
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        kept = {name: c[:count] for name, c in columns.items() if c is not None}
        return dataclasses.replace(self, **kept)


@dataclasses.dataclass(frozen=True, eq=False)
class EpochReport:
    """The state of a fit after an epoch, as `on_epoch` gets it.

    Attributes:
      epoch: its number, from 1. On the way to the certified optimum L-BFGS reports after some
        passes over the data, and this is how many there were.
      epochs: how many there are to be; of L-BFGS, at most.
      objective: see `History`.
      accuracy: see `History`.
      validation_loss: see `History`; None without validation data.
      validation_accuracy: likewise.
      seconds: since the start of the fit.
      examples: seen so far.
      read_params: gives `params`.
    """

    epoch: int
    epochs: int
    objective: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    examples: int
    read_params: Callable[[], LinearParams] = dataclasses.field(repr=False)

    @functools.cached_property
    def params(self) -> LinearParams:
        """Parameters at the end of the epoch, for features as the engine scales them.

        Fetched when they are asked for: an epoch of a small problem takes less time than that.
        """
        return self.read_params()
