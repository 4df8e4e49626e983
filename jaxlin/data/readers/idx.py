"""IDX files, the format of MNIST and Fashion-MNIST.

Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from jaxlin.data.opening import read_bytes
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_DIMENSIONS = 4


def _find(folder: Path, part: str, what: str, rank: int) -> Path | None:
    """A file by its usual names; one that is not gzipped is taken first."""
    for ending in ("", ".gz"):
        for mark in ("-", "."):
            path = folder / f"{part}-{what}{mark}idx{rank}-ubyte{ending}"
            if os.path.lexists(path):
                return path
    return None


def is_idx_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has the training images of an IDX data set."""
    return _find(Path(folder), "train", "images", 3) is not None


def read_idx_file(path: str | os.PathLike[str]) -> np.ndarray:
    """The array of one file; its header is compared with its size before anything is allocated.

    Raises:
      DataFormatError: it cannot be read, or is not what it claims to be.
    """
    name = os.fspath(path)
    content = read_bytes(path)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES:
        raise DataFormatError(
            f"is no IDX file: it begins with {content[:4].hex(' ')}, expected 00 00, a type (08 to "
            "0e) and the number of dimensions",
            path=name,
        )
    dtype, rank = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * rank
    if not 1 <= rank <= _MAX_DIMENSIONS or len(content) < start:
        raise DataFormatError(f"is no sound IDX file: it claims {rank} dimensions", path=name)
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", rank, 4))
    wanted, there = math.prod(shape) * dtype.itemsize, len(content) - start
    if wanted != there:
        raise DataFormatError(
            f"was cut off or damaged: shape {shape} of {dtype.name} takes {wanted:,} bytes, it has "
            f"{there:,}",
            path=name,
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def read_idx_folder(folder: str | os.PathLike[str]) -> RawData:
    """A folder with train-images-idx3-ubyte and so on, gzipped or not; t10k- is the test set.

    Raises:
      DataFormatError: a file is missing, cannot be read, or does not fit the others.
    """
    parts = {}
    for part in ("train", "t10k"):
        images, labels = (
            _find(Path(folder), part, what, rank) for what, rank in (("images", 3), ("labels", 1))
        )
        if images is None and labels is None and part == "t10k":
            continue
        if images is None or labels is None:
            missing = "images" if images is None else "labels"
            raise DataFormatError(f"has no file of {part} {missing}", path=os.fspath(folder))
        x, y = read_idx_file(images), read_idx_file(labels)
        if x.ndim != 3 or 0 in x.shape:
            raise DataFormatError(f"must hold images (N, H, W), got {x.shape}", path=images)
        if y.shape != (len(x),) or y.dtype.kind not in "iu":
            raise DataFormatError(
                f"must hold one integer for each of the {len(x):,} images, got {y.shape} of "
                f"{y.dtype}",
                path=labels,
            )
        parts[part] = x, y
    x, y = parts["train"]
    image_shape = x.shape[1:]
    if "t10k" not in parts:
        return RawData(x.reshape(len(x), -1), y, image_shape=image_shape)
    test_x, test_y = parts["t10k"]
    if test_x.shape[1:] != image_shape:
        raise DataFormatError(
            f"has training images of {image_shape} and test images of {test_x.shape[1:]}",
            path=os.fspath(folder),
        )
    return RawData(
        x.reshape(len(x), -1), y, test_x.reshape(len(test_x), -1), test_y, image_shape=image_shape
    )
