"""Tables of gradient checks, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import rich.box
from rich.table import Table
from rich.text import Text

from jaxlin.gradients.report import GradientReport

_MOST_KINKS = 3


class Audited(NamedTuple):
    """A point that gradients were checked at.

    Attributes:
      name: of the point.
      report: what was found there.
      bound: how many eps the gradients in the narrow dtype may be off.
      note: what more is known of the point.
      relative_gap: how far from the minimum it is at most; None where that is not known.
    """

    name: str
    report: GradientReport
    bound: float = 16.0
    note: str = ""
    relative_gap: float | None = None

    def error_in_eps(self, dtype: str) -> float | None:
        """The larger error of the gradients by hand and by `jax.grad` in a dtype."""
        errors = [
            pair.error_in_eps
            for pair in self.report.pairs
            if pair.first.endswith(f", {dtype}")
            and pair.first.startswith(("by hand", "jax.grad"))
            and not pair.second.startswith("numerical")
        ]
        return max(errors, default=None)

    @property
    def numerical_share(self) -> float | None:
        """The largest difference of the numerical gradient, over what errors are measured by."""
        found = [p.max_error for p in self.report.pairs if p.first.startswith("numerical")]
        scale = self.report.scale
        return found[0] / scale if found and scale > 0.0 else None

    @property
    def num_kinks_at(self) -> int:
        """Kinks at the parameters themselves."""
        return sum(kink.is_at for kink in self.report.kinks)


def audit(points: Sequence[Audited]) -> Table:
    """A row a point: the verdict, errors in eps, kinks, the numerical gradient's error.

    Args:
      points: in their order.
    """
    narrow = sorted({p.report.dtype for p in points} - {"float64"})
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for column in ("point", "verdict", "float64", *narrow, "kinks", "numerical"):
        table.add_column(column, justify="left" if column in ("point", "verdict") else "right")
    for point in points:
        cells = [_eps(point.error_in_eps("float64"))]
        for dtype in narrow:
            error = point.error_in_eps(dtype)
            cells.append("-" if error is None else f"{_eps(error)} / {point.bound:g}")
        share = point.numerical_share
        table.add_row(
            Text(point.name),
            Text(point.report.verdict),
            *cells,
            _kinks(point),
            "-" if share is None else f"{share:.1e}",
        )
    return table


def audit_lines(points: Sequence[Audited]) -> list[Text]:
    """What the table leaves out: the notes, the explanations, the first kinks of each point.

    Args:
      points: in their order.
    """
    lines = []
    for point in points:
        words = f"{point.note} {point.report.explanation}".strip()
        lines.append(Text(f"{point.name}: {words}"))
        lines.extend(Text(f"  {line}") for line in kink_lines(point.report))
    return lines


def kink_lines(report: GradientReport) -> list[str]:
    """The first few kinks, those at the parameters before those within a step of them."""
    kinks = sorted(report.kinks, key=lambda kink: not kink.is_at)
    lines = []
    for kink in kinks[:_MOST_KINKS]:
        line = kink.place
        if kink.margin is not None:
            line += f": margin {kink.margin:.3g}"
        lines.append(f"{line}; {kink.certainty}" if kink.certainty else line)
    more = len(kinks) - _MOST_KINKS
    return [*lines, f"and {more:,} more kinks"] if more > 0 else lines


def _eps(error: float | None) -> str:
    return "-" if error is None else f"{error:.2g}"


def _kinks(point: Audited) -> str:
    at = point.num_kinks_at
    near = len(point.report.kinks) - at
    words = [f"{at:,} at"] if at else []
    words += [f"{near:,} near"] if near else []
    return ", ".join(words) or "0"
