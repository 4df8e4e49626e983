"""`jaxlin check-gradients`: the gradients of the library, or of the user's own code, audited."""

from __future__ import annotations

from typing import Any

import click

from jaxlin.cli.check_library import check_library
from jaxlin.cli.check_users import check_users
from jaxlin.cli.options import (
    COUNT,
    DATA_HELP,
    PATH,
    SEED,
    json_option,
    l2_option,
    loss_option,
    path_option,
    reading_options,
    scaling_option,
)
from jaxlin.cli.output import check_targets
from jaxlin.cli.user_code import names_function


@click.command(
    name="check-gradients",
    epilog=DATA_HELP.replace("\n", " "),
    short_help="Check gradients: the library's on some data, or your own.",
)
@click.argument("what", metavar="[FILE.py:LOSS]", default="digits", type=PATH)
@click.argument("source", metavar="[DATA]", required=False, type=PATH)
@click.option(
    "--gradient",
    metavar="FILE.py:NAME",
    type=PATH,
    help="Your gradient by hand, with the arguments of your function; NumPy will do.",
)
@click.option(
    "--arguments",
    metavar="FILE.py:NAME",
    type=PATH,
    help="A function without arguments that returns (params, *args) to call yours with; any "
    "function can be checked so. No DATA are read then.",
)
@loss_option("svm", "Of the library.")
@l2_option(1e-3)
@click.option(
    "--examples",
    type=COUNT,
    help="Training examples to look at, drawn at random.  [default: 200 for a function of your "
    "own; else as many as hold 2,000,000 features]",
)
@scaling_option("Of the features, as in jaxlin train.")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="What is judged; all is checked in float64 besides.",
)
@reading_options
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of all that is random.")
@click.option("--cost", is_flag=True, help="Compare what the gradients cost (the library's).")
@path_option("--plot", help="A picture: error against step, and a map of wrong coordinates.")
@json_option
@click.pass_context
def check_gradients(
    context: click.Context, what: str, source: str | None, as_json: bool, **options: Any
) -> int:
    """Check the gradients of the library on DATA, or those of a function of your own.

    Without FILE.py: the gradient by hand and jax.grad of a loss of the library, at W = 0, at exact
    ties, at a random W, on the way, and at the optimum.

    With FILE.py:LOSS, which is run: jax.grad of the function LOSS, and the gradient by hand,
    against the numerical one. LOSS takes (scores, labels) and returns one value an example; or it
    takes (params, x, labels), or (params, x, labels, l2), and returns a scalar, params being a
    jaxlin.LinearParams or W, (C, D) or (D, C); or it takes whatever --arguments gives it.

    The exit code is 1 where a gradient is wrong, else 0.
    """
    check_targets(options["plot"])
    if names_function(what):
        given = context.get_parameter_source("loss")
        if given is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError("--loss is the library's: leave it out with FILE.py:LOSS.")
        if options["cost"]:
            raise click.UsageError("--cost is for the library's losses.")
        return check_users(what, source, as_json, options)
    for name in ("gradient", "arguments"):
        if options[name] is not None:
            raise click.UsageError(f"--{name} belongs to a function: FILE.py:LOSS comes first.")
    if source is not None:
        raise click.UsageError(f"two DATA were given, {what!r} and {source!r}.")
    return check_library(what, as_json, options)
