"""How a fit or a sweep ended, as a sentence that says what happened and what to do."""

from __future__ import annotations

from typing import Literal

Kind = Literal[
    "out_of_steps",
    "converged",
    "stopped_early",
    "stopped_by_callback",
    "best_found",
    "no_best",
    "diverged",
]


class Outcome(str):
    """A sentence, with the kind of ending beside it for programs.

    Attributes:
      kind: of a fit `"out_of_steps"`, `"converged"`, `"stopped_early"` or `"stopped_by_callback"`;
        of a sweep that last one, `"best_found"` or `"no_best"`; of its settings also `"diverged"`.

    >>> outcome = Outcome("Ran all 10 epochs.", kind="out_of_steps")
    >>> outcome, outcome.kind
    ('Ran all 10 epochs.', 'out_of_steps')
    """

    kind: Kind

    def __new__(cls, sentence: str, *, kind: Kind) -> Outcome:
        """A sentence of some kind."""
        outcome = super().__new__(cls, sentence)
        outcome.kind = kind
        return outcome

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, str]]:  # copy and deepcopy
        return (str(self),), {"kind": self.kind}
