"""The examples that a finished model is to look at."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxlin import data
from jaxlin.cli.options import reading
from jaxlin.data.loading import check_feature_names, encode_as
from jaxlin.data.values import check_range
from jaxlin.errors import DataFormatError
from jaxlin.model_file import Model


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """Examples for a model.

    Attributes:
      x: raw features (N, D).
      labels: class indices of the model (N,), or None where the data have none.
      part: `"test"`, `"train"` or `"all"`: which part of the data they are.
    """

    x: np.ndarray
    labels: np.ndarray | None
    part: str


def examples_for(
    model: Model, source: str, split: str | None, options: dict[str, Any], *, needs_labels: bool
) -> Judged:
    """Reads DATA for a model: the test set where DATA have one, or what `split` says.

    Raises:
      DataFormatError: the data cannot be read, or do not fit the model.
    """
    num_features = model.params.num_features
    options = {**reading(options), "num_features": num_features}
    raw = data.read(source, **options)
    check_feature_names(model.feature_names, raw.feature_names, source)
    has_test = raw.test_x is not None
    if split == "test" and not has_test:
        raise DataFormatError("has no test set of its own; leave --split away", path=source)
    part = split or ("test" if has_test else "all")
    x, labels = (raw.test_x, raw.test_labels) if part == "test" else (raw.x, raw.labels)
    if x is None:
        raise DataFormatError("has no test set of its own", path=source)
    if labels is None and needs_labels:
        raise DataFormatError(
            "has no labels to compare with; for a table say --label-column, for .npy --labels",
            path=source,
        )
    dtype = str(model.params.W.dtype)
    check_range(x, dtype, source, f"The model was trained in {dtype}.")
    codes = (
        encode_as(labels, model.classes, source) if labels is not None and needs_labels else None
    )
    return Judged(x, codes, part)
