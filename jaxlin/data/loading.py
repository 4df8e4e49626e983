"""A data set to train on: labels encoded, test and validation examples set apart."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxlin.data.dataset import Dataset, Split
from jaxlin.data.labels import Label, encode_labels, shortened
from jaxlin.data.raw import RawData
from jaxlin.data.readers.npy import read_npy_labels
from jaxlin.data.reading import kind_of, read, taken
from jaxlin.data.splitting import split_rows
from jaxlin.errors import DataFormatError, InputError


def load(
    source: str | os.PathLike[str] = "digits",
    *,
    test: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    test_labels: str | os.PathLike[str] | None = None,
    label_column: str | int | None = None,
    num_features: int | None = None,
    layer: str | None = None,
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
      test_labels: the `.npy` labels of the test examples, in the test file or of the source's own,
        where these have none.
      label_column: as for `read`.
      num_features: as for `read`.
      layer: as for `read`.
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
        if isinstance(share, bool) or not (
            isinstance(share, int | float | np.number) and 0.0 <= share < 1.0
        ):
            raise InputError(f"{name} must be a share from 0 to below 1, got {share!r}.")
    if isinstance(seed, bool) or not (isinstance(seed, int | np.integer) and 0 <= seed < 2**32):
        raise InputError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}.")
    raw = read(
        source, labels=labels, label_column=label_column, num_features=num_features, layer=layer
    )
    path = os.fspath(source)
    train_labels = raw.labels
    if train_labels is None:
        raise DataFormatError(_no_labels(path), path=path)
    if test is not None:
        raw = _with_test(raw, os.fspath(test), test_labels, label_column, layer)
    elif test_labels is not None:
        raw = with_test_labels(raw, test_labels, path)
    classes, everything = _encode(raw, train_labels, path)
    # Rows are chosen twice and taken once: a large data set is not copied more than it must be.
    stay, tested, held_out = np.arange(len(everything)), None, None
    apart = None
    if raw.test_x is not None:
        where = path if test is None else os.fspath(test)
        if raw.test_labels is None:
            raise DataFormatError(_no_labels(where, is_test=True), path=where)
        apart = Split(raw.test_x, encode_as(raw.test_labels, classes, where))
    elif test_share:
        stay, tested = _draw(everything, stay, test_share, seed, classes, path, "test_share")
    if validation:
        # Another seed than the test set's, so that the two draws are independent.
        other = (seed + 1) % 2**32
        stay, held_out = _draw(everything, stay, validation, other, classes, path, "validation")
    return Dataset(
        name=path,
        classes=classes,
        train=everything if len(stay) == len(everything) else everything.take(stay),
        validation=None if held_out is None else everything.take(held_out),
        test=apart if tested is None else everything.take(tested),
        has_own_test=raw.test_x is not None,
        image_shape=raw.image_shape,
        feature_names=raw.feature_names,
    )


def _draw(
    split: Split,
    rows: np.ndarray,
    share: float,
    seed: int,
    classes: Sequence[Label],
    path: str,
    option: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Some of the rows, divided: those that stay and those set apart."""
    try:
        stay, apart = split_rows(split.labels[rows], share, seed, classes=classes)
    except InputError as error:
        flag = f"--{option.replace('_', '-')}"
        raise InputError(f"{path}: {option} ({flag}) is {share:g}, but {error}") from None
    return rows[stay], rows[apart]


def _no_labels(path: str, *, is_test: bool = False) -> str:
    kind = kind_of(path)
    file = "test_labels (--test-labels FILE)" if is_test else "labels (--labels FILE)"
    how = {
        "table": "say which column they are in: label_column (--label-column NAME)",
        "npy": f"give the .npy file that they are in: {file}",
        "npz": "training needs y beside x, or y_train beside x_train",
        "safetensors": "training needs a tensor that is called y, labels or targets, another that "
        f"label_column (--label-column NAME) names, or an .npy file of them: {file}",
        "arrow": "training needs a column that is called y, labels or targets, another that "
        f"label_column (--label-column NAME) names, or an .npy file of them: {file}",
    }
    return f"has no labels; {how.get(kind, 'training needs them')}"


def _with_test(
    raw: RawData,
    test: str,
    test_labels: Any,
    label_column: str | int | None,
    layer: str | None,
) -> RawData:
    """The same data with a test set from a file of its own."""
    other = read(
        test,
        labels=test_labels,
        num_features=raw.x.shape[1],
        **taken(test, label_column=label_column, layer=layer),
    )
    check_feature_names(raw.feature_names, other.feature_names, test)
    # A file that is itself in two parts is asked for what it calls its test set.
    x, labels = (
        (other.x, other.labels) if other.test_x is None else (other.test_x, other.test_labels)
    )
    return dataclasses.replace(raw, test_x=x, test_labels=labels)


def with_test_labels(raw: RawData, labels: str | os.PathLike[str], path: str) -> RawData:
    """The same data, with labels from an `.npy` file for the test examples that it has itself.

    Raises:
      InputError: it has no test examples.
      DataFormatError: they have labels, or the file cannot be read or has not one an example.
    """
    if raw.test_x is None:
        raise InputError(
            f"test_labels belongs to test, which was not given, and {path} has no test examples of "
            "its own."
        )
    if raw.test_labels is not None:
        raise DataFormatError(
            "has labels of its test examples itself: leave test_labels (--test-labels) away",
            path=path,
        )
    return dataclasses.replace(raw, test_labels=read_npy_labels(labels, len(raw.test_x)))


def check_feature_names(
    expected: Sequence[str] | None, found: Sequence[str] | None, path: str
) -> None:
    """Raises `DataFormatError` where columns have other names, or another order, than they had."""
    if expected is None or found is None or tuple(expected) == tuple(found):
        return
    pairs = itertools.zip_longest(expected, found)
    index, (old, new) = next((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1])
    must = "must not be there" if old is None else f"must be {old[:40]!r}"
    got = "there is none" if new is None else f"got {new[:40]!r}"
    raise DataFormatError(
        f"has other columns: feature {index + 1} {must}, {got}. Name and order the columns as in "
        "training",
        path=path,
        line=1,
    )


def _encode(raw: RawData, labels: np.ndarray, path: str) -> tuple[tuple[Label, ...], Split]:
    try:
        classes, indices = encode_labels(labels, raw.class_names)
    except InputError as error:
        raise DataFormatError(str(error), path=path) from None
    if len(classes) < 2:
        raise DataFormatError(
            f"contains only one class, {shortened(next(iter(classes)))}; at least 2 are needed",
            path=path,
        )
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
