"""`jaxlin sweep`: a grid of models at once, and which of them is best."""

from __future__ import annotations

import csv
import io
import sys
from importlib.metadata import version
from typing import Any

import click
import jax
import numpy as np

import jaxlin
from jaxlin.certificates.words import rounded_up
from jaxlin.cli import names
from jaxlin.cli.grids import HAVE_DEFAULTS, check_grid, grid_options, settings_of
from jaxlin.cli.options import (
    DATA_HELP,
    PATH,
    POSITIVE,
    SHARE,
    Whole,
    bias_option,
    dtype_option,
    epochs_option,
    json_option,
    no_picture_option,
    path_option,
    patience_option,
    picture_option,
    scaling_option,
    seed_option,
)
from jaxlin.cli.output import check_targets, message_console, print_json, say, show
from jaxlin.cli.progress import SweepProgress
from jaxlin.cli.solving import chosen_word
from jaxlin.cli.splits import (
    announce,
    load_splits,
    picture_path,
    results_on,
    short_name,
    split_options,
)
from jaxlin.cli.strengths import announce_l2, as_l2, chosen_scale, edges_on
from jaxlin.data.dataset import Dataset
from jaxlin.data.scaling import Scaling
from jaxlin.errors import DivergedError
from jaxlin.files import replacing
from jaxlin.linear import init_params
from jaxlin.model_file import save_model
from jaxlin.report import tables
from jaxlin.report.sweeps import SweepView, conclusion, setting_words, settings_table
from jaxlin.report.words import duration
from jaxlin.solvers.sgd import SGD
from jaxlin.sweeps import Sweep

_MOST_SHOWN = 20
_MORE = "... and {:,} more: --csv FILE writes them all, --json prints them.\n"
_USUAL_SHARE = 0.2
# Whose option it is; given without --solver it chooses that one.
_OWNERS = {
    "tol": "auto",
    **dict.fromkeys(
        ("optimizer", "learning_rate", "momentum", "batch_size", "epochs", "patience"), "sgd"
    ),
}


@click.command(
    epilog=DATA_HELP.replace("\n", " "),
    short_help="Train a grid of models at once; choose the best.",
)
@click.argument("source", metavar="[DATA]", default="digits", type=PATH)
@grid_options
@click.option(
    "--solver",
    type=click.Choice(("auto", "sgd")),
    help="auto takes each l2 to its optimum, and proves it.  [default: auto, or sgd where one of "
    "its options is given]",
)
@click.option(
    "--tol",
    type=POSITIVE,
    help="auto: how close to the optimum, proved, relative to the objective.  [default: 1e-4 for "
    "softmax, else 1e-3]",
)
@epochs_option
@click.option(
    "--folds",
    type=Whole(2),
    metavar="K",
    help="Judge each setting on K folds, each left out once, instead of on a --validation share.",
)
@click.option(
    "--validation",
    type=SHARE,
    metavar="SHARE",
    help=f"Share of the training examples to judge on.  [default: {_USUAL_SHARE}]",
)
@click.option(
    "--select-by",
    type=click.Choice(("accuracy", "loss")),
    default="accuracy",
    show_default=True,
    help="On the examples to judge on. Ties go to the larger l2.",
)
@patience_option
@scaling_option("Of the features in training, as in jaxlin train.")
@bias_option
@dtype_option
@split_options
@seed_option
@path_option("--out", "out", help="The best model's file.  [default: sweep.safetensors]")
@picture_option
@no_picture_option
@path_option("--csv", help="The whole table, a line for each setting.")
@json_option
def sweep(source: str, as_json: bool, out: str | None, **options: Any) -> int | None:
    """Train a model for each combination of the values; keep the best.

    Each l2 goes to its optimum from the one before, and is proved to be there. With options of SGD
    (--learning-rate and kin) the models train all at once and share one pass over DATA: a grid
    costs a fraction of its models one by one.
    The test set, where there is one, is looked at once, with the best model.
    """
    out = "sweep.safetensors" if out is None else out
    picture = picture_path(out, options)
    read = (source, options["test"], options["test_labels"])
    check_targets(out, picture, options["csv"], inputs=read)
    share = _validation_share(options)
    scale = chosen_scale(options)
    word = chosen_word(options, _OWNERS)
    check_grid(options, word, scale)
    dataset = load_splits(source, options, share)
    scaling_word, scaling = names.make_scaling(options["scaling"], dataset)
    losses = [names.LOSSES[name] for name in options["loss"]]
    num_examples = len(dataset.train)
    options["l2"] = as_l2(
        scale, options[scale], losses, num_examples=num_examples, num_classes=dataset.num_classes
    )
    settings = settings_of(options, word, dataset, scaling)
    announce(dataset)
    announce_l2(scale, options[scale], options["l2"], num_examples)
    try:
        with SweepProgress(message_console(), is_certified=word == "auto") as progress:
            found = _run(dataset, scaling, settings, word, options, progress)
    except DivergedError:
        say(
            f"jaxlin: all of {len(settings)} settings diverged, and nothing was written. Take a "
            "lower --learning-rate or --l2, or scale the features (--scaling standardize)."
        )
        return 1
    view = _view(found, settings, scale, options)
    edges = {name: end for name, end in found.edges.items() if options[name] is not None}
    edges = edges_on(scale, edges)
    best = found.best
    if best is None:
        say("jaxlin: no setting has a score that is a number; nothing was written.")
        return 1
    winner = found.fit(best)
    results = results_on(winner, dataset)
    save_model(
        out,
        winner,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        feature_names=dataset.feature_names,
        scaling=scaling_word,
    )
    if options["csv"] is not None:
        with replacing(options["csv"]) as file:
            file.write(_as_csv(view.table))
    if picture is not None:
        from jaxlin.report import plots, sweep_plots  # matplotlib, which not every run needs

        words = setting_words(view, best, view.told)
        plots.save(picture, sweep_plots.sweep(view, f"{short_name(dataset)}: best is {words}"))
    proved = found.table.get("relative_gap")
    about = {
        "solver": word,
        "epochs": max(map(len, found.histories)) if word == "sgd" else None,
        "largest_gap": None if proved is None else float(np.max(proved)),
        "scaling": scaling_word,
        "dtype": options["dtype"],
        "seed": options["seed"],
        "device": jax.devices()[0].device_kind,
        "seconds": found.seconds,
        "model": out,
        "picture": picture,
        "csv": options["csv"],
    }
    if as_json:
        table = {name: column.tolist() for name, column in view.table.items()}
        print_json(
            {
                "data": dataset.name,
                "classes": list(dataset.classes),
                "num_features": dataset.num_features,
                "grid": {name: _distinct(view, name) for name in view.names},
                "folds": options["folds"],
                "validation": share or None,
                "select_by": options["select_by"],
                "patience": options["patience"],
                "bias": options["bias"],
                **about,
                "table": table,
                "best": {"row": best} | {name: column[best] for name, column in table.items()},
                "edges": edges,
                "outcome": conclusion(view, edges),
                "outcome_kind": found.outcome.kind,
                "results": results,
                "versions": _versions(),
            }
        )
        return None
    # What all have in common, and what followed for the best.
    fixed = [name for name in settings[0] if name not in view.varying]
    shown = {"settings": setting_words(view, best, fixed) if fixed else None, **about}
    shown["time"] = _speed(found, dataset, options)
    del shown["seconds"], shown["largest_gap"]
    if about["largest_gap"] is not None:
        shown["proved"] = _proved(about["largest_gap"], len(found))
    rows = {name.replace("_", " "): value for name, value in shown.items() if value is not None}
    more = len(view) - _MOST_SHOWN
    show(
        settings_table(view, _MOST_SHOWN),
        *([_MORE.format(more)] if more > 0 else []),
        conclusion(view, edges),
        tables.results(results),
        tables.facts(rows),
    )
    return None


