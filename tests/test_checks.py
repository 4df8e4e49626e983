"""Labels, weights, keys and numbers at the library's door: what passes, what is told why not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxlin
from jaxlin.checks import as_key, as_labels, as_sample_weight, check_count, check_positive


def as_read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


# Labels


GOOD_LABELS: dict[str, Any] = {
    "list": [0, 2, 1],
    "tuple": (0, 2, 1),
    "int64": np.array([0, 2, 1]),
    "uint8": np.array([0, 2, 1], np.uint8),
    "uint64": np.array([0, 2, 1], np.uint64),
    "big-endian": np.array([0, 2, 1], ">i4"),
    "strided": np.array([0, 9, 2, 9, 1])[::2],
    "reversed": np.array([1, 2, 0])[::-1],
    "read-only": as_read_only(np.array([0, 2, 1])),
    "whole floats": [0.0, 2.0, 1.0],
    "float16": np.array([0, 2, 1], np.float16),
    "objects": np.array([0, 2, 1], object),
    "JAX": jnp.array([0, 2, 1]),
    "series": pd.Series([0, 2, 1], index=[7, 8, 9]),
    "nullable series": pd.Series([0, 2, 1], dtype="Int64"),
    "categorical of integers": pd.Categorical([0, 2, 1]),
}


@pytest.mark.parametrize("name", GOOD_LABELS)
def test_whole_numbers_of_any_kind_are_labels(name: str) -> None:
    found = as_labels(GOOD_LABELS[name], 3)
    assert found.dtype == np.int32
    assert found.tolist() == [0, 2, 1]
    assert as_labels(GOOD_LABELS[name], 3, num_classes=3).tolist() == [0, 2, 1]
    with pytest.raises(jaxlin.InputError, match=r"integers 0\.\.1, got 2.* at index 1"):
        as_labels(GOOD_LABELS[name], 3, num_classes=2)


def test_booleans_are_labels_and_what_passes_is_a_copy() -> None:
    assert as_labels([True, False], 2).tolist() == [1, 0]
    labels = np.array([0, 1], np.int32)
    found = as_labels(labels, 2)
    labels[:] = 7
    assert found.tolist() == [0, 1]
    assert as_labels([2**31 - 1], 1).tolist() == [2**31 - 1]


BAD_LABELS: dict[str, tuple[Any, str]] = {
    "None": (None, "labels must be given"),
    "length": ([0, 1, 2, 0], r"inconsistent numbers of samples: \[3, 4\]"),
    "column": ([[0], [1], [2]], r"labels must have shape \(N,\), got \(3, 1\).*ravel"),
    "one-hot": (np.eye(3), r"labels must have shape \(N,\), got \(3, 3\)"),
    "scalar": (1, r"labels must have shape \(N,\), got \(\)"),
    "ragged": ([[0], [1, 2], [0]], "labels cannot be made into an array"),
    "continuous": ([0.0, 0.5, 1.0], "Unknown label type: continuous"),
    "nan": ([0.0, np.nan, 1.0], "Input labels contains NaN"),
    "inf": ([0.0, np.inf, 1.0], "Input labels contains infinity"),
    "None among them": ([0, None, 1], "Input labels contains NaN"),
    "negative": ([0, -1, 1], r"got -1 at index 1.*encode_labels"),
    "2^31": ([0, 1, 2**31], "got 2147483648 at index 2"),
    "2^32": (np.array([0, 1, 2**32]), "got 4294967296 at index 2"),
    "2^63": (np.array([0, 1, 2**63], np.uint64), "got 9223372036854775808 at index 2"),
    "2^70": ([0, 1, 2**70], "at index 2"),
    "1e300": ([0.0, 1.0, 1e300], "at index 2"),
    "text": (["cat", "dog", "cat"], "integers.*got dtype <U3.*encode_labels"),
    "numeric text": (["0", "1", "2"], "integers.*got dtype <U1.*encode_labels"),
    "text and numbers": ([0, "1", 2], "integers.*encode_labels"),
    "text among objects": (np.array([0, "1", 2], object), r"text at index \(1,\).*encode_labels"),
    "dicts": ([{}, {}, {}], r"labels is not numeric at index \(0,\)"),
    "10^400": ([0, 1, 10**400], "labels contains infinity or a value too large"),
    "keys": (jax.random.split(jax.random.key(0), 3), "labels cannot be made into an array"),
    "long doubles": (np.array([0, 1, "1e4000"], np.longdouble), "labels contains infinity"),
    "complex of objects": (np.array([0, 1j, 2], object), "Complex data not supported"),
    "bytes": ([b"\xff", b"a", b"b"], "integers.*encode_labels"),
    "text of objects": (np.array(["a", "b", "c"], object), "integers.*text.*encode_labels"),
    "dates": (np.array(["2020", "2021", "2020"], "M8[Y]"), "datetime64.*encode_labels"),
    "complex": ([0j, 1j, 2j], "integers.*complex128"),
    "pandas NA": (pd.Series([0, None, 1], dtype="Int64"), "labels"),
    "categorical of text": (pd.Categorical(["a", "b", "a"]), "encode_labels"),
    "masked": (np.ma.masked_equal([0, 1, 2], 1), "labels is a masked array"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_told_apart(name: str) -> None:
    labels, message = BAD_LABELS[name]
    with pytest.raises(jaxlin.InputError, match=message):
        as_labels(labels, 3)


# Weights


def test_weights_become_float64() -> None:
    assert as_sample_weight(None, 3).tolist() == [1.0, 1.0, 1.0]
    for weight in ([0, 1, 2], np.array([0, 1, 2], ">f4"), pd.Series([0, 1, 2]), jnp.arange(3)):
        found = as_sample_weight(weight, 3)
        assert found.dtype == np.float64
        assert found.tolist() == [0.0, 1.0, 2.0]
    assert as_sample_weight([1e-300, 1e300], 2).tolist() == [1e-300, 1e300]
    assert as_sample_weight([True, False], 2).tolist() == [1.0, 0.0]
    weight = np.ones(2)
    found = as_sample_weight(weight, 2)
    weight[:] = np.nan
    assert found.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (2.0, "must be 1D array, got 0D array"),
        (np.ones((3, 1)), r"must be 1D array, got 2D array\. .* length 3"),
        (np.ones(4), r"sample_weight\.shape == \(4,\), expected \(3,\)!"),
        ([1.0, np.nan, 1.0], "Input sample_weight contains NaN"),
        ([1.0, None, 1.0], "Input sample_weight contains NaN"),
        ([1.0, np.inf, 1.0], "Input sample_weight contains infinity"),
        ([1.0, 1.0, -0.5], r"must not be negative, got -0\.5 at index 2"),
        ([0.0, 0.0, 0.0], "at least one non-zero number"),
        (["a", "b", "c"], r"sample_weight holds text at index \(0,\)"),
        (["1", "2", "3"], r"sample_weight holds text at index \(0,\)"),
        (np.array([1.0, "2", 3.0], object), r"sample_weight holds text at index \(1,\)"),
        ([1.0, [2.0], 3.0], "sample_weight cannot be made into an array"),
        ([{}, {}, {}], r"sample_weight is not numeric at index \(0,\)"),
        (np.ma.masked_equal([1.0, 2.0, 3.0], 2.0), "sample_weight is a masked array"),
        (np.array([1.0, 2.0, 3.0j]), "Complex data not supported"),
        (jnp.asarray([1.0, 2.0, 3.0j]), "Complex data not supported"),
        ([1, 2, 10**400], "sample_weight contains infinity"),
        (np.array([1, 2, "1e4000"], np.longdouble), "sample_weight contains infinity"),
        (np.array(["2020", "2021", "2022"], "M8[Y]"), "sample_weight must be numeric, got dtype"),
        (jax.random.split(jax.random.key(0), 3), "sample_weight must be numeric, got dtype key"),
    ],
)
def test_bad_weights_are_told_apart(weight: Any, message: str) -> None:
    with pytest.raises(jaxlin.InputError, match=message):
        as_sample_weight(weight, 3)


def test_jax_weights_of_64_bits_need_no_global_switch() -> None:
    with jax.enable_x64(True):
        wide, whole = jnp.asarray([1e300, 0.0]), jnp.asarray([2**40, 0])
    assert as_sample_weight(wide, 2).tolist() == [1e300, 0.0]
    assert as_sample_weight(whole, 2).tolist() == [2.0**40, 0.0]


# Keys and numbers


def key_data(key: Any) -> list[int]:
    return jax.random.key_data(as_key(key)).tolist()


def test_keys_come_in_several_forms() -> None:
    assert key_data(None) == key_data(0) == key_data(jax.random.key(0))
    assert key_data(7) == key_data(np.int64(7)) == key_data(jax.random.PRNGKey(7)) == [0, 7]
    assert key_data(2**32 - 1) == [0, 2**32 - 1]
    assert key_data(jax.random.key(3)) != key_data(4)


@pytest.mark.parametrize(
    "key", [-1, 2**32, 2**63, "1", 1.0, True, np.ones(2), jax.random.split(jax.random.key(0))]
)
def test_what_is_no_key_is_an_error(key: Any) -> None:
    with pytest.raises(jaxlin.InputError, match=r"key must be"):
        as_key(key)


def test_numbers_are_checked() -> None:
    assert check_positive("rate", np.float32(0.5)) == 0.5
    assert check_positive("rate", jnp.asarray(2)) == 2.0
    assert check_positive("rate", jnp.asarray(0.5, jnp.bfloat16)) == 0.5
    assert check_positive("rate", Fraction(1, 2)) == 0.5
    for bad in (
        0.0,
        -1,
        float("nan"),
        float("inf"),
        "1",
        True,
        None,
        [1.0, 2.0],
        10**400,
        1j,
        np.ones(1),
        np.complex64(1j),
        np.True_,
        b"1",
        np.array("1"),
    ):
        with pytest.raises(jaxlin.InputError, match="rate must be a positive, finite number"):
            check_positive("rate", bad)
    assert check_count("steps", np.int64(3)) == 3
    for bad in (2.0, "3", True, None):
        with pytest.raises(jaxlin.InputError, match="steps must be a whole number"):
            check_count("steps", bad)
    for bad in (0, -3):
        with pytest.raises(jaxlin.InputError, match=f"steps must be at least 1, got {bad}"):
            check_count("steps", bad)
