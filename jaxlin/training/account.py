"""The account of a fit: what a callback hears, the history, and in a sentence how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.loop import LoopResult, LoopRow, OnEpoch


def reporter(
    on_epoch: Callable[[EpochReport], Any] | None, num_examples: int, users_x64: bool
) -> OnEpoch | None:
    """The loop's callback for a user's, which hears of the one model and runs as the user set JAX.

    Args:
      on_epoch: the user's, or None.
      num_examples: N.
      users_x64: the user's own float64 setting.
    """
    if on_epoch is None:
        return None

    fits_x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]

    def report(epoch: int, epochs: int, row: LoopRow, read: Callable[[], LinearParams]) -> Any:
        seen = row.validation

        def read_params() -> LinearParams:
            with jax.enable_x64(fits_x64):
                return jax.tree.map(lambda leaf: leaf[0], read())

        told = EpochReport(
            epoch=epoch,
            epochs=epochs,
            objective=float(row.objective[0]),
            accuracy=float(row.accuracy[0]),
            validation_loss=None if seen is None else float(seen.objective[0]),
            validation_accuracy=None if seen is None else float(seen.accuracy[0]),
            seconds=row.seconds,
            examples=epoch * num_examples,
            read_params=read_params,
        )
        with jax.enable_x64(users_x64):  # the user's code runs under the user's setting
            return on_epoch(told)

    return report


def history_of(result: LoopResult) -> History:
    """The history of a grid's one model, as far as it trained."""
    rows = result.rows[: int(result.epochs[0])]
    seen = [row.validation for row in rows]
    validated = bool(seen) and seen[0] is not None
    return History(
        objective=np.array([row.objective[0] for row in rows], np.float64),
        accuracy=np.array([row.accuracy[0] for row in rows], np.float64),
        seconds=np.array([row.seconds for row in rows], np.float64),
        validation_loss=np.array([v.objective[0] for v in seen if v is not None], np.float64)
        if validated
        else None,
        validation_accuracy=np.array([v.accuracy[0] for v in seen if v is not None], np.float64)
        if validated
        else None,
    )


def divergence_sentence(history: History) -> str:
    """What happened to a fit that diverged, and what to do."""
    epoch = len(history) + 1
    return (
        f"The fit diverged in epoch {epoch}: the objective left the finite numbers or grew a "
        "millionfold. Lower the learning rate (of a line search, its longest step), or scale the "
        "features (scaling=jaxlin.data.Scaling.standardize(x)). The error's params are the last "
        "finite ones."
    )


def outcome_of(
    result: LoopResult, history: History, tol: Any, patience: Any, moved: bool
) -> Outcome:
    """How a fit ended.

    Args:
      result: of the loop.
      history: of the fit.
      tol: as given to `fit`.
      patience: as given to `fit`.
      moved: whether the parameters are others than at the start.
    """
    epochs, best = len(history), int(result.best_epoch[0])
    count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    if result.stopped_by_callback:
        return Outcome(f"Stopped by on_epoch after {count}.", kind="stopped_by_callback")
    slope = "" if result.slope is None else f"{float(result.slope[0]):.3g}"
    if result.converged[0]:
        return Outcome(
            f"Converged after {count}: the largest |gradient| is {slope} of its value at zero "
            f"parameters (tol {float(tol):.3g}). This is no certificate of the distance from the "
            "optimum.",
            kind="converged",
        )
    if result.stopped_early[0]:
        return Outcome(
            f"Stopped early after {count}: the validation loss has not improved for {patience} "
            f"epochs. The parameters are those of epoch {best}.",
            kind="stopped_early",
        )
    sentence = f"Ran all {count}; there is no proof that this is the optimum."
    if slope:
        sentence += (
            f" The largest |gradient| is still {slope} of its value at zero parameters (tol "
            f"{float(tol):.3g}): allow more epochs, or lower the learning rate at their end."
        )
    if best and best < epochs:
        sentence += f" The parameters are those of epoch {best}, the best on the validation data."
    if not moved:
        sentence += (
            " The parameters never moved: is the learning rate 0, or too small for the dtype?"
        )
    elif epochs > 1 and history.objective[-1] > history.objective[0]:
        sentence += " The objective ended higher than it began: lower the learning rate."
    return Outcome(sentence, kind="out_of_steps")