def _validation_share(options: dict[str, Any]) -> float:
    """The share of the training examples that every setting is judged on; 0 with folds."""
    share = options["validation"]
    if options["folds"] is not None:
        if share:
            raise click.UsageError("--folds and --validation exclude each other.")
        return 0.0
    if share == 0.0:
        raise click.UsageError(
            "without examples to judge on none is best: --validation or --folds."
        )
    return _USUAL_SHARE if share is None else share


def _run(
    dataset: Dataset,
    scaling: Scaling | None,
    settings: list[dict[str, Any]],
    word: str,
    options: dict[str, Any],
    progress: SweepProgress,
) -> Sweep:
    num_examples, epochs = len(dataset.train), options["epochs"]

    def solver(**numbers: Any) -> SGD:
        return names.sgd(num_examples, epochs=epochs, **numbers)

    held_out = dataset.validation
    return jaxlin.sweep(
        dataset.train.x,
        dataset.train.labels,
        grid=[{**setting, "loss": names.LOSSES[setting["loss"]]} for setting in settings],
        solver=None if word == "auto" else solver,
        tol=options["tol"],
        folds=options["folds"],
        validation=None if held_out is None else (held_out.x, held_out.labels),
        key=options["seed"],
        # The test set, or a list of names, may have classes that the training set lacks.
        init=init_params(dataset.num_features, dataset.num_classes, bias=options["bias"]),
        bias=options["bias"],
        patience=options["patience"],
        scaling=scaling,
        dtype=options["dtype"],
        on_epoch=progress.update,
        select_by=options["select_by"],
    )


def _view(
    found: Sweep, settings: list[dict[str, Any]], scale: str, options: dict[str, Any]
) -> SweepView:
    """The sweep's table, with the losses, and the scale of l2, as the command line has them.

    A learning rate that nobody gave is no axis: it follows from the loss, the optimizer and so on.
    """
    losses = np.array([setting["loss"] for setting in settings], object)
    given = dict(zip(options["l2"], options[scale], strict=True))
    strengths = np.array([given[setting["l2"]] for setting in settings])
    table = {**found.table, "loss": losses, scale: strengths}
    names_given = tuple(
        scale if name == "l2" else name
        for name in settings[0]
        if name in HAVE_DEFAULTS or options[name] is not None
    )
    return SweepView(table, names_given, found.best, options["select_by"])


def _distinct(view: SweepView, name: str) -> list[Any]:
    return list(dict.fromkeys(view.table[name].tolist()))


def _as_csv(table: dict[str, np.ndarray] | Any) -> bytes:
    """A line for each setting, numbers in as many digits as they have."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table)
    writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    return text.getvalue().encode()


def _speed(found: Sweep, dataset: Dataset, options: dict[str, Any]) -> str:
    """The time that all took, and that one model took of it."""
    models = len(found) * ((options["folds"] or 0) + 1)
    each = duration(found.seconds / models)
    return f"{duration(found.seconds)} for {models:,} models, compiling included: {each} each"


def _proved(largest_gap: float, count: int) -> str:
    """How close to their optima all models are."""
    share = rounded_up(100.0 * max(largest_gap, 1e-8))
    which = "the objective" if count == 1 else "all objectives"
    return f"{which} within {share} % of the best possible"


def _versions() -> dict[str, str]:
    return {
        "jaxlin": jaxlin.__version__,
        **{name: version(name) for name in ("jax", "jaxlib", "optax", "numpy")},
        "python": ".".join(map(str, sys.version_info[:3])),
    }
