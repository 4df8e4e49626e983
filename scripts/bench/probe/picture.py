"""The picture of the bench `probe`: seconds of each, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from bench.harness.timing import median

_OWN, _OTHER = "#d62728", "#7f7f7f"


def _bars(record: Mapping[str, Any]) -> list[tuple[str, dict[str, float]]]:
    groups = []
    if "iris" in record:
        taken = {name: median(times) for name, times in record["iris"]["seconds"].items()}
        groups.append(("iris, one fit", taken))
    if "cross_validation" in record:
        one = record["cross_validation"]
        peers = {name: peer["seconds"] for name, peer in one["peers"].items()}
        title = f"digits, 5 folds x {len(one['l2'])} l2"
        groups.append((title, {"jaxlin": median(one["seconds"])} | peers))
    if "probe" in record:
        one = record["probe"]
        taken = {
            "sweep to page, first run": one["first_seconds"],
            "sweep to page, again": one["seconds"],
            "few-shot draws, first run": one["few_shot_first_seconds"],
            "few-shot draws, again": one["few_shot_seconds"],
        }
        groups.append((f"{one['source']}, jaxlin probe", taken))
    return groups


def picture(record: Mapping[str, Any], path: Path) -> None:
    """Writes the figure, where there is one."""
    groups = _bars(record)
    if not groups:
        return
    height = 0.6 + sum(0.5 + 0.3 * len(bars) for _, bars in groups)
    figure = Figure(figsize=(7.0, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    ratios = [1 + len(bars) for _, bars in groups]
    panels: Any = figure.subplots(len(groups), 1, squeeze=False, height_ratios=ratios)[:, 0]
    for axes, (title, bars) in zip(panels, groups, strict=True):
        names, values = list(bars), list(bars.values())
        places = range(len(names))
        colours = [_OTHER if name.startswith("sklearn") else _OWN for name in names]
        axes.barh(places, values, color=colours, height=0.6)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 3, max(values) * 3)
        # Each bar has its number; labels between the powers of ten would lie over each other.
        axes.xaxis.set_minor_formatter(NullFormatter())
        for place, value in zip(places, values, strict=True):
            axes.annotate(f" {value:.3g} s", (value, place), va="center", fontsize=9)
        axes.set_title(title, fontsize=11, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x", alpha=0.25)
    panels[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=110)
