"""NumPy's own format, for numbers and fixed-width text: nothing in it is ever unpickled."""

from __future__ import annotations

import io
import math
import os
from typing import Any, NamedTuple

import numpy as np

from jaxlin import file_rows
from jaxlin.arrays import is_floating_dtype
from jaxlin.data.opening import is_gzipped, opened, read_bytes, size_of
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError
from jaxlin.file_rows import FileRows, file_mark

_MAX_HEADER = 1 << 16


class NpyHeader(NamedTuple):
    """What an .npy file says that it holds, borne out by its size.

    Attributes:
      shape: of the array.
      is_fortran: whether its first index varies fastest.
      dtype: as in the file, of whichever byte order.
      start: where the first number stands, in bytes.
    """

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype
    start: int


def read_header(stream: Any, size: int, path: str) -> NpyHeader:
    """The header of an .npy file of `size` bytes, compared with that size.

    Raises:
      DataFormatError: it is none, is damaged, or holds Python objects.
    """
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
    if dtype.kind == "V" and dtype.itemsize in (1, 2) and dtype.names is None:
        likely = "bfloat16" if dtype.itemsize == 2 else "a float of 8 bits"
        raise DataFormatError(
            f"holds items of a kind that .npy has no name for ({dtype.str!r}): {likely}, it seems. "
            "Save it as x.astype(np.float32), or in a .safetensors file",
            path=path,
        )
    if dtype.kind not in "biufUM" or dtype.itemsize == 0:
        raise DataFormatError(f"must hold numbers or text, it holds {dtype}", path=path)
    if not all(type(length) is int and length >= 0 for length in shape):
        raise DataFormatError(f"has an impossible shape: {shape}", path=path)
    wanted, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if wanted != there:
        raise DataFormatError(
            f"was cut off or damaged: shape {shape} of {dtype} takes {wanted:,} bytes, it has "
            f"{there:,}",
            path=path,
        )
    return NpyHeader(shape, is_fortran, dtype, stream.tell())


def parse_npy(content: bytes, path: str) -> np.ndarray:
    """The array in the bytes of an .npy file; what it claims is compared with its size first.

    Raises:
      DataFormatError: it is none, is damaged, or holds Python objects.
    """
    header = read_header(io.BytesIO(content), len(content), path)
    flat = np.frombuffer(content, header.dtype, offset=header.start)
    shape = header.shape
    array = flat.reshape(shape[::-1]).T if header.is_fortran else flat.reshape(shape)
    return array if header.dtype.isnative else array.astype(header.dtype.newbyteorder("="))


def rows_shape(
    shape: tuple[int, ...], dtype: np.dtype, path: str, name: str = "x"
) -> tuple[tuple[int, int], tuple[int, ...] | None]:
    """(N, D) of features that are stored in this shape, and that of an image where they are."""
    if dtype.kind not in "biuf" and not is_floating_dtype(dtype):
        raise DataFormatError(f"{name} must hold numbers, it holds {dtype}", path=path)
    is_image = len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))
    if len(shape) != 2 and not is_image:
        raise DataFormatError(
            f"{name} must have shape (N, D), or (N, H, W) or (N, H, W, 3) for images, got {shape}",
            path=path,
        )
    if 0 in shape:
        raise DataFormatError(f"{name} is empty: its shape is {shape}", path=path)
    matrix = (shape[0], math.prod(shape[1:]))
    if not is_image:
        return matrix, None
    return matrix, tuple(shape[1:3] if len(shape) == 3 or shape[-1] == 1 else shape[1:])


def as_rows(x: np.ndarray, path: str, name: str = "x") -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Features as (N, D), and the shape of an image where x holds images."""
    shape, image_shape = rows_shape(x.shape, x.dtype, path, name)
    return x.reshape(shape), image_shape


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
    """Features in one .npy file, and labels, if any, in another; large features stay in the file.

    Raises:
      DataFormatError: a file cannot be read, is no such array, or does not fit the other.
    """
    name = os.fspath(path)
    x, image_shape = _features(name)
    return RawData(x, read_npy_labels(labels_path, len(x)), image_shape=image_shape)


def _features(name: str) -> tuple[np.ndarray | FileRows, tuple[int, ...] | None]:
    with opened(name) as file:
        if size_of(file) >= file_rows.LARGE_BYTES and not is_gzipped(file):
            mark = file_mark(file.fileno())
            header = read_header(file, size_of(file), name)
            shape, image_shape = rows_shape(header.shape, header.dtype, name)
            by_column = header.is_fortran
            if not by_column or len(header.shape) == 2:
                x = FileRows(name, header.dtype, *shape, header.start, mark, by_column)
                return x, image_shape
    return as_rows(parse_npy(read_bytes(name), name), name)


def read_npy_labels(path: str | os.PathLike[str] | None, num_examples: int) -> np.ndarray | None:
    """The labels (N,) in an .npy file; None where there is none.

    Raises:
      DataFormatError: it cannot be read, is no such array, or has not one label an example.
    """
    if path is None:
        return None
    name = os.fspath(path)
    return check_labels(parse_npy(read_bytes(name), name), num_examples, name, "the array")
