"""`jaxlin train`: from data to a model file and a picture."""

from __future__ import annotations

import os
import time
from dataclasses import fields
from typing import Any

import click
import jax
import numpy as np

from jaxlin import data
from jaxlin.cli import names
from jaxlin.cli.options import (
    COUNT,
    DATA_HELP,
    PATH,
    POSITIVE,
    SEED,
    SHARE,
    json_option,
    l2_option,
    loss_option,
    path_option,
    reading,
    reading_options,
    scaling_option,
)
from jaxlin.cli.output import check_targets, message_console, print_json, say, show
from jaxlin.cli.progress import TrainingProgress
from jaxlin.data.dataset import Dataset
from jaxlin.data.values import check_range
from jaxlin.linear import init_params
from jaxlin.model_file import save_model
from jaxlin.report import tables
from jaxlin.report.words import duration
from jaxlin.training import Fit, evaluate, fit


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
@click.option(
    "--epochs", type=COUNT, help="Passes over the data.  [default: 20, for few data up to 200]"
)
@click.option(
    "--patience",
    type=COUNT,
    help="Stop after so many epochs without a better validation loss; keep the best epoch.",
)
@scaling_option(
    "Of the features in training; the model takes them raw. auto: images and other integers "
    "to at most 1 (unit), the rest to mean 0 and variance 1 (standardize)."
)
@click.option("--bias/--no-bias", default=True, help="Whether there is a b.  [default: bias]")
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="What to compute in.",
)
@click.option(
    "--validation",
    type=SHARE,
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="Share of the training examples to set apart; 0 for none.",
)
@path_option("--test", help="A test set in a file of its own.")
@path_option("--test-labels", help="The labels of --test, where it is an .npy file.")
@click.option(
    "--test-share",
    type=SHARE,
    default=0.25,
    show_default=True,
    metavar="SHARE",
    help="Share of the examples to test on where DATA have no test set; 0 for none.",
)
@reading_options
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of all that is random.")
@path_option("--out", "out", help="The model file.  [default: model.safetensors]")
@path_option("--picture", help="The picture.  [default: as --out, with .png]")
@click.option("--no-picture", is_flag=True, help="Write no picture.")
@json_option
def train(source: str, as_json: bool, out: str | None, **options: Any) -> None:
    """Train a linear classifier on DATA (default: the built-in handwritten digits)."""
    out = "model.safetensors" if out is None else out
    if options["no_picture"] and options["picture"] is not None:
        raise click.UsageError("--picture and --no-picture exclude each other.")
    picture = None if options["no_picture"] else _picture_path(out, options["picture"])
    check_targets(out, picture)
    dataset = data.load(
        source,
        test=options["test"],
        test_labels=options["test_labels"],
        validation=options["validation"],
        test_share=options["test_share"],
        seed=options["seed"],
        **reading({name: options[name] for name in ("labels", "label_column", "num_features")}),
    )
    if options["patience"] and dataset.validation is None:
        raise click.UsageError("--patience needs a --validation share above 0.")
    for split in (dataset.train, dataset.validation, dataset.test):
        if split is not None:
            remedy = "Take --dtype float64, or divide the features."
            check_range(split.x, options["dtype"], dataset.name, remedy)
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
    _announce(dataset)
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
    results = _results(found, dataset)
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
            title=f"{options['loss']} on {os.path.basename(dataset.name.rstrip('/'))}{judged}",
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


def _announce(dataset: Dataset) -> None:
    kind = f"{dataset.train.x.dtype} features"
    counts = [f"{len(dataset.train):,} to train on"]
    if dataset.validation is not None:
        counts.append(f"{len(dataset.validation):,} to validate")
    if dataset.test is not None:
        whose = "its own" if dataset.has_own_test else "drawn from it"
        counts.append(f"{len(dataset.test):,} to test ({whose})")
    say(
        f"{dataset.name}: {dataset.num_classes} classes, {dataset.num_features:,} {kind}; "
        f"{', '.join(counts)}"
    )


def _results(found: Fit, dataset: Dataset) -> dict[str, dict[str, float]]:
    """Mean loss and accuracy on each part, at the final parameters."""
    results = {}
    for name in ("train", "validation", "test"):
        split = getattr(dataset, name)
        if split is not None:
            seen = evaluate(
                found.params, split.x, split.labels, loss=found.objective.loss,
                scaling=found.scaling,
            )  # fmt: skip
            results[name] = {
                "examples": len(split),
                "loss": float(seen.objective),
                # A share of so many examples: a sum of float32 weights can end above 1.
                "accuracy": round(float(seen.accuracy) * len(split)) / len(split),
            }
    return results


def _picture_path(out: str, picture: str | None) -> str:
    path = os.path.splitext(out)[0] + ".png" if picture is None else picture
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp"):
        raise click.BadParameter(
            f"{path!r} must end in .png, .svg, .pdf, .jpg or .webp.", param_hint="--picture"
        )
    return path
