"""Writing a model file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from jaxlin.errors import InputError
from jaxlin.files import replacing
from jaxlin.model_file.layout import (
    DTYPES,
    FIELDS,
    FORMAT,
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    STEPS,
    as_json,
    sha256,
)
from jaxlin.model_file.loss_names import name_and_margin
from jaxlin.model_file.model import Model
from jaxlin.training import Fit


def save_model(
    path: str | os.PathLike[str],
    fit_or_model: Fit | Model,
    *,
    classes: Any = None,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Any = None,
    scaling: str | None = None,
    normalize_rows: bool = False,
) -> None:
    """Writes a model file, in place of what was at `path`; if anything fails, that stays.

    Args:
      path: where; by custom `*.safetensors`.
      fit_or_model: what `fit` returned (its scaling is folded into W and b), or a `Model`.
      classes: the labels of the classes 0..C-1 of a `Fit`; None is 0..C-1 themselves.
      image_shape: (H, W) or (H, W, 3), for a `Fit` of images.
      feature_names: D names, for a `Fit`.
      scaling: what to call the scaling of a `Fit`; None finds a word.
      normalize_rows: whether the rows of a `Fit` were divided by their l2 norms before it saw them;
        the model then does that first.

    Raises:
      InputError: the parameters are not finite, or the arguments do not fit them.
      OSError: the file cannot be written.

    >>> import tempfile, jaxlin
    >>> fit = jaxlin.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], loss=jaxlin.losses.softmax_cross_entropy)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(f"{folder}/pets.safetensors", fit, classes=["cat", "dog"])
    ...     jaxlin.load_model(f"{folder}/pets.safetensors").predict([[0.1, 0.8]]).tolist()
    ['cat']
    """
    extra = {
        "classes": classes,
        "image_shape": image_shape,
        "feature_names": feature_names,
        "scaling": scaling,
        "normalize_rows": normalize_rows or None,
    }
    if isinstance(fit_or_model, Model):
        given = [name for name, value in extra.items() if value is not None]
        if given:
            raise InputError(
                f"{', '.join(given)}: a Model has its own. Change it with dataclasses.replace."
            )
        model = fit_or_model
    elif isinstance(fit_or_model, Fit):
        params = fit_or_model.raw_params
        loss, margin = name_and_margin(fit_or_model.objective.loss)
        model = Model(
            params,
            tuple(range(params.num_classes)) if classes is None else classes,
            loss,
            margin,
            float(np.asarray(fit_or_model.objective.l2)),
            _scaling_in_words(fit_or_model) if scaling is None else scaling,
            image_shape,
            feature_names,
            normalize_rows=normalize_rows,
        )
    else:
        raise InputError(f"save_model takes a Fit or a Model, got {fit_or_model!r}.")
    content = _as_bytes(model)
    with replacing(path) as file:
        file.write(content)


def _scaling_in_words(fit: Fit) -> str:
    if fit.scaling is None:
        return "none"
    return "unit range" if np.ndim(fit.scaling.scale) == 0 else "standardised"


def _as_bytes(model: Model) -> bytes:
    """The safetensors format, its header in a fixed order (the library's own order varies)."""
    code = "F64" if model.params.W.dtype == np.float64 else "F32"
    leaves = {"W": model.params.W, "b": model.params.b}
    tensors = {
        name: np.asarray(leaf, DTYPES[code]) for name, leaf in leaves.items() if leaf is not None
    }
    steps = [name for name in STEPS if getattr(model, name)]
    version = 2 if steps or model.l2 is None else 1
    metadata = {
        "format": FORMAT,
        "format_version": str(version),
        **{name: as_json(getattr(model, name)) for name in FIELDS},
        **({"steps": as_json(steps)} if version == 2 else {}),
    }
    metadata["sha256"] = sha256(metadata, tensors)
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
    text = as_json(header).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES or end > MAX_FILE_BYTES // 2:
        raise InputError(
            f"The model takes {len(text):,} bytes for its names and {end:,} for its numbers; a "
            f"model file has room for {MAX_HEADER_BYTES:,} and {MAX_FILE_BYTES // 2:,}."
        )
    data = b"".join(array.tobytes() for array in tensors.values())
    return len(text).to_bytes(8, "little") + text + data
