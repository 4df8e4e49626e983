"""The files of `jaxlin probe`: which there are, and what a record says of them."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import click

from jaxlin import data
from jaxlin.cli.options import column
from jaxlin.data.builtin import BUILTIN
from jaxlin.data.raw import RawData
from jaxlin.data.reading import of_kind, taken, takes
from jaxlin.errors import DataFormatError
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
        options = {"label_column": column(given["label_column"]), "layer": self.layer}
        return data.read(
            self.path,
            num_features=given["num_features"],
            **taken(self.path, labels=labels, **options),
        )

    def beside(self, path: str, given: dict[str, Any], layers: int) -> Source:
        """The same features of other examples.

        Args:
          path: of the file that these are in, which may be of another kind.
          given: where examples are from.
          layers: how many of this file are probed.

        Raises:
          DataFormatError: it has one set of features, and cannot be asked for each of several.
        """
        if given["layer"] is not None:
            return self._replace(path=path)
        own = _layers(path, given)
        if layers > 1 and not own:
            raise DataFormatError(
                f"has one set of features, and {self.path} has {layers}: say of which these "
                "examples are (--layer NAME), or give a file that has all of them",
                path=path,
            )
        # What a file has but one of need not go by the same name.
        is_only = layers == len(own) == 1
        return self._replace(path=path, layer=None if is_only else self.layer)


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
            layers = _layers(path, given) or layers
        sources += [Source(_short(path, layer), path, layer, place) for layer in layers]
    names = [source.name for source in sources]
    if len(set(names)) == len(names):
        return sources
    return [
        source._replace(name=source.path + ("" if source.layer is None else f":{source.layer}"))
        for source in sources
    ]


def _layers(path: str, given: dict[str, Any]) -> tuple[str, ...]:
    """The layers of a file; none where it has one set of features only, without a name."""
    label_column = column(given["label_column"])
    return data.feature_layers(path, **taken(path, label_column=label_column))


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
    if given["validation_labels"] is not None and not given["validation"]:
        raise click.UsageError("--validation-labels belongs to --validation, which is not given.")
    others = [*given["validation"], *given["test"]]
    for name, option, files in (
        ("labels", "labels", paths),
        ("validation_labels", "labels", given["validation"]),
        ("test_labels", "labels", given["test"] or paths),
        ("label_column", "label_column", [*paths, *others]),
        ("layer", "layer", [*paths, *others]),
    ):
        if given[name] is not None and not any(takes(path, option) for path in files):
            flag = "--" + name.replace("_", "-")
            raise click.UsageError(f"{flag} is of no use for {of_kind(files[0])}.")


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
