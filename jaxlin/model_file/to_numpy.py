"""A model as a NumPy archive: arrays of numbers and of text, nothing pickled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from jaxlin.errors import InputError
from jaxlin.files import replacing

if TYPE_CHECKING:
    from jaxlin.model_file.model import Model

_MAX_TEXT_BYTES = 1 << 28


def write_archive(model: Model, path: str | os.PathLike[str]) -> None:
    """Writes `W`, `b`, `classes`, `loss`, `normalize_rows` and, if known, `feature_names`."""
    W = np.asarray(model.params.W)
    arrays = {
        "W": W,
        "b": np.zeros(len(W), W.dtype) if model.params.b is None else np.asarray(model.params.b),
        "classes": _array(model.classes, "classes"),
        "loss": _array((model.loss,), "loss")[0],
        "normalize_rows": np.bool_(model.normalize_rows),
    }
    if model.feature_names is not None:
        arrays["feature_names"] = _array(model.feature_names, "feature_names")
    with replacing(path) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]


def _array(values: tuple[object, ...], what: str) -> np.ndarray:
    """Labels as an array of NumPy's own dtypes: text takes the room of the longest, each."""
    texts = [value for value in values if isinstance(value, str)]
    if any(text.endswith("\0") for text in texts):
        raise InputError(f"{what}: NumPy drops a NUL at the end of a text. Rename it.")
    size = 4 * len(texts) * max(map(len, texts), default=0)
    if size > _MAX_TEXT_BYTES:
        raise InputError(
            f"{what} would take {size:,} bytes as a NumPy array, in which every text takes the "
            f"room of the longest; {_MAX_TEXT_BYTES:,} are allowed."
        )
    return np.array(values)
