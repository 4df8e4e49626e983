"""The data of a training run: options that say what is set apart, and how good a model is on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from jaxlin import data
from jaxlin.cli.options import READING, SHARE, path_option, reading, reading_options
from jaxlin.cli.output import say
from jaxlin.data.dataset import Dataset
from jaxlin.data.values import check_range
from jaxlin.training import Fit, evaluate

_F = TypeVar("_F", bound=Callable[..., Any])


def split_options(command: _F) -> _F:
    """`--test` and its kin, and how to read DATA."""
    for option in reversed(
        (
            path_option("--test", help="A test set in a file of its own."),
            path_option("--test-labels", help="The labels of --test, where it is an .npy file."),
            click.option(
                "--test-share",
                type=SHARE,
                default=0.25,
                show_default=True,
                metavar="SHARE",
                help="Share of the examples to test on where DATA have no test set; 0 for none.",
            ),
            reading_options,
        )
    ):
        command = option(command)
    return command


def load_splits(source: str, options: dict[str, Any], validation: float) -> Dataset:
    """Reads DATA, set apart as the options say.

    Args:
      source: DATA.
      options: of the command.
      validation: share of the training examples to set apart, or 0.

    Raises:
      DataFormatError: the data cannot be read, or not be computed with.
    """
    dataset = data.load(
        source,
        test=options["test"],
        test_labels=options["test_labels"],
        validation=validation,
        test_share=options["test_share"],
        seed=options["seed"],
        **reading({name: options[name] for name in READING}),
    )
    for split in (dataset.train, dataset.validation, dataset.test):
        if split is not None:
            remedy = "Take --dtype float64, or divide the features."
            check_range(split.x, options["dtype"], dataset.name, remedy)
    return dataset


def announce(dataset: Dataset) -> None:
    """Says what was read."""
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


def results_on(found: Fit, dataset: Dataset) -> dict[str, dict[str, float]]:
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


def short_name(dataset: Dataset) -> str:
    """What to call the data in a title."""
    return os.path.basename(dataset.name.rstrip("/"))


def picture_path(out: str, options: dict[str, Any]) -> str | None:
    """Where the picture goes, or None where there is to be none."""
    given = options["picture"]
    if options["no_picture"]:
        if given is not None:
            raise click.UsageError("--picture and --no-picture exclude each other.")
        return None
    path = os.path.splitext(out)[0] + ".png" if given is None else given
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp"):
        raise click.BadParameter(
            f"{path!r} must end in .png, .svg, .pdf, .jpg or .webp.", param_hint="--picture"
        )
    return path
