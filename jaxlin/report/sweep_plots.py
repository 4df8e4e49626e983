"""The picture of a sweep: its scores along an axis, a line a value of another, and as a map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxlin.report.plots import new_figure, plain
from jaxlin.report.sweeps import SweepView, setting_word

# What is looked at along the horizontal axis, and next by colour, where it has several values.
_FIRST = ("l2", "C", "alpha", "learning_rate", "momentum", "batch_size")
_MOST_LINES, _MOST_BANDS, _MOST_NUMBERS = 12, 4, 60
# Of all the names of ticks along an axis.
_MOST_LETTERS = 76


def sweep(view: SweepView, title: str = "") -> Figure:
    """Scores against the first axis, a line a value of the second; beside it a map of the two.

    l2 comes first, then the learning rate. Where more settings vary than these two, each point is
    the best over the others. Settings that diverged are crosses at the bottom.

    Args:
      view: of the sweep.
      title: above all.

    Returns:
      A matplotlib figure.
    """
    axes_names = _in_order(view)
    along = axes_names[0] if axes_names else view.told[0]
    by = axes_names[1] if len(axes_names) > 1 else None
    has_map = by is not None and _is_numeric(view, along) and _is_numeric(view, by)
    figure = new_figure(12.0 if has_map else 7.6, 5.4)
    parts: Any = figure.subplots(1, 2 if has_map else 1, squeeze=False)[0]
    grid = _Grid(view, along, by)
    _lines(parts[0], view, grid)
    parts[0].set_title(_note(view, grid, axes_names[2:]), fontsize=9)
    # Below: wherever lines and crosses may go, the legend lies on none.
    figure.legend(
        title=None if by is None else by.replace("_", " "), loc="outside lower center", ncols=7,
        fontsize=9, frameon=False,
    )  # fmt: skip
    if has_map:
        _map(figure, parts[1], view, grid)
    if title:
        figure.suptitle(plain(title, 100))
    return figure


def _in_order(view: SweepView) -> list[str]:
    """The settings that vary, those of `_FIRST` first."""
    varying = view.varying
    first = [name for name in _FIRST if name in varying]
    return first + [name for name in varying if name not in first]


def _is_numeric(view: SweepView, name: str) -> bool:
    return view.table[name].dtype.kind in "iuf"


class _Grid:
    """The rows of a table by two of their settings.

    Attributes:
      along: name of the first.
      by: name of the second, or None.
      columns: values of the first, in order.
      lines: values of the second, in order; `[None]` without one.
      rows: the best row of each pair (lines, columns), -1 where all diverged, -2 where there is
        none.
    """

    def __init__(self, view: SweepView, along: str, by: str | None) -> None:
        self.along, self.by = along, by
        self.columns = _values(view, along)
        self.lines: list[Any] = [None] if by is None else _values(view, by)
        self.rows = np.full((len(self.lines), len(self.columns)), -2)
        for row in view.ranking[::-1]:  # the best last, over the others
            column = self.columns.index(view.table[along].tolist()[row])
            line = 0 if by is None else self.lines.index(view.table[by].tolist()[row])
            if view.ended[row]:
                self.rows[line, column] = row
            elif self.rows[line, column] < 0:
                self.rows[line, column] = -1

    def pick(self, values: np.ndarray) -> np.ndarray:
        """A column of the table on the grid, NaN where there is no row."""
        return np.where(self.rows >= 0, values[np.maximum(self.rows, 0)], np.nan)


def _values(view: SweepView, name: str) -> list[Any]:
    values = view.table[name].tolist()
    return sorted(set(values)) if _is_numeric(view, name) else list(dict.fromkeys(values))


def _factor(view: SweepView) -> float:
    return 100.0 if view.select_by == "accuracy" else 1.0


def _score_name(view: SweepView) -> str:
    unit = ", %" if view.select_by == "accuracy" else ""
    return f"validation {view.select_by}{unit}"


def _positions(values: Sequence[Any], name: str) -> tuple[np.ndarray, bool]:
    """Where values stand on an axis, and whether it is logarithmic.

    A 0 stands a step before the smallest; words stand one after the other.
    """
    if any(isinstance(value, str) for value in values):
        return np.arange(len(values), dtype=float), False
    numbers = np.array(values, float)
    if name == "momentum" or len(numbers) < 2 or not (numbers > 0.0).any():
        return numbers, False
    above = numbers[numbers > 0.0]
    step = (above[-1] / above[0]) ** (1.0 / max(len(above) - 1, 1)) if len(above) > 1 else 10.0
    return np.where(numbers > 0.0, numbers, above[0] / step), True


def _lines(axes: Axes, view: SweepView, grid: _Grid) -> None:
    """Scores along the first axis."""
    places, is_log = _positions(grid.columns, grid.along)
    factor, ends = _factor(view), view.spread
    scores = factor * grid.pick(view.scores)
    count = len(grid.lines)
    colors = [colormaps["viridis"](share) for share in np.linspace(0.0, 0.88, count)]
    winner = None if view.best is None else np.argwhere(grid.rows == view.best)[0]
    labelled = set(np.linspace(0, count - 1, min(count, _MOST_LINES)).round().astype(int).tolist())
    words = [None] if grid.by is None else _words(grid.lines)
    for line in range(count):
        seen = np.isfinite(scores[line])
        label = words[line] if line in labelled else None
        axes.plot(
            places[seen], scores[line][seen], "o-", color=colors[line], label=label, markersize=4
        )
        if ends is not None and (
            count <= _MOST_BANDS or (winner is not None and line == winner[0])
        ):
            low, high = (factor * grid.pick(end)[line][seen] for end in ends)
            if int(seen.sum()) > 1:
                axes.fill_between(
                    places[seen], low, high, color=colors[line], alpha=0.15, linewidth=0
                )
            else:
                axes.vlines(places[seen], low, high, color=colors[line], alpha=0.4)
    lost = np.argwhere(grid.rows == -1)
    if len(lost):
        # Each line's crosses on a height of its own.
        axes.scatter(
            places[lost[:, 1]], 0.02 + 0.025 * lost[:, 0] / max(count - 1, 1) * min(count - 1, 4),
            marker="x", s=24, color=[colors[line] for line in lost[:, 0]], label="diverged",
            transform=axes.get_xaxis_transform(), clip_on=False,
        )  # fmt: skip
    if winner is not None:
        axes.plot(
            places[winner[1]], scores[winner[0], winner[1]], "*", color="#d62728", markersize=14,
            label="best", linestyle="none", zorder=5,
        )  # fmt: skip
    if is_log:
        axes.set_xscale("log")
    _label_ticks(axes, places, grid.columns)
    axes.set_xlabel(grid.along.replace("_", " "))
    axes.set_ylabel(_score_name(view))
    axes.grid(alpha=0.25)


def _note(view: SweepView, grid: _Grid, others: Sequence[str]) -> str:
    """What the bands are, and what a point is where more settings vary."""
    notes = []
    if view.spread is not None:
        whose = "band" if len(grid.lines) <= _MOST_BANDS else "band of the best line"
        kind = "standard deviation over folds" if view.has_folds else "95 % interval"
        notes.append(f"{whose}: {kind}")
    if others:
        words = ", ".join(name.replace("_", " ") for name in others)
        notes.append(f"each point: the best over {words}")
    return plain("; ".join(notes), 100)


def _label_ticks(axes: Axes, places: np.ndarray, values: Sequence[Any]) -> None:
    chosen, words = _ticks(values)
    axes.set_xticks([places[i] for i in chosen], words)
    axes.set_xticks([], minor=True)


def _ticks(values: Sequence[Any], room: int = _MOST_LETTERS) -> tuple[range, list[str]]:
    """Which values of an axis to name, and how: as many as there is room for."""
    words = _words(values)
    every = max(1, math.ceil(sum(len(word) + 2 for word in words) / room))
    chosen = range(0, len(values), every)
    return chosen, [words[i] for i in chosen]


def _words(values: Sequence[Any]) -> list[str]:
    """Values as text, numbers in as few digits as tell them apart."""
    if not all(isinstance(value, float) for value in values):
        return [plain(setting_word(value)) for value in values]
    digits = next(
        (n for n in range(2, 17) if len({f"{v:.{n}g}" for v in values}) == len(values)), 17
    )
    return [f"{value:.{digits}g}" for value in values]


def _map(figure: Figure, axes: Axes, view: SweepView, grid: _Grid) -> None:
    """Scores over both axes, a cell a pair."""
    scores = _factor(view) * grid.pick(view.scores)
    is_accuracy = view.select_by == "accuracy"
    good = scores[np.isfinite(scores)]
    low, high = _limits(good, is_accuracy)
    cells = axes.imshow(
        scores, cmap="viridis" if is_accuracy else "viridis_r", aspect="auto", origin="lower",
        vmin=low, vmax=high,
    )  # fmt: skip
    axes.set_facecolor("#dddddd")
    for line, column in np.argwhere(grid.rows == -1):
        axes.plot(column, line, "x", color="#888888")
    if scores.size <= _MOST_NUMBERS:
        _write_numbers(axes, scores, low, high, is_accuracy)
    if view.best is not None:
        line, column = np.argwhere(grid.rows == view.best)[0]
        above = 0.3 if scores.size <= _MOST_NUMBERS else 0.0  # the number stays readable
        axes.plot(
            column, line + above, "*", color="#d62728", markersize=13, markeredgecolor="white"
        )
    for set_ticks, values, room in (
        (axes.set_xticks, grid.columns, _MOST_LETTERS),
        (axes.set_yticks, grid.lines, 3 * _MOST_LETTERS),
    ):
        chosen, words = _ticks(values, room)
        set_ticks(list(chosen), words)
    axes.set_xlabel(grid.along.replace("_", " "))
    axes.set_ylabel((grid.by or "").replace("_", " "))
    beyond = (bool(np.any(good < low)), bool(np.any(good > high)))
    extend = {(True, False): "min", (False, True): "max"}.get(beyond, "neither")
    figure.colorbar(cells, ax=axes, label=_score_name(view), extend=extend)


def _limits(good: np.ndarray, is_accuracy: bool) -> tuple[float, float]:
    """The scores between which colours differ.

    The worst settings are often far off, and would leave one colour for all the others.
    """
    if not len(good):
        return 0.0, 1.0
    low, high = np.quantile(good, (0.25, 1.0) if is_accuracy else (0.0, 0.75))
    return (float(low), float(high)) if low < high else (float(good.min()), float(good.max()))


def _write_numbers(
    axes: Axes, scores: np.ndarray, low: float, high: float, is_accuracy: bool
) -> None:
    """Each cell's score in it."""
    middle = (low + high) / 2.0
    for (line, column), score in np.ndenumerate(scores):
        if np.isfinite(score):
            is_dark = score < middle if is_accuracy else score > middle
            axes.text(
                column, line, f"{score:.1f}" if is_accuracy else f"{score:.3g}", ha="center",
                va="center", fontsize=8, color="white" if is_dark else "black",
            )  # fmt: skip
