"""The files of `jaxlin probe`: which there are, and what a record says of them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import click

from jaxlin import data
from jaxlin.cli.options import column
from jaxlin.data.builtin import BUILTIN
from jaxlin.data.raw import RawData
from jaxlin.probe.fingerprints import fingerprint

# The options that say where examples are from; a record has them, so that a run can be repeated.
SOURCES = (
    "features", "labels", "label_column", "num_features", "layer", "validation",
    "validation_labels", "validation_share", "test", "test_labels", "test_share", "groups",
)  # fmt: skip


class Source(NamedTuple):
    """Where a block of features is from.

    Attributes:
      name: of the block.
      path: of the file.
      layer: which features of it, where it has several.
      place: of the file among those given, from 0.
    """

    name: str
    path: str
    layer: str | None
    place: int

    def read(self, given: dict[str, Any], labels: str | None) -> RawData:
        """Its examples.

        Args:
          given: where examples are from.
          labels: a file of labels, where the features' own has none.
        """
        return data.read(
            self.path,
            labels=labels,
            label_column=column(given["label_column"]),
            num_features=given["num_features"],
            layer=self.layer,
        )


def sources_of(given: dict[str, Any]) -> list[Source]:
    """A source for each block: a file, or each layer of a file that has several.

    Raises:
      DataFormatError: a file cannot be read.
      click.UsageError: there are too few or too many files.
    """
    paths = given["features"]
    _check_counts(given, paths)
    sources = []
    for place, path in enumerate(paths):
        layers: tuple[str | None, ...] = (given["layer"],)
        if given["layer"] is None:
            layers = data.feature_layers(path, label_column=column(given["label_column"])) or layers
        sources += [Source(_short(path, layer), path, layer, place) for layer in layers]
    names = [source.name for source in sources]
    if len(set(names)) == len(names):
        return sources
    return [
        source._replace(name=source.path + ("" if source.layer is None else f":{source.layer}"))
        for source in sources
    ]


def _short(path: str, layer: str | None) -> str:
    name = os.path.splitext(os.path.basename(path.rstrip("/")))[0] or path
    return name if layer is None else f"{name}:{layer}"


def _check_counts(given: dict[str, Any], paths: list[str]) -> None:
    for path in paths:
        if paths.count(path) > 1:
            raise click.UsageError(f"{path!r} is given twice.")
    for name in ("validation", "test"):
        files = given[name]
        if files and len(files) != len(paths):
            raise click.UsageError(
                f"--{name} must be given once for each file of features: there are {len(paths)} of "
                f"these, and {len(files)} of --{name}."
            )
        if given[f"{name}_labels"] is not None and not files:
            raise click.UsageError(f"--{name}-labels belongs to --{name}, which is not given.")


def record_files(
    sources: list[Source], raws: list[RawData], given: dict[str, Any]
) -> list[dict[str, Any]]:
    """The files that were read, with what tells them from others.

    Args:
      sources: of the blocks.
      raws: what they hold.
      given: where examples are from.
    """
    told = []

    def add(
        role: str, path: str | None, block: int | None = None, raw: RawData | None = None
    ) -> None:
        if path is None or (raw is None and not os.path.exists(path)):  # a column of a table
            return
        arrays = ()
        if raw is not None and path in BUILTIN:
            arrays = tuple(a for a in (raw.x, raw.labels, raw.test_x) if a is not None)
        digest, size = fingerprint(path, arrays)
        told.append({"role": role, "block": block, "path": path, "sha256": digest, "bytes": size})

    for index, (source, raw) in enumerate(zip(sources, raws, strict=True)):
        if index == 0 or source.place != sources[index - 1].place:
            add("features", source.path, index, raw)
    for name in ("validation", "test"):
        for path in given[name]:
            add(name, path)
    for name in ("labels", "validation_labels", "test_labels", "groups"):
        add(name, given[name])
    return told
