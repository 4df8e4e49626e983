"""`jaxlin ladder`: the lecture's ways to find W, on equal terms."""

from __future__ import annotations

from typing import Any

import click

from jaxlin import data
from jaxlin.cli import names
from jaxlin.cli.options import (
    COUNT,
    DATA_HELP,
    PATH,
    POSITIVE,
    READING,
    json_option,
    l2_option,
    loss_option,
    path_option,
    reading,
    reading_options,
    scaling_option,
    seed_option,
)
from jaxlin.cli.output import check_targets, message_console, print_json, say, show
from jaxlin.ladder import AUTODIFF, NUMERICAL, Ladder, run_ladder
from jaxlin.report import plots, tables
from jaxlin.report.words import duration


@click.command(
    epilog=DATA_HELP.replace("\n", " "),
    short_help="Compare random search, numerical gradient, gradient descent and SGD.",
)
@click.argument("source", metavar="[DATA]", default="digits", type=PATH)
@loss_option("svm", "svm is the lecture's.")
@l2_option(1e-4)
@click.option(
    "--seconds",
    type=POSITIVE,
    default=5.0,
    show_default=True,
    help="Time for each method, compilation apart. A numerical gradient, once begun, is ended.",
)
@click.option(
    "--examples",
    type=COUNT,
    help="Training examples to use.  [default: all, or as many as let one numerical gradient end "
    "within about 20 seconds]",
)
@scaling_option("Of the features, as in jaxlin train.")
@reading_options
@seed_option
@path_option("--out", help="The picture.  [default: ladder.png]")
@json_option
def ladder(source: str, as_json: bool, out: str | None, **options: Any) -> None:
    """Climb the lecture's ladder on DATA (default: the built-in handwritten digits).

    Random search, the numerical gradient, gradient descent by hand and by jax.grad, and minibatch
    SGD minimise the same objective on the same data, for the same time each.
    """
    out = "ladder.png" if out is None else out
    check_targets(out)
    dataset = data.load(
        source,
        seed=options["seed"],
        **reading({name: options[name] for name in READING}),
    )
    _, scaling = names.make_scaling(options["scaling"], dataset)
    console = message_console()
    with console.status("reading") as status:

        def announce(name: str) -> None:
            status.update(name)
            if not console.is_terminal:
                say(f"{name} ...")

        result = run_ladder(
            dataset,
            loss=names.LOSSES[options["loss"]],
            l2=options["l2"],
            scaling=scaling,
            budget=options["seconds"],
            num_examples=options["examples"],
            key=options["seed"],
            on_rung=announce,
        )
    plots.save(out, plots.ladder(result))
    if as_json:
        print_json(_as_object(result, out))
        return
    slow, fast = (
        next(rung for rung in result.rungs if rung.name == name) for name in (NUMERICAL, AUTODIFF)
    )
    show(
        f"{dataset.name}: {result.num_examples:,} of {len(dataset.train):,} training examples, "
        f"{result.num_parameters:,} parameters",
        f"{result.loss}, l2 {result.l2:g}, {duration(result.budget)} for each method",
        tables.ladder(result),
        f"A step takes {duration(slow.seconds_per_step)} with the numerical gradient, "
        f"{duration(fast.seconds_per_step)} with jax.grad: "
        f"{result.numerical_factor:,.0f} times.",
        f"picture: {out}",
    )


def _as_object(result: Ladder, out: str) -> dict[str, Any]:
    return {
        "data": result.data,
        "loss": result.loss,
        "l2": result.l2,
        "examples": result.num_examples,
        "parameters": result.num_parameters,
        "seconds": result.budget,
        "numerical_factor": result.numerical_factor,
        "picture": out,
        "methods": [
            {
                "name": rung.name,
                "objective": rung.objective,
                "accuracy": rung.accuracy,
                "steps": rung.steps,
                "evaluations": float(rung.evaluations[-1]),
                "seconds_per_step": rung.seconds_per_step,
            }
            for rung in result.rungs
        ],
    }
