"""What the commands that check gradients have in common: examples, pictures, JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxlin import data
from jaxlin.cli import names
from jaxlin.cli.options import READING, reading
from jaxlin.data.dataset import Dataset
from jaxlin.data.values import check_range
from jaxlin.gradients.report import GradientReport
from jaxlin.gradients.step_errors import StepErrors, step_errors
from jaxlin.gradients.wrong_coordinates import WrongLeaf, wrong_coordinates
from jaxlin.precision import float64_scope
from jaxlin.report import gradient_plots, plots
from jaxlin.report.gradient_tables import Audited

# Numbers in the features that are looked at, where nothing else is said.
_MOST_NUMBERS = 2_000_000
_MOST_KINKS = 20
_WIDTH = 100


class Examples(NamedTuple):
    """What is looked at.

    Attributes:
      dataset: where it comes from.
      x: scaled features (N, D), in the dtype that is judged.
      labels: (N,).
      words: what was drawn, for people.
    """

    dataset: Dataset
    x: np.ndarray
    labels: np.ndarray
    words: str


def read_examples(source: str, options: dict[str, Any], count: int | None) -> Examples:
    """Reads DATA, draws some of the training examples and scales them as training would."""
    dataset = data.load(
        source,
        seed=options["seed"],
        **reading({name: options[name] for name in READING}),
    )
    train, dtype = dataset.train, options["dtype"]
    check_range(train.x, dtype, dataset.name, "Take --dtype float64, or divide the features.")
    scaling_word, scaling = names.make_scaling(options["scaling"], dataset)
    most = options["examples"] or count or max(1, _MOST_NUMBERS // dataset.num_features)
    if most < len(train):
        rng = np.random.default_rng(options["seed"])
        train = train.take(np.sort(rng.choice(len(train), most, replace=False)))
    with float64_scope(dtype == "float64"):
        x = jnp.asarray(train.x.astype(dtype))
        x = np.asarray(x if scaling is None else scaling(x))
    words = (
        f"{dataset.name}: {len(train):,} of {len(dataset.train):,} training examples, "
        f"{dataset.num_features:,} features ({scaling_word}), {dataset.num_classes} classes"
    )
    return Examples(dataset, x, train.labels, words)


class Subject(NamedTuple):
    """What a picture is of: a function where it is fine, and where its gradient is wrong."""

    function: Callable[..., Any]
    params: Any
    args: tuple[Any, ...]
    by_hand: Callable[..., Any] | None
    wrong_at: Any


def draw(
    path: str, subject: Subject, options: dict[str, Any], title: str, examples: Examples | None
) -> None:
    """The picture: the V, and where a gradient is wrong, the map of that."""
    dtypes = sorted({"float64", options["dtype"]}, reverse=True)
    curves: list[StepErrors] = []
    for dtype in dtypes:
        curves.extend(
            step_errors(
                subject.function,
                subject.params,
                *subject.args,
                dtype=np.dtype(dtype),
                seed=options["seed"],
            )
        )
    wrong: WrongLeaf | None = None
    if subject.wrong_at is not None and subject.by_hand is not None:
        wrong = wrong_coordinates(
            subject.function, subject.wrong_at, *subject.args, by_hand=subject.by_hand
        )
    dataset = None if examples is None else examples.dataset
    figure = gradient_plots.check(
        curves,
        wrong,
        title=title,
        classes=None if dataset is None else dataset.classes,
        image_shape=None if dataset is None else dataset.image_shape,
    )
    plots.save(path, figure)


def exit_code(reports: Sequence[GradientReport]) -> int:
    """1 where a gradient is wrong."""
    return 0 if all(reports) else 1


def closing(reports: Sequence[GradientReport]) -> str:
    """The last line."""
    wrong = sum(not report for report in reports)
    if wrong:
        return f"A gradient is wrong at {wrong} of {len(reports)} points."
    return "No gradient is wrong."


def point_object(point: Audited) -> dict[str, Any]:
    """A point for `--json`."""
    report = point.report
    narrow = report.dtype
    return {
        "name": point.name,
        "note": point.note,
        "relative_gap": point.relative_gap,
        "verdict": report.verdict,
        "explanation": report.explanation,
        "cause": report.cause,
        "dtype": narrow,
        "eps": report.eps,
        "scale": report.scale,
        "unit": report.unit,
        "error_in_eps": point.error_in_eps(narrow),
        "bound_in_eps": point.bound,
        "float64_error_in_eps": point.error_in_eps("float64"),
        "pairs": [dataclasses.asdict(pair) for pair in report.pairs],
        "worst": [{"place": at.place, **dataclasses.asdict(at)} for at in report.worst],
        "num_kinks": len(report.kinks),
        "num_kinks_at": point.num_kinks_at,
        "kinks": [dataclasses.asdict(kink) for kink in report.kinks[:_MOST_KINKS]],
        "step": report.step,
        "numerical_error": report.numerical_error,
        "num_checked": report.num_checked,
        "num_coordinates": report.num_coordinates,
    }


def show_wide(*renderables: Any) -> None:
    """Prints results; to a file as wide as the reports are, since their numbers are cut else."""
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = max(_WIDTH, console.width)
    for renderable in renderables:
        console.print(renderable)
