"""The command line of the benches."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_PROJECT = _FOLDER.parents[1]


def _say(line: str) -> None:
    """For people; standard output has the tables alone."""
    print(line, file=sys.stderr, flush=True)


def benches() -> list[str]:
    """The folders that are a bench."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/bench.py"))


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run",
        description="Compares jaxlin with the machine's limit and with its peers. Exit code: 0 "
        "where every bar that was measured holds, and, in a complete run, all were measured.",
    )
    parser.add_argument("bench", choices=benches())
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all works")
    parser.add_argument("--full", action="store_true", help="all sizes: hours")
    parser.add_argument("--repeats", type=int, help="rounds of every timing (5; quick: 2)")
    several: Any = {"nargs": "+", "default": [], "metavar": "PATTERN"}
    parser.add_argument("--datasets", help="labels, their beginnings, or with * and ?", **several)
    parser.add_argument("--solvers", help="likewise", **several)
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[], metavar="B")
    parser.add_argument("--l2", nargs="+", type=float, default=[], metavar="L2")
    parser.add_argument(
        "--cutoff", type=float, metavar="SECONDS", help="no run longer than that (softmax, svm)"
    )
    parser.add_argument("--parts", nargs="+", default=[], metavar="PART", help="of the bench")
    parser.add_argument(
        "--out",
        type=Path,
        help="where the page and its folder go: docs, of a complete run; else .bench",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Runs a bench, prints its tables, writes its record, picture and page."""
    asked = _arguments(arguments)
    from bench.harness import bars, machine, pages
    from bench.harness.options import Options
    from bench.harness.tables import text_of

    bench: Any = importlib.import_module(f"bench.{asked.bench}.bench")
    unknown = set(asked.parts) - set(bench.PARTS)
    if unknown:
        _say(f"{asked.bench} has no part {', '.join(sorted(unknown))}: {', '.join(bench.PARTS)}.")
        return 2
    repeats = asked.repeats or (2 if asked.quick else 5)
    options = Options(
        repeats, asked.quick, asked.full, asked.datasets, asked.solvers, asked.batch_sizes,
        asked.parts, asked.l2, asked.cutoff,
    )  # fmt: skip
    where = asked.out or (_PROJECT / ("docs" if options.is_complete else ".bench"))
    started, of_machine = time.monotonic(), machine.machine()
    record: dict[str, Any] = {
        "bench": asked.bench,
        "complete": options.is_complete,
        "full": asked.full,
        "repeats": repeats,
        "machine": of_machine,
        "versions": machine.versions(),
        **bench.run(options, lambda line: _say(f"{time.monotonic() - started:5.0f} s  {line}")),
    }
    of_machine["load_after"] = machine.load()
    record["seconds"] = time.monotonic() - started
    record = pages.rounded(record)

    judged = bars.judge_bars(bars.read_bars(bench.BARS), bench.values(record))
    folder = where / pages.FOLDER
    pages.write_record(folder, asked.bench, record)
    bench.picture(record, folder / f"{asked.bench}.png")
    (where / pages.PAGE).write_text(pages.page(folder), encoding="utf-8")
    for section in (*bench.sections(record), pages.bars_section(judged)):
        print(text_of(section), end="\n\n")
    print(f"Written: {where / pages.PAGE}, and its record and picture in {folder}.")
    on_cpu = all(device.startswith("cpu") for device in of_machine["devices"])
    if asked.quick or not on_cpu:
        why = "of a quick run mean nothing" if asked.quick else "are those of a two-core CPU"
        print(f"The bars {why}: they do not judge this run.")
        return 0
    return 0 if bars.all_hold(judged, complete=options.is_complete) else 1


if __name__ == "__main__":
    sys.exit(main())
