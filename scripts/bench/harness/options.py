"""What the command line asks a bench for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
      repeats: rounds of every timing.
      quick: a small run, to see that all works.
      full: all sizes.
      datasets: patterns of labels; none: those of the run.
      solvers: likewise.
      batch_sizes: likewise.
      parts: which parts; none: all.
      l2: values of l2; none: those of the run.
      cutoff: seconds after which a competitor's run is not followed by a longer one; None: the
        bench's own.
    """

    repeats: int = 5
    quick: bool = False
    full: bool = False
    datasets: Sequence[str] = ()
    solvers: Sequence[str] = ()
    batch_sizes: Sequence[int] = ()
    parts: Sequence[str] = ()
    l2: Sequence[float] = ()
    cutoff: float | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing was left out: whether all bars are measured."""
        asked = (self.datasets, self.solvers, self.batch_sizes, self.parts, self.l2)
        return not (self.quick or any(asked))
