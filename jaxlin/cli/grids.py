"""The grid of `jaxlin sweep`: its options, and the settings that they span."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jaxlin.cli import names
from jaxlin.cli.lists import SeveralNames, SeveralNumbers
from jaxlin.cli.options import NOT_NEGATIVE, POSITIVE, Number, Whole
from jaxlin.data.dataset import Dataset
from jaxlin.data.scaling import Scaling

_F = TypeVar("_F", bound=Callable[..., Any])

AXES = ("loss", "optimizer", "l2", "learning_rate", "momentum", "batch_size")
_MOST_SETTINGS = 100_000


def grid_options(command: _F) -> _F:
    """An option for each axis."""
    for option in reversed(
        (
            click.option(
                "--l2",
                type=SeveralNumbers(NOT_NEGATIVE, equal_ratios=True),
                default="1e-6:1e-1:6",
                show_default=True,
                help="lambda of lambda * sum(W^2). Values, as in 0.01,0.1; or start:stop:count, in "
                "equal ratios; or both, as in 0,1e-6:1e-1:6.",
            ),
            click.option(
                "--learning-rate",
                type=SeveralNumbers(POSITIVE, equal_ratios=True),
                help="At the start, as for --l2.  [default: one, as in jaxlin train]",
            ),
            click.option(
                "--momentum",
                type=SeveralNumbers(Number(0.0, 1.0), equal_ratios=False),
                help="Of momentum and nesterov; a range goes in equal steps.  [default: 0.9]",
            ),
            click.option(
                "--batch-size",
                type=SeveralNumbers(Whole(1), equal_ratios=True),
                default="256",
                show_default=True,
                help="Examples a step; a range goes in equal ratios.",
            ),
            click.option(
                "--loss",
                type=SeveralNames(tuple(names.LOSSES)),
                default="softmax",
                show_default=True,
                help="One or several; svm is the multiclass hinge.",
            ),
            click.option(
                "--optimizer",
                type=SeveralNames(names.OPTIMIZERS),
                default="momentum",
                show_default=True,
                help="One or several; their learning rates go down along a cosine.",
            ),
        )
    ):
        command = option(command)
    return command


def check_grid(options: dict[str, Any]) -> None:
    """Raises `click.UsageError` for values that do not go together."""
    if options["select_by"] == "loss" and len(options["loss"]) > 1:
        raise click.UsageError(
            "--select-by loss compares losses, and --loss has several, whose values mean different "
            "things: select by accuracy."
        )
    if options["momentum"] is not None:
        without = [name for name in options["optimizer"] if not names.has_momentum(name)]
        if without:
            raise click.UsageError(
                f"--momentum is for the optimizers momentum and nesterov; {without[0]} has none."
            )
    count = 1
    for name in AXES:
        count *= len(options[name] or [None])
    if count > _MOST_SETTINGS:
        raise click.UsageError(f"{count:,} settings are more than {_MOST_SETTINGS:,}.")


def settings_of(
    options: dict[str, Any], dataset: Dataset, scaling: Scaling | None
) -> list[dict[str, Any]]:
    """All combinations of the values, the last option's fastest; the loss by its name."""
    axes: dict[str, list[Any]] = {name: options[name] or [None] for name in AXES}
    axes["batch_size"] = list(dict.fromkeys(min(b, len(dataset.train)) for b in axes["batch_size"]))
    usual: dict[Any, float] = {}
    settings = []
    for values in itertools.product(*axes.values()):
        setting: dict[str, Any] = dict(zip(axes, values, strict=True))
        if setting["momentum"] is None:
            del setting["momentum"]
        if setting["learning_rate"] is None:
            told: dict[str, Any] = {
                name: setting[name]
                for name in ("optimizer", "batch_size", "momentum")
                if name in setting
            }
            key = setting["loss"], *told.values()
            if key not in usual:
                loss = names.LOSSES[setting["loss"]]
                usual[key] = names.usual_learning_rate(dataset, scaling, loss=loss, **told)
            setting["learning_rate"] = usual[key]
        settings.append(setting)
    return settings
