"""The library's door: what passes is a faithful private copy, what does not is told why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import jaxlin
from jaxlin.checks import (
    as_features,
    as_key,
    as_labels,
    as_sample_weight,
    check_count,
    check_positive,
)

F32, F64 = np.float32, np.float64
X = np.random.default_rng(0).normal(size=(6, 3))


def features(x: Any, dtype: Any = F32) -> np.ndarray:
    return np.asarray(as_features(x, dtype))


# Features that pass


def as_fortran(x: np.ndarray) -> Any:
    return np.asfortranarray(x)


def as_strided(x: np.ndarray) -> Any:
    return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]


def as_reversed(x: np.ndarray) -> Any:
    return x[::-1, ::-1].copy()[::-1, ::-1]


def as_transposed(x: np.ndarray) -> Any:
    return x.T.copy().T


def as_read_only(x: np.ndarray) -> Any:
    x = x.copy()
    x.flags.writeable = False
    return x


def as_unaligned(x: np.ndarray) -> Any:
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    view = buffer[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    assert not view.flags.aligned
    return view


def as_big_endian(x: np.ndarray) -> Any:
    return x.astype(">f8")


def as_longdouble(x: np.ndarray) -> Any:
    return x.astype(np.longdouble)


def as_objects(x: np.ndarray) -> Any:
    return x.astype(object)


def as_lists(x: np.ndarray) -> Any:
    return x.tolist()


def as_frame(x: np.ndarray) -> Any:
    return pd.DataFrame(x, columns=["a", "b", "c"])


def as_frame_of_objects(x: np.ndarray) -> Any:
    return pd.DataFrame(x).astype(object)


def as_nullable_frame(x: np.ndarray) -> Any:
    return pd.DataFrame(x).astype("Float64")


VIEWS: list[Callable[[np.ndarray], Any]] = [
    *(as_fortran, as_strided, as_reversed, as_transposed, as_read_only, as_unaligned),
    *(as_big_endian, as_longdouble, as_objects, as_lists),
    *(as_frame, as_frame_of_objects, as_nullable_frame),
]


@pytest.mark.parametrize("dtype", [F32, F64])
@pytest.mark.parametrize("view", VIEWS)
def test_any_form_of_the_same_numbers_gives_the_same_bits(view: Any, dtype: Any) -> None:
    found = as_features(view(X), dtype)
    assert found.dtype == dtype
    assert np.array_equal(found, X.astype(dtype))


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        ("uint8", "uint8"),
        ("int8", "int8"),
        (">i2", "int16"),
        ("uint32", "uint32"),
        ("bool", "bool"),
        ("float16", "float16"),
        (">f2", "float16"),
        ("bfloat16", "bfloat16"),
        ("int64", "float32"),
        ("uint64", "float32"),
        ("float32", "float32"),
        ("float64", "float32"),
    ],
)
def test_narrow_features_stay_as_they_are_and_wide_ones_become_float32(
    dtype: str, kept: str
) -> None:
    values = np.array([[0, 1], [1, 1]])
    x = values.astype(jnp.bfloat16 if dtype == "bfloat16" else dtype)
    found = as_features(x, F32)
    assert found.dtype == kept
    assert np.array_equal(found.astype(jnp.float32), values)


def test_whole_numbers_of_64_bits_are_converted_before_jax_cuts_them() -> None:
    assert features(np.array([[2**40, -(2**40)]])).tolist() == [[2.0**40, -(2.0**40)]]
    assert features(np.array([[2**53 + 2]]), F64).tolist() == [[2.0**53 + 2]]
    assert features([[2**70]]).tolist() == [[2.0**70]]


def test_float64_needs_no_global_switch() -> None:
    found = as_features(X, F64)
    assert found.dtype == jnp.float64
    assert np.array_equal(found, X)
    assert np.array_equal(as_features(found, F32), X.astype(F32))
    with jax.enable_x64(True):  # as fit and evaluate have it, where they were given such an array
        again = as_features(found, F64)
    assert again.dtype == jnp.float64
    assert np.array_equal(again, X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_what_passes_is_a_private_copy(dtype: Any) -> None:
    # Large: JAX may return before it has read an array, and for small ones it is too quick.
    for _ in range(3):
        x = np.ones((3000, 3000), dtype)
        found = as_features(x, F32)
        x[:] = 7
        assert (np.asarray(found) == 1).all()


def test_a_memory_map_is_read_and_not_written(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    X.astype(F32).tofile(path)
    before = path.read_bytes()
    mapped = np.memmap(path, F32, mode="r", shape=X.shape)
    found = as_features(mapped, F32)
    del mapped
    path.write_bytes(b"")  # a map that had reached the device would end the process here
    assert np.array_equal(found, X.astype(F32))
    path.write_bytes(before)


def test_one_row_and_one_column_are_enough() -> None:
    assert features([[3.0]]).shape == (1, 1)
    assert features(X[:1]).shape == (1, 3)
    assert features(X[:, :1]).shape == (6, 1)


# Features that do not


def with_value(value: Any, dtype: Any = np.float64) -> np.ndarray:
    x = X.astype(dtype)
    x[4, 1] = value
    return x


BAD_FEATURES: dict[str, tuple[Any, str]] = {
    "nan": (with_value(np.nan), "^Input X contains NaN.$"),
    "nan in float16": (with_value(np.nan, np.float16), "^Input X contains NaN.$"),
    "nan in bfloat16": (jnp.asarray([[1.0, np.nan]], jnp.bfloat16), "Input X contains NaN."),
    "nan in JAX": (jnp.asarray(with_value(np.nan)), "Input X contains NaN."),
    "inf": (with_value(np.inf), "Input X contains infinity or a value too large for"),
    "-inf": (with_value(-np.inf), "Input X contains infinity or a value too large for"),
    "inf in float16": (with_value(np.inf, np.float16), "Input X contains infinity"),
    "inf in bfloat16": (np.full((2, 2), np.inf, jnp.bfloat16), "Input X contains infinity"),
    "1e39": (with_value(1e39), r"too large for dtype\('float32'\).*1e\+39; pass dtype=jnp.float64"),
    "1e200": (1e200 * X, r"too large for dtype\('float32'\).*pass dtype=jnp.float64"),
    "None": ([[1.0, None]], "Input X contains NaN."),
    "None of objects": (with_value(None, object), "Input X contains NaN."),
    "numeric text": ([["1", "2"]], "X holds text"),
    "text": ([["1.0", "cat"]], "X holds text .*could not convert string to float"),
    "text of objects": (
        np.array([[1.0, "cat"]], object),
        r"not numeric at index \(0, 1\): could not convert string to float: 'cat'",
    ),
    "bytes": (np.array([[b"cat"]]), "X holds text"),
    "dates": (np.array([["2020-01-01"]], "M8[D]"), "X must be numeric, got dtype datetime64"),
    "durations": (np.array([[1]], "m8[s]"), "X must be numeric, got dtype timedelta64"),
    "records": (np.zeros((2, 2), [("a", "f4")]), "X must be numeric"),
    "dicts": ([[{}, {}]], r"X is not numeric at index \(0, 0\)"),
    "complex": (X + 1j, "Complex data not supported"),
    "scalar": (3.0, "Expected 2D array, got scalar array instead"),
    "None alone": (None, "Expected 2D array, got scalar array instead"),
    "1-D": (X[0], r"Expected 2D array, got 1D array instead.*array.reshape\(-1, 1\)"),
    "3-D": (X[None], r"Found array with dim 3.*dim <= 2.*\(1, 6, 3\).*reshape\(len\(X\), -1\)"),
    "no samples": (X[:0], r"^Found array with 0 sample\(s\) \(shape=\(0, 3\)\)"),
    "no features": (
        X[:, :0],
        r"^Found array with 0 feature\(s\) \(shape=\(6, 0\)\) while a minimum of 1 is required.$",
    ),
    "ragged": ([[1.0, 2.0], [3.0]], "X cannot be made into an array: .*inhomogeneous"),
    "masked": (np.ma.masked_less(X, 0.0), r"X is a masked array.*X.filled\(value\)"),
    "pandas NA": (pd.DataFrame({"a": pd.array([1, None], "Int64")}), "Input X contains NaN."),
    "pandas None": (pd.DataFrame({"a": [1.0, None]}), "Input X contains NaN."),
    "pandas text": (pd.DataFrame({"a": [1.0], "b": ["cat"]}), "could not convert string to float"),
    "pandas date": (pd.DataFrame({"a": pd.to_datetime(["2020-01-01"])}), "X must be numeric"),
    "pandas NaT": (pd.DataFrame({"a": pd.to_datetime([None])}), "X must be numeric"),
    "pandas series": (pd.Series([1.0, 2.0]), "Expected 2D array, got 1D array"),
}


@pytest.mark.parametrize("name", BAD_FEATURES)
def test_bad_features_are_told_apart(name: str) -> None:
    x, message = BAD_FEATURES[name]
    with pytest.raises(jaxlin.InputError, match=f"(?s){message}"):
        as_features(x, F32)


def test_a_message_has_the_name_that_it_is_given() -> None:
    with pytest.raises(jaxlin.InputError, match=r"^Input validation X contains NaN.$"):
        as_features([[np.nan]], F32, name="validation X")
    with pytest.raises(jaxlin.InputError, match=r"X has 3 features, but 4 features are expected"):
        as_features(X, F32, num_features=4)
    assert as_features(X, F32, num_features=3).shape == (6, 3)


def test_what_is_too_large_for_float32_passes_in_float64() -> None:
    assert features(with_value(1e39), F64)[4, 1] == 1e39
    assert features(1e200 * X, F64).dtype == F64
    with pytest.raises(jaxlin.InputError, match=r"contains infinity.*float64'\)\.$"):
        as_features(with_value(np.inf), F64)
    with jax.enable_x64(True):
        wide = jnp.asarray(with_value(1e39))
        assert float(as_features(wide, F64)[4, 1]) == 1e39
    with pytest.raises(jaxlin.InputError, match=r"too large for dtype\('float32'\)"):
        as_features(wide, F32)


def test_a_bad_value_beyond_the_first_block_is_seen() -> None:
    x = np.zeros((10_000, 1000), np.float16)  # more than one block of what is looked at
    x[-1, -1] = np.nan
    with pytest.raises(jaxlin.InputError, match=r"Input X contains NaN"):
        as_features(x, F32)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_is_a_type_error_as_in_scikit_learn() -> None:
    with pytest.raises(TypeError, match=r"np.matrix is not supported. Please convert"):
        as_features(np.matrix([[1.0]]), F32)


def test_traced_features_are_told_that_fit_does_not_trace() -> None:
    with pytest.raises(jaxlin.InputError, match=r"X is being traced by JAX"):
        jax.jit(lambda x: as_features(x, F32))(X)


def broken_csr(index: int) -> Any:
    matrix = scipy.sparse.csr_matrix(np.eye(3))
    matrix.indices[1] = index
    return matrix


SPARSE: dict[str, Any] = {
    "csr": scipy.sparse.csr_matrix(X),
    "csr array": scipy.sparse.csr_array(X),
    "duplicates": scipy.sparse.coo_matrix(([1.0, 2.0], ([0, 0], [1, 1])), (6, 3)),
    "64-bit indices": scipy.sparse.csr_matrix(
        (np.ones(1), np.zeros(1, np.int64), np.array([0, 1, 1, 1, 1, 1, 1], np.int64)), (6, 3)
    ),
    "nan": scipy.sparse.csr_matrix(with_value(np.nan)),
    "index out of range": broken_csr(10**6),
    "negative index": broken_csr(-1),
}


@pytest.mark.parametrize("name", SPARSE)
def test_a_sparse_matrix_is_refused_with_what_it_would_take_as_a_dense_one(name: str) -> None:
    x = SPARSE[name]
    size = 8 * x.shape[0] * x.shape[1]
    with pytest.raises(jaxlin.InputError, match=rf"X\.toarray\(\) \(takes {size} bytes\)"):
        as_features(x, F32)


def test_a_huge_sparse_matrix_is_refused_without_being_made_dense() -> None:
    x = scipy.sparse.coo_matrix(([1.0], ([10**6], [10**6])), (2 * 10**6, 2 * 10**6))
    with pytest.raises(jaxlin.InputError, match=r"takes 32,000,000,000,000 bytes"):
        as_features(x, F32)


# What gets past the checks, or through them as another error


@pytest.mark.xfail(reason="the imaginary part of a complex JAX array is dropped with a warning")
def test_complex_jax_features_are_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="Complex data not supported"):
        as_features(jnp.asarray([[1.0 + 2.0j]]), F32)


@pytest.mark.xfail(reason="keys raise NumPy's TypeError")
def test_an_array_of_keys_is_refused() -> None:
    with pytest.raises(jaxlin.InputError):
        as_features(jax.random.split(jax.random.key(0), (2, 3)), F32)


@pytest.mark.xfail(reason="numeric text is refused, but converted where it comes as objects")
def test_numeric_text_is_refused_in_every_form() -> None:
    for x in (np.array([["1", "2"]], object), pd.DataFrame({"a": ["1", "2"]})):
        with pytest.raises(jaxlin.InputError):
            as_features(x, F32)


@pytest.mark.xfail(reason="NumPy warns of the overflow before the error says it")
@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_long_double_beyond_float64_is_refused_without_a_warning(dtype: Any) -> None:
    with pytest.raises(jaxlin.InputError, match="too large"):
        as_features(np.array([[np.longdouble("1e4000")]]), dtype)


@pytest.mark.xfail(reason="Python integers beyond float64 raise OverflowError")
def test_python_integers_beyond_float64_are_refused() -> None:
    with pytest.raises(jaxlin.InputError):
        as_features([[10**400]], F32)


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
    "bytes": ([b"\xff", b"a", b"b"], "integers.*encode_labels"),
    "text of objects": (np.array(["a", "b", "c"], object), "got objects.*encode_labels"),
    "dates": (np.array(["2020", "2021", "2020"], "M8[Y]"), "datetime64.*encode_labels"),
    "complex": ([0j, 1j, 2j], "integers.*complex128"),
    "pandas NA": (pd.Series([0, None, 1], dtype="Int64"), "labels"),
    "categorical of text": (pd.Categorical(["a", "b", "a"]), "encode_labels"),
    "masked": (np.ma.masked_equal([0, 1, 2], 1), "labels are a masked array"),
}


@pytest.mark.parametrize("name", BAD_LABELS)
def test_bad_labels_are_told_apart(name: str) -> None:
    labels, message = BAD_LABELS[name]
    with pytest.raises(jaxlin.InputError, match=message):
        as_labels(labels, 3)


@pytest.mark.xfail(reason="text among objects becomes numbers")
def test_numeric_text_among_objects_is_no_label() -> None:
    with pytest.raises(jaxlin.InputError):
        as_labels(np.array([0, "1", 2], object), 3)


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
        (["a", "b", "c"], "sample_weight must be numeric"),
        ([1.0, [2.0], 3.0], "sample_weight must be numeric"),
        ([{}, {}, {}], "sample_weight must be numeric"),
    ],
)
def test_bad_weights_are_told_apart(weight: Any, message: str) -> None:
    with pytest.raises(jaxlin.InputError, match=message):
        as_sample_weight(weight, 3)


@pytest.mark.parametrize(
    "weight",
    [
        pytest.param(
            np.ma.masked_equal([1.0, 2.0, 3.0], 2.0),
            marks=pytest.mark.xfail(reason="the mask is ignored"),
            id="masked",
        ),
        pytest.param(
            np.array([1.0, 2.0, 3.0j]),
            marks=pytest.mark.xfail(reason="the imaginary part is dropped with a warning"),
            id="complex",
        ),
        pytest.param(
            [1, 2, 10**400],
            marks=pytest.mark.xfail(reason="Python integers beyond float64: OverflowError"),
            id="10^400",
        ),
    ],
)
def test_weights_of_a_wrong_kind_are_errors(weight: Any) -> None:
    with pytest.raises(jaxlin.InputError):
        as_sample_weight(weight, 3)


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
    for bad in (0.0, -1, float("nan"), float("inf"), "1", True, None, [1.0, 2.0]):
        with pytest.raises(jaxlin.InputError, match="rate must be a positive, finite number"):
            check_positive("rate", bad)
    assert check_count("steps", np.int64(3)) == 3
    for bad in (2.0, "3", True, None):
        with pytest.raises(jaxlin.InputError, match="steps must be a whole number"):
            check_count("steps", bad)
    for bad in (0, -3):
        with pytest.raises(jaxlin.InputError, match=f"steps must be at least 1, got {bad}"):
            check_count("steps", bad)
