"""From a name or a path to arrays: which reader a file needs, and how its examples are divided."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxlin.data.builtin import BUILTIN
from jaxlin.data.dataset import Dataset, Split
from jaxlin.data.labels import Label, encode_labels
from jaxlin.data.opening import read_start
from jaxlin.data.raw import RawData
from jaxlin.data.readers.cifar10 import is_cifar10_folder, read_cifar10_folder
from jaxlin.data.readers.idx import is_idx_folder, read_idx_folder
from jaxlin.data.readers.npy import read_npy_pair
from jaxlin.data.readers.npz import read_npz
from jaxlin.data.readers.svmlight import read_svmlight
from jaxlin.data.readers.table import read_table
from jaxlin.data.splitting import split_rows
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
    kind = _kind_of(name)
    for option, value, taker in (
        ("labels", labels, "npy"),
        ("label_column", label_column, "table"),
    ):
        if value is not None and kind != taker:
            raise InputError(f"{option} is of no use for {name}, which is read as {_WORDS[kind]}.")
    raw = _read_kind(kind, name, labels, label_column, num_features)
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


def _kind_of(name: str) -> str:
    if name in BUILTIN:
        return "builtin"
    path = Path(name)
    if path.is_dir():
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


def load(
    source: str | os.PathLike[str] = "digits",
    *,
    test: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    test_labels: str | os.PathLike[str] | None = None,
    label_column: str | int | None = None,
    num_features: int | None = None,
    validation: float = 0.0,
    test_share: float = 0.25,
    seed: int = 0,
) -> Dataset:
    """A data set to train on: read, its labels encoded, its test and validation examples set apart.

    Args:
      source: as for `read`.
      test: a file of the same kind that holds the test set. Without one, the test set is the one
        that the source itself has; else it is drawn from the examples.
      labels: as for `read`.
      test_labels: the `.npy` labels of an `.npy` test file.
      label_column: as for `read`.
      num_features: as for `read`.
      validation: the share of the training examples to set apart, stratified; 0 for none.
      test_share: the share to draw where there is no test set, stratified; 0 for none.
      seed: of the draws, from 0 to 2**32 - 1.

    Returns:
      A `Dataset`.

    Raises:
      DataFormatError: a file cannot be read, has no labels, or does not fit the other.
      InputError: an argument is not what it has to be, or there are too few examples to divide.

    >>> digits = load("digits", validation=0.1)
    >>> len(digits.train), len(digits.validation), len(digits.test)
    (1212, 135, 450)
    """
    for name, share in (("validation", validation), ("test_share", test_share)):
        if isinstance(share, bool | str) or not 0.0 <= share < 1.0:
            raise InputError(f"{name} must be a share from 0 to below 1, got {share!r}.")
    if isinstance(seed, bool | str | float) or not 0 <= seed < 2**32:
        raise InputError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}.")
    raw = read(source, labels=labels, label_column=label_column, num_features=num_features)
    path = os.fspath(source)
    train_labels = raw.labels
    if train_labels is None:
        raise DataFormatError(_no_labels(path), path=path)
    if test is not None:
        raw = _with_test(raw, path, os.fspath(test), test_labels, label_column)
    elif test_labels is not None:
        raise InputError("test_labels belongs to test, which was not given.")
    classes, train = _encode(raw, train_labels, path)
    apart = None
    if raw.test_x is not None:
        where = path if test is None else os.fspath(test)
        if raw.test_labels is None:
            raise DataFormatError(_no_labels(where), path=where)
        apart = Split(raw.test_x, encode_as(raw.test_labels, classes, where))
    elif test_share:
        stay, chosen = split_rows(train.labels, test_share, seed)
        train, apart = train.take(stay), train.take(chosen)
    held_out = None
    if validation:
        # Another seed than the test set's, so that the two draws are independent.
        stay, chosen = split_rows(train.labels, validation, (seed + 1) % 2**32)
        train, held_out = train.take(stay), train.take(chosen)
    return Dataset(
        name=path,
        classes=classes,
        train=train,
        validation=held_out,
        test=apart,
        has_own_test=raw.test_x is not None,
        image_shape=raw.image_shape,
        feature_names=raw.feature_names,
    )


def _no_labels(path: str) -> str:
    kind = _kind_of(path)
    how = {
        "table": "say which column they are in: label_column (--label-column NAME)",
        "npy": "give the .npy file that they are in: labels (--labels FILE)",
        "npz": "training needs y beside x, or y_train beside x_train",
    }
    return f"has no labels; {how.get(kind, 'training needs them')}"


def _with_test(
    raw: RawData, path: str, test: str, test_labels: Any, label_column: str | int | None
) -> RawData:
    """The same data with a test set from a file of its own."""
    other = read(
        test,
        labels=test_labels,
        label_column=label_column,
        num_features=raw.x.shape[1],
    )
    check_feature_names(raw.feature_names, other.feature_names, test)
    # A file that is itself in two parts is asked for what it calls its test set.
    x, labels = (
        (other.x, other.labels) if other.test_x is None else (other.test_x, other.test_labels)
    )
    return dataclasses.replace(raw, test_x=x, test_labels=labels)


def check_feature_names(
    expected: Sequence[str] | None, found: Sequence[str] | None, path: str
) -> None:
    """Raises `DataFormatError` where columns have other names, or another order, than they had."""
    if expected is None or found is None or tuple(expected) == tuple(found):
        return
    pairs = zip(expected, found, strict=True)
    index = next(i for i, (old, new) in enumerate(pairs) if old != new)
    raise DataFormatError(
        f"has other columns: feature {index + 1} must be {expected[index][:40]!r}, got "
        f"{found[index][:40]!r}. Name and order the columns as in training",
        path=path,
        line=1,
    )


def _encode(raw: RawData, labels: np.ndarray, path: str) -> tuple[tuple[Label, ...], Split]:
    try:
        classes, indices = encode_labels(labels, raw.class_names)
    except InputError as error:
        raise DataFormatError(str(error), path=path) from None
    return classes, Split(raw.x, indices)


def encode_as(labels: np.ndarray, classes: Sequence[Label], path: str) -> np.ndarray:
    """Class indices of the labels of a file, for classes that are known already.

    Args:
      labels: as a reader gives them (N,).
      classes: the labels of classes 0..C-1.
      path: of the file, for messages.

    Returns:
      int32 (N,).

    Raises:
      DataFormatError: a label that is not among the classes.
    """
    if isinstance(classes[0], str) and labels.dtype.kind in "iu":
        labels = labels.astype(str)  # a column of text that happens to hold numbers alone
    try:
        return encode_labels(labels, classes)[1]
    except InputError as error:
        raise DataFormatError(str(error), path=path) from None
