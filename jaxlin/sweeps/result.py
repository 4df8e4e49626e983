"""What a sweep gives back."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.data.scaling import Scaling
from jaxlin.errors import DivergedError, InputError
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.history import History
from jaxlin.training.fitting import Fit
from jaxlin.training.proving import LateCertificate


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """What `sweep` found: S settings, one row each.

    Attributes:
      table: columns by name, NumPy arrays (S,): the settings; `objective` and `accuracy` on all
        training rows at the end; `validation_loss` and `validation_accuracy` where there are such
        rows, with `_sd` and `_fold_0`... (folds) or `_low` and `_high` (a validation set, 95 %
        bootstrap interval); `epochs` that it trained (to the optimum: rounds of passes), called
        `epochs_run` where `epochs` is a setting; `relative_gap` where it is certified; `outcome`,
        the kind of the ending: as of a fit, or `"diverged"`, or `"not_run"`; `seconds`, a setting's
        share of its group's time.
        `pandas.DataFrame(sweep.table)` works.
      best: the row of the best setting; None where none can be said to be, for a reason that
        `outcome` gives.
      params: of every setting, W (S, C, D) and b (S, C) or None; trained on all rows. Of one that
        diverged the last finite ones.
      histories: of every setting.
      outcome: a sentence: which setting is best, how sure that is, and where the grid is too small.
      edges: the axes of the grid at whose end the best setting is, with that end: `"lowest"` or
        `"highest"`.
      fold_scores: with folds `{"loss": (S, k), "accuracy": (S, k)}`, else None.
      settings: as they were given, one dict a row.
      seconds: the whole sweep took, compilation included.
      outcomes: of every setting, as a fit gives it, or that it diverged; None where it has no
        model.
      objectives: what every setting minimised.
      scaling: what each batch went through first, or None.
      proofs: of every setting, as of a fit.
    """

    table: dict[str, np.ndarray]
    best: int | None
    params: LinearParams
    histories: list[History]
    outcome: Outcome
    edges: dict[str, str]
    fold_scores: dict[str, np.ndarray] | None
    settings: list[dict[str, Any]]
    seconds: float
    outcomes: list[Outcome | None]
    objectives: list[Objective]
    scaling: Scaling | None
    proofs: list[Certificate | LateCertificate | None]

    def __repr__(self) -> str:
        return f"Sweep({str(self.outcome)!r})"

    def __len__(self) -> int:
        return len(self.settings)

    @property
    def certificates(self) -> list[Certificate | None]:
        """Of every setting, as a fit gives it; None where there is none."""
        return [
            proof.certificate() if isinstance(proof, LateCertificate) else proof
            for proof in self.proofs
        ]

    @property
    def best_params(self) -> LinearParams | None:
        """The parameters of the best setting; None where there is none."""
        return None if self.best is None else self._params_of(self.best)

    def fit(self, index: int) -> Fit:
        """Setting `index` as `fit` would have given it; with folds, its model on all rows.

        Raises:
          InputError: there is no such setting, or the sweep was stopped before it.
          DivergedError: it diverged.

        >>> from jaxlin import losses
        >>> from jaxlin.sweeps import sweep
        >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
        >>> found = sweep(
        ...     x, [0, 1, 0, 1], loss=losses.softmax_cross_entropy, grid={"l2": [1e-3, 1e-2]})
        >>> found.fit(1).objective.l2
        0.01
        """
        try:
            row = range(len(self))[operator.index(index)]
        except (TypeError, IndexError):
            raise InputError(f"There are settings 0 to {len(self) - 1}, got {index!r}.") from None
        params, history, outcome = self._params_of(row), self.histories[row], self.outcomes[row]
        if self.table["outcome"][row] == "diverged":
            raise DivergedError(str(outcome), params=params, history=history)
        if outcome is None:
            raise InputError(f"Setting {row} has no model: the sweep was stopped before.")
        seconds = float(history.seconds[-1])
        objective, proof = self.objectives[row], self.proofs[row]
        return Fit(params, history, outcome, objective, self.scaling, seconds, proof)

    def _params_of(self, row: int) -> LinearParams:
        with float64_scope(self.params.W.dtype == jnp.float64):
            return jax.tree.map(lambda leaf: leaf[row], self.params)
