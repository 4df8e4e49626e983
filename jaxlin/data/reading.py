"""From a path to arrays: which reader a file needs, and whether the numbers can be used."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jaxlin.data.builtin import BUILTIN
from jaxlin.data.opening import read_start
from jaxlin.data.raw import RawData
from jaxlin.data.readers.cifar10 import is_cifar10_folder, read_cifar10_folder
from jaxlin.data.readers.idx import is_idx_folder, read_idx_folder
from jaxlin.data.readers.npy import read_npy_pair
from jaxlin.data.readers.npz import read_npz
from jaxlin.data.readers.svmlight import read_svmlight
from jaxlin.data.readers.table import read_table
from jaxlin.data.values import check_finite
from jaxlin.errors import DataFormatError, InputError

_KINDS = {
    ".npz": "npz",
    ".npy": "npy",
    ".csv": "table",
    ".tsv": "table",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}
_READABLE = (
    "an .npz, an .npy with labels in another, a .csv or .tsv, svmlight/LIBSVM text, a folder of "
    f"IDX files (MNIST), a folder of CIFAR-10 binary batches, or {' or '.join(BUILTIN)}"
)


def read(
    source: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    label_column: str | int | None = None,
    num_features: int | None = None,
) -> RawData:
    """The arrays of a data file or folder, or of a built-in data set, as they are.

    Args:
      source: `"digits"`, or a path; what kind of file it is is told by its ending, else by how it
        begins.
      labels: an `.npy` file of labels, for an `.npy` file of features.
      label_column: of a CSV or TSV file: its name, or its number from 0.
      num_features: D. Svmlight text does not say it; other files must have as many.

    Returns:
      `RawData`, in the dtype of the file.

    Raises:
      DataFormatError: the file cannot be read, or does not hold what its format promises.
      InputError: an option that this kind of file does not take.

    >>> read("digits").x.shape
    (1347, 64)
    """
    name = os.fspath(source)
    kind = kind_of(name)
    for option, value, taker in (
        ("labels", labels, "npy"),
        ("label_column", label_column, "table"),
    ):
        if value is not None and kind != taker:
            raise InputError(f"{option} is of no use for {name}, which is read as {_WORDS[kind]}.")
    raw = _read_kind(kind, name, labels, label_column, num_features)
    check_finite(raw.x, name)
    if raw.test_x is not None:
        check_finite(raw.test_x, name, "the test set")
    if num_features is not None and raw.x.shape[1] != num_features:
        raise DataFormatError(
            f"has {raw.x.shape[1]} features, but {num_features} are expected", path=name
        )
    return raw


def _read_kind(
    kind: str, name: str, labels: Any, label_column: str | int | None, num_features: int | None
) -> RawData:
    if kind == "builtin":
        return BUILTIN[name]()
    if kind == "idx":
        return read_idx_folder(name)
    if kind == "cifar10":
        return read_cifar10_folder(name)
    if kind == "npz":
        return read_npz(name)
    if kind == "npy":
        return read_npy_pair(name, labels)
    if kind == "table":
        return read_table(name, label_column)
    return read_svmlight(name, num_features)


_WORDS = {
    "builtin": "built-in data",
    "idx": "a folder of IDX files",
    "cifar10": "a folder of CIFAR-10 batches",
    "npz": "an .npz file",
    "npy": "an .npy file",
    "table": "a table",
    "svmlight": "svmlight text",
}


def kind_of(name: str) -> str:
    """Which reader a source needs: a word of `_WORDS`.

    Raises:
      DataFormatError: none of them can read it.
    """
    if name in BUILTIN:
        return "builtin"
    path = Path(name)
    if os.path.isdir(name):  # unlike Path's, it takes any text
        if is_idx_folder(path):
            return "idx"
        if is_cifar10_folder(path):
            return "cifar10"
        raise DataFormatError(
            "is a folder without IDX files (train-images-idx3-ubyte ...) and without CIFAR-10 "
            "binary batches (data_batch_1.bin ...)",
            path=name,
        )
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if suffixes and suffixes[-1] in _KINDS:
        return _KINDS[suffixes[-1]]
    return _kind_by_content(name)


def _kind_by_content(name: str) -> str:
    """LIBSVM's own files, for one, have no ending."""
    if not os.path.lexists(name) and os.path.basename(name) == name:
        built_in = " or ".join(BUILTIN)
        raise DataFormatError(f"No such file or directory; built in is {built_in}", path=name)
    start = read_start(name, 1 << 16)
    if start.startswith(b"PK\x03\x04"):
        return "npz"
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    lines = [line for line in start.splitlines() if line.strip() and line[:1] != b"#"]
    fields = lines[0].split(b"#")[0].split() if lines and b"\0" not in start else []
    if len(fields) > 1 and all(b":" in field for field in fields[1:]):
        return "svmlight"
    if fields and (b"," in lines[0] or b"\t" in lines[0]):
        return "table"
    raise DataFormatError(f"is of no kind that is known here: data are {_READABLE}", path=name)
