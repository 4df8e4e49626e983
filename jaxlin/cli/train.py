"""`jaxlin train`: from data to a model file and a picture."""

from __future__ import annotations

import time
from dataclasses import fields
from typing import Any

import click
import jax
import numpy as np

from jaxlin.certificates.words import certificate_words
from jaxlin.cli import names
from jaxlin.cli.options import (
    DATA_HELP,
    PATH,
    SHARE,
    bias_option,
    dtype_option,
    json_option,
    loss_option,
    no_picture_option,
    path_option,
    picture_option,
    scaling_option,
    seed_option,
)
from jaxlin.cli.output import check_targets, in_options, message_console, print_json, show
from jaxlin.cli.progress import TrainingProgress
from jaxlin.cli.solving import (
    Plan,
    asked_for,
    certificate_numbers,
    fit_as_planned,
    plan,
    solver_options,
)
from jaxlin.cli.splits import (
    announce,
    load_splits,
    picture_path,
    results_on,
    short_name,
    split_options,
)
from jaxlin.cli.strengths import (
    SCALES,
    announce_l2,
    as_l2,
    chosen_scale,
    strength_options,
)
from jaxlin.data.dataset import Dataset
from jaxlin.linear import LinearParams, init_params
from jaxlin.model_file import save_model
from jaxlin.report import tables
from jaxlin.report.words import duration
from jaxlin.solvers.base import Evaluation
from jaxlin.training import Fit, evaluate

# Of the losses that the command knows nothing else stands in the way.
_NO_PROOF = "none: with l2 = 0 no optimum can be proved; --l2 above 0 allows it"


@click.command(
    epilog=DATA_HELP.replace("\n", " "),
    short_help="Train a classifier; write a model file and a picture.",
)
@click.argument("source", metavar="[DATA]", default="digits", type=PATH)
@loss_option("softmax", "svm is the multiclass hinge, sum over j != y of max(0, s_j - s_y + 1).")
@strength_options(lambda one: one, 1e-4)
@solver_options
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
    check_targets(out, picture, inputs=(source, options["test"], options["test_labels"]))
    scale = chosen_scale(options)
    word = asked_for(options)
    dataset = load_splits(source, options, options["validation"])
    if options["patience"] and dataset.validation is None:
        raise click.UsageError("--patience needs a --validation share above 0.")
    loss = names.LOSSES[options["loss"]]
    scaling_word, scaling = names.make_scaling(options["scaling"], dataset)
    # The test set, or a list of names, may have classes that the training set lacks.
    start = init_params(dataset.num_features, dataset.num_classes, bias=options["bias"])
    num_examples = len(dataset.train)
    (options["l2"],) = as_l2(
        scale, [options[scale]], [loss], num_examples=num_examples, num_classes=dataset.num_classes
    )
    planned = plan(word, options, dataset, scaling, start)
    announce(dataset)
    announce_l2(scale, [options[scale]], [options["l2"]], num_examples)
    started = time.monotonic()
    with TrainingProgress(message_console(), planned.word) as progress:
        found = fit_as_planned(
            planned,
            dataset,
            loss=loss,
            l2=options["l2"],
            dtype=options["dtype"],
            key=options["seed"],
            init=start,
            bias=options["bias"],
            patience=options["patience"],
            scaling=scaling,
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
            start=None if planned.word == "sgd" else _at(start, found, dataset),
        )
        plots.save(picture, figure)
    about = {
        "outcome": in_options(found.outcome),
        "outcome_kind": found.outcome.kind,
        "loss": options["loss"],
        **{name: options[name] for name in SCALES},
        "solver": planned.word,
        **_way(planned, found),
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
                "certificate": certificate_numbers(found.certificate),
                "results": results,
                "history": _curves(found),
            }
        )
        return
    del about["outcome_kind"], about["seconds"]
    proof = found.certificate
    about = {
        "certificate": _NO_PROOF if proof is None else certificate_words(proof),
        **about,
    }
    about["l2"] = f"{options['l2']:.6g}"
    if about["learning_rate"] is not None:
        about["learning_rate"] = f"{about['learning_rate']:.3g}, down to 0 along a cosine"
    if about["passes"] is not None:
        about["passes"] = f"{about['passes']:,} over the data"
    about["time"] = _time(planned.word, seconds, found, dataset)
    names_shown = {
        name.replace("_", " "): value for name, value in about.items() if value is not None
    }
    show(tables.results(results), tables.facts(names_shown))


def _at(params: LinearParams, found: Fit, dataset: Dataset) -> Evaluation:
    """What a fit has minimised, and the accuracy, at other parameters whose W is 0."""
    x, labels = dataset.train.x, dataset.train.labels
    return evaluate(params, x, labels, loss=found.objective.loss, scaling=found.scaling)


def _way(planned: Plan, found: Fit) -> dict[str, Any]:
    """What there is to tell of the solver that ran; the same names for all, None where not its."""
    told = dict.fromkeys(
        ("tol", "passes", "steps", "optimizer", "learning_rate", "batch_size", "epochs")
    )
    told |= planned.told
    history = found.history
    if history.passes is not None:
        told["passes"] = int(history.passes[-1])
        if planned.word == "lbfgs":
            return told
    return told | {"epochs" if planned.word == "sgd" else "steps": len(history)}


def _curves(found: Fit) -> dict[str, Any]:
    """The history as lists, an entry an epoch."""
    columns = {field.name: getattr(found.history, field.name) for field in fields(found.history)}
    return {name: None if c is None else c.tolist() for name, c in columns.items()}


def _time(word: str, seconds: float, found: Fit, dataset: Dataset) -> str:
    """How long it took; of SGD also the pace after the first epoch, which compiles."""
    whole = duration(seconds)
    if word != "sgd":
        return f"{whole}, compiling included"
    passed = found.history.seconds
    first = duration(float(passed[0]))
    if len(passed) < 2:
        return f"{whole}, of which {first} compiling and training"
    pace = (len(passed) - 1) * len(dataset.train) / max(float(passed[-1] - passed[0]), 1e-9)
    return f"{whole}, of which {first} compiling; then {pace:,.0f} examples a second"
