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

    Attributes:
      objective: mean loss + penalties over the epoch's batches as they passed, each at the
        parameters that its step started from. Random search: the best so far.
      accuracy: of the same passes, 0 to 1.
      validation_loss: mean loss, without penalties, on the validation data after each epoch;
        None where there is none.
      validation_accuracy: likewise.
      seconds: since the start of the fit, compilation included. Epochs of a few milliseconds run
        several in one program, and share its time evenly.
    """

    objective: np.ndarray
    accuracy: np.ndarray
    seconds: np.ndarray
    validation_loss: np.ndarray | None = None
    validation_accuracy: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.objective)


@dataclasses.dataclass(frozen=True, eq=False)
class EpochReport:
    """The state of a fit after an epoch, as `on_epoch` gets it.

    Attributes:
      epoch: its number, from 1.
      epochs: how many there are to be.
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
