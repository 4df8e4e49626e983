"""A sweep's table, its sentence and its picture, from tables made by hand."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich.console

from jaxlin.report import plots, sweep_plots
from jaxlin.report.sweeps import SweepView, conclusion, settings_table


def view(
    best: int | None, diverged: tuple[int, ...] = (), spread: str = "interval", **axes: list[Any]
) -> SweepView:
    """A sweep whose settings have the accuracies 0.50, 0.51, ... and losses 1.00, 0.99, ..."""
    rows = list(itertools.product(*axes.values()))
    count = len(rows)
    table: dict[str, np.ndarray] = {}
    for index, name in enumerate(axes):
        values = [row[index] for row in rows]
        table[name] = np.array(values, object if isinstance(values[0], str) else None)
    outcome = np.array(["out_of_steps"] * count, object)
    outcome[list(diverged)] = "diverged"
    accuracy = 0.5 + 0.01 * np.arange(count)
    table |= {"outcome": outcome, "accuracy": accuracy + 0.1}
    for name, values in (("accuracy", accuracy), ("loss", 1.5 - accuracy)):
        table[f"validation_{name}"] = values
        if spread == "folds":
            table[f"validation_{name}_sd"] = np.full(count, 0.015)
        elif spread == "interval":
            table |= {f"validation_{name}_low": values - 0.025}
            table |= {f"validation_{name}_high": values + 0.015}
    return SweepView(table, tuple(axes), best)


def text(renderable: object, width: int = 100) -> str:
    console = rich.console.Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(renderable)
    console.file.close()
    return console.export_text()


def test_the_best_come_first_and_those_that_diverged_last() -> None:
    seen = view(4, diverged=(5, 0), l2=[0.0, 1e-6, 0.1], learning_rate=[0.1, 1.0], momentum=[0.9])
    assert seen.varying == ["l2", "learning_rate"]
    assert seen.ranking.tolist() == [4, 3, 2, 1, 0, 5]
    lines = text(settings_table(seen)).splitlines()
    (first,) = (line.split() for line in lines if line.split()[:1] == ["best"])
    assert first == ["best", "0.1", "0.1", "54.00", "%", "51.50", "to", "55.50", "%", "0.96",
                     "64.00", "%"]  # fmt: skip
    rows = [line.split() for line in lines if line.strip().endswith(("%", "-"))]
    assert [row[2] for row in rows if "diverged" in row] == ["diverged"] * 2
    assert "momentum" not in lines[1]
    assert settings_table(seen, 2).row_count == 2


def test_ties_are_broken_as_the_sweep_has_broken_them() -> None:
    seen = view(1, l2=[0.1, 1.0])
    seen.table["validation_accuracy"][:] = 0.5
    assert seen.ranking.tolist() == [1, 0]


def test_the_loss_may_be_what_counts() -> None:
    seen = view(3, spread="folds", l2=[1e-6, 1e-5, 1e-4, 1e-3])
    by_loss = SweepView(seen.table, seen.names, 3, "loss")
    assert by_loss.ranking.tolist() == [3, 2, 1, 0]
    words = text(settings_table(by_loss))
    assert words.index("loss") < words.index("± over folds") < words.index("accuracy")
    assert "0.015" in words
    assert conclusion(by_loss, {}).endswith(
        "validation loss 0.97 (standard deviation over folds 0.015; 1 other is within that)."
    )


def test_the_sentence_says_how_sure_it_is_and_what_to_try() -> None:
    seen = view(5, diverged=(0,), l2=[1e-6, 0.5, 0.1], learning_rate=[0.1, 1.0])
    assert conclusion(seen, {"l2": "highest", "learning_rate": "lowest"}) == (
        "Of 6 settings the best is l2 0.1, learning rate 1: validation accuracy 55.00 % (95 % "
        "interval 52.50 to 56.50 %; 2 others are within that). That is the highest --l2 of the "
        "grid: try higher ones. That is the lowest --learning-rate of the grid: try lower ones. "
        "1 diverged, and was left out."
    )
    assert "2 diverged, and were" in conclusion(view(5, (0, 1), l2=[1.0, 2.0, 3.0], m=[1, 2]), {})
    assert "none can be called" in conclusion(view(None, l2=[0.1, 1.0]), {})
    alone = conclusion(view(0, spread="", l2=[0.1]), {})
    assert alone == "Of 1 setting the best is l2 0.1: validation accuracy 50.00 %."


def stars(axes: Any) -> list[tuple[float, float]]:
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in axes.get_lines()
        if line.get_marker() == "*"
    ]


def test_a_line_for_each_learning_rate_and_a_map_beside_it() -> None:
    seen = view(3, diverged=(5,), l2=[1e-3, 0.0, 0.1], learning_rate=[0.1, 1.0])
    figure = sweep_plots.sweep(seen, "digits $")
    lines, cells, bar = figure.axes
    bands = lines.collections
    assert lines.get_xscale() == "log"
    assert (lines.get_xlabel(), lines.get_ylabel()) == ("l2", "validation accuracy, %")
    curves: dict[object, Any] = {line.get_label(): line for line in lines.get_lines()}
    # 0 has no logarithm: it stands a step before the smallest.
    np.testing.assert_allclose(curves["0.1"].get_xdata(), [1e-5, 1e-3, 0.1])
    np.testing.assert_allclose(curves["0.1"].get_ydata(), [52.0, 50.0, 54.0])
    np.testing.assert_allclose(curves["1"].get_ydata(), [53.0, 51.0])  # one diverged
    assert [label.get_text() for label in lines.get_xticklabels()] == ["0", "0.001", "0.1"]
    np.testing.assert_allclose(stars(lines), [(1e-5, 53.0)])
    assert len(bands) == 3  # a band a line, and the crosses
    assert (cells.get_xlabel(), cells.get_ylabel()) == ("l2", "learning rate")
    image = np.ma.filled(np.ma.asarray(cells.get_images()[0].get_array()), np.nan)
    np.testing.assert_allclose(image, [[52.0, 50.0, 54.0], [53.0, 51.0, np.nan]])
    assert stars(cells)[0][0] == 0.0
    assert bar.get_ylabel() == "validation accuracy, %"
    assert "digits \\$" in str(figure.get_suptitle())


def test_each_point_is_the_best_over_what_else_varies() -> None:
    seen = view(7, l2=[0.1, 1.0], optimizer=["sgd", "$adam$"], batch_size=[32, 64])
    (lines, *_) = sweep_plots.sweep(seen).axes
    assert "the best over optimizer" in lines.get_title()
    curves = {line.get_label(): np.asarray(line.get_ydata()) for line in lines.get_lines()}
    np.testing.assert_allclose(curves["64"], [53.0, 57.0])


@pytest.mark.parametrize(
    "axes",
    [
        {"l2": [0.1]},
        {"l2": [0.0]},
        {"l2": [0.0, 1.0]},
        {"loss": ["svm", "softmax"], "optimizer": ["$a$", "b", "c"]},
        {"momentum": [0.0, 0.9], "batch_size": [16, 32]},
        {"l2": np.geomspace(1e-9, 1e3, 40).tolist(), "learning_rate": [0.1 * i for i in range(15)]},
    ],
)
@pytest.mark.parametrize(("spread", "select_by"), [("", "accuracy"), ("folds", "loss")])
def test_grids_of_every_kind_are_drawn(
    axes: Any, spread: str, select_by: str, tmp_path: Path
) -> None:
    count = int(np.prod([len(values) for values in axes.values()]))
    diverged = tuple(range(0, count - 1, 3))
    seen = view(count - 1, diverged, spread, **axes)
    figure = sweep_plots.sweep(SweepView(seen.table, seen.names, count - 1, select_by), "t")
    plots.save(tmp_path / "p.png", figure)
    ticks = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert 1 <= len(ticks) <= 20
    assert len(stars(figure.axes[0])) == 1


def test_a_grid_of_which_all_diverged_is_a_picture_too(tmp_path: Path) -> None:
    seen = view(None, (0, 1, 2, 3), l2=[0.1, 1.0], learning_rate=[0.1, 1.0])
    plots.save(tmp_path / "p.png", sweep_plots.sweep(seen))
    assert not stars(sweep_plots.sweep(seen).axes[0])


def test_a_single_setting_is_called_by_its_l2() -> None:
    table = {"loss": np.array(["svm"], object), "l2": np.array([0.1])}
    assert SweepView(table, ("loss", "l2"), 0).told == ["l2"]
    assert SweepView(table, ("loss",), 0).told == ["loss"]
