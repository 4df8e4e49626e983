"""Labels of any kind become class indices, and what is no label is told apart."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jaxlin import data
from jaxlin.errors import InputError

BIG = 2**33


@pytest.mark.parametrize(
    ("labels", "classes", "indices"),
    [
        (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
        (np.array(["b", "a"], dtype=object), ("a", "b"), [1, 0]),
        ([3, -1, 3], (-1, 3), [1, 0, 1]),
        ([True, False], (False, True), [1, 0]),
        ([1.0, 0.0], (0.0, 1.0), [1, 0]),
        ([1, 0.0], (0.0, 1.0), [1, 0]),
        (np.array([BIG, 1]), (1, BIG), [1, 0]),
        (np.array([2**64 - 1, 0], np.uint64), (0, 2**64 - 1), [1, 0]),
        # In float64, as NumPy reads the list, these two would be one class.
        ([2**63, 2**63 + 1, -1], (-1, 2**63, 2**63 + 1), [1, 2, 0]),
        ([10**30, 10**30 + 1], (10**30, 10**30 + 1), [0, 1]),
        (np.array(["2020-01-02", "2020-01-01"], "M8[D]"), ("2020-01-01", "2020-01-02"), [1, 0]),
        ([datetime.date(2020, 1, 2), datetime.date(2020, 1, 1)], ("2020-01-01", "2020-01-02"),
         [1, 0]),
        (pd.Series(["b", "a"], dtype="category"), ("a", "b"), [1, 0]),
        (pd.array(["b", "a"], dtype="string"), ("a", "b"), [1, 0]),
        (["\udcff", "a\0", "a"], ("a", "a\0", "\udcff"), [2, 1, 0]),
        (range(3), (0, 1, 2), [0, 1, 2]),
    ],
)  # fmt: skip
def test_labels_of_each_kind(labels: Any, classes: tuple[Any, ...], indices: list[int]) -> None:
    found, codes = data.encode_labels(labels)
    assert found == classes
    assert [type(label) for label in found] == [type(label) for label in classes]
    assert codes.dtype == np.int32
    assert codes.tolist() == indices


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([1, "a"], "got int and str"),
        ([True, 2], "got bool and int"),
        ([b"a", b"b"], "bytes: decode"),
        (np.array([b"a"]), "bytes: decode"),
        ([1.5, 2.0], "continuous.*1.5"),
        ([1.0, float("nan")], "contains NaN"),
        ([1.0, float("inf")], "contains infinity"),
        (["a", None], "contains NaN"),
        (pd.array([1, None], dtype="Int64"), "contains NaN"),
        (np.array(["NaT"], "M8[D]"), "contains NaN"),
        (np.ma.masked_array([1, 2]), "masked"),
        (np.eye(2), r"shape \(N,\), got \(2, 2\)"),
        (np.array([[1], [2]]), "ravel"),
        ([(1, 2), (3, 4)], "shape"),
        ([], "empty"),
        ("abc", "a list or an array.*'abc'"),
        ({1, 2}, "a list or an array"),
        ({1: 2}, "a list or an array"),
        (None, "a list or an array"),
        (3, "a list or an array"),
        ((label for label in "ab"), "a list or an array"),
        (np.array([1j]), "complex128"),
        ([decimal.Decimal(1)], "Decimal"),
    ],
)
def test_what_is_no_label_is_told_apart(labels: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.encode_labels(labels)


def test_known_classes_keep_their_order_and_strangers_are_named() -> None:
    assert data.encode_labels(["a", "b"], ("b", "a", "c"))[1].tolist() == [1, 0]
    with pytest.raises(InputError, match="among the classes 'b', 'c'; got 'a' at index 1"):
        data.encode_labels(["b", "a"], ("b", "c"))
    with pytest.raises(InputError) as caught:
        data.encode_labels(["x" * 10_000], [f"class {i}" for i in range(1000)])
    assert len(str(caught.value)) < 300
