"""What is known at the end of a fit to the optimum."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.solvers.base import Evaluation
from jaxlin.solvers.history import History
from jaxlin.solvers.optimum.certifying import Round


class ToOptimum(NamedTuple):
    """A fit that ended with a certificate."""

    params: LinearParams
    history: History
    outcome: Outcome
    certificate: Certificate


def history_of_rounds(rounds: list[Round], seen: list[Evaluation]) -> History:
    """The history of the rounds; `seen` are the validation rows after each, if there are any."""
    return History(
        objective=np.array([row.objective for row in rounds]),
        accuracy=np.array([row.accuracy for row in rounds]),
        seconds=np.array([row.seconds for row in rounds]),
        passes=np.array([row.passes for row in rounds]),
        validation_loss=np.array([float(one.objective) for one in seen]) if seen else None,
        validation_accuracy=np.array([float(one.accuracy) for one in seen]) if seen else None,
    )
