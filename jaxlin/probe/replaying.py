"""A probe again from its record: the same settings on the same data, and what differs."""

from __future__ import annotations

import math
import os
from typing import Any

from jaxlin import strict_json
from jaxlin.data.opening import read_bytes
from jaxlin.errors import DataFormatError, InputError
from jaxlin.probe.protocols import protocol_named
from jaxlin.probe.running import FORMAT, FORMAT_VERSION
from jaxlin.probe.settings import Settings

_MOST_BYTES = 1 << 28
# Beyond the order of a sum's terms, on another machine.
_CLOSE = 1e-6
# What a record says of a block in one number each, in the order that it is compared in.
_NUMBERS = (
    ("best", "l2"),
    ("best", "validation_accuracy"),
    ("best", "validation_loss"),
    ("refit", "objective"),
    ("test", "accuracy"),
    ("test", "log_loss"),
)


def read_record(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The record in a file, as far as a run needs it: the rest is compared, never trusted.

    Raises:
      DataFormatError: it cannot be read, is no record of a probe, or of a newer version.
    """
    name = os.fspath(path)
    try:
        record = strict_json.parse(read_bytes(name, _MOST_BYTES))
    except DataFormatError:
        raise
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:100]
        raise DataFormatError(f"is no JSON: {reason}", path=name) from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataFormatError(
            "is no record of a probe: give the .json that jaxlin probe has written", path=name
        )
    known = record.get("format_version")
    if known != FORMAT_VERSION:
        raise DataFormatError(
            f"is a record of format version {known!r:.20}; this jaxlin reads {FORMAT_VERSION}",
            path=name,
        )
    for key, kind in (("settings", dict), ("data", dict), ("blocks", list), ("versions", dict)):
        if not isinstance(record.get(key), kind):
            raise DataFormatError(f"is a damaged record: it lacks {key}", path=name)
    return record


def settings_in(record: dict[str, Any], path: str) -> Settings:
    """The settings of a record.

    Raises:
      DataFormatError: they are not what settings have to be.
    """
    try:
        settings = Settings.from_json(record["settings"])
        protocol_named(settings.protocol)
    except (InputError, TypeError) as error:
        raise DataFormatError(f"has settings that cannot be used: {error}", path=path) from None
    return settings


def comparison(before: dict[str, Any], now: dict[str, Any], path: str) -> dict[str, Any]:
    """What a run has in common with the record that it repeats.

    Args:
      before: the record.
      now: the run's own.
      path: of the former.

    Returns:
      The field `replay` of a record.
    """
    differs = []
    for name in sorted(set(before["versions"]) | set(now["versions"])):
        was, is_ = before["versions"].get(name), now["versions"].get(name)
        if was != is_:
            differs.append({"what": f"versions.{name}", "was": _short(was), "is": _short(is_)})
    if before.get("device") != now.get("device"):
        differs.append(
            {"what": "device", "was": _short(before.get("device")), "is": _short(now["device"])}
        )
    differs += _files(before, now)
    numbers = _numbers(before, now)
    different = [one for one in numbers if not _is_close(one["was"], one["is"])]
    return {
        "of": path,
        "differs": differs,
        "same_numbers": not different,
        "compared": len(numbers),
        "numbers": different,
    }


def _files(before: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    """Files with another content than they had."""

    def sums(record: dict[str, Any]) -> dict[str, Any]:
        files = record["data"].get("files")
        told = [one for one in files if isinstance(one, dict)] if isinstance(files, list) else []
        roles = [str(one.get("role")) for one in told]
        found = {}
        for at, (role, one) in enumerate(zip(roles, told, strict=True)):
            block = one.get("block")
            # Test files of several blocks are told apart by their order.
            place = roles[:at].count(role) if block is None and roles.count(role) > 1 else block
            found[f"{role}[{place}]"] = one.get("sha256")
        return found

    was, is_ = sums(before), sums(now)
    return [
        {"what": f"data.{name}.sha256", "was": _short(was.get(name)), "is": _short(is_.get(name))}
        for name in sorted(set(was) | set(is_))
        if was.get(name) != is_.get(name)
    ]


def _numbers(before: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    """Every number that is compared, as it was and as it is."""
    found = []
    for index, block in enumerate(now["blocks"]):
        old = before["blocks"][index] if index < len(before["blocks"]) else {}
        pairs = [(f"{a}.{b}", (a, b)) for a, b in _NUMBERS]
        grid = block["grid"]["validation_accuracy"]
        pairs += [
            (f"grid.validation_accuracy[{row}]", ("grid", "validation_accuracy", row))
            for row in range(len(grid))
        ]
        few = block.get("few_shot")
        pairs += [
            (f"few_shot.summary[{row}].mean", ("few_shot", "summary", row, "mean"))
            for row in range(len(few["summary"]) if few else 0)
        ]
        found += [
            {"what": f"blocks[{index}].{what}", "was": _at(old, keys), "is": _at(block, keys)}
            for what, keys in pairs
        ]
    return [one for one in found if one["was"] is not None or one["is"] is not None]


def _at(record: Any, keys: tuple[Any, ...]) -> float | None:
    """A number somewhere inside of a record that may be anything."""
    for key in keys:
        try:
            record = record[key]
        except (KeyError, IndexError, TypeError):
            return None
    is_number = isinstance(record, int | float) and not isinstance(record, bool)
    return record if is_number else None


def _is_close(was: float | None, is_: float | None) -> bool:
    if was is None or is_ is None:
        return was is is_
    return math.isclose(was, is_, rel_tol=_CLOSE, abs_tol=1e-12)


def _short(value: Any) -> str | None:
    return None if value is None else str(value)[:80]
