"""What `jaxlin probe --replay` takes from a record, which may be anything."""

from __future__ import annotations

from typing import Any

import click

from jaxlin.cli.probe_files import SOURCES
from jaxlin.errors import DataFormatError

# Options that go together with --replay.
_BESIDE_REPLAY = ("features", "replay", "out", "no_page", "as_json")


def check_alone(context: click.Context) -> None:
    """Raises `click.UsageError` for options that a record has already."""
    for name in context.params:
        source = context.get_parameter_source(name)
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and name not in _BESIDE_REPLAY:
            flag = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{flag} and --replay exclude each other: the record has all the settings. New "
                "places of the FEATURES can be given."
            )


def sources_in(record: dict[str, Any], path: str, features: tuple[str, ...]) -> dict[str, Any]:
    """Where the examples of a record are from, or now are.

    Raises:
      DataFormatError: the record does not say it.
    """
    settings = record["settings"]
    sources = {name: settings.get(name) for name in SOURCES}
    if features:
        sources["features"] = list(features)
    for name in ("features", "validation", "test"):
        paths = sources[name]
        if not isinstance(paths, list) or not all(isinstance(p, str) and p for p in paths):
            raise DataFormatError(f"has settings without {name}, a list of files", path=path)
    for name in ("labels", "label_column", "layer", "validation_labels", "test_labels", "groups"):
        if not isinstance(sources[name], str | None):
            raise DataFormatError(f"has settings whose {name} is no text", path=path)
    for name in ("validation_share", "test_share"):
        value = sources[name]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and value >= 0):
            raise DataFormatError(f"has settings whose {name} is no number", path=path)
    if not sources["validation"] and sources["validation_share"] == 0:
        raise DataFormatError("has settings without validation examples", path=path)
    count = sources["num_features"]
    if count is not None and (not isinstance(count, int) or count < 1):
        raise DataFormatError("has settings whose num_features is no whole number", path=path)
    if not sources["features"]:
        raise DataFormatError("has settings without features", path=path)
    return sources
