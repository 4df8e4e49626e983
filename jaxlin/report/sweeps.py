"""What a sweep found, for a terminal: its table and its winner in a sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from jaxlin.report.tables import plain_table
from jaxlin.report.words import number, percent

# What a row of a sweep's table says of its ending where there is no score.
_WITHOUT_SCORE = ("diverged", "not_run")


@dataclasses.dataclass(frozen=True, eq=False)
class SweepView:
    """The table of a sweep, and what is to be seen in it.

    Attributes:
      table: columns by name, NumPy arrays (S,), as `jaxlin.sweep` gives them.
      names: of the columns that are settings.
      best: the row of the winner, or None.
      select_by: `"accuracy"` or `"loss"`, of the validation rows.
    """

    table: Mapping[str, np.ndarray]
    names: Sequence[str]
    best: int | None
    select_by: str = "accuracy"

    def __len__(self) -> int:
        return len(self.table["outcome"])

    @property
    def varying(self) -> list[str]:
        """The settings with more than one value."""
        return [name for name in self.names if len(set(self.table[name].tolist())) > 1]

    @property
    def told(self) -> list[str]:
        """The settings that tell rows apart; of a single row l2, or what was given in its place."""
        first = ("l2", "C", "alpha", *self.names)
        return self.varying or [name for name in first if name in self.names][:1]

    def value(self, row: int, name: str) -> Any:
        """A setting of a row, as Python has it."""
        return self.table[name].tolist()[row]

    @property
    def ended(self) -> np.ndarray:
        """Which settings have a score (S,)."""
        return ~np.isin(self.table["outcome"], _WITHOUT_SCORE)

    @property
    def scores(self) -> np.ndarray:
        """What was selected by, NaN where there is none (S,)."""
        values = np.asarray(self.table[f"validation_{self.select_by}"], np.float64)
        return np.where(self.ended, values, np.nan)

    @property
    def ranking(self) -> np.ndarray:
        """All rows, the best first (S,); those without a score last."""
        worse = -self.scores if self.select_by == "accuracy" else self.scores
        order = np.argsort(worse, kind="stable")  # NaN is last
        return order if self.best is None else np.r_[self.best, order[order != self.best]]

    @property
    def spread(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lower and upper ends about the scores (S,): an interval, or a standard deviation."""
        name = f"validation_{self.select_by}"
        if f"{name}_sd" in self.table:
            deviation = self.table[f"{name}_sd"]
            return self.table[name] - deviation, self.table[name] + deviation
        if f"{name}_low" in self.table:
            return self.table[f"{name}_low"], self.table[f"{name}_high"]
        return None

    @property
    def has_folds(self) -> bool:
        """Whether scores are means over folds."""
        return f"validation_{self.select_by}_sd" in self.table


def setting_word(value: Any) -> str:
    """A setting's value, a number in as many digits as tell it apart.

    >>> setting_word(1e-06), setting_word(0.25), setting_word("adam")
    ('1e-06', '0.25', 'adam')
    """
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def setting_words(view: SweepView, row: int, names: Sequence[str]) -> str:
    """Some settings of a row, as the command line calls them.

    >>> table = {"l2": np.array([0.1]), "learning_rate": np.array([1.0])}
    >>> setting_words(SweepView(table, ("l2", "learning_rate"), 0), 0, ("l2", "learning_rate"))
    'l2 0.1, learning rate 1'
    """
    return ", ".join(f"{_plain(name)} {setting_word(view.value(row, name))}" for name in names)


def _plain(name: str) -> str:
    return name.replace("_", " ")


_SHOW = {"accuracy": percent, "loss": number}


def _score(view: SweepView, row: int, what: str) -> str:
    """A score; a dash where there is none."""
    return _SHOW[what](float(view.table[f"validation_{what}"][row])) if view.ended[row] else "-"


