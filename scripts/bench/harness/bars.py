"""Bars: what a bench has to reach, and whether it did."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Bar:
    """One line of a `bars.json`.

    Attributes:
      key: names the measurement.
      what: for people.
      unit: what follows the number.
      better: whether a small or a large number is good.
      bar: where failing begins.
      aim: where it should be, or None.
    """

    key: str
    what: str
    unit: str
    better: Literal["lower", "higher"]
    bar: float
    aim: float | None = None

    def holds(self, value: float, limit: float) -> bool:
        """Whether a value is on the good side of a limit, or on it."""
        return value <= limit if self.better == "lower" else value >= limit


@dataclasses.dataclass(frozen=True)
class Judged:
    """A bar and what was measured: None where nothing was."""

    bar: Bar
    measured: float | None

    @property
    def met(self) -> bool:
        """Whether the bar holds. What was not measured, or is no number, does not."""
        value = self.measured
        return value is not None and not math.isnan(value) and self.bar.holds(value, self.bar.bar)

    @property
    def at_aim(self) -> bool:
        """Whether the aim is reached as well; without an aim, whether the bar holds."""
        if self.bar.aim is None or self.measured is None:
            return self.met
        return self.met and self.bar.holds(self.measured, self.bar.aim)

    def row(self) -> list[str]:
        """For a table: what, measured, bar, aim, verdict."""
        sign = "≤" if self.bar.better == "lower" else "≥"
        verdict = "not measured" if self.measured is None else "no" if not self.met else "yes"
        if self.at_aim and self.bar.aim is not None:
            verdict = "yes, and the aim"
        aim = "" if self.bar.aim is None else f"{self.bar.aim:g}"
        measured = "" if self.measured is None else f"{self.measured:.3g}"
        return [self.bar.what, measured, f"{sign} {self.bar.bar:g}", aim, self.bar.unit, verdict]


HEAD = ["what", "measured", "bar", "aim", "in", "met"]


def read_bars(path: Path) -> list[Bar]:
    """The bars of a file."""
    return [Bar(**line) for line in json.loads(path.read_text(encoding="utf-8"))]


def judge_bars(bars: Sequence[Bar], values: Mapping[str, float | None]) -> list[Judged]:
    """Each bar with what was measured.

    Raises:
      ValueError: a value has no bar: one of the two has a wrong name.
    """
    unknown = set(values) - {bar.key for bar in bars}
    if unknown:
        raise ValueError(f"No bar has the key {', '.join(sorted(unknown))}.")
    return [Judged(bar, values.get(bar.key)) for bar in bars]


def all_hold(judged: Sequence[Judged], *, complete: bool) -> bool:
    """Whether the bars hold: all of them, or, of a run of parts, those that were measured."""
    return all(one.met for one in judged if complete or one.measured is not None)
