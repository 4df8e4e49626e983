"""Features at the library's door: a faithful private copy, or an error that says why not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import jaxlin
from jaxlin.checks import as_features

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


def test_objects_that_are_numbers_are_converted() -> None:
    x = np.array([[Decimal("1.5"), Fraction(1, 4), True, np.float32(2.0), 2**70]], object)
    assert features(x).tolist() == [[1.5, 0.25, 1.0, 2.0, 2.0**70]]


@pytest.mark.parametrize("dtype", [F32, F64])
def test_jax_arrays_of_64_bits_need_no_global_switch(dtype: Any) -> None:
    with jax.enable_x64(True):
        whole, wide = jnp.asarray([[2**40, -1]]), jnp.asarray([[2.0**40, -1.0]])
    for x in (whole, wide):
        found = as_features(x, dtype)
        assert found.dtype == dtype
        assert found.tolist() == [[2.0**40, -1.0]]


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
    **{
        f"numeric text in {kind}": (
            x,
            r"X holds text at index \(0, 0\): could not convert string to float: '1'. "
            "Convert your data to numeric values explicitly instead.",
        )
        for kind, x in {
            "lists": [["1", "2"]],
            "an array": np.array([["1", "2"]]),
            "objects": np.array([["1", 2]], object),
            "NumPy objects": np.array([[np.str_("1"), 2]], object),
            "a frame": pd.DataFrame({"a": ["1", "2"]}),
            "a frame of text": pd.DataFrame({"a": ["1", "2"]}, dtype="string"),
        }.items()
    },
    "text": ([["cat", "1.0"]], "X holds text .*could not convert string to float: 'cat'"),
    "text of objects": (
        np.array([[1.0, "cat"]], object),
        r"X holds text at index \(0, 1\): could not convert string to float: 'cat'",
    ),
    "bytes": (np.array([[b"cat"]]), "X holds text"),
    "bytes of objects": (np.array([[1, b"1"]], object), r"X holds text at index \(0, 1\)"),
    "dates": (np.array([["2020-01-01"]], "M8[D]"), "X must be numeric, got dtype datetime64"),
    "durations": (np.array([[1]], "m8[s]"), "X must be numeric, got dtype timedelta64"),
    "records": (np.zeros((2, 2), [("a", "f4")]), "X must be numeric"),
    "dicts": ([[{}, {}]], r"X is not numeric at index \(0, 0\)"),
    "complex": (X + 1j, "Complex data not supported"),
    "complex in JAX": (jnp.asarray([[1.0 + 2.0j]]), "Complex data not supported"),
    "complex of objects": (np.array([[1.0, 2.0j]], object), "Complex data not supported"),
    "keys": (jax.random.split(jax.random.key(0), (2, 3)), "X must be numeric, got dtype key"),
    "10^400": ([[10**400]], r"X contains infinity or a value too large for dtype\('float64'\)"),
    "-10^400": ([[1, -(10**400)]], r"a value too large for dtype\('float64'\)"),
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
    "masked rows": ([np.ma.masked_less(row, 0.0) for row in X], "X is a masked array"),
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


@pytest.mark.parametrize("dtype", [F32, F64])
def test_a_long_double_beyond_float64_is_refused_without_a_warning(dtype: Any) -> None:
    with pytest.raises(jaxlin.InputError, match="too large"):
        as_features(np.array([[np.longdouble("1e4000")]]), dtype)


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
