"""Safetensors files of features: tensors by name, which stay in the file where they are large.

Source: https://github.com/huggingface/safetensors, "Format". The library for it maps the file into
memory, which ends the process when the file is cut short meanwhile; the header is all there is to
know for reading the numbers as any others.
"""

from __future__ import annotations

import math
import os
import re
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from jaxlin import strict_json
from jaxlin.data.opening import opened, size_of
from jaxlin.data.raw import RawData
from jaxlin.data.readers.feature_names import (
    FEATURE_HINT,
    LABEL_HINT,
    is_feature_name,
    is_label_name,
    listed,
    part_of,
)
from jaxlin.data.readers.npy import read_npy_labels, rows_shape
from jaxlin.errors import DataFormatError
from jaxlin.file_rows import FileRows, file_mark, held

_MAX_HEADER = 100_000_000  # the library's own limit
_DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "F32": "<f4",
    "F64": "<f8",
}  # fmt: skip


class _Tensor(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    start: int  # in the file


class _File(NamedTuple):
    path: str
    mark: tuple[int, ...]
    tensors: dict[str, _Tensor]

    def features(self, name: str) -> tuple[np.ndarray | FileRows, tuple[int, ...] | None]:
        """A tensor as features (N, D), and the shape of an image where it holds images."""
        tensor = self.tensors[name]
        shape, image_shape = rows_shape(tensor.shape, tensor.dtype, self.path, name[:40])
        return held(FileRows(self.path, tensor.dtype, *shape, tensor.start, self.mark)), image_shape

    def labels(self, name: str, num_examples: int) -> np.ndarray:
        """A tensor as labels (N,)."""
        dtype, shape, start = self.tensors[name]
        if dtype.kind not in "biuf":
            raise DataFormatError(
                f"{name[:40]} must hold numbers, it holds {dtype}", path=self.path
            )
        if shape not in ((num_examples,), (num_examples, 1)):
            raise DataFormatError(
                f"{name[:40]} must have shape ({num_examples},), one label an example, got {shape}",
                path=self.path,
            )
        return FileRows(self.path, dtype, num_examples, 1, start, self.mark).read()[:, 0]


def read_safetensors(
    path: str | os.PathLike[str],
    label_name: str | int | None = None,
    layer: str | None = None,
    labels_path: str | os.PathLike[str] | None = None,
) -> RawData:
    """Features and labels that are tensors of a safetensors file, told by their names.

    Args:
      path: the file.
      label_name: the tensor of labels; None finds it by its name.
      layer: which tensor of features, where there are several.
      labels_path: an `.npy` file of labels, for a file that has none.

    Raises:
      DataFormatError: the file cannot be read, is damaged, or has no such tensors.
    """
    file = _opened(os.fspath(path))
    features = _feature_tensors(file, label_name, layer)
    labels = _label_tensors(file, label_name)
    chosen = _chosen(file, features, layer)
    if "train" not in chosen:
        raise DataFormatError(
            f"has features to test, but none to train on: {_all(file)}", path=path
        )
    x, image_shape = file.features(chosen["train"])
    y = read_npy_labels(labels_path, len(x))
    if y is not None and labels:
        raise DataFormatError("has labels itself: leave labels (--labels) away", path=path)
    if "train" in labels:
        y = file.labels(labels["train"], len(x))
    if "test" not in chosen:
        return RawData(x, y, image_shape=image_shape)
    test_x, test_shape = file.features(chosen["test"])
    if test_x.shape[1] != x.shape[1] or test_shape != image_shape:
        raise DataFormatError(
            f"{chosen['train'][:40]} and {chosen['test'][:40]} differ in shape: "
            f"{file.tensors[chosen['train']].shape} and {file.tensors[chosen['test']].shape}",
            path=path,
        )
    test_y = file.labels(labels["test"], len(test_x)) if "test" in labels else None
    return RawData(x, y, test_x, test_y, image_shape=image_shape)


def safetensors_layers(
    path: str | os.PathLike[str], label_name: str | int | None = None
) -> tuple[str, ...]:
    """The names that `layer` can have: one for each tensor of features (and its test part)."""
    return tuple(_feature_tensors(_opened(os.fspath(path)), label_name, None))


def _all(file: _File) -> str:
    return f"it holds {listed(sorted(file.tensors))}"


def _feature_tensors(
    file: _File, label_name: str | int | None, layer: str | None
) -> dict[str, dict[str, str]]:
    """The tensors of features: layer -> part -> name."""
    found: dict[str, dict[str, str]] = {}
    unknown = []
    for name, tensor in file.tensors.items():
        base, part = part_of(name)
        if name == label_name or (label_name is None and is_label_name(name)):
            continue
        if is_feature_name(name) or layer in (name, base):
            if part in found.setdefault(base, {}):
                raise DataFormatError(
                    f"has two tensors for one: {found[base][part]!r} and {name!r}", path=file.path
                )
            found[base][part] = name
        elif len(tensor.shape) > 1 and tensor.shape[1:] != (1,):  # else ids, groups and the like
            unknown.append(name)
    if not found or (unknown and layer is None):
        what = f"cannot tell what {listed(unknown)} is" if found else "has no tensor of features"
        raise DataFormatError(
            f"{what}: {FEATURE_HINT}; {_all(file)}. Rename it, or say which holds the features: "
            "layer (--layer NAME)",
            path=file.path,
        )
    return dict(sorted(found.items(), key=lambda item: _by_number(item[0])))


def _by_number(name: str) -> list[tuple[int, str]]:
    """A key to sort by that puts layer 2 before layer 11."""
    parts = re.split(r"(\d{1,9})", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _chosen(file: _File, features: dict[str, dict[str, str]], layer: str | None) -> dict[str, str]:
    """The tensors of one layer, by part."""
    if layer is None and len(features) == 1:
        return next(iter(features.values()))
    if layer is None:
        raise DataFormatError(
            f"has {len(features)} tensors of features: {listed(list(features))}. Say which: layer "
            "(--layer NAME)",
            path=file.path,
        )
    for base, parts in features.items():
        if layer == base or layer in parts.values():
            return parts
    raise DataFormatError(
        f"has no features {layer[:40]!r}; it has {listed(list(features))}", path=file.path
    )


def _label_tensors(file: _File, label_name: str | int | None) -> dict[str, str]:
    """The tensors of labels, by part."""
    if label_name is not None:
        if label_name not in file.tensors:
            raise DataFormatError(f"has no tensor {label_name!r:.40}; {_all(file)}", path=file.path)
        return {"train": str(label_name)}
    found: dict[str, str] = {}
    for name in filter(is_label_name, file.tensors):
        part = part_of(name)[1]
        if part in found:
            raise DataFormatError(
                f"has two tensors of labels, {found[part]!r:.40} and {name!r:.40} ({LABEL_HINT}). "
                "Say which: label_column (--label-column NAME)",
                path=file.path,
            )
        found[part] = name
    return found


def _opened(path: str) -> _File:
    """The header of a file: every claim is compared with its size."""
    with opened(path) as file:
        size, mark = size_of(file), file_mark(file.fileno())
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, _MAX_HEADER):
            raise DataFormatError(
                f"is no safetensors file, or was cut off: it has {size:,} bytes and its first "
                f"eight promise a header of {length:,}",
                path=path,
            )
        text = file.read(length)
    try:
        header = strict_json.parse(text.decode())
        if not isinstance(header, dict):
            raise ValueError("it is no JSON object")
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"its header cannot be read: {str(error)[:200]}", path=path) from None
    header.pop("__metadata__", None)
    if not header:
        raise DataFormatError("holds no tensors", path=path)
    tensors = {name: _tensor(name, about, 8 + length, size, path) for name, about in header.items()}
    _check_places(tensors, size, 8 + length, path)
    return _File(path, mark, tensors)


