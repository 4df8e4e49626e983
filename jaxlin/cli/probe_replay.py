"""What `jaxlin probe --replay` takes from a record, which may be anything."""

from __future__ import annotations

from typing import Any

import click

from jaxlin.cli.probe_files import SOURCES
from jaxlin.errors import DataFormatError

# What may lie somewhere else by now.
_PLACES = (
    "features", "labels", "validation", "validation_labels", "test", "test_labels", "groups"
)  # fmt: skip
# Options that go together with --replay.
_BESIDE_REPLAY = (*_PLACES, "replay", "out", "no_page", "as_json")


def check_alone(context: click.Context) -> None:
    """Raises `click.UsageError` for options that a record has already."""
    for name in context.params:
        source = context.get_parameter_source(name)
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and name not in _BESIDE_REPLAY:
            flag = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{flag} and --replay exclude each other: the record has all the settings. New "
                "places of its files can be given, as where they were given first."
            )


def sources_in(record: dict[str, Any], path: str, given: dict[str, Any]) -> dict[str, Any]:
    """Where the examples of a record are from, or now are.

    Args:
      record: of a probe.
      path: of the record, for messages.
      given: the options: where files that have moved are now.

    Raises:
      DataFormatError: the record does not say it.
      click.UsageError: a file is given that the record has none of.
    """
    settings = record["settings"]
    sources = {name: settings.get(name) for name in SOURCES}
    for name in _PLACES:
        if not given[name]:
            continue
        if not sources[name]:
            flag = "--" + name.replace("_", "-")
            raise click.UsageError(
                f"{flag} names what has moved, and the probe of {path} had none such."
            )
        sources[name] = list(given[name]) if isinstance(given[name], tuple) else given[name]
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
