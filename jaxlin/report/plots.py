"""Pictures, as figures that belong to nobody: no global state, no window, no display needed."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from jaxlin.files import replacing
from jaxlin.ladder import Ladder
from jaxlin.report.words import shown
from jaxlin.solvers.base import Evaluation
from jaxlin.solvers.history import History

_MAX_TEMPLATES = 40
_TRAIN, _VALIDATION = "#1f77b4", "#d62728"


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches wide and high."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(label: object, width: int = 16) -> str:
    """A label without matplotlib's mathematics: a dollar sign is a dollar sign."""
    return shown(label, width).replace("$", r"\$")


def training(
    history: History,
    *,
    title: str = "",
    W: np.ndarray | None = None,
    classes: Sequence[object] | None = None,
    image_shape: tuple[int, ...] | None = None,
    start: Evaluation | None = None,
) -> Figure:
    """How the loss went down, and, where the features are images, the template of each class.

    Args:
      history: of the fit.
      title: above all.
      W: (C, D) for raw features.
      classes: C labels.
      image_shape: (H, W) or (H, W, 3); None draws no templates.
      start: the objective and the accuracy before the first pass, of a fit that went to the
        optimum: its history may have few entries. None is a fit in epochs.

    Returns:
      A matplotlib figure.
    """
    has_templates = W is not None and classes is not None and image_shape is not None
    figure = new_figure(10.0, 7.4 if has_templates else 3.6)
    curves: Any = figure
    if has_templates:
        parts: Any = figure.subfigures(2, 1, height_ratios=(1.0, 1.1))
        curves, below = parts
        templates(below, np.asarray(W), classes or (), image_shape or ())
    loss_axes, accuracy_axes = curves.subplots(1, 2)
    shares = None if history.validation_accuracy is None else 100.0 * history.validation_accuracy
    loss = _Curves("loss", " + l2 term", history.objective, history.validation_loss)
    accuracy = _Curves("accuracy, %", "", 100.0 * history.accuracy, shares)
    if start is None:
        _by_epoch(loss_axes, loss)
        _by_epoch(accuracy_axes, accuracy)
    else:
        _to_optimum(loss_axes, loss, history.passes, float(start.objective))
        _to_optimum(accuracy_axes, accuracy, history.passes, 100.0 * float(start.accuracy))
    _fit_scale(loss_axes)
    if title:
        figure.suptitle(plain(title, 100))
    return figure


def _fit_scale(axes: Axes) -> None:
    """A logarithmic axis for values of several sizes, its ticks plain numbers: 0.5, not 5e-1."""
    low, high = axes.dataLim.intervaly
    if low <= 0.0 or high < 3.0 * low:
        return
    axes.set_yscale("log")
    if high < 100.0 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(_plain_number))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _plain_number(value: float, place: int) -> str:
    del place
    return f"{value:g}"


class _Curves(NamedTuple):
    """What one axes shows: of what, its term in training, and the values."""

    name: str
    term: str
    train: np.ndarray
    validation: np.ndarray | None


def _by_epoch(axes: Axes, curves: _Curves) -> None:
    epochs = np.arange(1, len(curves.train) + 1)
    marker = "o" if len(epochs) == 1 else None
    label = f"train{curves.term} (as it passed)"
    axes.plot(epochs, curves.train, color=_TRAIN, label=label, marker=marker)
    if curves.validation is not None:
        axes.plot(epochs, curves.validation, color=_VALIDATION, label="validation", marker=marker)
    _finish(axes, "epoch", curves.name)


