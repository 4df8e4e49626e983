"""The rows that an estimator is to be fitted to, checked, and what each of them counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import validate_data

from jaxlin.errors import InputError
from jaxlin.sklearn.inputs import (
    checked_labels,
    computed_in,
    dense,
    encoded,
    known_features,
    row_weights,
)


class Training(NamedTuple):
    """What to train on; rows of sample weight 0 are left out.

    Attributes:
      x: features (N, D), C-ordered.
      codes: class indices (N,) int32.
      classes: the labels (C,).
      weight: of each row, class weights included, float64 (N,); None where all are 1.
      score_weight: of each row, class weights left out; None where none were given.
      dtype: that is computed in.
      kept: which of the user's rows these are, (N,) int64; None for all of them.
      all_codes: of the user's rows.
    """

    x: np.ndarray
    codes: np.ndarray
    classes: np.ndarray
    weight: np.ndarray | None
    score_weight: np.ndarray | None
    dtype: np.dtype
    kept: np.ndarray | None
    all_codes: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(C, D)."""
        return len(self.classes), self.x.shape[1]

    @property
    def total_weight(self) -> float:
        """What stands for N in other libraries' scales."""
        return float(len(self.codes)) if self.weight is None else float(self.weight.sum())

    def counting(self) -> Training:
        """Without the rows that count nothing in fits: those of a class that weighs 0."""
        return self._without_zeros(self.weight)

    def scored(self) -> Training:
        """Without the rows that count nothing in scores: those of sample weight 0."""
        return self._without_zeros(self.score_weight)

    def _without_zeros(self, weight: np.ndarray | None) -> Training:
        if weight is None or weight.all():
            return self
        rows = np.flatnonzero(weight)
        return self._replace(
            x=self.x[rows],
            codes=self.codes[rows],
            weight=None if self.weight is None else self.weight[rows],
            score_weight=None if self.score_weight is None else self.score_weight[rows],
            kept=rows if self.kept is None else self.kept[rows],
        )


def training_of(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, scores: bool = False
) -> Training:
    """What an estimator's `fit` is given, checked, without the rows that do not count.

    Args:
      estimator: whose dtype and class weights are meant.
      X: features (N, D).
      y: labels (N,).
      sample_weight: (N,), or None.
      scores: whether rows are to be scored as well: these of a class that weighs 0 then stay.

    Raises:
      ValueError: an argument is not what it has to be (`InputError`, or scikit-learn's own).
    """
    x, y = validate_data(
        estimator, known_features(X), checked_labels(y), accept_sparse=["csr", "csc"]
    )
    classes, codes = encoded(y)
    dtype = computed_in(x, estimator.dtype)
    x = dense(x, dtype)
    weight = row_weights(sample_weight, estimator.class_weight, codes, classes)
    score_weight = row_weights(sample_weight, None, codes, classes)
    data = Training(x, codes, classes, weight, score_weight, dtype, None, codes)
    _check_several(codes if weight is None else codes[weight > 0.0], classes)
    return data.scored() if scores else data.counting()


def _check_several(codes: np.ndarray, classes: np.ndarray) -> None:
    """Raises `InputError` where only one class has examples that count."""
    present = np.unique(codes)
    if len(present) < 2:
        raise InputError(
            "This classifier needs samples of at least 2 classes in the data, but the data "
            f"contains only one class: {classes[present[0]]!r}"
            + (" (the others have no weight)." if len(classes) > 1 else ".")
        )
