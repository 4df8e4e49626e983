"""Pictures of gradient checks: the V of the numerical gradient, and where a gradient is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from jaxlin.gradients.step_errors import StepErrors
from jaxlin.gradients.wrong_coordinates import WrongLeaf
from jaxlin.report.words import shown

_COLORS = {"float64": "#1f77b4", "float32": "#d62728"}
_STYLES = {"central": "-", "forward": "--"}
_MOST_IMAGES = 20


def check(
    curves: Sequence[StepErrors],
    wrong: WrongLeaf | None = None,
    *,
    title: str = "",
    classes: Sequence[object] | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """The error of the numerical gradient against its step; below, where a gradient is wrong.

    Args:
      curves: of `step_errors`.
      wrong: of `wrong_coordinates`, or None.
      title: above all.
      classes: C labels, for the rows of W.
      image_shape: (H, W) or (H, W, 3), where features are pixels.

    Returns:
      A matplotlib figure.
    """
    figure = Figure(
        figsize=(7.2, 4.4 if wrong is None else 8.2), layout="constrained", facecolor="white"
    )
    FigureCanvasAgg(figure)
    above: Any = figure
    if wrong is not None:
        parts: Any = figure.subfigures(2, 1, height_ratios=(1.0, 0.95))
        above, below = parts
        wrong_map(below, wrong, classes=classes, image_shape=image_shape)
    step_curves(above.subplots(), curves)
    if title:
        figure.suptitle(shown(title, 90).replace("$", r"\$"), fontsize=11)
    return figure


def step_curves(axes: Axes, curves: Sequence[StepErrors]) -> None:
    """The V: error against step, a line a scheme and dtype, a dot at the step that is chosen.

    Args:
      axes: to draw in.
      curves: of `step_errors`.
    """
    for curve in curves:
        color = _COLORS.get(curve.dtype, "#2ca02c")
        errors = np.where(curve.errors > 0.0, curve.errors, np.nan)
        axes.plot(
            curve.steps,
            errors,
            _STYLES[curve.scheme],
            color=color,
            linewidth=1.8,
            label=f"{curve.scheme}, {curve.dtype}",
        )
        if curve.chosen_error > 0.0:
            axes.plot(curve.chosen, curve.chosen_error, "o", color=color, markersize=7)
    axes.plot([], [], "o", color="#7f7f7f", markersize=7, label="the step chosen by default")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(LogLocator(numticks=16))
    axes.minorticks_off()
    axes.set_xlabel("step h")
    axes.set_ylabel("relative error of the numerical gradient")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)


def wrong_map(
    figure: Any,
    wrong: WrongLeaf,
    *,
    classes: Sequence[object] | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> None:
    """Where a gradient is wrong, darker where more: an image a class, or a map of all.

    Args:
      figure: a figure or subfigure to draw in.
      wrong: of `wrong_coordinates`.
      classes: C labels.
      image_shape: (H, W) or (H, W, 3), where features are pixels.
    """
    error, top = wrong.error, float(wrong.error.max())
    rows = _image_rows(error, classes, image_shape)
    if rows is None:
        axes = figure.subplots()
        flat = np.atleast_2d(error) if error.ndim <= 2 else error.reshape(len(error), -1)
        drawn = axes.imshow(flat, cmap="Reds", vmin=0.0, vmax=top, aspect="auto")
        axes.set_xlabel("column" if error.ndim > 1 else f"index of {wrong.name}")
        axes.set_ylabel("row" if error.ndim > 1 else "")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
        if error.ndim <= 1:
            axes.set_yticks([])
        figure.colorbar(drawn, ax=axes, shrink=0.9)
    else:
        assert classes is not None
        count = min(len(rows), _MOST_IMAGES)
        columns = min(count, 5 if count <= 10 else 10)
        grid = figure.subplots(math.ceil(count / columns), columns, squeeze=False)
        drawn = None
        for index, axes in enumerate(grid.ravel()):
            axes.set_xticks([])
            axes.set_yticks([])
            if index >= count:
                axes.set_axis_off()
                continue
            drawn = axes.imshow(rows[index], cmap="Reds", vmin=0.0, vmax=top)
            axes.set_title(shown(classes[index], 16).replace("$", r"\$"), fontsize=9)
        figure.colorbar(drawn, ax=grid, shrink=0.9)
    name = wrong.name.replace("$", r"\$")
    figure.suptitle(
        f"|by hand - right| in {name}; the right one goes up to {wrong.size:.3g}", fontsize=10
    )


def _image_rows(
    error: np.ndarray,
    classes: Sequence[object] | None,
    image_shape: tuple[int, ...] | None,
) -> np.ndarray | None:
    """The errors as an image a class (C, H, W), where they are one; of colours the largest."""
    if classes is None or image_shape is None or error.ndim != 2:
        return None
    size = math.prod(image_shape)
    if error.shape == (size, len(classes)) and size != len(classes):
        error = error.T
    if error.shape != (len(classes), size):
        return None
    images = error.reshape(-1, *image_shape)
    return images.max(axis=-1) if len(image_shape) == 3 else images