def _tensor(name: str, about: Any, data: int, size: int, path: str) -> _Tensor:
    """What the header says of a tensor, if it makes sense."""
    about = about if isinstance(about, dict) else {}
    code, shape, place = (about.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(code, str) or code not in _DTYPES:
        raise DataFormatError(
            f"{name[:40]} is of dtype {str(code)[:40]}; {', '.join(_DTYPES)} can be read", path=path
        )
    whole = [n for n in (shape, place) if isinstance(n, list)]
    numbers = [n for part in whole for n in part]
    if len(whole) < 2 or not all(type(n) is int and 0 <= n < 1 << 62 for n in numbers):
        raise DataFormatError(f"its header makes no sense of {name[:40]!r}", path=path)
    dtype = np.dtype(_DTYPES[code])
    wanted = math.prod(shape) * dtype.itemsize  # pyright: ignore[reportArgumentType]
    if len(place) != 2 or place[1] - place[0] != wanted or data + place[1] > size:  # pyright: ignore
        raise DataFormatError(
            f"was cut off or damaged: {name[:40]} of shape {str(shape)[:60]} and dtype {code} "
            f"takes {wanted:,} bytes, its place is {str(place)[:60]} of {size - data:,}",
            path=path,
        )
    return _Tensor(dtype, tuple(shape), data + place[0])  # pyright: ignore


def _check_places(tensors: dict[str, _Tensor], size: int, data: int, path: str) -> None:
    """Raises where tensors overlap, or where there are bytes that belong to none."""
    end = data
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[0])):
        length = math.prod(tensor.shape) * tensor.dtype.itemsize
        if tensor.start != end and length:
            raise DataFormatError(
                f"is damaged: {name[:40]} does not begin where the tensor before it ends", path=path
            )
        end += length
    if end != size:
        raise DataFormatError(
            f"was cut off or damaged: its tensors take {end - data:,} bytes, and it has "
            f"{size - data:,} for them",
            path=path,
        )
