"""Options that take several values: `0.01,0.1`, or `start:stop:count`, or both, `0,1e-6:1e-1:6`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import click

from jaxlin.cli.options import Number, Whole

_MOST_VALUES = 1000
# Of a value between the ends of a range: what the table shows can be typed again.
_DIGITS = 6


class SeveralNumbers(click.ParamType):
    """Numbers of one kind, separated by commas, some of them perhaps as `start:stop:count`.

    Args:
      one: what each of them must be.
      equal_ratios: whether a range goes in equal ratios, or in equal steps.
    """

    name = "values"

    def __init__(self, one: Number | Whole, *, equal_ratios: bool) -> None:
        self.one, self.equal_ratios = one, equal_ratios

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        """The numbers, in the order in which they were given."""
        if not isinstance(value, str):
            return list(value)
        numbers: list[float] = []
        for part in value.split(","):
            ends = part.split(":")
            if not part.strip():
                self.fail(f"{value!r} has an empty place; write for example 0.01,0.1.", param, ctx)
            if len(ends) == 1:
                numbers.append(self.one.convert(part, param, ctx))
            elif len(ends) == 3:
                numbers += self._range(part, ends, param, ctx)
            else:
                self.fail(f"{part!r} is neither a number nor start:stop:count.", param, ctx)
        seen: set[float] = set()
        for number in numbers:
            if number in seen:
                self.fail(f"{value!r} has {number:g} twice.", param, ctx)
            seen.add(number)
        return numbers

    def _range(
        self,
        text: str,
        ends: Sequence[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> list[float]:
        start, stop = (self.one.convert(end, param, ctx) for end in ends[:2])
        count = Whole(2, _MOST_VALUES).convert(ends[2], param, ctx)
        if start == stop:
            self.fail(f"{text!r} starts where it stops.", param, ctx)
        if self.equal_ratios and min(start, stop) <= 0.0:
            self.fail(
                f"{text!r} goes in equal ratios, which do not reach 0: write 0,1e-6:1e-1:6.",
                param,
                ctx,
            )
        shares = [step / (count - 1) for step in range(1, count - 1)]
        if self.equal_ratios:
            low, high = math.log(start), math.log(stop)
            between = [math.exp(low + share * (high - low)) for share in shares]
        else:
            between = [start + share * (stop - start) for share in shares]
        if isinstance(self.one, Whole):
            # Rounding may meet a neighbour where the range is short.
            return list(dict.fromkeys([start, *map(round, between), stop]))
        return [start, *(float(f"{number:.{_DIGITS}g}") for number in between), stop]


class SeveralNames(click.ParamType):
    """Some of a few names, separated by commas."""

    name = "names"

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """All the names, for the help."""
        del param, ctx
        return f"[{'|'.join(self.allowed)}],..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[str]:
        """The names, in the order in which they were given."""
        if not isinstance(value, str):
            return list(value)
        chosen = [part.strip() for part in value.split(",")]
        for name in chosen:
            if name not in self.allowed:
                self.fail(f"{name!r} is not one of {', '.join(self.allowed)}.", param, ctx)
            if chosen.count(name) > 1:
                self.fail(f"{value!r} has {name} twice.", param, ctx)
        return chosen
