"""`jaxlin train`: from data to a model file and a picture."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import Any

import click
import jax
import numpy as np

from jaxlin.cli import names
from jaxlin.cli.options import (
    COUNT,
    DATA_HELP,
    PATH,
    POSITIVE,
    SHARE,
    bias_option,
    dtype_option,
    epochs_option,
    json_option,
    l2_option,
    loss_option,
    no_picture_option,
    path_option,
    patience_option,
    picture_option,
    scaling_option,
    seed_option,
)
from jaxlin.cli.output import check_targets, message_console, print_json, show
from jaxlin.cli.progress import TrainingProgress
from jaxlin.cli.splits import (
    announce,
    load_splits,
    picture_path,
    results_on,
    short_name,
    split_options,
)
from jaxlin.data.dataset import Dataset
from jaxlin.linear import init_params
from jaxlin.model_file import save_model
from jaxlin.report import tables
from jaxlin.report.words import duration
from jaxlin.training import Fit, fit


@click.command(
    epilog=DATA_HELP.replace("\n", " "),
    short_help="Train a classifier; write a model file and a picture.",
)
@click.argument("source", metavar="[DATA]", default="digits", type=PATH)
@loss_option("softmax", "svm is the multiclass hinge, sum over j != y of max(0, s_j - s_y + 1).")
@l2_option(1e-4)
@click.option(
    "--optimizer",
    type=click.Choice(names.OPTIMIZERS),
    default="momentum",
    show_default=True,
    help="How a step follows from a gradient; its learning rate goes down along a cosine.",
)
@click.option(
    "--learning-rate",
    type=POSITIVE,
    help="At the start.  [default: by the size of the features; adagrad 0.1, adam and kin 0.01]",
)
@click.option("--batch-size", type=COUNT, default=256, show_default=True, help="Examples a step.")
@epochs_option
@patience_option
@scaling_option(
    "Of the features in training; the model takes them raw. auto: images and other integers "
    "to at most 1 (unit), the rest to mean 0 and variance 1 (standardize)."
)
@bias_option
@dtype_option
@click.option(
    "--validation",
    type=SHARE,
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Share of the training examples to set apart; 0 for none.",
)
@split_options
@seed_option
@path_option("--out", "out", help="The model file.  [default: model.safetensors]")
@picture_option
@no_picture_option
@json_option
def train(source: str, as_json: bool, out: str | None, **options: Any) -> None:
    """Train a linear classifier on DATA (default: the built-in handwritten digits)."""
    out = "model.safetensors" if out is None else out
    picture = picture_path(out, options)
    check_targets(out, picture)
    dataset = load_splits(source, options, options["validation"])
    if options["patience"] and dataset.validation is None:
        raise click.UsageError("--patience needs a --validation share above 0.")
    loss = names.LOSSES[options["loss"]]
    scaling_word, scaling = names.make_scaling(options["scaling"], dataset)
    solver, learning_rate = names.make_solver(
        dataset,
        scaling,
        loss=loss,
        optimizer=options["optimizer"],
        learning_rate=options["learning_rate"],
        batch_size=options["batch_size"],
        epochs=options["epochs"],
    )
    announce(dataset)
    held_out = dataset.validation
    started = time.monotonic()
    with TrainingProgress(message_console()) as progress:
        found = fit(
            dataset.train.x,
            dataset.train.labels,
            loss=loss,
            l2=options["l2"],
            solver=solver,
            key=options["seed"],
            # The test set, or a list of names, may have classes that the training set lacks.
            init=init_params(dataset.num_features, dataset.num_classes, bias=options["bias"]),
            bias=options["bias"],
            validation=None if held_out is None else (held_out.x, held_out.labels),
            patience=options["patience"],
            scaling=scaling,
            dtype=options["dtype"],
            on_epoch=progress.update,
        )
    seconds = time.monotonic() - started
    results = results_on(found, dataset)
    save_model(
        out,
        found,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        feature_names=dataset.feature_names,
        scaling=scaling_word,
    )
    if picture is not None:
        from jaxlin.report import plots  # matplotlib takes a while, and not every run draws

        test = results.get("test", {}).get("accuracy")
        judged = "" if test is None else f", test accuracy {100 * test:.2f} %"
        figure = plots.training(
            found.history,
            title=f"{options['loss']} on {short_name(dataset)}{judged}",
            W=np.asarray(found.raw_params.W),
            classes=dataset.classes,
            image_shape=dataset.image_shape,
        )
        plots.save(picture, figure)
    about = {
        "outcome": str(found.outcome),
        "outcome_kind": found.outcome.kind,
        "loss": options["loss"],
        "l2": options["l2"],
        "optimizer": options["optimizer"],
        "learning_rate": learning_rate,
        "batch_size": solver.batch_size,
        "epochs": len(found.history),
        "scaling": scaling_word,
        "dtype": options["dtype"],
        "seed": options["seed"],
        "device": jax.devices()[0].device_kind,
        "seconds": seconds,
        "model": out,
        "picture": picture,
    }
    if as_json:
        print_json(
            {
                "data": dataset.name,
                "classes": list(dataset.classes),
                "num_features": dataset.num_features,
                **about,
                "results": results,
                "history": _curves(found),
            }
        )
        return
    del about["outcome_kind"]
    about["learning_rate"] = f"{learning_rate:.3g}, down to 0 along a cosine"
    about["seconds"] = f"{duration(seconds)}, of which {_speed(found, dataset)}"
    names_shown = {
        name.replace("_", " "): value for name, value in about.items() if value is not None
    }
    names_shown["time"] = names_shown.pop("seconds")
    show(tables.results(results), tables.facts(names_shown))


def _curves(found: Fit) -> dict[str, Any]:
    """The history as lists, an entry an epoch."""
    columns = {field.name: getattr(found.history, field.name) for field in fields(found.history)}
    return {name: None if c is None else c.tolist() for name, c in columns.items()}


def _speed(found: Fit, dataset: Dataset) -> str:
    """The pace after the first epoch, which compiles."""
    seconds = found.history.seconds
    if len(seconds) < 2:
        return f"{duration(float(seconds[0]))} compiling and training"
    pace = (len(seconds) - 1) * len(dataset.train) / max(float(seconds[-1] - seconds[0]), 1e-9)
    return f"{duration(float(seconds[0]))} compiling; then {pace:,.0f} examples a second"
