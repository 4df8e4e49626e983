"""A small model that tests of model files share, and files that are wrong in one thing."""

from __future__ import annotations

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from problems import C, D

import jaxlin
from jaxlin.model_file.layout import sha256


def model(num_classes: int = C, **fields: object) -> jaxlin.Model:
    """A model of D features in float32, with other fields than its own where they are given."""
    rng = np.random.default_rng(num_classes)
    params = jaxlin.LinearParams(
        jnp.asarray(rng.normal(size=(num_classes, D)), jnp.float32),
        jnp.asarray(rng.normal(size=num_classes), jnp.float32),
    )
    given = {"params": params, "classes": ("dog", "cat", "eel")[:num_classes], "l2": 0.1,
             "loss": "softmax_cross_entropy", **fields}  # fmt: skip
    return jaxlin.Model(**given)  # pyright: ignore[reportArgumentType]


MODEL = model()


def metadata_of(path: Path) -> dict[str, str]:
    """What stands in a model file beside its tensors."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length])["__metadata__"]


def rewritten(path: Path, **changes: str) -> Path:
    """The file of `MODEL` with other metadata, and the checksum that belongs to them."""
    jaxlin.save_model(path, MODEL)
    metadata = {**metadata_of(path), **changes}
    tensors = safetensors.numpy.load_file(path)
    tensors = {name: tensors[name] for name in ("W", "b")}
    metadata["sha256"] = sha256(metadata, tensors)
    safetensors.numpy.save_file(tensors, path, metadata)
    return path
