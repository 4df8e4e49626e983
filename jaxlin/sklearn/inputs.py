"""What the estimators are given, as arrays: features, labels, weights; or what is wrong with them.

scikit-learn's own checks do most of it and say it in their words. Around them stands what they let
pass: a mask that would be ignored, indices of a sparse matrix that lie outside of it, labels of two
kinds, negative weights.
"""

from __future__ import annotations

from numbers import Number, Real
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.utils.multiclass import check_classification_targets

from jaxlin.arrays import is_floating_dtype
from jaxlin.checks import as_sample_weight
from jaxlin.errors import InputError

# Sparse features become dense ones, up to this size.
LARGEST_DENSE_BYTES = 1 << 32

# Numbers whose squares, many of them added up, float64 holds.
_LARGEST = 1e150


def known_features(X: Any) -> Any:
    """Features in a form that scikit-learn's checks know; those it does are left as they are."""
    if scipy.sparse.issparse(X):
        if X.ndim != 2:
            raise InputError(f"Expected 2D array, got a sparse array with shape {X.shape} instead.")
        if X.format in ("lil", "dok"):  # whose indices nothing else looks at
            X = _listed(X)
        check_indices(X)
        return X
    is_table = hasattr(X, "columns") or hasattr(X, "column_names")
    return _readable(X if is_table else known_array(X, "X"))


def known_array(values: Any, name: str) -> Any:
    """Tensors and JAX arrays as NumPy arrays; everything else as it is.

    Raises:
      InputError: a tensor that NumPy cannot take; or a masked array.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{name} is a masked array, whose mask would be ignored. Fill it first.")
    if isinstance(values, np.ndarray) or not hasattr(values, "__dlpack__"):
        return values
    try:
        return np.asarray(values) if hasattr(values, "__array__") else np.from_dlpack(values)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise InputError(
            f"{name}, a {type(values).__name__}, cannot be made into a NumPy array: {error} Bring "
            "it to the CPU, without a gradient and in a dtype that NumPy has."
        ) from None


def _readable(X: Any) -> Any:
    """bfloat16 and the like, which NumPy takes for bytes, as float32."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "V" and is_floating_dtype(X.dtype):
        return X.astype(np.float32)
    return X


def _listed(X: Any) -> Any:
    """A sparse matrix of Python lists or a dictionary, as its entries one by one."""
    if X.format == "dok":
        pairs, values = list(X.keys()), list(X.values())
    else:
        pairs = [(i, j) for i, columns in enumerate(X.rows) for j in columns]
        values = [value for row in X.data for value in row]
    try:
        places = np.array(pairs, np.int64).reshape(len(values), 2)
    except (ValueError, OverflowError) as error:
        raise InputError(f"X, a sparse matrix of shape {X.shape}, is damaged: {error}.") from None
    for axis, what in enumerate(("row", "column")):
        outside = places[(places[:, axis] < 0) | (places[:, axis] >= X.shape[axis]), axis]
        if len(outside):
            raise InputError(
                f"X, a sparse matrix of shape {X.shape}, is damaged: {what} index {outside[0]} is "
                f"outside of 0..{X.shape[axis] - 1}."
            )
    return scipy.sparse.coo_array((np.array(values, X.dtype), tuple(places.T)), shape=X.shape)


def check_indices(X: Any) -> None:
    """Raises `InputError` for a sparse matrix whose indices lie outside of it."""
    num_rows, num_columns = X.shape
    try:
        if X.format in ("csr", "csc", "bsr"):
            X.check_format(full_check=True)
        elif X.format == "coo":
            for places, size, what in ((X.row, num_rows, "row"), (X.col, num_columns, "column")):
                if len(places) and not 0 <= places.min() <= places.max() < size:
                    outside = places[(places < 0) | (places >= size)][0]
                    raise ValueError(f"{what} index {outside} is outside of 0..{size - 1}")
    except ValueError as error:
        raise InputError(f"X, a sparse matrix of shape {X.shape}, is damaged: {error}.") from None


def computed_in(x: Any, dtype: Any) -> np.dtype:
    """float32 or float64: what was asked for; else that of x, or what holds its values.

    >>> [computed_in(np.zeros(1, kind), None).name for kind in ("float32", "uint8", "int64")]
    ['float32', 'float32', 'float64']
    """
    if dtype is not None:
        try:
            wanted = np.dtype(dtype)
        except TypeError:
            wanted = None
        if wanted not in (np.float32, np.float64):
            raise InputError(f"dtype must be float32 or float64, got {dtype!r}.")
        return np.dtype(wanted)
    narrow = x.dtype == np.float32 or x.dtype.itemsize <= 2 or x.dtype.kind == "b"
    return np.dtype(np.float32 if narrow else np.float64)


