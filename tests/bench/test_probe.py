"""The bench `probe`: what its record means, and that a small part of it runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bench.harness import bars
from bench.harness.options import Options
from bench.harness.tables import text_of
from bench.probe import bench, commands

RECORD: dict[str, Any] = {
    "iris": {
        "l2": 1e-4, "first_seconds": 4.0, "certified": 1e-9,
        "seconds": {"jaxlin": [0.004, 0.005, 0.003], "sklearn": [0.01, 0.008, 0.02]},
    },
    "cross_validation": {
        "l2": [1e-6, 10.0], "tol": 1e-4, "first_seconds": 9.0, "seconds": [1.0, 2.0, 1.5],
        "best_accuracy": 0.96,
        "peers": {
            name: {"seconds": taken, "best_accuracy": 0.96, "largest_gap": gap}
            for name, taken, gap in (
                ("sklearn, as it comes", 9.0, 0.5),
                ("sklearn, to 1e-3 (tol=1e-6)", 30.0, 1e-4),
                ("sklearn, to 1e-3 (tol=1e-6), two processes", 15.0, 1e-4),
            )
        },
    },
    "probe": {
        "source": "digits", "arguments": ["--l2", "1"], "first_seconds": 50.0, "seconds": 40.0,
        "largest_gap": 1e-3, "test_accuracy": 0.97, "best_l2": 1e-3, "certain": 4,
        "page_bytes": 123_456, "few_shot_first_seconds": 9.0, "few_shot_seconds": 3.0,
        "few_shot": [{"per_class": 1, "mean": 0.5, "sd": None}],
    },
}  # fmt: skip


def test_the_numbers_of_the_bars() -> None:
    found = bench.values(RECORD)
    assert found == {
        "iris_fit": 0.4, "cross_validation": 10.0, "clip_sweep": 50.0, "few_shot": 9.0,
        "report_size": 123.456,
    }  # fmt: skip
    judged = bars.judge_bars(bars.read_bars(bench.BARS), found)
    assert bars.all_hold(judged, complete=True)


def test_a_sweep_that_did_not_prove_its_points_meets_no_bar() -> None:
    measured = {**RECORD["probe"], "largest_gap": math.inf}
    assert math.isnan(commands.values(measured)["clip_sweep"])


def test_every_part_has_its_table_and_the_picture_is_drawn(tmp_path: Path) -> None:
    text = "\n".join(text_of(section) for section in bench.sections(RECORD))
    for word in ("0.4", "30", "123 kB", "50", "4 predictions certain"):
        assert word in text
    bench.picture(RECORD, tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_iris_runs() -> None:
    record = bench.run(Options(repeats=1, quick=True, parts=("iris",)), lambda line: None)
    assert record["iris"]["certified"] < 1e-4
    assert set(bench.values(record)) == {"iris_fit"}
