"""Pictures: the axes, the labels and the templates that they should have."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin import History
from jaxlin.report import plots
from jaxlin.solvers.base import Evaluation

EVIL = (
    "$x_1$",
    "a\nb",
    "<b>&",
    "\u202eabc",
    "x" * 10_000,
    "日本",
    "\x1b[31m",
    "$\\frac",
    "{",
    "%d",
)


def history(losses: Any, validated: bool = True) -> History:
    values = np.asarray(losses, float)
    shares = np.linspace(0.5, 0.9, len(values))
    return History(
        values, shares, np.arange(1.0, len(values) + 1),
        values * 1.1 if validated else None, shares if validated else None,
    )  # fmt: skip


def lines(axes: Any) -> dict[str, np.ndarray]:
    return {line.get_label(): np.asarray(line.get_ydata()) for line in axes.get_lines()}


def test_the_curves_are_the_history() -> None:
    told = history([2.0, 1.0, 0.5])
    loss, accuracy = plots.training(told, title="digits").axes
    assert [axes.get_xlabel() for axes in (loss, accuracy)] == ["epoch", "epoch"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy, %")
    curves = lines(loss)
    np.testing.assert_array_equal(curves["train + l2 term (as it passed)"], told.objective)
    np.testing.assert_array_equal(curves["validation"], told.validation_loss)
    np.testing.assert_array_equal(lines(accuracy)["train (as it passed)"], 100 * told.accuracy)
    assert loss.get_legend() is not None


def test_few_rounds_of_passes_are_points_from_the_start_on() -> None:
    told = dataclasses.replace(history([0.2, 0.1]), passes=np.array([8, 11]))
    loss, accuracy = plots.training(
        told, start=Evaluation(jnp.asarray(2.0), jnp.asarray(0.25))
    ).axes
    for axes in (loss, accuracy):
        assert axes.get_xlabel() == "passes over the data"
        train, validation = axes.get_lines()
        np.testing.assert_array_equal(train.get_xdata(), [0, 8, 11])
        np.testing.assert_array_equal(validation.get_xdata(), [8, 11])
        assert train.get_marker() == validation.get_marker() == "o"
    np.testing.assert_allclose(lines(loss)["train + l2 term"], [2.0, 0.2, 0.1])
    np.testing.assert_allclose(lines(accuracy)["train"], [25.0, 50.0, 90.0])


@pytest.mark.parametrize("count", [1, 3])
def test_newtons_steps_tell_the_objective_before_them(count: int) -> None:
    told = history(np.geomspace(2.0, 0.1, count))
    start = Evaluation(jnp.asarray(2.0), jnp.asarray(0.5))
    axes = plots.training(told, start=start).axes[0]
    assert axes.get_xlabel() == "steps"
    train, validation = axes.get_lines()
    np.testing.assert_array_equal(train.get_xdata(), list(range(count)))
    np.testing.assert_array_equal(
        validation.get_xdata(), list(range(1, count) if count > 1 else [0])
    )
    assert np.size(validation.get_ydata()) == max(1, count - 1)


def test_without_validation_there_is_one_line() -> None:
    loss, accuracy = plots.training(history([1.0], validated=False)).axes
    assert len(lines(loss)) == len(lines(accuracy)) == 1


@pytest.mark.parametrize(
    ("losses", "scale"),
    [
        ([2.3, 2.29, 2.28], "linear"),
        ([2.0, 0.5, 0.1], "log"),
        ([1e6, 1.0, 1e-6], "log"),
        ([1.0, 0.0], "linear"),
        ([0.0, 0.0], "linear"),
    ],
)
def test_the_loss_has_plain_ticks_on_an_axis_that_fits(losses: list[float], scale: str) -> None:
    figure = plots.training(history(losses))
    axes = figure.axes[0]
    assert axes.get_yscale() == scale
    figure.canvas.draw()
    texts = [label.get_text() for label in axes.get_yticklabels() if label.get_text()]
    low, high = axes.get_ylim()
    places = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert len(places) >= 2 or scale == "linear"
    assert not any("mathdefault" in text for text in texts if scale == "log")


@pytest.mark.parametrize(
    ("count", "shape", "shown"),
    [(2, (2, 3), 2), (10, (4, 4), 10), (45, (2, 2), 40), (3, (2, 2, 3), 3)],
)
def test_each_class_has_its_template(count: int, shape: tuple[int, ...], shown: int) -> None:
    W = np.random.default_rng(0).normal(size=(count, int(np.prod(shape))))
    names = [f"class {i}" for i in range(count)]
    figure = plots.training(history([1.0, 0.5]), W=W, classes=names, image_shape=shape)
    templates = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title() for axes in templates] == names[:shown]
    first = np.asarray(templates[0].get_images()[0].get_array())
    assert first.shape == shape
    if len(shape) == 2:
        np.testing.assert_allclose(first.ravel(), W[0])
        low, high = templates[0].get_images()[0].get_clim()
        assert low == -high  # white is 0
    else:
        assert first.min() >= 0.0
        assert first.max() <= 1.0


@pytest.mark.parametrize("W", [np.zeros((2, 4)), np.full((2, 4), 1e30)])
def test_templates_of_nothing_and_of_huge_weights_are_drawn(W: np.ndarray, tmp_path: Path) -> None:
    figure = plots.training(history([1.0]), W=W, classes=[0, 1], image_shape=(2, 2))
    plots.save(tmp_path / "p.png", figure)
    assert (tmp_path / "p.png").stat().st_size > 1000


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_any_name_is_drawn_as_text(tmp_path: Path, ending: str) -> None:
    W = np.ones((len(EVIL), 4))
    figure = plots.training(
        history([1.0]), title="cost in $ and $", W=W, classes=EVIL, image_shape=(2, 2)
    )
    plots.save(tmp_path / f"p.{ending}", figure)
    templates = [axes for axes in figure.axes if axes.get_images()]
    titles = [axes.get_title() for axes in templates]
    assert titles[:2] == [r"\$x_1\$", "a\\nb"]
    assert max(map(len, titles)) <= 18


def test_a_picture_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "p.xyz"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="xyz"):
        plots.save(path, plots.training(history([1.0])))
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