def _to_optimum(axes: Axes, curves: _Curves, passes: np.ndarray | None, start: float) -> None:
    """From the start on, each entry a point: the line between two of them is nobody's value.

    Without passes the entries are Newton's steps. Each tells the objective before it, and the
    validation after it; the last one has changed nothing.
    """
    validation = curves.validation
    if passes is None:
        along, places, train = "steps", np.arange(len(curves.train)), curves.train
        held_out = places[1:] if len(places) > 1 else places
        validation = None if validation is None else validation[: len(held_out)]
    else:
        along, held_out = "passes over the data", passes
        places, train = np.append(0, passes), np.append(start, curves.train)
    style: dict[str, Any] = {"marker": "o", "markersize": 4}
    axes.plot(places, train, color=_TRAIN, label=f"train{curves.term}", **style)
    if validation is not None:
        axes.plot(held_out, validation, color=_VALIDATION, label="validation", **style)
    _finish(axes, along, curves.name)


def _finish(axes: Axes, along: str, name: str) -> None:
    axes.set_xlabel(along)
    axes.set_ylabel(name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def templates(
    figure: Any, W: np.ndarray, classes: Sequence[object], image_shape: tuple[int, ...]
) -> None:
    """The rows of W as images, at most 40 of them.

    Grey images go from blue (weights against the class) over white to red (for it), one scale for
    all; of colour images each template is stretched to its own range.

    Args:
      figure: a figure or subfigure to draw in.
      W: (C, D).
      classes: C labels.
      image_shape: (H, W) or (H, W, 3).
    """
    count = min(len(W), _MAX_TEMPLATES)
    columns = min(count, 10 if count > 10 else 5)
    grid = figure.subplots(math.ceil(count / columns), columns, squeeze=False).ravel()
    # A few extreme pixels at the rim, which hardly ever differ from 0, would pale all others.
    top = float(np.quantile(np.abs(W[:count]), 0.995)) or float(np.abs(W[:count]).max()) or 1.0
    for index, axes in enumerate(grid):
        axes.set_axis_off()
        if index >= count:
            continue
        image = W[index].reshape(image_shape)
        if len(image_shape) == 2:
            axes.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
        else:
            low, high = np.quantile(image, (0.005, 0.995))
            axes.imshow(np.clip((image - low) / ((high - low) or 1.0), 0.0, 1.0))
        axes.set_title(plain(classes[index]), fontsize=9)
    more = f" (the first {count} of {len(W)})" if count < len(W) else ""
    figure.suptitle(f"The template of each class{more}", fontsize=10)


def ladder(result: Ladder) -> Figure:
    """The objective against function evaluations and against seconds, a line a method.

    Args:
      result: what `run_ladder` gave.

    Returns:
      A matplotlib figure.
    """
    figure = new_figure(11.0, 4.6)
    by_evaluations, by_seconds = figure.subplots(1, 2, sharey=True)
    for index, rung in enumerate(result.rungs):
        # by hand and by autodiff lie on each other: dashes let both be seen
        style = "--" if index % 2 else "-"
        by_evaluations.plot(
            rung.evaluations, rung.objectives, style, label=rung.name, linewidth=1.8
        )
        by_seconds.plot(rung.seconds, rung.objectives, style, linewidth=1.8)
    by_evaluations.set_xlabel("function evaluations (passes over the data)")
    by_seconds.set_xlabel("seconds")
    by_evaluations.set_ylabel("objective, all of the training data")
    for axes in (by_evaluations, by_seconds):
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(alpha=0.25, which="both")
    # Below both: wherever a line may go, the legend lies on none.
    figure.legend(loc="outside lower center", ncols=5, fontsize=9, frameon=False)
    figure.suptitle(plain(f"The lecture's ways to find W: {result.loss} on {result.data}", 100))
    return figure


def save(path: str | os.PathLike[str], figure: Figure) -> None:
    """Writes a picture in the format of its ending, PNG where it has none; whole or not at all.

    Args:
      path: where.
      figure: what.

    Raises:
      ValueError: an ending that matplotlib does not know.
      OSError: the file cannot be written.
    """
    ending = os.path.splitext(os.fspath(path))[1][1:].lower() or "png"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A class name in a script that the font lacks is drawn as boxes; that is no failure.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.savefig(buffer, format=ending, dpi=120)
    with replacing(path) as file:
        file.write(buffer.getvalue())
