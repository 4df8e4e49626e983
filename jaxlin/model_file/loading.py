"""Reading a model file: every claim is checked before it is acted on."""

from __future__ import annotations

import functools
import math
import os
import stat
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlin import strict_json
from jaxlin.errors import DataFormatError, InputError
from jaxlin.linear import LinearParams
from jaxlin.model_file.layout import (
    DTYPES,
    FIELDS,
    FORMAT,
    FORMAT_VERSION,
    KEYS,
    MAX_FILE_BYTES,
    MAX_HEADER_BYTES,
    STEPS,
    sha256,
)
from jaxlin.model_file.model import Model
from jaxlin.precision import float64_scope


def load_model(path: str | os.PathLike[str]) -> Model:
    """Reads a model file. Nothing in it is run; nothing is believed that its bytes do not bear out.

    Args:
      path: the file.

    Returns:
      A `Model`.

    Raises:
      DataFormatError: the file cannot be read, is no model file, is damaged, or is of a newer
        format than this version knows.

    >>> import tempfile, jaxlin
    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> model = jaxlin.Model(params, classes=("cat", "dog"), loss="softmax_cross_entropy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     jaxlin.save_model(f"{folder}/pets.safetensors", model)
    ...     load_model(f"{folder}/pets.safetensors").classes
    ('cat', 'dog')
    """
    try:
        name = os.fspath(path)
    except TypeError:
        raise InputError(f"path must be a path, got {path!r}.") from None
    refuse = functools.partial(DataFormatError, path=os.fsdecode(name))
    try:
        content = _content(name)
        metadata, header = _header(content)
        tensors = _tensors(content, header)
        return _model(metadata, tensors)
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}") from error
    except MemoryError:
        raise refuse("does not fit into memory") from None
    except _Damaged as error:
        raise refuse(str(error)) from None
    except InputError as error:
        raise refuse(f"does not hold a model: {error}") from None


class _Damaged(Exception):
    """What is wrong with a file, in words."""


def _content(path: str | bytes) -> bytes:
    """All bytes of a regular file; a pipe is not waited for, a device not read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except ValueError as error:
        raise _Damaged(f"cannot be read: {error}") from None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise _Damaged("is not a regular file")
        if about.st_size > MAX_FILE_BYTES:
            raise _Damaged(f"has {about.st_size:,} bytes; a model file may have {MAX_FILE_BYTES:,}")
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(about.st_size - 8, MAX_HEADER_BYTES):
            raise _Damaged(
                f"is no safetensors file, or was cut off: it has {about.st_size:,} bytes and its "
                f"first eight promise a header of {length:,}"
            )
        return start + file.read(about.st_size - 8)


def _parse(text: str, what: str) -> Any:
    try:
        return strict_json.parse(text)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"its {what} cannot be read: {str(error)[:200]}") from None


def _header(content: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """The metadata, and what the header says about the tensors: checked against the size."""
    length = int.from_bytes(content[:8], "little")
    try:
        text = content[8 : 8 + length].decode()
    except UnicodeDecodeError:
        raise _Damaged("is no safetensors file: its header is not text") from None
    header = _parse(text, "header")
    if not isinstance(header, dict):
        raise _Damaged("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Damaged("its metadata are not texts")
    _check_format(metadata)
    if set(header) not in ({"W"}, {"W", "b"}):
        raise _Damaged(f"must hold the tensors W and b, or W alone; it holds {_listed(header)}")
    total = sum(_declared_bytes(name, about) for name, about in header.items())
    if total != len(content) - 8 - length:
        raise _Damaged(
            f"was cut off or damaged: its tensors take {total:,} bytes, and it has "
            f"{len(content) - 8 - length:,} for them"
        )
    return metadata, header


def _check_format(metadata: dict[str, str]) -> None:
    if "format" not in metadata:
        raise _Damaged(
            "has no jaxlin metadata: another program wrote it. Make a jaxlin.Model of its tensors "
            "(LinearParams(W, b), the classes, the loss) and save that"
        )
    if metadata["format"] != FORMAT:
        raise _Damaged(f"is of format {metadata['format'][:40]!r}, not {FORMAT!r}")
    version = metadata.get("format_version", "")
    if not (version.isascii() and version.isdecimal() and len(version) < 10 and int(version) > 0):
        raise _Damaged(f"has a format version that is no number: {version[:40]!r}")
    if int(version) > FORMAT_VERSION:
        raise _Damaged(
            f"is of format version {int(version)}; this jaxlin reads versions up to "
            f"{FORMAT_VERSION}. Upgrade jaxlin to read it"
        )
    if set(metadata) != KEYS[int(version)]:
        missing = KEYS[int(version)] - set(metadata)
        extra = set(metadata) - KEYS[int(version)]
        raise _Damaged(f"its metadata lack {_listed(missing)}; unknown: {_listed(extra)}")


def _listed(names: Any) -> str:
    return ", ".join(repr(name[:40]) for name in sorted(names)[:10]) or "nothing"


def _declared_bytes(name: str, about: Any) -> int:
    """The size of a tensor that the header speaks of, if it makes sense."""
    about = about if isinstance(about, dict) else {}
    code, shape = about.get("dtype"), about.get("shape")
    if code not in DTYPES:
        raise _Damaged(f"{name} must be of dtype F32 or F64, it is {str(code)[:40]}")
    wanted = 2 if name == "W" else 1
    if (
        not isinstance(shape, list)
        or len(shape) != wanted
        or not all(type(size) is int and 0 < size <= MAX_FILE_BYTES for size in shape)
    ):
        raise _Damaged(
            f"{name} must have {wanted} dimensions, none of them 0; its shape is {str(shape)[:40]}"
        )
    return math.prod(shape) * DTYPES[code].itemsize


def _tensors(content: bytes, header: dict[str, Any]) -> dict[str, np.ndarray]:
    import safetensors
    import safetensors.numpy

    try:
        tensors = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise _Damaged(f"is no sound safetensors file: {error}") from None
    return {name: tensors[name].astype(DTYPES[header[name]["dtype"]]) for name in header}


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    if metadata["sha256"] != sha256(metadata, tensors):
        raise _Damaged("is damaged: its SHA-256 is not that of what it holds")
    fields = {name: _parse(metadata[name], name) for name in FIELDS}
    for name in ("classes", "image_shape", "feature_names"):
        if fields[name] is not None and not isinstance(fields[name], list):
            raise _Damaged(f"its {name} are not a list")
    fields.update(_steps(metadata))
    with float64_scope(tensors["W"].dtype == np.float64):
        params = LinearParams(
            jnp.asarray(tensors["W"]), jnp.asarray(tensors["b"]) if "b" in tensors else None
        )
    return Model(params, **fields)


def _steps(metadata: dict[str, str]) -> dict[str, bool]:
    """What the model does before W and b, by name; a step left out would be another model."""
    steps = _parse(metadata.get("steps", "[]"), "steps")
    if not isinstance(steps, list) or not all(isinstance(step, str) for step in steps):
        raise _Damaged("its steps are not a list of names")
    unknown = [step for step in steps if step not in STEPS]
    if unknown or len(set(steps)) < len(steps):
        raise _Damaged(
            f"has steps that this jaxlin does not know: {_listed(unknown or steps)}; it knows "
            f"{_listed(STEPS)}, once each"
        )
    return {step: step in steps for step in STEPS}
