"""The groups of `jaxlin probe --groups`: examples that stay together, and where it is said."""

from __future__ import annotations

import itertools
from typing import Any

import click
import numpy as np

from jaxlin.cli.probe_files import Source
from jaxlin.data.labels import shortened
from jaxlin.data.raw import RawData
from jaxlin.data.readers.arrow import arrow_column
from jaxlin.data.readers.npy import read_npy_labels
from jaxlin.data.reading import kind_of
from jaxlin.errors import DataFormatError


def groups_of(
    sources: list[Source],
    given: dict[str, Any],
    raws: list[RawData],
    arrays: list[dict[str, Any]],
) -> np.ndarray | None:
    """The group of each example (N,), from a file or a column; None where there are none.

    Args:
      sources: of the blocks.
      given: where examples are from.
      raws: what the files hold; a column of groups among the features is taken out, here and in
        `arrays`.
      arrays: features of each block, by part.

    Raises:
      DataFormatError: the file cannot be read, or files of their own have a group in common.
      click.BadParameter: there is no such file or column.
    """
    name = given["groups"]
    if name is None:
        return None
    if name in (raws[0].feature_names or ()):
        return _among_features(name, sources, raws, arrays)
    if name.endswith(".npy"):
        return read_npy_labels(name, len(raws[0].x))
    return _beside_features(name, sources, given)


def _beside_features(name: str, sources: list[Source], given: dict[str, Any]) -> np.ndarray:
    """A column beside lists of features, in the first file that has it."""
    for source in sources:
        paths = {"features": source.path}
        for part in ("test", "validation"):
            if given[part]:
                paths[part] = given[part][source.place]
        found = {
            part: column
            for part, path in paths.items()
            if kind_of(path) == "arrow" and (column := arrow_column(path, name)) is not None
        }
        if "features" in found:
            _check_apart(name, found, source.path)
            return found["features"]
    raise click.BadParameter(
        f"{name!r} must be an .npy file, or a column: of numbers, of a table of features, or of a "
        "Parquet or Arrow file whose features are lists.",
        param_hint="--groups",
    )


def _among_features(
    name: str, sources: list[Source], raws: list[RawData], arrays: list[dict[str, Any]]
) -> np.ndarray:
    """A column of the features that is none: taken out of all of them."""
    place = (raws[0].feature_names or ()).index(name)
    found = {part: np.asarray(x[:, place]) for part, x in arrays[0].items()}
    _check_apart(name, found, sources[0].path)
    for at, (raw, of_block) in enumerate(zip(raws, arrays, strict=True)):
        names = raw.feature_names or ()
        if name not in names:
            continue
        column = names.index(name)
        for part, x in of_block.items():
            of_block[part] = np.delete(np.asarray(x), column, axis=1)
        others = tuple(other for at, other in enumerate(names) if at != column)
        raws[at] = RawData(raw.x, raw.labels, feature_names=others)
    return found["features"]


def _check_apart(name: str, found: dict[str, np.ndarray], path: str) -> None:
    """Raises `DataFormatError` where files of their own have a group in common."""
    for part, other in itertools.combinations(found, 2):
        both = np.intersect1d(found[part], found[other])
        if len(both):
            one = f"{both[0]:.17g}" if both.dtype.kind in "biuf" else shortened(both[0])
            raise DataFormatError(
                f"--groups {name} is to keep groups together, and {part} and {other} are files "
                f"of their own that have {len(both):,} in common, {one} for one: leave "
                "--groups out, or give files whose groups differ",
                path=path,
            )