def dense(x: Any, dtype: np.dtype) -> np.ndarray:
    """Checked features as one C-ordered array of a native dtype, sparse ones filled up."""
    widened = dtype.itemsize if x.dtype.itemsize > 2 else 0  # narrow ones stay as they are
    if scipy.sparse.issparse(x):
        size = int(np.prod(x.shape, dtype=np.int64)) * max(x.dtype.itemsize, widened)
        if size > LARGEST_DENSE_BYTES:
            raise InputError(
                f"X is sparse; as a dense array of shape {x.shape} it would take {size:,} bytes, "
                f"and at most {LARGEST_DENSE_BYTES:,} are taken. Choose or combine features first "
                "(sklearn.feature_selection, TruncatedSVD), or give the rows in parts to "
                "MinibatchClassifier.partial_fit."
            )
        x = x.toarray()
    if widened and x.dtype != dtype:
        with np.errstate(over="ignore"):
            narrowed = x.astype(dtype, order="C")
        if not np.isfinite(narrowed).all():
            raise InputError(
                f"Input X contains infinity or a value too large for {dtype!r}. Its largest value "
                f"is {np.abs(x).max():.3g}; pass dtype='float64'."
            )
        x = narrowed
    if x.dtype == np.float64 and max(x.max(), -x.min()) > _LARGEST:
        raise InputError(
            "X is so large that float64 cannot hold its squares: it goes up to "
            f"{np.abs(x).max():.3g}. Scale the features (sklearn.preprocessing.StandardScaler), or "
            "give them in another unit."
        )
    return np.ascontiguousarray(x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("=")))


def checked_labels(y: Any, name: str = "y") -> Any:
    """Labels that scikit-learn's checks may look at: of one kind, which they do not see."""
    y = known_array(y, name)
    if isinstance(y, list | tuple) or getattr(getattr(y, "dtype", None), "kind", "") == "O":
        kinds = {_kind(value) for value in np.ravel(np.array(y, dtype=object))}
        if len(kinds) > 1:
            found = " and ".join(sorted(kinds))
            raise InputError(f"{name} must hold labels of one kind, got {found}.")
    return y


def _kind(value: Any) -> str:
    if isinstance(value, Number | np.bool_):
        return "numbers"
    return "str" if isinstance(value, str) else type(value).__name__


def encoded(y: np.ndarray, classes: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The classes, and the index of each checked label among them, int32 (N,).

    Args:
      y: labels (N,).
      classes: sorted, where they have been declared; None takes those that occur.

    Raises:
      InputError: labels that are not among the declared.
      ValueError: labels that name no classes.
    """
    check_classification_targets(y)
    found, codes = np.unique(y, return_inverse=True)
    if classes is None:
        return found, codes.reshape(-1).astype(np.int32)
    unknown = np.setdiff1d(found, classes)
    if len(unknown):
        raise InputError(
            f"y has the label {unknown.tolist()[0]!r}, which is not among the classes that were "
            f"declared: {classes.tolist()!r:.200}."
        )
    return classes, np.searchsorted(classes, y).astype(np.int32)


def row_weights(
    sample_weight: Any,
    class_weight: Any,
    codes: np.ndarray,
    classes: np.ndarray,
    *,
    can_be_zero: bool = False,
) -> np.ndarray | None:
    """What each row counts, float64 (N,); None where all count 1.

    Args:
      sample_weight: (N,), one for all, or None.
      class_weight: a dict by label, `"balanced"`, or None.
      codes: class indices (N,).
      classes: the labels (C,).
      can_be_zero: whether all may be.

    Raises:
      InputError: weights that are negative, or not numbers, or of classes that there are not.
    """
    if sample_weight is None and class_weight is None:
        return None
    if isinstance(sample_weight, Number):
        sample_weight = np.full(len(codes), sample_weight)
    sample_weight = known_array(sample_weight, "sample_weight")
    weight = as_sample_weight(sample_weight, len(codes), can_be_zero=can_be_zero)
    if class_weight is None or (isinstance(class_weight, dict) and not class_weight):
        return weight
    of_class = np.ones(len(classes))
    if isinstance(class_weight, str):  # "balanced"
        mass = np.bincount(codes, weights=weight, minlength=len(classes))
        present = mass > 0.0
        of_class[present] = mass.sum() / (present.sum() * mass[present])
        return weight * of_class[codes]
    place = {label: index for index, label in enumerate(classes.tolist())}
    unknown = [label for label in class_weight if label not in place]
    if unknown:
        raise InputError(f"The classes, {unknown}, are not in the data, but are in class_weight.")
    for label, value in class_weight.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and 0.0 <= float(value) < np.inf):
            raise InputError(
                f"class_weight must hold finite numbers that are not negative, got {value!r} for "
                f"{label!r}."
            )
        of_class[place[label]] = float(value)
    weight = weight * of_class[codes]
    if not (can_be_zero or weight.any()):
        raise InputError("class_weight and sample weights leave every row a weight of zero.")
    return weight
