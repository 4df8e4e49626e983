"""How strong the penalty is: `--l2`, or `--C` or `--alpha`, other libraries' scales, in its place.

What these are in l2 depends on the data: it is known once they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from jaxlin import scales
from jaxlin.cli.options import NOT_NEGATIVE, POSITIVE, Number
from jaxlin.cli.output import say
from jaxlin.losses import Loss

_F = TypeVar("_F", bound=Callable[..., Any])

# The options, and their names in Python.
SCALES = ("l2", "C", "alpha")


def strength_options(
    kind: Callable[..., click.ParamType], default: Any, how: str = "", l2: Number = NOT_NEGATIVE
) -> Callable[[_F], _F]:
    """`--l2`, `--C` and `--alpha`.

    Args:
      kind: makes the type of an option from that of one number.
      default: of `--l2`, where none of them is given.
      how: further words on `--l2`.
      l2: what it may be.
    """

    def decorate(command: _F) -> _F:
        for option in reversed(
            (
                click.option(
                    "--l2",
                    type=kind(l2),
                    default=default,
                    show_default=True,
                    help=f"lambda of lambda * sum(W^2).{how}",
                ),
                click.option(
                    "C",
                    "--C",
                    type=kind(POSITIVE),
                    help="In place of --l2: C of scikit-learn and LIBLINEAR. l2 = 1/(2 C N) for N "
                    "training examples; for two classes 1/(C N), but 1/(2 C N) with "
                    "crammer-singer.",
                ),
                click.option(
                    "--alpha",
                    type=kind(POSITIVE),
                    help="In place of --l2, for two classes: alpha of scikit-learn's "
                    "SGDClassifier, which is l2.",
                ),
            )
        ):
            command = option(command)
        return command

    return decorate


def chosen_scale(options: dict[str, Any]) -> str:
    """The one of `SCALES` that is given, or else l2, whose place is empty where it is not.

    Raises:
      click.UsageError: more than one.
    """
    source = click.get_current_context().get_parameter_source("l2")
    if source is ParameterSource.DEFAULT and any(options[name] is not None for name in SCALES[1:]):
        options["l2"] = None
    given = [name for name in SCALES if options[name] is not None]
    if len(given) > 1:
        raise click.UsageError(
            f"--{given[0]} and --{given[1]} say the same on two scales: leave one out."
        )
    return given[0] if given else "l2"


def as_l2(
    scale: str,
    values: Sequence[float],
    losses: Sequence[Loss],
    *,
    num_examples: int,
    num_classes: int,
) -> list[float]:
    """Values on a scale as l2.

    Args:
      scale: one of `SCALES`.
      values: on it.
      losses: that are to be minimised.
      num_examples: N, those trained on.
      num_classes: C.

    Raises:
      InputError: they have no such optimum on that scale.
      click.UsageError: an l2 is too large, or another one for each loss.
    """
    if scale == "l2":
        return list(values)

    def convert(value: float, loss: Loss) -> float:
        if scale == "alpha":
            return scales.l2_of_alpha(value, loss=loss, num_classes=num_classes)
        return scales.l2_of_C(value, loss=loss, num_examples=num_examples, num_classes=num_classes)

    l2s, *others = ([convert(value, loss) for value in values] for loss in losses)
    if any(other != l2s for other in others):
        raise click.UsageError(
            f"--{scale} weighs the penalty of two classes differently for crammer-singer than for "
            "the other losses, as scikit-learn does. Sweep it by itself, or give --l2."
        )
    for value, l2 in zip(values, l2s, strict=True):
        if l2 >= NOT_NEGATIVE.high:
            raise click.UsageError(
                f"--{scale} {value:g} is l2 = {l2:.3g} for {num_examples:,} examples, and l2 must "
                f"be below {NOT_NEGATIVE.high:g}."
            )
    return l2s


def announce_l2(
    scale: str, values: Sequence[float], l2s: Sequence[float], num_examples: int
) -> None:
    """Says what values on another scale are in l2."""
    if scale != "l2":
        say(f"{scale} = {_ends(values)} is l2 = {_ends(l2s)} for {num_examples:,} examples")


def edges_on(scale: str, edges: Mapping[str, str]) -> dict[str, str]:
    """The edges of a sweep, with those of l2 on a scale; the larger C is, the smaller is l2.

    >>> edges_on("C", {"l2": "lowest", "momentum": "lowest"})
    {'C': 'highest', 'momentum': 'lowest'}
    """
    turned = {"lowest": "highest", "highest": "lowest"}
    on_scale = {}
    for name, end in edges.items():
        if name == "l2":
            on_scale[scale] = turned[end] if scale == "C" else end
        else:
            on_scale[name] = end
    return on_scale


def _ends(values: Sequence[float]) -> str:
    """The first and the last."""
    return " to ".join(f"{value:.4g}" for value in dict.fromkeys((values[0], values[-1])))
