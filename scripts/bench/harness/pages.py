"""Records and the page that is made of them: `docs/benchmarks.md` is never written by hand.

A bench leaves `NAME.json` and `NAME.png` in the folder `benchmarks` beside the page, and the page
is made anew of all records in there.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.harness import bars
from bench.harness.tables import Section, text_of

PAGE = "benchmarks.md"
FOLDER = "benchmarks"
_DIGITS = 6
_HEADER = """\
# Benchmarks

Written by `scripts/bench/run` from the last run of each bench, whose records, with every single
timing, are beside this page. Seconds are those of one machine: what counts are ratios, which are
taken in one run. `scripts/bench/run NAME` makes the page anew.
"""


def rounded(value: Any) -> Any:
    """A record as JSON can hold it: floats of six digits, None for what is no finite number."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> Path:
    """Writes `NAME.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    text = json.dumps(rounded(record), indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def bars_section(judged: list[bars.Judged]) -> Section:
    """The table of the bars."""
    return Section("Bars", "", bars.HEAD, [one.row() for one in judged])


def ran_on(record: Mapping[str, Any]) -> str:
    """A paragraph: the machine and the versions."""
    machine, versions = record["machine"], record["versions"]
    memory = "" if machine["memory_gib"] is None else f", {machine['memory_gib']:g} GiB"
    load = ""
    if machine.get("load_before") is not None and machine.get("load_after") is not None:
        load = f"; load {machine['load_before']:g} before and {machine['load_after']:g} after"
    parts = "" if record["complete"] else " Not a complete run: what has no number was left out."
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}; "
        f"devices of JAX: {', '.join(machine['devices'])}; {machine['day']}{load}. {names}. "
        f"{record['seconds'] / 60:.1f} minutes, {record['repeats']} rounds.{parts}"
    )


def page(folder: Path) -> str:
    """The page of all records in a folder."""
    parts = [_HEADER]
    for path in sorted(folder.glob("*.json")):
        name = path.stem
        record = json.loads(path.read_text(encoding="utf-8"))
        bench = importlib.import_module(f"bench.{name}.bench")
        parts.append(f"## {bench.TITLE}\n\n`scripts/bench/run {name}`. {ran_on(record)}\n")
        if (folder / f"{name}.png").is_file():
            parts.append(f"![{bench.CAPTION}]({FOLDER}/{name}.png)\n")
        parts.append(f"Every timing: [{name}.json]({FOLDER}/{name}.json).\n")
        judged = bars.judge_bars(bars.read_bars(bench.BARS), bench.values(record))
        parts.append(text_of(bars_section(judged)) + "\n")
        parts += [text_of(section) + "\n" for section in bench.sections(record)]
    return "\n".join(parts)
