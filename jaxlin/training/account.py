"""The account of a fit: what a callback hears, the history, and in a sentence how it ended."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.solvers.epoch import DIVERGENCE_FACTOR
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


def history_of(result: LoopResult, model: int = 0) -> History:
    """The history of one of a grid's models, as far as it trained."""
    rows = result.rows[: int(result.epochs[model])]
    seen = [row.validation for row in rows if row.validation is not None]
    return History(
        objective=np.array([row.objective[model] for row in rows], np.float64),
        accuracy=np.array([row.accuracy[model] for row in rows], np.float64),
        seconds=np.array([row.seconds for row in rows], np.float64),
        validation_loss=np.array([v.objective[model] for v in seen], np.float64) if seen else None,
        validation_accuracy=np.array([v.accuracy[model] for v in seen], np.float64)
        if seen
        else None,
    )


def has_moved(params: LinearParams, start: LinearParams) -> bool:
    """Whether the parameters are others than at the start."""
    pairs = zip(jax.tree.leaves(params), jax.tree.leaves(start), strict=True)
    return any(bool(np.any(np.asarray(new) != np.asarray(old))) for new, old in pairs)


def have_grown(result: LoopResult, objective: jax.Array) -> np.ndarray:
    """Which models' last step of all, which no epoch has looked at, went out of bounds (M,).

    Args:
      result: of the loop.
      objective: of its params, on the rows that they were trained on (M,).
    """
    value = np.asarray(objective)
    limit = DIVERGENCE_FACTOR * np.asarray(result.reference, np.float64)
    return ((limit > 0.0) & (np.abs(value) > limit)) | ~np.isfinite(value)


def divergence_sentence(history: History, fold: int | None = None, limit: float = math.inf) -> str:
    """What happened to a fit that diverged, and what to do.

    Args:
      history: of the fit.
      fold: where only the model that leaves this one out diverged, and not the one on all rows.
      limit: of a learning rate, by the curvature that was measured, or infinity.
    """
    epoch = len(history) + 1
    what = f"The fit diverged in epoch {epoch}"
    if fold is not None:
        what = f"The model that leaves out fold {fold} diverged"
    measured = ""
    if math.isfinite(limit):
        measured = (
            f"By the curvature of these data, gradient steps diverge above a rate of {limit:.2g} "
            "(with momentum m, 1 + m times that). "
        )
    return (
        f"{what}: the objective left the finite numbers or grew a millionfold. {measured}Lower the "
        "learning rate (of a line search, its longest step), or scale the features "
        "(scaling=jaxlin.data.Scaling.standardize(x)). The error's params are the last finite ones."
    )


def outcome_of(
    result: LoopResult, history: History, tol: Any, patience: Any, moved: bool, model: int = 0
) -> Outcome:
    """How a fit ended.

    Args:
      result: of the loop.
      history: of the fit.
      tol: as given to `fit`.
      patience: as given to `fit`.
      moved: whether the parameters are others than at the start.
      model: which of the grid's models it was.
    """
    epochs, best = len(history), int(result.best_epoch[model])
    count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    if result.stopped_by_callback and epochs == len(result.rows):
        return Outcome(f"Stopped by on_epoch after {count}.", kind="stopped_by_callback")
    slope = "" if result.slope is None else f"{float(result.slope[model]):.3g}"
    if result.converged[model]:
        return Outcome(
            f"Converged after {count}: the largest |gradient| is {slope} of its value at zero "
            f"parameters (tol {float(tol):.3g}). How far from the optimum that is at most, "
            "the certificate tells, where there is one.",
            kind="converged",
        )
    if result.stopped_early[model]:
        return Outcome(
            f"Stopped early after {count}: the validation loss has not improved for {patience} "
            f"epochs. The parameters are those of epoch {best}.",
            kind="stopped_early",
        )
    sentence = f"Ran all {count}, which need not lead to the optimum."
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
