"""What a comparison of gradients found, for programs and for people."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from jaxlin.gradients.printing import as_text, plain_table

Verdict = Literal["agrees", "disagrees", "kink", "undecided"]

_MOST_KINKS_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two gradients compared, over all coordinates where both are known.

    Attributes:
      first: which gradient, for example `"by hand"`.
      second: which it is compared with, for example `"jax.grad, float64"`.
      max_error: the largest |first - second|.
      error_in_eps: `max_error` over the report's `scale`, in units of the eps of the narrower of
        the two dtypes.
      leaf_errors: for each leaf of the parameters, the largest |first - second| over the largest
        |second| in it (0 where both are 0).
      num_coordinates: how many coordinates were compared.

    >>> pair = Pair("by hand", "jax.grad", 1e-16, 0.5, {"W": 2e-16}, num_coordinates=12)
    >>> pair.error_in_eps
    0.5
    """

    first: str
    second: str
    max_error: float
    error_in_eps: float
    leaf_errors: dict[str, float]
    num_coordinates: int


@dataclasses.dataclass(frozen=True)
class Coordinate:
    """One coordinate of the parameters, and what every gradient says of it. None: not known.

    Attributes:
      leaf: name of the leaf, for example `"W"`.
      index: in the leaf.
      autodiff: `jax.grad`, in float64.
      by_hand: written by hand, in float64.
      numerical: from values alone, in float64.
      error: estimated error of `numerical`.
      step: that `numerical` took.
      left: the derivative from the left, where it differs from the right one.
      right: the derivative from the right.

    >>> Coordinate("W", (3, 17), autodiff=0.5).place
    'W[3, 17]'
    """

    leaf: str
    index: tuple[int, ...]
    autodiff: float
    by_hand: float | None = None
    numerical: float | None = None
    error: float | None = None
    step: float | None = None
    left: float | None = None
    right: float | None = None

    @property
    def place(self) -> str:
        """The coordinate as one would write it, `W[3, 17]`."""
        return f"{self.leaf}[{', '.join(map(str, self.index))}]" if self.index else self.leaf


