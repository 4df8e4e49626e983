"""The examples of `jaxlin probe`: blocks of features, and what is trained, chosen and tested on."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from jaxlin import data
from jaxlin.arrays import is_floating_dtype
from jaxlin.cli.probe_files import Source, record_files, sources_of
from jaxlin.cli.probe_groups import groups_of
from jaxlin.data.labels import Label
from jaxlin.data.loading import check_feature_names, encode_as, with_test_labels
from jaxlin.data.raw import RawData
from jaxlin.data.values import check_range
from jaxlin.errors import DataFormatError, InputError
from jaxlin.probe.problem import Block, Part, Problem

_ROWS_LOOKED_AT = 64
_EXTRA = ("test", "validation")  # what may be in files of its own


def load_problem(
    given: dict[str, Any], seed: int, dtype: str
) -> tuple[Problem, list[dict[str, Any]]]:
    """Reads all files, and sets apart what no file brings.

    Args:
      given: where examples are from, by the names of `probe_files.SOURCES`.
      seed: of the draws.
      dtype: that is computed in.

    Returns:
      The problem, and its files for the record.

    Raises:
      DataFormatError: a file cannot be read, or does not fit the others.
      click.UsageError: options do not go together.
    """
    sources = sources_of(given)
    examples = _Examples(sources, given)
    groups = groups_of(sources, given, examples.raws, examples.arrays)
    parts = _drawn(examples, groups, given, seed)
    for source, arrays in zip(sources, examples.arrays, strict=True):
        for x in arrays.values():
            check_range(x, dtype, source.path, "Take --dtype float64, or divide the features.")
    blocks = tuple(
        Block(source.name, arrays, source.path, raw.image_shape, raw.feature_names)
        for source, arrays, raw in zip(sources, examples.arrays, examples.raws, strict=True)
    )
    try:
        problem = Problem(
            blocks, examples.classes, parts["train"], parts["validation"], parts.get("test"),
            None if groups is None else len(np.unique(groups)),
        )  # fmt: skip
    except InputError as error:
        raise DataFormatError(str(error), path=sources[0].path) from None
    return problem, record_files(sources, examples.raws, given)


class _Examples:
    """What the files hold: features by block, and labels that all of them agree on."""

    def __init__(self, sources: list[Source], given: dict[str, Any]) -> None:
        self.sources, self.given = sources, given
        self.raws = [source.read(given, given["labels"]) for source in sources]
        for source, raw in zip(sources, self.raws, strict=True):
            _check_no_tokens(raw, source.path)
        self.arrays: list[dict[str, Any]] = [{"features": raw.x} for raw in self.raws]
        self.classes, self.codes = self._labels()
        self.parts: dict[str, Part] = {}
        for name in _EXTRA:
            if given[name]:
                self.parts[name] = self._extra(name)
        if "test" not in self.parts and given["test_labels"] is not None:
            path = sources[0].path
            self.raws[0] = with_test_labels(self.raws[0], given["test_labels"], path)
        if "test" not in self.parts and self.raws[0].test_x is not None:
            self.parts["test"] = self._own_test()

    def _labels(self) -> tuple[tuple[Label, ...], np.ndarray]:
        having = [place for place, raw in enumerate(self.raws) if raw.labels is not None]
        if not having:
            raise DataFormatError(
                "has no labels: give the file that they are in (--labels FILE), of a table the "
                "column (--label-column NAME)",
                path=self.sources[0].path,
            )
        first, where = self.raws[having[0]], self.sources[having[0]].path
        try:
            classes, codes = data.encode_labels(first.labels, first.class_names)
        except InputError as error:
            raise DataFormatError(str(error), path=where) from None
        if len(classes) < 2:
            raise DataFormatError("contains only one class; at least 2 are needed", path=where)
        for source, raw in zip(self.sources, self.raws, strict=True):
            _check_count(len(raw.x), len(codes), source.path, where)
            if raw.labels is not None and raw is not first:
                own = encode_as(raw.labels, classes, source.path)
                _check_same(own, codes, source.path, where)
        return classes, codes

    def _own_test(self) -> Part:
        """The test examples that the files bring with them."""
        found = []
        for source, raw, arrays in zip(self.sources, self.raws, self.arrays, strict=True):
            if raw.test_x is None:
                raise DataFormatError("has no test set, which the first has", path=source.path)
            arrays["test"] = raw.test_x
            if raw.test_labels is not None:
                own = encode_as(raw.test_labels, self.classes, source.path)
                found.append((own, source.path))
        return self._part("test", found, "the data's own")

    def _extra(self, name: str) -> Part:
        """The examples in files of their own, one for each block."""
        found = []
        paths = [self.given[name][source.place] for source in self.sources]
        layers = Counter(source.place for source in self.sources)
        for source, path, raw, arrays in zip(
            self.sources, paths, self.raws, self.arrays, strict=True
        ):
            at = source.beside(path, self.given, layers[source.place])
            width = {**self.given, "num_features": raw.x.shape[1]}
            other = at.read(width, self.given[f"{name}_labels"])
            check_feature_names(raw.feature_names, other.feature_names, path)
            # A file that is itself in two parts is asked for what it calls its test set.
            is_split = other.test_x is not None
            x, own = (other.test_x, other.test_labels) if is_split else (other.x, other.labels)
            arrays[name] = x
            if own is not None:
                found.append((encode_as(own, self.classes, path), path))
        return self._part(name, found, "a file")

    def _part(self, name: str, found: list[tuple[np.ndarray, str]], came: str) -> Part:
        """One split, whose labels all files that have them agree on."""
        if not found:
            path = (self.given[name] or [self.sources[0].path])[0]
            raise DataFormatError(
                f"has no labels of the {name} examples: give them with --{name}-labels FILE",
                path=path,
            )
        codes, where = found[0]
        for own, path in found[1:]:
            _check_same(own, codes, path, where)
        for source, arrays in zip(self.sources, self.arrays, strict=True):
            _check_count(len(arrays[name]), len(codes), source.path, where)
        return Part(codes, name, came=came)


def _check_no_tokens(raw: RawData, path: str) -> None:
    """Raises `DataFormatError` for (N, T, D), which would be read as images.

    Pixels have no negative numbers unless they were normalised, and activations have; the first
    rows tell.
    """
    shape = raw.image_shape
    if shape is None or len(shape) != 2 or not is_floating_dtype(raw.x.dtype):
        return
    if (np.asarray(raw.x[:_ROWS_LOOKED_AT]) < 0).any():
        raise DataFormatError(
            f"has features of shape (N, {shape[0]}, {shape[1]}) with negative numbers: these may "
            "be tokens or patches (N, T, D), and a probe needs one row an example. Average over T, "
            "x.mean(axis=1), or take the first, x[:, 0], or all, (N, T*D): "
            "x.reshape(len(x), -1), as also of normalised images",
            path=path,
        )


def _check_count(found: int, wanted: int, path: str, where: str) -> None:
    if found != wanted:
        raise DataFormatError(
            f"has {found:,} examples, and {where} has {wanted:,} labels: blocks of features must "
            "be of the same examples, in the same order",
            path=path,
        )


def _check_same(codes: np.ndarray, others: np.ndarray, path: str, where: str) -> None:
    _check_count(len(codes), len(others), path, where)
    if (codes != others).any():
        raise DataFormatError(
            f"has another label than {where} for example {int(np.argmax(codes != others))} (from "
            "0): blocks of features must be of the same examples, in the same order",
            path=path,
        )


def _drawn(
    examples: _Examples, groups: np.ndarray | None, given: dict[str, Any], seed: int
) -> dict[str, Part]:
    """All splits: what is left of the examples is drawn from, for the test set first."""
    codes, parts = examples.codes, dict(examples.parts)
    rows = np.arange(len(codes))
    # Another seed for the second draw, so that the two are independent.
    for name, of_draw in (("test", seed), ("validation", (seed + 1) % 2**32)):
        share = given[f"{name}_share"]
        if name in parts or share == 0:
            continue
        try:
            if groups is None:
                stay, apart = _split(codes[rows], share, of_draw, examples.classes)
            else:
                part = share if share < 1 else share / len(rows)
                stay, apart = data.split_groups(
                    codes[rows], groups[rows], part, of_draw, classes=examples.classes
                )
        except InputError as error:
            words = f"{examples.sources[0].path}: --{name}-share is {share:g}, but {error}"
            if name == "validation":
                words += " A probe cannot do without: --validation FILE brings them."
            raise InputError(words) from None
        rows, chosen = rows[stay], rows[apart]
        parts[name] = Part(codes[chosen], "features", chosen, "drawn")
    whole = len(rows) == len(codes)
    came = "all" if whole else "the rest"
    parts["train"] = Part(codes[rows], "features", None if whole else rows, came)
    return parts


def _split(
    codes: np.ndarray, share: float, seed: int, classes: tuple[Label, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that stay and rows set apart; the only example of a class stays, and a warning says so.

    Raises:
      InputError: as `data.split_rows`.
    """
    is_alone = np.bincount(codes)[codes] == 1
    if is_alone.all():
        return data.split_rows(codes, share, seed, classes=classes)
    (several,) = np.nonzero(~is_alone)
    stay, apart = data.split_rows(codes[several], share, seed, classes=classes)
    return np.sort(np.concatenate([several[stay], np.flatnonzero(is_alone)])), several[apart]