def _spread(view: SweepView, row: int) -> str:
    """The spread of the score that was selected by."""
    ends = view.spread
    if ends is None or not view.ended[row]:
        return "-"
    show, (low, high) = _SHOW[view.select_by], (float(end[row]) for end in ends)
    if view.has_folds:
        return show((high - low) / 2.0)
    return f"{show(low).removesuffix(' %')} to {show(high)}"


def settings_table(view: SweepView, most: int = 20) -> Table:
    """The settings and their scores, the best first.

    Args:
      view: of the sweep.
      most: rows to show.

    >>> table = {"l2": np.array([0.1, 1.0]), "outcome": np.array(["out_of_steps", "diverged"])}
    >>> for name in ("validation_accuracy", "validation_loss", "accuracy"):
    ...     table[name] = np.array([0.5, 0.25])
    >>> settings_table(SweepView(table, ("l2",), 0)).row_count
    2
    """
    names = view.told
    measures = ["accuracy", "loss"] if view.select_by == "accuracy" else ["loss", "accuracy"]
    spread = "± over folds" if view.has_folds else "95 % interval"
    columns = ["", *map(_plain, names), measures[0], spread, measures[1], "on train"]
    shown = plain_table(*columns, title="validation scores, the best first")
    for row in view.ranking[:most]:
        train = float(view.table["accuracy"][row])
        cells = [
            "best" if row == view.best else "",
            *(Text(setting_word(view.value(row, name))) for name in names),
            _score(view, row, measures[0]) if view.ended[row] else view.value(row, "outcome"),
            _spread(view, row),
            _score(view, row, measures[1]),
            percent(train) if view.ended[row] else "-",
        ]
        shown.add_row(*cells)
        for column, heading, cell in zip(shown.columns, columns, cells, strict=True):
            # Headings are broken between words where it is narrow, numbers are not.
            longest = max(map(len, heading.split()), default=0)
            column.min_width = max(column.min_width or 0, longest, len(cell))
    return shown


def conclusion(view: SweepView, edges: Mapping[str, str]) -> str:
    """Which setting is best, how sure that is, and what to try next.

    Args:
      view: of the sweep.
      edges: settings at whose `"lowest"` or `"highest"` value the winner is.

    >>> table = {"l2": np.array([0.1, 1.0]), "outcome": np.array(["out_of_steps"] * 2),
    ...          "validation_accuracy": np.array([0.5, 0.25])}
    >>> conclusion(SweepView(table, ("l2",), 0), {"l2": "lowest"}).split(". ")[1]
    'That is the lowest --l2 of the grid: try lower ones.'
    """
    lines = [_winner(view)]
    for name, end in edges.items():
        beyond = "lower" if end == "lowest" else "higher"
        lines.append(f"That is the {end} {_option(name)} of the grid: try {beyond} ones.")
    diverged = int(np.sum(view.table["outcome"] == "diverged"))
    if diverged:
        verb = "was" if diverged == 1 else "were"
        lines.append(f"{diverged} diverged, and {verb} left out.")
    return " ".join(lines)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _winner(view: SweepView) -> str:
    count = f"{len(view)} setting{'s' if len(view) > 1 else ''}"
    if view.best is None:
        return f"Of {count} none can be called the best."
    words = setting_words(view, view.best, view.told)
    score = _score(view, view.best, view.select_by)
    sentence = f"Of {count} the best is {words}: validation {view.select_by} {score}"
    ends = view.spread
    if ends is None:
        return f"{sentence}."
    low, high = (float(end[view.best]) for end in ends)
    others = view.scores[np.arange(len(view)) != view.best]
    inside = int(np.sum((others >= low) & (others <= high)))
    spread = _spread(view, view.best)
    kind = "standard deviation over folds" if view.has_folds else "95 % interval"
    within = f"; {inside} other{'s are' if inside > 1 else ' is'} within that" if inside else ""
    return f"{sentence} ({kind} {spread}{within})."
