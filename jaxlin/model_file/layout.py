"""What stands in a model file, for those who write it and those who read it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

FORMAT = "jaxlin.linear"
# A file is written in the lowest version that can say all of the model, so that as many readers as
# possible take it. 1: W and b on features as they are. 2: with steps before them; l2 may be null.
FORMAT_VERSION = 2

# The metadata that hold a `Model`'s fields, each as JSON; and all there are, by version.
FIELDS = ("loss", "margin", "l2", "scaling", "classes", "image_shape", "feature_names", "versions")
KEYS = {1: {*FIELDS, "format", "format_version", "sha256"}}
KEYS[2] = {*KEYS[1], "steps"}

# The names of steps: each is a field of `Model` that is true or false.
STEPS = ("normalize_rows",)

MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
MAX_FILE_BYTES = 1 << 34

DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


def as_json(value: Any) -> str:
    """One text for one value: sorted, no spaces, ASCII (lone surrogates come back as they were)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """Over all metadata but itself, and the tensors with their names, dtypes and shapes."""
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in tensors.items()}
    text = {key: value for key, value in metadata.items() if key != "sha256"}
    digest = hashlib.sha256(as_json([text, shapes]).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()
