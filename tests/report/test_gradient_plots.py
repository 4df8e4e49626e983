"""Pictures and tables of gradient checks."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from jaxlin import LinearParams, Objective, losses
from jaxlin.gradients import check
from jaxlin.gradients.step_errors import StepErrors
from jaxlin.gradients.wrong_coordinates import WrongLeaf
from jaxlin.report import gradient_plots, gradient_tables, plots
from jaxlin.report.gradient_tables import Audited

STEPS = np.array([1e-8, 1e-6, 1e-4])
CURVES = [
    StepErrors("forward", "float64", STEPS, np.array([1e-8, 1e-6, 1e-4]), 1.5e-8, 2e-8),
    StepErrors("central", "float64", STEPS, np.array([1e-8, 0.0, 1e-8]), 6e-6, 1e-11),
]


def test_each_curve_is_a_line_with_a_dot_where_the_step_is_chosen() -> None:
    figure = gradient_plots.check(CURVES, title="of $mine$")
    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert lines["forward, float64"].get_xydata().tolist() == [  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        [1e-8, 1e-8], [1e-6, 1e-6], [1e-4, 1e-4]
    ]  # fmt: skip
    # No error at all has no place on a logarithmic axis.
    assert np.isnan(np.asarray(lines["central, float64"].get_ydata())[1])
    dots = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    assert dots == [[[1.5e-8, 2e-8]], [[6e-6, 1e-11]], []]


@pytest.mark.parametrize(
    ("shape", "image_shape", "images"),
    [
        ((3, 4), (2, 2), 3),
        ((4, 3), (2, 2), 3),  # W as (D, C)
        ((3, 12), (2, 2, 3), 3),
        ((3, 4), None, 1),
        ((3,), (2, 2), 1),  # a bias
        ((50, 3), (2, 2), 1),  # scores
        ((2, 3, 4), None, 1),
    ],
)
def test_what_is_wrong_is_drawn_as_images_where_it_is_one(
    shape: tuple[int, ...], image_shape: tuple[int, ...] | None, images: int
) -> None:
    wrong = WrongLeaf("W", np.random.default_rng(0).random(shape), 1.0)
    figure = gradient_plots.check(
        CURVES, wrong, classes=["a", "b$", "c"], image_shape=image_shape, title="t"
    )
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == images
    for axes in drawn:
        (image,) = axes.images
        assert image.get_clim() == (0.0, wrong.error.max())


def test_an_image_holds_the_errors_of_its_own_class() -> None:
    error = np.arange(12.0).reshape(4, 3)  # (D, C)
    figure = gradient_plots.check(
        [], WrongLeaf("W", error, 1.0), classes=["a", "b", "c"], image_shape=(2, 2)
    )
    drawn = [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]
    assert [image.ravel().tolist() for image in drawn] == error.T.tolist()


def test_a_picture_is_saved(tmp_path) -> None:
    path = tmp_path / "v.png"
    plots.save(path, gradient_plots.check(CURVES))
    assert path.read_bytes().startswith(b"\x89PNG")


def printed(*parts: object) -> str:
    console = Console(width=100, record=True, file=None, quiet=False)
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return capture.get()


def test_a_row_says_the_verdict_the_errors_and_the_kinks() -> None:
    x = np.array([[0.5], [2.0]], np.float32)
    W, b = np.array([[1.0], [0.0]], np.float32), np.array([0.5, 0.0], np.float32)
    params = LinearParams(W, b)  # pyright: ignore[reportArgumentType]
    objective = Objective(losses.weston_watkins_hinge, l2=0.1)
    report = check(objective, params, x, np.array([0, 0]))
    point = Audited("a tie", report, 16.0, "By design.", 1e-9)
    assert point.num_kinks_at == 1
    wide, narrow = point.error_in_eps("float64"), point.error_in_eps("float32")
    assert wide is not None
    assert narrow is not None
    assert wide < 16 > narrow
    text = printed(gradient_tables.audit([point]))
    assert "kink" in text
    assert f"{narrow:.2g} / 16" in text
    assert "1 at" in text
    said = printed(*gradient_tables.audit_lines([point]))
    assert said.startswith("a tie: By design. There is no gradient here")
    assert "example 0, class 1: margin 0" in said
