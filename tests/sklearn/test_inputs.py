"""What the estimators are given, and what they say where it is wrong."""

from __future__ import annotations

import datetime
from typing import Any

import jax.numpy as jnp
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.utils._param_validation import InvalidParameterError

from jaxlin import InputError
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, MinibatchClassifier, inputs

# One shape for all, so that one program serves.
X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 2
EVERY = [LinearClassifier, LinearClassifierCV, MinibatchClassifier]


class Tensor:
    """What PyTorch's tensors have: DLPack and no `__array__`."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape = values, values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


def damaged(row: int, column: int) -> scipy.sparse.coo_array:
    """An index outside of the matrix, which SciPy does not look at again."""
    matrix = scipy.sparse.coo_array(X)
    matrix.row[0], matrix.col[0] = row, column
    return matrix


def csr_with(index: int) -> scipy.sparse.csr_array:
    matrix = scipy.sparse.csr_array(X)
    matrix.indices[0] = index
    return matrix


def changed(value: Any, dtype: Any = float) -> np.ndarray:
    wrong = X.astype(dtype)
    wrong[3, 1] = value
    return wrong


FEATURES = [
    (changed(np.nan), ValueError, "Input X contains NaN"),
    (changed(np.inf), ValueError, "Input X contains infinity"),
    (X.astype(complex), ValueError, "Complex data not supported"),
    (X[:, 0], ValueError, "Expected 2D array"),
    (X[None], ValueError, "Found array with dim 3"),
    (X[:0], ValueError, "inconsistent|minimum of 1 is required"),
    (X[:, :0], ValueError, r"0 feature\(s\)"),
    (X[:5], ValueError, "inconsistent numbers of samples"),
    ([[1.0], [1.0, 2.0]] * 6, ValueError, "inhomogeneous"),
    (np.full((12, 3), "text"), ValueError, "could not convert string|numeric"),
    (np.full((12, 3), "1.5"), ValueError, "numeric"),
    (changed(None, object), ValueError, "Input X contains NaN"),
    (pd.DataFrame(X).round().astype("Int64").mask(X > 1.0), ValueError, "(?i)nan?"),
    (np.ma.masked_array(X, X > 1), InputError, "masked array"),
    (scipy.sparse.csr_array(changed(np.nan)), ValueError, "Input X contains NaN"),
    (damaged(12, 0), InputError, "row index 12 is outside of 0..11"),
    (damaged(0, -1), InputError, "column index -1 is outside of 0..2"),
    (csr_with(3), InputError, "is damaged"),
    (csr_with(-1), InputError, "is damaged"),
    (pd.DataFrame(X, columns=["a", "b", 3]), TypeError, "string names"),
]


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize(("features", "error", "words"), FEATURES)
def test_features_that_are_refused(
    estimator: Any, features: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        estimator().fit(features, Y)


def test_np_matrix_is_refused() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix(X)
    with pytest.raises(TypeError, match=r"np.matrix is not supported"):
        LinearClassifier().fit(matrix, Y)


def test_a_value_beyond_float32_is_refused_where_float32_was_asked_for() -> None:
    with pytest.raises(InputError, match=r"too large for dtype.*pass dtype='float64'"):
        LinearClassifier(dtype="float32").fit(changed(1e39), Y)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("factor", [1e30, 1e200, 1e308, 1e-300])
def test_features_of_any_size_end_in_finite_weights_or_in_an_error(factor: float) -> None:
    with np.errstate(over="ignore"):
        x = np.clip(X * factor, -1.7e308, 1.7e308)
    try:
        model = LinearClassifier().fit(x, Y)
    except ValueError as error:
        assert "large" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(model.coef_).all()


WITHOUT_CHANGE = {
    "list": X.tolist(),
    "Fortran": np.asfortranarray(X),
    "reversed": np.flipud(np.ascontiguousarray(np.flipud(X))),
    "strided": np.repeat(X, 2, axis=1)[:, ::2],
    "big-endian": X.astype(">f8"),
    "objects": X.astype(object),
    "pandas": pd.DataFrame(X, columns=list("abc")),
    "polars": pl.DataFrame(X, schema=list("abc")),
    "pyarrow": pa.table({name: X[:, i] for i, name in enumerate("abc")}),
    "DLPack": Tensor(X),
    "csr": scipy.sparse.csr_array(X),
    "csc": scipy.sparse.csc_matrix(X),
    "csr, unsorted": scipy.sparse.csr_array(
        (X[:, ::-1].ravel(), np.tile([2, 1, 0], 12), np.arange(0, 37, 3)), shape=X.shape
    ),
    "coo with duplicates": scipy.sparse.coo_array(
        (np.concatenate([X.ravel(), X.ravel()]) / 2, np.tile(np.indices(X.shape).reshape(2, -1), 2))
    ),
    "lil": scipy.sparse.lil_array(X),
}


@pytest.mark.parametrize("name", WITHOUT_CHANGE)
def test_the_same_numbers_in_another_form_give_the_same_model(name: str) -> None:
    features = WITHOUT_CHANGE[name]
    expected = LinearClassifier().fit(X, Y)
    found = LinearClassifier().fit(features, Y)
    np.testing.assert_array_equal(found.coef_, expected.coef_)
    np.testing.assert_allclose(found.decision_function(features), expected.decision_function(X))


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow"])
def test_a_table_gives_its_names(name: str) -> None:
    table = WITHOUT_CHANGE[name]
    model: Any = LinearClassifier().fit(table, Y)
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)
    other = pd.DataFrame(X, columns=list("bac"))
    with pytest.raises(ValueError, match="feature names"):
        model.predict(other)


def test_sparse_indices_of_64_bits_are_taken() -> None:
    matrix = scipy.sparse.csr_array(X)
    matrix.indices, matrix.indptr = (a.astype(np.int64) for a in (matrix.indices, matrix.indptr))
    expected = LinearClassifier().fit(X, Y).coef_
    np.testing.assert_array_equal(LinearClassifier().fit(matrix, Y).coef_, expected)


def test_sparse_features_that_would_not_fit_are_refused_with_the_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inputs, "LARGEST_DENSE_BYTES", 30)
    kinds = [
        ("float64", None, 288), ("float32", None, 144), ("float32", "float64", 288),
        ("int32", None, 288), ("int64", "float32", 288), ("uint8", "float64", 36),
    ]  # fmt: skip
    for kind, dtype, size in kinds:
        x = scipy.sparse.csr_array(np.abs(10 * X).astype(kind))
        with pytest.raises(InputError, match=rf"it would take {size} bytes, and at most 30 "):
            LinearClassifier(dtype=dtype).fit(x, Y)


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [("float32", "float32"), ("float64", "float64"), ("uint8", "float32"), ("bool", "float32"),
     ("float16", "float32"), ("int64", "float64"), ("longdouble", "float64")],
)  # fmt: skip
def test_the_dtype_of_the_features_is_kept(dtype: str, kept: str) -> None:
    x = np.abs(10 * X).astype(dtype)
    model = LinearClassifier().fit(x, Y)
    assert model.coef_.dtype == kept
    wide = LinearClassifier().fit(x.astype(np.float64), Y)
    np.testing.assert_allclose(model.coef_, wide.coef_, rtol=1e-5, atol=1e-7)


def test_jax_arrays_are_taken_bfloat16_too() -> None:
    x = jnp.asarray(X, jnp.bfloat16)
    model = LinearClassifier().fit(x, jnp.asarray(Y))
    expected = LinearClassifier().fit(np.asarray(x, np.float32), Y)
    np.testing.assert_array_equal(model.coef_, expected.coef_)
    np.testing.assert_array_equal(model.predict(x), expected.predict(np.asarray(x, np.float32)))


LABELS = [
    (np.zeros(12), ValueError, "only one class"),
    (X[:, 0], ValueError, "continuous"),
    ([1, "a"] * 6, InputError, "numbers and str"),
    (np.array([1, "a"] * 6, object), InputError, "numbers and str"),
    (np.array([b"a", b"b"] * 6), (TypeError, ValueError), "bytes"),
    (np.where(Y, np.nan, 0.0), ValueError, "Input y contains NaN"),
    (np.where(Y, np.inf, 0.0), ValueError, "Input y contains infinity"),
    (np.eye(2)[Y], ValueError, "1d array"),
    (None, ValueError, "requires y to be passed"),
    (pd.Series([1, pd.NA] * 6, dtype="Int64"), ValueError, "(?i)na"),
    (np.ma.masked_array(Y, X[:, 0] > 1), InputError, "y is a masked array"),
]


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize(("labels", "error", "words"), LABELS)
def test_labels_that_are_refused(estimator: Any, labels: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        estimator().fit(X, labels)


@pytest.mark.parametrize(
    "labels",
    [
        Y.astype(float),
        Y.astype(bool),
        Y - 5,
        Y.astype(np.uint64) + 2**63,
        np.where(Y, "<b>", "a,\nb"),
        np.where(Y, "<b>", "a").astype(object),
        np.array([datetime.date(2020, 1, 1), datetime.date(2021, 1, 1)], "datetime64[D]")[Y],
        pd.Series(np.where(Y, "x", "y"), dtype="category"),
        pl.Series(np.where(Y, "x", "y")),
        jnp.asarray(Y),
    ],
    ids=lambda labels: str(getattr(labels, "dtype", type(labels))),
)
def test_labels_of_every_kind_come_back(labels: Any) -> None:
    model = LinearClassifier().fit(X, labels)
    assert set(model.predict(X).tolist()) <= set(np.asarray(labels).tolist())
    np.testing.assert_array_equal(model.classes_, np.unique(np.asarray(labels)))


def test_a_column_of_labels_is_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
        model = LinearClassifier().fit(X, Y[:, None])
    np.testing.assert_array_equal(model.coef_, LinearClassifier().fit(X, Y).coef_)


ONES = np.ones(12)
WEIGHTS = [
    (np.where(Y, np.nan, 1.0), "NaN"),
    (np.where(Y, np.inf, 1.0), "infinity"),
    (ONES[:, None], "1D array"),
    (ONES[:-1], r"expected \(12,\)"),
    (np.where(Y, -1.0, 1.0), "must not be negative, got -1.0 at index 1"),
    (0 * ONES, "at least one non-zero"),
    (Y.astype(float), "only one class"),
    (np.ma.masked_array(ONES, Y == 1), "sample_weight is a masked array"),
]


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize(("weight", "words"), WEIGHTS)
def test_weights_that_are_refused(estimator: Any, weight: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimator().fit(X, Y, sample_weight=weight)


PARAMETERS = [
    *({"class_weight": value} for value in ({2: 1.0}, {0: -1.0}, {0: np.nan}, {0: "1"})),
    *({"l2": value} for value in (-1.0, np.nan, np.inf, "1", None)),
    *({"random_state": value} for value in (-1, 2**63, "seed")),
    {"loss": "hinge"},
    {"dtype": "float16"},
    {"dtype": int},
    {"probabilities": "yes"},
]


@pytest.mark.parametrize("arguments", PARAMETERS, ids=str)
def test_parameters_are_refused_when_fitting(arguments: dict[str, Any]) -> None:
    model = LinearClassifier(**arguments)
    with pytest.raises(ValueError, match=next(iter(arguments))):
        model.fit(X, Y)


@pytest.mark.parametrize(
    "arguments",
    [{"C": 0.0}, {"C": -1.0}, {"tol": 0.0}, {"max_iter": -1}, {"max_iter": 1.5}, {"solver": "sag"}],
    ids=str,
)
def test_parameters_of_the_way_to_the_optimum_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(arguments))):
        LinearClassifier(**arguments).fit(X, Y)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.nan, np.inf, "fast"])
def test_learning_rates_are_refused(rate: Any) -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        MinibatchClassifier(learning_rate=rate).fit(X, Y)


@pytest.mark.parametrize("l2s", [[], [0.0], [1.0, np.inf], [[1.0]], ["a"]])
def test_values_of_l2_are_refused(l2s: Any) -> None:
    with pytest.raises(InputError, match="l2s must be positive, finite numbers"):
        LinearClassifierCV(l2s=l2s).fit(X, Y)


@pytest.mark.parametrize("loss", ["softmax", "svm"])
def test_values_of_l2_that_repeat_are_refused_by_name(loss: str) -> None:
    with pytest.raises(InputError, match=r"^l2s has 0\.1 twice"):
        LinearClassifierCV(loss, l2s=[0.1, 1.0, 0.1]).fit(X, Y)


def test_prediction_says_what_is_wrong() -> None:
    with pytest.raises(NotFittedError):
        LinearClassifier().predict(X)
    model = LinearClassifier().fit(X, Y)
    with pytest.raises(ValueError, match="X has 2 features, but LinearClassifier is expecting 3"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        model.predict(X[:0])


@pytest.mark.parametrize("kind", [scipy.sparse.lil_array, scipy.sparse.dok_array])
def test_damaged_lists_of_sparse_entries_are_refused(kind: Any) -> None:
    x = kind(X)
    np.testing.assert_allclose(
        LinearClassifier().fit(x, Y).coef_, LinearClassifier().fit(X, Y).coef_
    )
    if kind is scipy.sparse.lil_array:
        x.rows[0][0] = -1
    else:
        x._dict[(0, 99)] = 1.0
    with pytest.raises(InputError, match=r"is damaged: column index (-1|99) is outside of 0\.\."):
        LinearClassifier().fit(x, Y)


def test_sparse_features_of_one_dimension_are_refused() -> None:
    with pytest.raises(InputError, match="Expected 2D array"):
        LinearClassifier().fit(scipy.sparse.coo_array(np.ones(3)), [0, 1, 0])


def test_calibration_is_of_the_last_fit_alone() -> None:
    model: Any = LinearClassifier("squared_svm", probabilities="calibrated").fit(X, Y)
    assert model.predict_proba(X).shape == (len(Y), len(np.unique(Y)))
    model.set_params(probabilities=None).fit(X, Y[::-1])
    with pytest.raises(InputError, match="no calibrated probabilities"):
        model.set_params(probabilities="calibrated").predict_proba(X)


THREE = np.where(np.arange(12) < 3, 2, Y)


@pytest.mark.parametrize("weight", [None, {0: 5.0, 1: 0.5}], ids=["", "class_weight"])
@pytest.mark.parametrize(
    ("codes", "labels"),
    [
        (Y, [-1, 1]), (Y, [1.0, 2.0]), (Y, [0, 10**9]), (Y, [False, True]),
        (THREE, [1, 2, 3]), (THREE, ["a", "b", "c"]), (THREE, ["a", "bb", 10 * "c"]),
    ],
    ids=str,
)  # fmt: skip
def test_calibration_is_the_same_whatever_the_labels_are(
    codes: np.ndarray, labels: list[Any], weight: dict[int, float] | None
) -> None:
    x, options = X + 1.5 * np.eye(3)[codes], {"l2": 0.1, "probabilities": "calibrated"}
    expected = LinearClassifier("squared_svm", class_weight=weight, **options).fit(x, codes)
    named = None if weight is None else {labels[code]: value for code, value in weight.items()}
    model = LinearClassifier("squared_svm", class_weight=named, **options)
    model.fit(x, np.array(labels)[codes])
    np.testing.assert_array_equal(model.predict_proba(x), expected.predict_proba(x))
    assert model.classes_.tolist() == labels
    temperature, other = (
        m.calibrator_.calibrated_classifiers_[0].calibrators[0].beta_ for m in (model, expected)
    )
    assert temperature == other
    assert 1e-3 < temperature < 1e3  # it is looked for between exp(-10) and exp(10)


def test_calibrated_probabilities_are_of_the_scores_that_predict() -> None:
    model: Any = MinibatchClassifier("squared_svm", l2=0.1, epochs=20, probabilities="calibrated")
    model.set_params(warm_start=True).fit(X, Y).fit(X, Y)
    beta = model.calibrator_.calibrated_classifiers_[0].calibrators[0].beta_
    scores = model.decision_function(X)
    expected = 1.0 / (1.0 + np.exp(-2.0 * beta * scores))
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], expected, rtol=1e-12)


@pytest.mark.parametrize("of", [Tensor, jnp.asarray], ids=["DLPack", "JAX"])
@pytest.mark.parametrize("estimator", EVERY)
def test_tensors_are_calibrated_as_arrays_are(estimator: Any, of: Any) -> None:
    x, weight = X.astype(np.float32), np.ones(12, np.float32)
    make = estimator(**({"l2s": [0.1], "cv": 3} if estimator is LinearClassifierCV else {}))
    make.set_params(loss="squared_svm", probabilities="calibrated")
    expected = make.fit(x, Y, weight).predict_proba(x)
    found = make.fit(of(x), of(Y), of(weight)).predict_proba(of(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("estimator", [LinearClassifier, MinibatchClassifier])
def test_folds_of_a_calibration_are_no_more_than_a_class_has_examples(estimator: Any) -> None:
    model = estimator("squared_svm", probabilities="calibrated")
    labels = Y.copy()
    labels[:3] = 2
    model.fit(X, labels)
    assert len(model.calibrator_.cv) == 3
    labels[1:3] = 1
    with pytest.raises(InputError, match=r"2 examples of every class.*; class 2 has 1. Leave that"):
        model.fit(X, labels)


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.parametrize("estimator", EVERY)
def test_features_that_say_nothing_and_a_class_of_one_example_fit(estimator: Any) -> None:
    x, labels = X.copy(), Y.copy()
    x[:, 0], x[:, 1], labels[3] = 0.0, 7.0, 2
    model = estimator(random_state=2**32 - 1).fit(x, labels)
    assert np.isfinite(model.coef_).all()
    assert not model.coef_[:, 0].any()
    assert model.classes_.tolist() == [0, 1, 2]
    assert np.isfinite(model.predict_proba(x)).all()


@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
def test_every_split_of_a_calibration_needs_every_class() -> None:
    labels = Y.copy()
    labels[0] = 2
    model = LinearClassifierCV("squared_svm", l2s=[0.1], cv=2, probabilities="calibrated")
    with pytest.raises(InputError, match=r"split 0 of cv has none of class 2\. Choose"):
        model.fit(X, labels)
