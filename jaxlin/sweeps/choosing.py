"""Which setting of a sweep is best, and what to say about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.errors import InputError
from jaxlin.outcomes import Outcome
from jaxlin.sweeps.settings import Setting, is_number

SELECT_BY = ("accuracy", "loss")

# Of an axis's numbers, below which there is nothing to try.
_NOTHING_BELOW = {"l2": 0.0, "momentum": 0.0, "batch_size": 1, "epochs": 1}


def check_select_by(select_by: Any, several_losses: bool) -> None:
    """Raises `InputError` for what cannot be selected by."""
    if select_by not in SELECT_BY:
        raise InputError(f"select_by must be 'accuracy' or 'loss', got {select_by!r}.")
    if select_by == "loss" and several_losses:
        raise InputError(
            "select_by='loss' compares the validation loss, but grid has several losses, whose "
            "values mean different things: use select_by='accuracy'."
        )


def best_row(
    table: dict[str, np.ndarray], settings: list[Setting], select_by: str, tolerance: float
) -> int | None:
    """The row of the best setting; None where none can be said to be.

    Args:
      table: of the sweep.
      settings: its rows.
      select_by: `"accuracy"` or `"loss"`, of the validation rows; without any it is the training
        objective, which can be compared only where l2 and the loss are the same for all.
      tolerance: relative, how far scores may differ and still tie. Ties go to the larger l2, then
        to the earlier row.
    """
    in_question = ~np.isin(table["outcome"], ("diverged", "not_run"))
    if f"validation_{select_by}" in table:
        values = table[f"validation_{select_by}"]
        worse = -values if select_by == "accuracy" else values
    elif can_compare_objectives(settings):
        worse = table["objective"]
    else:
        return None
    worse = np.where(in_question & ~np.isnan(worse), worse, np.inf)
    least = worse.min()
    if not np.isfinite(least):
        return None
    tied = np.flatnonzero(worse <= least + tolerance * abs(least))
    return int(min(tied, key=lambda row: (-settings[row].get("l2", 0.0), row)))


def can_compare_objectives(settings: list[Setting]) -> bool:
    """Whether all settings minimise the same function."""
    return all(len({setting.get(name) for setting in settings}) == 1 for name in ("l2", "loss"))


def edges_of(settings: list[Setting], best: int | None) -> dict[str, str]:
    """The axes at whose end the winner sits: `{"l2": "highest"}`.

    An axis has numbers, more than one. Where there is nothing beyond an end (no l2 is below 0),
    it is none.
    """
    edges: dict[str, str] = {}
    for name in settings[0] if best is not None else ():
        values = [setting[name] for setting in settings]
        if not all(map(is_number, values)) or len(set(values)) < 2:
            continue
        value = settings[best or 0][name]
        if value == max(values):
            edges[name] = "highest"
        elif value == min(values) and value != _NOTHING_BELOW.get(name):
            edges[name] = "lowest"
    return edges


def outcome_sentence(
    table: dict[str, np.ndarray],
    settings: list[Setting],
    best: int | None,
    edges: dict[str, str],
    select_by: str,
    stopped: bool,
) -> Outcome:
    """What a sweep found, and what to do."""
    count, diverged = len(settings), int((table["outcome"] == "diverged").sum())
    waiting = int((table["outcome"] == "not_run").sum())
    parts = []
    if stopped:
        parts.append("Stopped by on_epoch" + (f"; {waiting} have no model." if waiting else "."))
    if best is None and count == diverged + waiting:
        parts.append("No setting can be chosen: none has been trained.")
    elif best is None:
        parts.append(
            "No setting is called the best: objectives with different l2 or losses cannot be "
            "compared, and there are no rows to validate on. Pass validation=(x, labels), or "
            "folds=5."
        )
    else:
        shown = ", ".join(
            f"{name}={table[name][best]:.4g}"
            if isinstance(settings[best][name], float)
            else f"{name}={table[name][best]}"
            for name in settings[best]
        )
        is_best = f"Of {count} settings {shown} is best"
        said = is_best if count > 1 else f"The only setting is {shown}"
        parts.append(f"{said}{_score(table, best, select_by)}.")
        for name, end in edges.items():
            way = "larger" if end == "highest" else "smaller"
            parts.append(
                f"It is at the edge of the grid, the {end} {name}: extend the grid there, to "
                f"{way} values."
            )
    if diverged:
        parts.append(f"{diverged} of {count} diverged: lower their learning rates.")
    kind = "stopped_by_callback" if stopped else ("no_best" if best is None else "best_found")
    return Outcome(" ".join(parts), kind=kind)


def _score(table: dict[str, np.ndarray], best: int, select_by: str) -> str:
    """The winner's score and its spread."""
    name = f"validation_{select_by}"
    if name not in table:
        return f", with a training objective of {table['objective'][best]:.6g}"
    what = "a validation accuracy" if select_by == "accuracy" else "a validation loss"
    value = f"{table[name][best]:.4f}"
    if f"{name}_sd" in table:
        folds = sum(column.startswith(f"{name}_fold_") for column in table)
        deviation = table[f"{name}_sd"][best]
        return (
            f", with {what} of {value} (mean of {folds} folds, standard deviation {deviation:.4f})"
        )
    low, high = (table[f"{name}_{end}"][best] for end in ("low", "high"))
    return f", with {what} of {value} (95 % interval {low:.4f} to {high:.4f})"
