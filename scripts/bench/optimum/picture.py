"""The picture of curves: suboptimality against seconds, a panel for each l2."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from bench.optimum.readings import problems, ran
from bench.optimum.running import OWN

_OWN_COLOUR = "#d62728"
_COLOURS = (
    "#1f77b4", "#2ca02c", "#ff7f0e", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22",
    "#7f7f7f",
)  # fmt: skip
_FLOOR = 1e-8  # below nothing is drawn: what is closer lies on it
_MOST_ROWS = 4


def _line(points: list[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    found = [
        (point["seconds"], max(point[key], _FLOOR))
        for point in points
        if point.get(key) is not None and math.isfinite(point[key])
    ]
    found.sort()
    return [x for x, _ in found], [y for _, y in found]


def lowest_so_far(y: list[float]) -> list[float]:
    """What the fastest runs reached: a slower one that reached less does not count.

    >>> lowest_so_far([3.0, 1.0, 2.0])
    [3.0, 1.0, 1.0]
    """
    return list(itertools.accumulate(y, min))


def short_name(label: str) -> str:
    """A label without the names of its parameters.

    >>> short_name("sklearn[solver=lbfgs]")
    'sklearn lbfgs'
    """
    name, _, rest = label.removesuffix("]").partition("[")
    return " ".join([name, *(part.partition("=")[2] for part in rest.split(",") if part)])


def _panel(axes: Axes, case: Mapping[str, Any], colours: Mapping[str, str]) -> None:
    for label in reversed(ran(case)):  # jaxlin last, on top
        points, own = case["solvers"][label]["points"], label == OWN
        style: dict[str, Any] = {
            "color": colours[label], "lw": 2.0 if own else 1.2, "ms": 5 if own else 3,
            "marker": "o",
        }  # fmt: skip
        looks: Any = {"suboptimality": {"ls": "-"}, "certified": {"ls": "--", "mfc": "white"}}
        for key, look in looks.items():
            x, y = _line(points, key)
            axes.plot(x, lowest_so_far(y), **style, **look)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())  # a short axis would crowd them
    if axes.get_xlim()[1] < 20.0 * axes.get_xlim()[0]:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_ylim(_FLOOR / 1.5, 1.0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"l2 = {case['l2']:g}", fontsize=10)


def _shown(record: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    """The problems of the first data set; where it has one alone, of the others as well."""
    groups = [cases for cases in problems(record) if any(ran(case) for case in cases)]
    main = [cases for cases in groups if cases[0]["dataset"] == groups[0][0]["dataset"]]
    return main if len(main) > 1 else groups[:_MOST_ROWS]


def draw(record: Mapping[str, Any]) -> Figure | None:
    """A figure of the curves of a record, or None where there are none."""
    groups = _shown(record)
    if not groups:
        return None
    everyone = sorted({label for cases in groups for case in cases for label in ran(case)})
    peers = [label for label in everyone if label != OWN]
    colours = {label: _COLOURS[k % len(_COLOURS)] for k, label in enumerate(peers)}
    colours[OWN] = _OWN_COLOUR
    columns = max(len(cases) for cases in groups)
    figure = Figure(
        figsize=(4.0 * max(columns, 2), 3.2 * len(groups) + 0.9),
        layout="constrained",
        facecolor="white",
    )
    FigureCanvasAgg(figure)
    rows: Any = figure.subfigures(len(groups), 1, squeeze=False)[:, 0]
    for row, cases in zip(rows, groups, strict=True):
        first = cases[0]
        bias = "free bias" if first["bias"] else "no bias"
        row.suptitle(f"{first['dataset']}, {first['loss']}, {bias}", fontsize=11)
        panels = row.subplots(1, columns, squeeze=False, sharey=True)[0]
        for axes, case in zip(panels, cases, strict=False):
            _panel(axes, case, colours)
            axes.set_xlabel("seconds")
        for axes in panels[len(cases) :]:
            axes.set_visible(False)
        panels[0].set_ylabel("relative suboptimality")
    known = [label for label in (OWN, *peers) if label in everyone]
    handles = [Line2D([], [], color=colours[label], marker="o", ms=4) for label in known]
    handles.append(Line2D([], [], color="#7f7f7f", ls="--", marker="o", ms=4, mfc="white"))
    figure.legend(
        handles, [*map(short_name, known), "by its own proof"], loc="outside lower center",
        ncols=3 if columns < 3 else 5, fontsize=9,
        frameon=False,
    )  # fmt: skip
    return figure


def picture(record: Mapping[str, Any], path: Path) -> None:
    """Writes the figure, where there is one."""
    figure = draw(record)
    if figure is not None:
        figure.savefig(path, dpi=110)
