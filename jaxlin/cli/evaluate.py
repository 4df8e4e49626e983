"""`jaxlin evaluate`: how good a saved model is on some data."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import click
import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import losses
from jaxlin.cli.judging import examples_for
from jaxlin.cli.options import DATA_HELP, PATH, json_option, reading_options
from jaxlin.cli.output import print_json, say, show
from jaxlin.losses import Loss
from jaxlin.model_file import Model, load_model
from jaxlin.precision import float64_scope
from jaxlin.report import tables
from jaxlin.row_blocks import map_blocks

_MOST_CLASSES_SHOWN = 20


def loss_of(model: Model) -> Loss | None:
    """The loss that a model was trained with, or None for one that jaxlin does not have."""
    loss = getattr(losses, model.loss, None)
    if not isinstance(loss, losses.HandWrittenLoss):
        return None
    if model.margin is not None:
        loss = dataclasses.replace(loss, margin=model.margin)  # pyright: ignore[reportCallIssue, reportArgumentType]
    return loss


def mean_loss(loss: Loss, scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean over the examples, of a loss a row of scores (N, C)."""
    with float64_scope(scores.dtype == np.float64):
        values = _losses(loss, jnp.asarray(scores), jnp.asarray(labels))
    return float(np.mean(np.asarray(values), dtype=np.float64))


@functools.partial(jax.jit, static_argnums=0)
def _losses(loss: Loss, scores: jax.Array, labels: jax.Array) -> jax.Array:
    return map_blocks(lambda rows: loss(*rows), (scores, labels))


split_option = click.option(
    "--split",
    type=click.Choice(["test", "train"]),
    help="Which part, where DATA are in two.  [default: test]",
)


@click.command(
    epilog=DATA_HELP.replace("\n", " "), short_help="Loss and accuracy of a model on some data."
)
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("source", metavar="DATA", type=PATH)
@split_option
@reading_options
@json_option
def evaluate(
    model_path: str, source: str, split: str | None, as_json: bool, **options: Any
) -> None:
    """Judge MODEL on DATA: on the test set where DATA have one, else on all of DATA."""
    model = load_model(model_path)
    judged = examples_for(model, source, split, options)
    loss = loss_of(model)
    if loss is None:
        say(f"{model.loss} is not one of jaxlin's losses: its value is left out.")
    scores = model.scores(judged.x)
    is_right = np.argmax(scores, axis=1) == judged.labels
    accuracy = float(is_right.mean())
    value = None if loss is None else mean_loss(loss, scores, judged.labels)
    counts = np.bincount(judged.labels, minlength=len(model.classes))
    right = np.bincount(judged.labels[is_right], minlength=len(model.classes))
    shares = [float(r / n) if n else None for r, n in zip(right, counts, strict=True)]
    if as_json:
        print_json(
            {
                "model": model_path,
                "data": source,
                "split": judged.part,
                "examples": len(judged.x),
                "accuracy": accuracy,
                "loss": value,
                "loss_name": model.loss,
                "classes": list(model.classes),
                "class_accuracy": shares,
            }
        )
        return
    row = {"examples": len(judged.x), "accuracy": accuracy}
    if value is not None:
        row["loss"] = value
    show(tables.results({judged.part: row}))
    if len(shares) <= _MOST_CLASSES_SHOWN:
        show(tables.classes(model.classes, shares))
