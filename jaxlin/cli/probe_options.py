"""The options of `jaxlin probe`, and what they come to."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jaxlin.cli import names
from jaxlin.cli.lists import SeveralNames, SeveralNumbers
from jaxlin.cli.options import (
    COUNT,
    PATH,
    POSITIVE,
    Number,
    Whole,
    dtype_option,
    path_option,
    reading_options,
    seed_option,
)
from jaxlin.cli.probe_files import SOURCES
from jaxlin.cli.strengths import as_l2, chosen_scale, strength_options
from jaxlin.probe.problem import Problem
from jaxlin.probe.protocols import PROTOCOLS
from jaxlin.probe.settings import SCALINGS, Settings

_F = TypeVar("_F", bound=Callable[..., Any])

_NORMALIZE = {"no": (False,), "yes": (True,), "both": (False, True)}


class ShareOrCount(click.ParamType):
    """A share below 1, or a whole number of examples."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | int:
        """The number that a text is."""
        number = Number(0.0, 1e12).convert(value, param, ctx)
        if number < 1.0:
            return number
        if number != int(number):
            self.fail(f"{value!r} is neither a share below 1 nor a whole number.", param, ctx)
        return int(number)


def probe_options(command: _F) -> _F:
    """What to try, and where the examples are from."""
    for option in reversed(
        (
            click.option(
                "--protocol",
                type=click.Choice(tuple(PROTOCOLS)),
                default="jaxlin",
                show_default=True,
                help="Which values to try, on what, what to train on in the end: docs/probe.md.",
            ),
            click.option(
                "--loss",
                type=click.Choice(tuple(names.LOSSES)),
                help="svm is the multiclass hinge.  [default: softmax]",
            ),
            strength_options(
                functools.partial(SeveralNumbers, equal_ratios=True),
                None,
                " Values to try instead of the protocol's, as in 0.01,0.1 or 1e-6:1e-1:6.",
                POSITIVE,
            ),
            click.option(
                "--scaling",
                type=SeveralNames(SCALINGS),
                help="One or several to try; plain is unit for images and other integers, else "
                "none.  [default: the protocol's]",
            ),
            click.option(
                "--normalize",
                type=click.Choice(tuple(_NORMALIZE)),
                help="Divide each row by its l2 norm first.  [default: no]",
            ),
            click.option(
                "--select-by",
                type=click.Choice(("accuracy", "loss")),
                help="Of the validation examples.  [default: accuracy]",
            ),
            click.option(
                "--tol", type=POSITIVE, help="Relative gap to prove of each fit.  [default: 1e-3]"
            ),
            click.option(
                "--passes", type=COUNT, help="Over the data, at most, of each fit.  [default: 600]"
            ),
            click.option(
                "--bias/--no-bias", default=None, help="Whether there is a b.  [default: bias]"
            ),
            dtype_option,
            click.option(
                "--few-shot",
                type=SeveralNumbers(Whole(1), equal_ratios=True),
                help="Train on so few examples a class besides, as in 1,2,4,8,16.",
            ),
            click.option("--repeats", type=COUNT, help="Draws of each of these.  [default: 5]"),
            click.option(
                "--validation",
                multiple=True,
                metavar="FILE",
                type=PATH,
                help="Examples to choose by, once for each file of FEATURES.",
            ),
            path_option("--validation-labels", help="Their labels, where they are an .npy file."),
            click.option(
                "--validation-share",
                type=ShareOrCount(),
                metavar="SHARE",
                help="Of the training examples to choose by, without --validation; or how many.  "
                "[default: the protocol's]",
            ),
            click.option(
                "--test",
                multiple=True,
                metavar="FILE",
                type=PATH,
                help="Examples to test on, once for each file of FEATURES.",
            ),
            path_option("--test-labels", help="Their labels, where they are an .npy file."),
            click.option(
                "--test-share",
                type=ShareOrCount(),
                default=0.25,
                show_default=True,
                metavar="SHARE",
                help="Of the examples to test on where there is no test set; or how many; 0 for "
                "none.",
            ),
            click.option(
                "--groups",
                metavar="FILE",
                type=PATH,
                help="The group of each example, in an .npy file; or a column of FEATURES, of "
                "numbers. No group is in two splits.",
            ),
            reading_options,
            seed_option,
        )
    ):
        command = option(command)
    return command


def settings_of(options: dict[str, Any]) -> Settings:
    """What the options ask of the protocol."""
    scale = chosen_scale(options)
    given = {
        name: options[name]
        for name in ("loss", "l2", "C", "select_by", "tol", "passes", "bias", "repeats", "seed",
                     "dtype", "scaling", "few_shot")
    }  # fmt: skip
    if scale == "alpha":  # of two classes that is l2, and of others an error, once they are read
        given["l2"] = options["alpha"]
    for name in ("l2", "C", "scaling", "few_shot"):
        given[name] = None if given[name] is None else tuple(given[name])
    if options["normalize"] is not None:
        given["normalize"] = _NORMALIZE[options["normalize"]]
    return PROTOCOLS[options["protocol"]].settings(**given)


def strengths_of(
    options: dict[str, Any], settings: Settings, problem: Problem
) -> tuple[str, list[float], list[float], int]:
    """The scale of the values to try, the values, what they are in l2, and for how many examples.

    Without values, where the options name none.

    Args:
      options: of the command.
      settings: made of them.
      problem: whose training examples and classes count.

    Raises:
      InputError: the loss or the number of classes has no optimum on that scale.
    """
    scale = chosen_scale(options)
    values, num_examples = options[scale] or [], len(problem.train)
    l2s = as_l2(
        scale, values, [settings.loss_function], num_examples=num_examples,
        num_classes=len(problem.classes),
    )  # fmt: skip
    return scale, values, l2s, num_examples


def given_sources(options: dict[str, Any]) -> dict[str, Any]:
    """Where the examples are from, as JSON has it."""
    sources = {name: options[name] for name in SOURCES}
    for name in ("features", "validation", "test"):
        sources[name] = list(sources[name])
    sources["features"] = sources["features"] or ["digits"]
    if sources["validation_share"] is None:
        sources["validation_share"] = PROTOCOLS[options["protocol"]].validation_share
    if not sources["validation"] and sources["validation_share"] == 0:
        raise click.UsageError("without validation examples nothing can be chosen.")
    return sources
