"""CIFAR-10's binary version: records of a label and 3 x 32 x 32 bytes.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from jaxlin.data.opening import read_bytes
from jaxlin.data.raw import RawData
from jaxlin.errors import DataFormatError

_RECORD = 1 + 3 * 32 * 32
_BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


def is_cifar10_folder(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder has batches of CIFAR-10, binary or pickled."""
    names = (*_BATCHES, *(name.removesuffix(".bin") for name in _BATCHES))
    return any(os.path.lexists(Path(folder) / name) for name in names)


def _read_batch(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = read_bytes(path)
    if len(content) % _RECORD:
        raise DataFormatError(
            f"has {len(content):,} bytes, which is no multiple of {_RECORD:,}, a label and an "
            "image: it was cut off, or is not of the binary version",
            path=path,
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        row = int(np.argmax(records[:, 0] > 9))
        raise DataFormatError(
            f"has the label {records[row, 0]} in record {row}, not 0 to 9", path=path
        )
    planes = records[:, 1:].reshape(-1, 3, 32 * 32)
    return planes.transpose(0, 2, 1).reshape(len(records), -1), records[:, 0]


def read_cifar10_folder(folder: str | os.PathLike[str]) -> RawData:
    """A folder with data_batch_1.bin and so on, and test_batch.bin; images channel last.

    Raises:
      DataFormatError: a file cannot be read or is not what it has to be, or the folder has the
        version for Python, whose batches are pickled and never read.
    """
    folder = Path(folder)
    paths = [folder / name for name in _BATCHES if os.path.lexists(folder / name)]
    if not paths:
        raise DataFormatError(
            "has the version of CIFAR-10 for Python, whose batches are pickled: reading them could "
            "run code. Take the binary version (cifar-10-binary.tar.gz)",
            path=os.fspath(folder),
        )
    batches = [_read_batch(path) for path in paths]
    x, codes = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    names = _class_names(folder / "batches.meta.txt")

    def words(codes: np.ndarray) -> np.ndarray:
        return codes.astype(np.int64) if names is None else np.array(names)[codes]

    test_x = test_labels = None
    if os.path.lexists(folder / "test_batch.bin"):
        test_x, test_codes = _read_batch(folder / "test_batch.bin")
        test_labels = words(test_codes)
    return RawData(x, words(codes), test_x, test_labels, class_names=names, image_shape=(32, 32, 3))


def _class_names(path: Path) -> tuple[str, ...] | None:
    if not os.path.lexists(path):
        return None
    lines = read_bytes(path, 1 << 16).decode(errors="replace").split("\n")
    names = tuple(line.strip() for line in lines if line.strip())
    if len(names) != 10 or len(set(names)) != 10:
        raise DataFormatError(f"must hold 10 different class names, got {len(names)}", path=path)
    return names
