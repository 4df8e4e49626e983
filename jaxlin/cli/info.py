"""`jaxlin info`: what is in a model file."""

from __future__ import annotations

import click
import numpy as np

from jaxlin.cli.options import PATH, json_option
from jaxlin.cli.output import print_json, show
from jaxlin.model_file import load_model
from jaxlin.report import tables
from jaxlin.report.words import shown

_MOST_NAMES_SHOWN = 12


@click.command(short_help="What is in a model file.")
@click.argument("model_path", metavar="MODEL", type=PATH)
@json_option
def info(model_path: str, as_json: bool) -> None:
    """Tell what MODEL is: its classes, its size, how it was trained."""
    model = load_model(model_path)
    W = np.asarray(model.params.W)
    about = {
        "model": model_path,
        "classes": list(model.classes),
        "num_classes": W.shape[0],
        "num_features": W.shape[1],
        "bias": model.params.b is not None,
        "dtype": str(W.dtype),
        "loss": model.loss,
        "margin": model.margin,
        "l2": model.l2,
        "normalize_rows": model.normalize_rows,
        "scaling": model.scaling,
        "image_shape": model.image_shape,
        "feature_names": model.feature_names,
        "squared_norm": float(np.sum(np.square(W, dtype=np.float64))),
        "versions": model.versions,
    }
    if as_json:
        print_json(about)
        return
    about["classes"] = _listed(model.classes)
    about["feature_names"] = None if model.feature_names is None else _listed(model.feature_names)
    about["scaling"] = f"{model.scaling}, folded into W and b: the model takes raw features"
    about["normalize_rows"] = (
        "yes: first, each row of features is divided by its l2 norm"
        if model.normalize_rows
        else None
    )
    about["image_shape"] = (
        None if model.image_shape is None else " x ".join(map(str, model.image_shape))
    )
    about["bias"] = "yes" if model.params.b is not None else "no"
    about["squared_norm"] = f"{about['squared_norm']:.4g}, the sum of W^2"
    about["versions"] = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    rows = {name.replace("_", " "): value for name, value in about.items() if value is not None}
    show(tables.facts(rows))


def _listed(labels: tuple[object, ...]) -> str:
    words = ", ".join(shown(label, 24) for label in labels[:_MOST_NAMES_SHOWN])
    return words if len(labels) <= _MOST_NAMES_SHOWN else f"{words}, ... ({len(labels)})"
