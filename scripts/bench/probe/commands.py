"""`jaxlin probe` on Fashion-MNIST, as one types it: from the command to the written report."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.datasets.fashion_mnist import folder
from bench.harness.timing import seconds

_L2, _GAP, _FROM = "1e-6:10:45", 1e-3, 1e-6


def _run(source: str, where: Path, arguments: list[str]) -> tuple[float, dict[str, Any]]:
    """Wall seconds of a run, and its record."""
    out = where / "probe.json"
    command = [sys.executable, "-m", "jaxlin", "probe", source, *arguments, "--out", str(out)]
    # What earlier runs have compiled would be found, and a newcomer has none of it: so the command
    # keeps it, as it does for everyone, but in a folder of this bench.
    environment = {**os.environ, "XDG_CACHE_HOME": str(where / "cache")}
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    taken = seconds(
        lambda: subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    )
    return taken, json.loads(out.read_text(encoding="utf-8"))


def measure(*, quick: bool) -> dict[str, Any]:
    """The sweep and the few-shot draws, each with an empty compilation cache and then again.

    Args:
      quick: the digits instead.
    """
    source = "digits" if quick else str(folder())
    held_out = "300" if quick else "10000"
    sizes = "1,2" if quick else "1,2,4,8,16"
    sweep = ["--l2", _L2, "--scaling", "plain", "--validation-share", held_out]
    with tempfile.TemporaryDirectory() as name:
        where = Path(name)
        first, record = _run(source, where, sweep)
        again, _ = _run(source, where, sweep)
        page = (where / "probe.html").stat().st_size
        _, few = _run(source, where, [*sweep, "--few-shot", sizes, "--repeats", "5"])
        few_again = _run(source, where, [*sweep, "--few-shot", sizes, "--repeats", "5"])[1]
    block = record["blocks"][0]
    gaps = [
        gap for gap, l2 in zip(block["grid"]["relative_gap"], block["grid"]["l2"], strict=True)
        if l2 >= _FROM * (1 - 1e-9)
    ]  # fmt: skip
    return {
        "source": "digits" if quick else "fashion-mnist",
        "arguments": sweep,
        "first_seconds": first,
        "seconds": again,
        "largest_gap": max((math.inf if gap is None else gap for gap in gaps), default=math.inf),
        "test_accuracy": block["test"]["accuracy"],
        "best_l2": block["best"]["l2"],
        "certain": block["test"]["certain"]["count"],
        "page_bytes": page,
        "few_shot_first_seconds": few["blocks"][0]["few_shot"]["seconds"],
        "few_shot_seconds": few_again["blocks"][0]["few_shot"]["seconds"],
        "few_shot": few["blocks"][0]["few_shot"]["summary"],
    }


def values(measured: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of the bars: of the run with an empty cache; NaN where a proof is missing."""
    is_proved = measured["largest_gap"] <= _GAP
    return {
        "clip_sweep": measured["first_seconds"] if is_proved else math.nan,
        "few_shot": measured["few_shot_first_seconds"],
        "report_size": measured["page_bytes"] / 1000,
    }
