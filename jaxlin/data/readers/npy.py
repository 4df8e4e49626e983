"""NumPy's own format, for numbers and fixed-width text: nothing in it is ever unpickled."""

from __future__ import annotations

import io
import math
import os

import numpy as np

from jaxlin.data.opening import read_bytes
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError

_MAX_HEADER = 1 << 16


def parse_npy(content: bytes, path: str) -> np.ndarray:
    """The array in the bytes of an .npy file; what it claims is compared with its size first.

    Raises:
      DataFormatError: it is none, is damaged, or holds Python objects.
    """
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise DataFormatError(f"is of .npy version {version}, not 1 to 3", path=path)
        if version == (1, 0):
            header = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER)
        else:
            header = np.lib.format.read_array_header_2_0(stream, max_header_size=_MAX_HEADER)
    except DataFormatError:
        raise
    except Exception as error:  # NumPy lets errors of several kinds through for a damaged header
        reason = " ".join(str(error).split())[:200]
        raise DataFormatError(f"is no sound .npy file: {reason}", path=path) from None
    shape, is_fortran, dtype = header
    if dtype.hasobject:
        raise DataFormatError(
            "holds Python objects, which are pickled and never read here; save numbers or text",
            path=path,
        )
    if dtype.kind == "S":
        raise DataFormatError("holds bytes; save them as text: labels.astype(str)", path=path)
    if dtype.kind not in "biufUM" or dtype.itemsize == 0:
        raise DataFormatError(f"must hold numbers or text, it holds {dtype}", path=path)
    if not all(type(size) is int and size >= 0 for size in shape):
        raise DataFormatError(f"has an impossible shape: {shape}", path=path)
    wanted, there = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if wanted != there:
        raise DataFormatError(
            f"was cut off or damaged: shape {shape} of {dtype} takes {wanted:,} bytes, it has "
            f"{there:,}",
            path=path,
        )
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    array = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def as_rows(x: np.ndarray, path: str, name: str = "x") -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Features as (N, D), and the shape of an image where x holds images."""
    if x.dtype.kind not in "biuf":
        raise DataFormatError(f"{name} must hold numbers, it holds {x.dtype}", path=path)
    is_image = x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))
    if x.ndim != 2 and not is_image:
        raise DataFormatError(
            f"{name} must have shape (N, D), or (N, H, W) or (N, H, W, 3) for images, got "
            f"{x.shape}",
            path=path,
        )
    if 0 in x.shape:
        raise DataFormatError(f"{name} is empty: its shape is {x.shape}", path=path)
    if not is_image:
        return x, None
    shape = x.shape[1:3] if x.ndim == 3 or x.shape[3] == 1 else x.shape[1:]
    return x.reshape(len(x), -1), tuple(shape)


def check_labels(labels: np.ndarray, num_examples: int, path: str, name: str = "y") -> np.ndarray:
    """Labels (N,), one an example."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]  # as Keras' CIFAR has them
    if labels.shape != (num_examples,):
        raise DataFormatError(
            f"{name} must have shape ({num_examples},), one label an example, got {labels.shape}",
            path=path,
        )
    return labels


def read_npy_pair(
    path: str | os.PathLike[str], labels_path: str | os.PathLike[str] | None
) -> RawData:
    """Features in one .npy file, and labels, if any, in another.

    Raises:
      DataFormatError: a file cannot be read, is no such array, or does not fit the other.
    """
    name = os.fspath(path)
    x, image_shape = as_rows(parse_npy(read_bytes(path), name), name)
    labels = None
    if labels_path is not None:
        where = os.fspath(labels_path)
        labels = check_labels(parse_npy(read_bytes(where), where), len(x), where, "the array")
    return RawData(x, labels, image_shape=image_shape)
