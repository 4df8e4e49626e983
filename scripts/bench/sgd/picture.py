"""The picture of the bench `sgd`: epochs over the limit, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench.harness.timing import median
from bench.sgd.ratios import limit_seconds, over_limit

_COLOURS = {"jaxlin": "#d62728", "optax-loop": "#1f77b4", "torch-index": "#2ca02c"}
_OTHER = "#7f7f7f"
_TICKS = (1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)


def _colour(label: str) -> str:
    return _COLOURS.get(label, _OTHER)


def _log_ticks(axis: Any, low: float, high: float) -> None:
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    axis.set_ticks(ticks)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _everyone(axes: Axes, case: Mapping[str, Any]) -> None:
    """A bar a competitor, the fastest on top."""
    found = {label: over_limit(case, label) for label in case["solvers"]}
    ratios = sorted(
        ((r, label) for label, r in found.items() if r is not None and r > 0), reverse=True
    )
    products = median(case["matrix_flops"]) / median(case["shape_flops"])
    ratios.append((products, "products alone"))
    names = [label for _, label in ratios]
    colours = [_colour(label) for label in names]
    highest = max(r for r, _ in ratios)
    axes.barh(names, [r for r, _ in ratios], color=colours, height=0.65)
    for row, (r, _) in enumerate(ratios):
        axes.text(r * 1.06, row, f"{r:.1f}" if r < 10 else f"{r:.0f}", va="center", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlim(1, 2 * max(highest, 2))
    _log_ticks(axes.xaxis, 1, 2 * highest)
    limit = 1e3 * limit_seconds(case)
    axes.set_title(
        f"{case['dataset']}\nbatch {case['batch_size']}; the limit (1) is {limit:.3g} ms",
        fontsize=10,
    )
    axes.set_xlabel("epoch / limit")


def _by_batch(axes: Axes, cases: list[Mapping[str, Any]]) -> None:
    """A line a competitor and a kind of data, over the batch sizes."""
    lines: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for case in cases:
        for label in case["solvers"]:
            r = over_limit(case, label)
            if r is not None and r > 0 and label in _COLOURS:
                key = (label, case["dtype"])
                lines.setdefault(key, []).append((case["batch_size"], r))
    top, sizes = 2.0, sorted({case["batch_size"] for case in cases})
    for (label, dtype), points in sorted(lines.items()):
        points.sort()
        top = max(top, *(r for _, r in points))
        style = "--" if dtype == "uint8" else "-"
        x, y = [size for size, _ in points], [r for _, r in points]
        axes.plot(x, y, style, marker="o", ms=4, color=_colour(label), label=f"{label}, {dtype}")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_ylim(1, 1.3 * top)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    _log_ticks(axes.yaxis, 1, 1.3 * top)
    axes.set_title("the same data, by batch size", fontsize=10)
    axes.set_xlabel("batch size")
    axes.set_ylabel("epoch / limit")
    axes.legend(fontsize=8, frameon=False)


def _by_shape(axes: Axes, cases: list[Mapping[str, Any]]) -> None:
    """A column a shape, a dot a competitor."""
    names, top, seen = [], 2.0, set()
    for column, case in enumerate(cases):
        names.append(
            f"D {case['d']}\nC {case['c']}" + ("\nuint8" if case["dtype"] == "uint8" else "")
        )
        products = median(case["matrix_flops"]) / median(case["shape_flops"])
        dots = [("products alone", products)]
        dots += [(label, over_limit(case, label) or 0.0) for label in case["solvers"]]
        for label, r in dots:
            if not r > 0:
                continue
            top = max(top, r)
            known = label in seen
            seen.add(label)
            mark = "_" if label == "products alone" else "o"
            axes.plot(
                column, r, mark, ms=11 if mark == "_" else 6, mew=2, color=_colour(label),
                label=None if known else label,
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(0.9, 1.3 * top)
    _log_ticks(axes.yaxis, 1, 1.3 * top)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_title(f"synthetic data, N = {cases[0]['n']:,}, batch 256", fontsize=10)
    axes.set_ylabel("epoch / limit")
    axes.legend(fontsize=8, frameon=False, ncols=4)


def draw(record: Mapping[str, Any]) -> Figure | None:
    """A figure of the races of a record, or None where nobody raced."""
    race = record.get("race")
    if not race:
        return None
    main = max(race, key=lambda case: len(case["solvers"]))
    same = [
        case
        for case in race
        if case["dataset"].partition("[")[0] == main["dataset"].partition("[")[0]
    ]
    shapes = [
        case
        for case in race
        if case["dataset"].startswith("synthetic")
        and case["batch_size"] == 256
        and case["n"] == 100_000
    ]
    figure = Figure(figsize=(11, 8.2 if shapes else 4.2), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels: Any = figure.subfigures(2, 1, height_ratios=(1.1, 1)) if shapes else [figure]
    left, right = panels[0].subplots(1, 2)
    _everyone(left, main)
    _by_batch(right, same)
    every: list[Axes] = [left, right]
    if shapes:
        every.append(panels[1].subplots())
        _by_shape(every[-1], shapes)
    for axes in every:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def picture(record: Mapping[str, Any], path: Path) -> None:
    """Writes the figure, where there is one."""
    figure = draw(record)
    if figure is not None:
        figure.savefig(path, dpi=110)
