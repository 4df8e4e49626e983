"""Axes of a plot: where a value lies, and which values are named."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MOST_TICKS = 6


@dataclasses.dataclass(frozen=True)
class Axis:
    """From values to places.

    Attributes:
      low: the least value.
      high: the largest.
      start: the place of the least.
      end: the place of the largest.
      is_log: whether equal ratios are equal distances.

    >>> Axis(1.0, 100.0, 0.0, 200.0, is_log=True).at(10.0)
    100.0
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; beyond the ends, the end."""
        low, high = self.low, self.high
        if self.is_log:
            value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int = _MOST_TICKS) -> list[float]:
        """The values to name, at most so many."""
        return _decades(self.low, self.high, most) if self.is_log else _round(self, most)


def covering(
    values: Iterable[float | None],
    start: float,
    end: float,
    *,
    is_log: bool = False,
    least: float | None = None,
    most: float | None = None,
) -> Axis | None:
    """An axis over some values with a little room at its ends; None where there are none.

    Args:
      values: None is left out, and on a logarithmic axis what is not positive.
      start: the place of the least value.
      end: the place of the largest.
      is_log: as in `Axis`.
      least: where the axis ends at the latest.
      most: the same above.

    >>> axis = covering([0.5, None, 0.9], 0.0, 100.0, most=0.92)
    >>> round(axis.low, 3), axis.high
    (0.476, 0.92)
    """
    seen = [v for v in values if v is not None and math.isfinite(v) and (v > 0.0 or not is_log)]
    if not seen:
        return None
    low, high = min(seen), max(seen)
    if is_log:
        room = (high / low) ** 0.03 if high > low else 2.0
        low, high = low / room, high * room
    else:
        room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
        low, high = low - room, high + room
    low = low if least is None else max(low, least)
    high = high if most is None else min(high, most)
    return Axis(low, high, start, end, is_log)


def _round(axis: Axis, most: int) -> list[float]:
    span = axis.high - axis.low
    if span <= 0.0:
        return [axis.low]
    size = 10.0 ** math.floor(math.log10(span / most))
    step = next(size * times for times in (1, 2, 2.5, 5, 10, 20) if span / (size * times) <= most)
    first = math.ceil(axis.low / step - 1e-9)
    last = math.floor(axis.high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    stride = max(1, math.ceil((last - first + 1) / most))
    powers = [10.0**exponent for exponent in range(first, last + 1) if exponent % stride == 0]
    if len(powers) > 2:
        return powers
    between = [d * 10.0**e for e in range(first - 1, last + 1) for d in (1, 2, 3, 5)]
    finer = [value for value in between if low <= value <= high]
    if len(finer) < 3:
        return _round(Axis(low, high, 0.0, 1.0), most)
    return finer[:: max(1, math.ceil(len(finer) / most))]


def tick_names(values: Sequence[float], times: float = 1.0) -> list[str]:
    """The ticks' values, each times a number, in as many digits as tell them apart.

    >>> tick_names([0.5, 0.87125, 0.8712], times=100.0)
    ['50', '87.125', '87.12']
    """
    names: list[str] = []
    for digits in range(4, 13):
        names = [tick_name(times * value, digits) for value in values]
        if len(set(names)) == len(names):
            break
    return names


def percent_names(values: Sequence[float]) -> list[str]:
    """The ticks of shares, in per cent."""
    return tick_names(values, 100.0)


def tick_name(value: float, most: int = 4) -> str:
    """A tick's value in at most so many digits: a plain number where it is short, else a power.

    >>> tick_name(0.05), tick_name(1e-6), tick_name(2e5), tick_name(0.0)
    ('0.05', '10⁻⁶', '2·10⁵', '0')
    """
    if value == 0.0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.{most}g}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    digits = digits.rstrip("0").rstrip(".")
    return power if digits == "1" else f"{digits}·{power}"
