"""The examples that a finished model is to look at."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
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
      x: raw features (N, D), an array or where they are on the disk.
      labels: class indices of the model (N,).
      part: `"test"`, `"train"` or `"all"`: which part of the data they are.
    """

    x: np.ndarray | data.FileRows
    labels: np.ndarray
    part: str


def examples_for(model: Model, source: str, split: str | None, options: dict[str, Any]) -> Judged:
    """Reads DATA for a model, labels too: the test set where DATA have one, or what `split` says.

    Raises:
      DataFormatError: the data cannot be read, or do not fit the model.
    """
    options = {**reading(options), **_expected(model)}
    raw = data.read(source, **options)
    check_feature_names(model.feature_names, raw.feature_names, source)
    has_test = raw.test_x is not None
    if split == "test" and not has_test:
        raise DataFormatError("has no test set of its own; leave --split away", path=source)
    part = split or ("test" if has_test else "all")
    x, labels = (raw.test_x, raw.test_labels) if part == "test" else (raw.x, raw.labels)
    if x is None:
        raise DataFormatError("has no test set of its own", path=source)
    if labels is None:
        raise DataFormatError(
            "has no labels to compare with; say where they are: --label-column NAME, or for "
            "features alone --labels FILE",
            path=source,
        )
    _check_range(model, x, source)
    return Judged(x, encode_as(labels, model.classes, source), part)


def rows_for(
    model: Model, source: str, split: str | None, options: dict[str, Any], block_rows: int
) -> data.RowStream:
    """The features of DATA for a model, a block of rows at a time; which part, as above.

    Raises:
      DataFormatError: the data cannot be read, or do not fit the model.
    """
    options = {**reading(options), **_expected(model)}
    found = data.stream(source, split=split, block_rows=block_rows, **options)
    names = found.feature_names
    # Where there are not as many, that is said of the first block.
    if names is not None and len(names) == model.params.num_features:
        check_feature_names(model.feature_names, names, source)

    def blocks() -> Iterator[np.ndarray]:
        for block in found.blocks:
            _check_range(model, block, source)
            yield block

    return found._replace(blocks=blocks())


def _expected(model: Model) -> dict[str, Any]:
    """What to look for in DATA: a table may have columns that the model does not know."""
    return {"num_features": model.params.num_features, "feature_names": model.feature_names}


def _check_range(model: Model, x: np.ndarray | data.FileRows, source: str) -> None:
    dtype = str(model.params.W.dtype)
    check_range(x, dtype, source, f"The model was trained in {dtype}.")
