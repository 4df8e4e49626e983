"""The grid of `jaxlin sweep`: its options, and the settings that they span."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jaxlin.cli import names
from jaxlin.cli.lists import SeveralNames, SeveralNumbers
from jaxlin.cli.options import POSITIVE, Number, Whole
from jaxlin.cli.solving import BATCH_SIZE, OPTIMIZER
from jaxlin.cli.strengths import strength_options
from jaxlin.data.dataset import Dataset
from jaxlin.data.scaling import Scaling

_F = TypeVar("_F", bound=Callable[..., Any])

AXES = ("loss", "optimizer", "l2", "learning_rate", "momentum", "batch_size")
_MOST_SETTINGS = 100_000
# Axes of SGD that have a value where none was given.
HAVE_DEFAULTS = {"optimizer": [OPTIMIZER], "batch_size": [BATCH_SIZE]}


def grid_options(command: _F) -> _F:
    """An option for each axis."""
    for option in reversed(
        (
            strength_options(
                functools.partial(SeveralNumbers, equal_ratios=True),
                "1e-6:1e-1:6",
                " Values, as in 0.01,0.1; or start:stop:count, in equal ratios; or both, as in "
                "0,1e-6:1e-1:6.",
            ),
            click.option(
                "--learning-rate",
                type=SeveralNumbers(POSITIVE, equal_ratios=True),
                help="sgd: at the start, as for --l2.  [default: one, as in jaxlin train]",
            ),
            click.option(
                "--momentum",
                type=SeveralNumbers(Number(0.0, 1.0), equal_ratios=False),
                help="sgd: of momentum and nesterov; a range goes in equal steps.  [default: 0.9]",
            ),
            click.option(
                "--batch-size",
                type=SeveralNumbers(Whole(1), equal_ratios=True),
                help="sgd: examples a step; a range goes in equal ratios.  [default: "
                f"{BATCH_SIZE}]",
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
                help="sgd: one or several; their learning rates go down along a cosine.  [default: "
                f"{OPTIMIZER}]",
            ),
        )
    ):
        command = option(command)
    return command


def check_grid(options: dict[str, Any], word: str, scale: str) -> None:
    """Raises `click.UsageError` for values that do not go together.

    Args:
      options: of the command.
      word: the solver, "auto" or "sgd".
      scale: "l2", or the option in its place.
    """
    if word == "auto" and 0.0 in options[scale]:
        raise click.UsageError(
            "--l2 has 0, with which no optimum can be proved: leave it out, or take --solver sgd."
        )
    if options["select_by"] == "loss" and len(options["loss"]) > 1:
        raise click.UsageError(
            "--select-by loss compares losses, and --loss has several, whose values mean different "
            "things: select by accuracy."
        )
    if options["momentum"] is not None:
        chosen = options["optimizer"] or [OPTIMIZER]
        without = [name for name in chosen if not names.has_momentum(name)]
        if without:
            raise click.UsageError(
                f"--momentum is for the optimizers momentum and nesterov; {without[0]} has none."
            )
    count = 1
    for name in AXES:
        count *= len(options[scale if name == "l2" else name] or [None])
    if count > _MOST_SETTINGS:
        raise click.UsageError(f"{count:,} settings are more than {_MOST_SETTINGS:,}.")


def settings_of(
    options: dict[str, Any], word: str, dataset: Dataset, scaling: Scaling | None
) -> list[dict[str, Any]]:
    """All combinations of the values, the last option's fastest; the loss by its name.

    Args:
      options: of the command.
      word: the solver; "auto" knows the loss and l2 alone.
      dataset: what is trained on.
      scaling: of its features, or None.
    """
    if word == "auto":
        both = itertools.product(options["loss"], options["l2"])
        return [{"loss": loss, "l2": l2} for loss, l2 in both]
    axes: dict[str, list[Any]] = {
        name: options[name] or HAVE_DEFAULTS.get(name, [None]) for name in AXES
    }
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
            about = {name: told[name] for name in ("optimizer", "momentum") if name in told}
            setting["learning_rate"] = names.rate_with_penalty(usual[key], setting["l2"], **about)
        settings.append(setting)
    return settings
