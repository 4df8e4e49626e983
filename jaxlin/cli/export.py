"""`jaxlin export`: a model file for programs that do not have jaxlin."""

from __future__ import annotations

import os

import click

from jaxlin.cli.options import PATH, json_option
from jaxlin.cli.output import check_targets, print_json, say
from jaxlin.model_file import load_model

_FORMATS = {".onnx": "onnx", ".npz": "numpy"}


@click.command(short_help="Write a model as ONNX or NumPy.")
@click.argument("model_path", metavar="MODEL", type=PATH)
@click.argument("out", metavar="OUT", type=PATH)
@json_option
def export(model_path: str, out: str, as_json: bool) -> None:
    """Write MODEL to OUT, for programs that do not have jaxlin.

    OUT's ending says how. `.onnx`: an input x and outputs scores and, for softmax, probabilities;
    needs the package onnx (the extra `onnx`). `.npz`: NumPy arrays W, b, classes, loss,
    normalize_rows and, where they are known, feature_names.
    """
    ending = os.path.splitext(out)[1]
    form = _FORMATS.get(ending.lower())
    if form is None:
        raise click.UsageError(f"OUT must end with {' or '.join(_FORMATS)}, got {out!r}")
    if os.path.realpath(out) == os.path.realpath(model_path):
        raise click.UsageError(f"{out!r} is MODEL itself: give OUT another name")
    check_targets(out)
    model = load_model(model_path)
    try:
        (model.to_onnx if form == "onnx" else model.to_numpy)(out)
    except ImportError as error:
        if error.name != "onnx":
            raise
        raise click.UsageError(error.msg) from None
    size = os.stat(out).st_size
    if as_json:
        print_json({"model": model_path, "out": out, "format": form, "bytes": size})
    else:
        say(f"{out}: {size:,} bytes")
