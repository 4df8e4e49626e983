"""Trained models as files: written whole or not at all, and believed only where the bytes agree.

A model file is a safetensors file, which holds numbers and text and nothing that runs: `W` (C, D)
and, where there is a bias, `b` (C,), for raw features (a scaling that the model was trained with is
folded in). Its metadata say what the scores mean: the classes, the loss, how it was trained. A
SHA-256 over the metadata and the tensors stands among them, so that a damaged file is refused
instead of giving slightly different answers. The same model gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import os
import stat
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.errors import DataFormatError, InputError
from jaxlin.files import replacing
from jaxlin.linear import LinearParams, scores
from jaxlin.losses import (
    CrammerSingerHinge,
    Loss,
    SoftmaxCrossEntropy,
    SquaredWestonWatkinsHinge,
    WestonWatkinsHinge,
)
from jaxlin.objective import loss_name
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import BLOCK_ROWS
from jaxlin.training import Fit

FORMAT = "jaxlin.linear"
FORMAT_VERSION = 1

_FIELDS = ("loss", "margin", "l2", "scaling", "classes", "image_shape", "feature_names", "versions")
_KEYS = {*_FIELDS, "format", "format_version", "sha256"}
_DTYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_MAX_HEADER_BYTES = 100_000_000  # safetensors' own limit
_MAX_FILE_BYTES = 1 << 34
_LOSS_NAMES = {
    WestonWatkinsHinge: "weston_watkins_hinge",
    SquaredWestonWatkinsHinge: "squared_weston_watkins_hinge",
    CrammerSingerHinge: "crammer_singer_hinge",
    SoftmaxCrossEntropy: "softmax_cross_entropy",
}
# NumPy's text arrays give every entry the room of the longest, and drop NULs at an entry's end.
_MAX_FIXED_WIDTH = 256

Label = str | int | float | bool


def _versions() -> dict[str, str]:
    own = getattr(sys.modules["jaxlin"], "__version__", "unknown")
    return {"jaxlin": own, "jax": jax.__version__, "numpy": np.__version__}


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier for raw features, and what its scores mean.

    Attributes:
      params: W (C, D) and b (C,) or None, float32 or float64, finite.
      classes: the label of each row of W; all text, all int, all float or all bool.
      loss: the name of the loss it was trained with, as in `jaxlin.losses`; a user's own loss goes
        by its `__name__`.
      margin: of a hinge loss, else None.
      l2: lambda of the training.
      scaling: what the features went through in training, in words. It is in `params` already.
      image_shape: (H, W) or (H, W, 3) where a row of features is an image, else None.
      feature_names: D names, or None.
      versions: of the packages that it was trained with.

    Raises:
      InputError: one of these does not fit the others.

    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> model = Model(params, classes=("cat", "dog"), loss="softmax_cross_entropy")
    >>> model.predict([[0.2, 0.9], [3.0, 1.0]]).tolist()
    ['dog', 'cat']
    """

    params: LinearParams
    classes: tuple[Label, ...]
    loss: str
    margin: float | None = None
    l2: float = 0.0
    scaling: str = "none"
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=_versions)

    def __post_init__(self) -> None:
        _check_params(self.params)
        num_classes, num_features = np.shape(self.params.W)
        object.__setattr__(self, "classes", _as_classes(self.classes, num_classes))
        for name in ("loss", "scaling"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be text, got {getattr(self, name)!r}.")
        if self.margin is not None:
            object.__setattr__(self, "margin", checks.check_positive("margin", self.margin))
        if not _is_number(self.l2) or not (math.isfinite(self.l2) and self.l2 >= 0):
            raise InputError(f"l2 must be finite and not negative, got {self.l2!r}.")
        object.__setattr__(self, "l2", float(self.l2))
        if self.image_shape is not None:
            object.__setattr__(self, "image_shape", _as_image_shape(self.image_shape, num_features))
        if self.feature_names is not None:
            names = _as_feature_names(self.feature_names, num_features)
            object.__setattr__(self, "feature_names", names)
        texts = self.versions if isinstance(self.versions, dict) else {"": None}
        if not all(isinstance(word, str) for pair in texts.items() for word in pair):
            raise InputError(f"versions must be a dict of texts, got {self.versions!r}.")

    def scores(self, x: Any) -> np.ndarray:
        """The scores of some rows.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Scores (N, C), in the dtype of the parameters.

        Raises:
          InputError: x is not what it has to be, or has another number of features.
        """
        return self._by_blocks(x, _block_scores)

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row: the one with the highest score, the first among equals.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Labels (N,), as in `classes`.

        Raises:
          InputError: x is not what it has to be, or has another number of features.
        """
        return _label_array(self.classes)[self._by_blocks(x, _block_classes)]

    def _by_blocks(self, x: Any, function: Any) -> np.ndarray:
        """`function` over the rows, a block of them at a time, so that images stay bytes."""
        dtype = np.dtype(self.params.W.dtype)
        with float64_scope(dtype == np.float64):
            features = checks.as_features(x, dtype, num_features=self.params.num_features)
            num_rows = len(features)
            result: list[np.ndarray] = []
            for start in range(0, num_rows, BLOCK_ROWS):
                # The last block is moved back to end with the data: one shape, compiled once.
                moved = max(0, min(start, num_rows - BLOCK_ROWS))
                block = np.asarray(function(self.params, features, np.int32(moved)))
                result.append(block[start - moved :])
            return np.concatenate(result)


def _rows(features: jax.Array, start: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(features, start, min(len(features), BLOCK_ROWS))


@jax.jit
def _block_scores(params: LinearParams, features: jax.Array, start: jax.Array) -> jax.Array:
    return scores(params, _rows(features, start).astype(params.W.dtype))


@jax.jit
def _block_classes(params: LinearParams, features: jax.Array, start: jax.Array) -> jax.Array:
    return jnp.argmax(_block_scores(params, features, start), axis=-1)


def _check_params(params: Any) -> None:
    if not isinstance(params, LinearParams):
        raise InputError(f"params must be LinearParams(W, b), got {params!r}.")
    shapes = [np.shape(leaf) for leaf in (params.W, params.b) if leaf is not None]
    if len(shapes[0]) != 2 or 0 in shapes[0]:
        raise InputError(f"W must have shape (C, D), got {shapes[0]}.")
    if len(shapes) == 2 and shapes[1] != shapes[0][:1]:
        raise InputError(f"b must have shape {shapes[0][:1]}, got {shapes[1]}.")
    for name, leaf in (("W", params.W), ("b", params.b)):
        if leaf is None:
            continue
        array = np.asarray(leaf)
        if array.dtype not in (np.float32, np.float64) or array.dtype != params.W.dtype:
            raise InputError(
                f"W and b must both be float32 or both float64, got {name} of dtype {array.dtype}."
            )
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds NaN or infinity.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _as_classes(classes: Any, num_classes: int) -> tuple[Label, ...]:
    if isinstance(classes, str | bytes) or not hasattr(classes, "__len__"):
        raise InputError(f"classes must be a sequence of {num_classes} labels, got {classes!r}.")
    labels = tuple(c.item() if isinstance(c, np.generic) else c for c in classes)
    if len(labels) != num_classes:
        raise InputError(f"classes must be {num_classes} labels, one a row, got {len(labels)}.")
    kinds = sorted({type(label).__name__ for label in labels})
    if len(kinds) > 1 or not isinstance(labels[0], str | int | float | bool):
        raise InputError(
            f"classes must be all text, all int, all float or all bool, got {' and '.join(kinds)}."
        )
    if isinstance(labels[0], float) and not all(map(math.isfinite, labels)):  # pyright: ignore[reportArgumentType]
        raise InputError("classes must be finite.")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"classes must differ, got {twice!r} twice.")
    if type(labels[0]) is int and _label_array(labels).dtype.kind not in "iu":
        raise InputError("classes must fit into 64 bits.")
    return labels


def _label_array(classes: tuple[Label, ...]) -> np.ndarray:
    """The classes as NumPy has them; text that a fixed width does not hold stays an object."""
    if isinstance(classes[0], str):
        if any(len(c) > _MAX_FIXED_WIDTH or c.endswith("\0") for c in classes):  # pyright: ignore
            return np.array(classes, dtype=object)
        return np.array(classes)
    return np.array(classes)


def _as_image_shape(shape: Any, num_features: int) -> tuple[int, ...]:
    try:
        sizes = tuple(checks.check_count("image_shape", size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) not in (2, 3) or (len(sizes) == 3 and sizes[2] != 3):
        raise InputError(f"image_shape must be (H, W) or (H, W, 3), got {shape!r}.")
    if math.prod(sizes) != num_features:
        raise InputError(
            f"image_shape {sizes} takes {math.prod(sizes)} features, but W has {num_features}."
        )
    return sizes


def _as_feature_names(names: Any, num_features: int) -> tuple[str, ...]:
    texts = () if isinstance(names, str) or not hasattr(names, "__len__") else tuple(names)
    if len(texts) != num_features or not all(isinstance(name, str) for name in texts):
        raise InputError(f"feature_names must be {num_features} texts, one a column of W.")
    return tuple(map(str, texts))


def _name_of(loss: Loss) -> tuple[str, float | None]:
    """A loss's name in a model file, and its margin."""
    name = _LOSS_NAMES.get(type(loss))  # pyright: ignore[reportArgumentType, reportCallIssue]
    if name is None:
        return loss_name(loss), None
    return name, getattr(loss, "margin", None)


def _scaling_in_words(fit: Fit) -> str:
    if fit.scaling is None:
        return "none"
    return "unit range" if np.ndim(fit.scaling.scale) == 0 else "standardised"


def save_model(
    path: str | os.PathLike[str],
    fit_or_model: Fit | Model,
    *,
    classes: Any = None,
    image_shape: tuple[int, ...] | None = None,
    feature_names: Any = None,
    scaling: str | None = None,
) -> None:
    """Writes a model file, in place of what was at `path`; if anything fails, that stays.

    Args:
      path: where; by custom `*.safetensors`.
      fit_or_model: what `fit` returned (its scaling is folded into W and b), or a `Model`.
      classes: the labels of the classes 0..C-1 of a `Fit`; None is 0..C-1 themselves.
      image_shape: (H, W) or (H, W, 3), for a `Fit` of images.
      feature_names: D names, for a `Fit`.
      scaling: what to call the scaling of a `Fit`; None finds a word.

    Raises:
      InputError: the parameters are not finite, or the arguments do not fit them.
      OSError: the file cannot be written.

    >>> import tempfile, jaxlin
    >>> fit = jaxlin.fit([[0.0, 1.0], [1.0, 0.0]], [0, 1], loss=jaxlin.losses.softmax_cross_entropy)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(f"{folder}/pets.safetensors", fit, classes=["cat", "dog"])
    ...     load_model(f"{folder}/pets.safetensors").predict([[0.1, 0.8]]).tolist()
    ['cat']
    """
    extra = {
        "classes": classes,
        "image_shape": image_shape,
        "feature_names": feature_names,
        "scaling": scaling,
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
        loss, margin = _name_of(fit_or_model.objective.loss)
        model = Model(
            params,
            tuple(range(params.num_classes)) if classes is None else classes,
            loss,
            margin,
            float(fit_or_model.objective.l2),
            _scaling_in_words(fit_or_model) if scaling is None else scaling,
            image_shape,
            feature_names,
        )
    else:
        raise InputError(f"save_model takes a Fit or a Model, got {fit_or_model!r}.")
    content = _as_bytes(model)
    with replacing(path) as file:
        file.write(content)


def _json(value: Any) -> str:
    """One text for one value: sorted, no spaces, ASCII (lone surrogates come back as they were)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sha256(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """Over all metadata but itself, and the tensors with their names, dtypes and shapes."""
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in tensors.items()}
    text = {key: value for key, value in metadata.items() if key != "sha256"}
    digest = hashlib.sha256(_json([text, shapes]).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()


def _as_bytes(model: Model) -> bytes:
    """The safetensors format, its header in a fixed order (the library's own order varies)."""
    code = "F64" if model.params.W.dtype == np.float64 else "F32"
    leaves = {"W": model.params.W, "b": model.params.b}
    tensors = {
        name: np.asarray(leaf, _DTYPES[code]) for name, leaf in leaves.items() if leaf is not None
    }
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        **{name: _json(getattr(model, name)) for name in _FIELDS},
    }
    metadata["sha256"] = _sha256(metadata, tensors)
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [start, end]}
    text = _json(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(array.tobytes() for array in tensors.values())
    return len(text).to_bytes(8, "little") + text + data


def load_model(path: str | os.PathLike[str]) -> Model:
    """Reads a model file. Nothing in it is run; nothing is believed that its bytes do not bear out.

    Args:
      path: the file.

    Returns:
      A `Model`.

    Raises:
      DataFormatError: the file cannot be read, is no model file, is damaged, or is of a newer
        format than this version knows.
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
        if about.st_size > _MAX_FILE_BYTES:
            raise _Damaged(
                f"has {about.st_size:,} bytes; a model file may have {_MAX_FILE_BYTES:,}"
            )
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(about.st_size - 8, _MAX_HEADER_BYTES):
            raise _Damaged(
                f"is no safetensors file, or was cut off: it has {about.st_size:,} bytes and its "
                f"first eight promise a header of {length:,}"
            )
        return start + file.read(about.st_size - 8)


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _parse(text: str, what: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant)
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
    if set(metadata) != _KEYS:
        missing, extra = _KEYS - set(metadata), set(metadata) - _KEYS
        raise _Damaged(f"its metadata lack {_listed(missing)}; unknown: {_listed(extra)}")


def _listed(names: Any) -> str:
    return ", ".join(repr(name[:40]) for name in sorted(names)[:10]) or "nothing"


def _declared_bytes(name: str, about: Any) -> int:
    """The size of a tensor that the header speaks of, if it makes sense."""
    about = about if isinstance(about, dict) else {}
    code, shape = about.get("dtype"), about.get("shape")
    if code not in _DTYPES:
        raise _Damaged(f"{name} must be of dtype F32 or F64, it is {str(code)[:40]}")
    wanted = 2 if name == "W" else 1
    if (
        not isinstance(shape, list)
        or len(shape) != wanted
        or not all(type(size) is int and 0 < size <= _MAX_FILE_BYTES for size in shape)
    ):
        raise _Damaged(f"{name} must have {wanted} dimensions, its shape is {str(shape)[:40]}")
    return math.prod(shape) * _DTYPES[code].itemsize


def _tensors(content: bytes, header: dict[str, Any]) -> dict[str, np.ndarray]:
    import safetensors
    import safetensors.numpy

    try:
        tensors = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise _Damaged(f"is no sound safetensors file: {error}") from None
    return {name: tensors[name].astype(_DTYPES[header[name]["dtype"]]) for name in header}


def _model(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> Model:
    if metadata["sha256"] != _sha256(metadata, tensors):
        raise _Damaged("is damaged: its SHA-256 is not that of what it holds")
    fields = {name: _parse(metadata[name], name) for name in _FIELDS}
    for name in ("classes", "image_shape", "feature_names"):
        if fields[name] is not None and not isinstance(fields[name], list):
            raise _Damaged(f"its {name} are not a list")
    with float64_scope(tensors["W"].dtype == np.float64):
        params = LinearParams(
            jnp.asarray(tensors["W"]), jnp.asarray(tensors["b"]) if "b" in tensors else None
        )
    return Model(params, **fields)