@dataclasses.dataclass(frozen=True)
class Kink:
    """A place where the function has a kink at the parameters, or within a step of them.

    Attributes:
      place: the coordinate or direction, or the margin: `"W[3, 17]"`, `"example 12, class 3"`.
      is_at: whether the kink is at the parameters themselves, up to rounding. If not, only the
        numerical gradient meets it.
      left: the derivative from the left; None for a margin.
      right: the derivative from the right; None for a margin.
      example: the row of a margin, else None.
      wrong_class: the class of a margin, else None.
      margin: `s_j - s_y + margin`, else None.
      bound: within which the margin counts as zero, else None.
      certainty: how sure that is, in words.

    >>> kink = Kink("example 12, class 3", True, example=12, wrong_class=3, margin=0.0, bound=1e-15)
    >>> kink.is_at
    True
    """

    place: str
    is_at: bool
    left: float | None = None
    right: float | None = None
    example: int | None = None
    wrong_class: int | None = None
    margin: float | None = None
    bound: float | None = None
    certainty: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class GradientReport:
    """Gradients side by side, and a verdict. `bool(report)` is false only where they disagree.

    Attributes:
      verdict: `"agrees"`; `"disagrees"`; `"kink"`, where the function has no gradient at the
        parameters and what was given is one of its subgradients; or `"undecided"`, where this
        precision cannot tell.
      explanation: why, in a sentence.
      cause: a short name of the known form that explains a disagreement, for programs, for example
        `"sum for mean"`; None where there is none.
      pairs: every two gradients that were compared.
      worst: the coordinates where the gradients differ most, the worst first.
      kinks: at the parameters or within a step of them.
      dtype: of the implementation that was judged.
      eps: of that dtype.
      scale: what errors are measured by.
      unit: what `scale` is, in words.
      step: median of the steps that the numerical gradient is made of; None without one.
      numerical_error: the largest estimated error of the numerical gradient; None without one.
      num_checked: coordinates that the numerical gradient was taken of.
      num_coordinates: of the parameters.
      num_directions: random directions that it was taken along.

    >>> import jax.numpy as jnp, numpy as np
    >>> from jaxlin import gradients
    >>> report = gradients.check(lambda p: jnp.sum(p**2), np.ones(3), by_hand=lambda p: 2 * p)
    >>> report.verdict, bool(report), report.pair("by hand", "jax.grad").max_error
    ('agrees', True, 0.0)
    """

    verdict: Verdict
    explanation: str
    cause: str | None
    pairs: tuple[Pair, ...]
    worst: tuple[Coordinate, ...]
    kinks: tuple[Kink, ...]
    dtype: str
    eps: float
    scale: float
    unit: str
    step: float | None
    numerical_error: float | None
    num_checked: int
    num_coordinates: int
    num_directions: int

    def __bool__(self) -> bool:
        return self.verdict != "disagrees"

    def pair(self, first: str, second: str) -> Pair:
        """The comparison of two gradients, by the beginnings of their names.

        Raises:
          KeyError: these two were not compared.
        """
        for pair in self.pairs:
            if pair.first.startswith(first) and pair.second.startswith(second):
                return pair
        names = "; ".join(f"{pair.first} with {pair.second}" for pair in self.pairs)
        raise KeyError(f"{first} was not compared with {second}. Compared were: {names}.")

    def __str__(self) -> str:
        """The report as tables for a terminal of 100 columns."""
        return as_text(self.renderables())

    def renderables(self) -> list[object]:
        """The report as objects that rich can print."""
        from rich.text import Text

        parts: list[object] = [Text(f"{self.verdict}: {self.explanation}"), self._pairs_table()]
        parts.append(
            Text(f"An eps is {self.eps:.3g} ({self.dtype}) times {self.scale:.3g}, {self.unit}.")
        )
        if self.numerical_error is not None and self.step is not None:
            along = f" and along {self.num_directions} directions" if self.num_directions else ""
            parts.append(
                Text(
                    f"Numerical: {self.num_checked:,} of {self.num_coordinates:,} coordinates"
                    f"{along}, median step {self.step:.3g}, estimated error "
                    f"{self.numerical_error:.3g}."
                )
            )
        if self.worst:
            parts.append(self._worst_table())
        parts.extend(Text(line) for line in self._kink_lines())
        return parts

    def _pairs_table(self) -> Any:
        table = plain_table("", "largest error", "in eps", "coordinates", "relative, by leaf")
        for pair in self.pairs:
            leaves = ", ".join(f"{name} {error:.1e}" for name, error in pair.leaf_errors.items())
            table.add_row(
                f"{pair.first} - {pair.second}",
                f"{pair.max_error:.3g}",
                f"{pair.error_in_eps:.3g}",
                f"{pair.num_coordinates:,}",
                leaves,
            )
        return table

    def _worst_table(self) -> Any:
        table = plain_table(
            "worst", "by hand", "jax.grad", "numerical", "its error", "left", "right"
        )
        for at in self.worst:
            cells = (at.by_hand, at.autodiff, at.numerical, at.error, at.left, at.right)
            table.add_row(at.place, *("-" if cell is None else f"{cell:.8g}" for cell in cells))
        return table

    def _kink_lines(self) -> list[str]:
        lines = []
        for kink in self.kinks[:_MOST_KINKS_SHOWN]:
            where = "at" if kink.is_at else "within a step of"
            line = f"Kink {where} the parameters: {kink.place}"
            if kink.margin is not None and kink.bound is not None:
                line += f", margin {kink.margin:.3g} (zero within {kink.bound:.3g})"
            if kink.left is not None and kink.right is not None:
                line += f", {kink.left:.6g} from the left and {kink.right:.6g} from the right"
            lines.append(line + (f"; {kink.certainty}" if kink.certainty else "") + ".")
        more = len(self.kinks) - _MOST_KINKS_SHOWN
        return lines + ([f"... and {more:,} more kinks."] if more > 0 else [])
