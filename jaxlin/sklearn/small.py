"""The fit of a small problem with a smooth loss: to rounding."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.sklearn.training_rows import Training
from jaxlin.solvers.base import Examples
from jaxlin.solvers.optimum.certifying import Ending
from jaxlin.solvers.optimum.small import MOST_STEPS
from jaxlin.training.optimum import usual_tol
from jaxlin.training.proof_sentences import newton_words, proof_sentence
from jaxlin.training.small_fits import TO_ROUNDING, SmallFits, params_of

# No certificate in float64 proves less.
FINEST_TOL = 1e-9


class Found(NamedTuple):
    """A fitted model.

    Attributes:
      W: (C, D).
      b: (C,), or None.
      steps: taken: Newton's steps, or passes over the data, or epochs.
      certificate: None where there is none.
      outcome: how it ended.
    """

    W: np.ndarray
    b: np.ndarray | None
    steps: int
    certificate: Certificate | None
    outcome: Outcome


def fit_small(
    data: Training,
    loss: Known,
    l2: float,
    *,
    bias: bool,
    tol: float | None,
    max_iter: int | None,
    start: LinearParams | None,
) -> Found:
    """The optimum of a small problem.

    Args:
      data: what to train on.
      loss: a smooth one.
      l2: positive.
      bias: whether there is a b.
      tol: the certified relative gap that counts as reached, None is what is usual.
      max_iter: the most steps, None is 200.
      start: None is zero.
    """
    weight = np.ones((1, len(data.codes))) if data.weight is None else data.weight[None]
    tol = usual_tol(loss) if tol is None else max(float(tol), FINEST_TOL)
    with float64_scope(True):
        fits = small_fits(data, loss, weight, bias, start)
        (found,) = fits.standings([l2], tol, target=TO_ROUNDING, most_steps=max_iter or MOST_STEPS)
    params, certificate = params_of(found, 0), found.certificates[0]
    steps = int(found.found.steps[0])
    is_out = steps >= (max_iter or MOST_STEPS)
    ending: Ending = "out_of_steps" if is_out else "stuck"
    if certificate.relative_gap <= tol:
        ending = "certified"
    why = " Allow more (max_iter)." if is_out else " Scale the features, or take a larger l2."
    outcome = proof_sentence(ending, certificate, tol, newton_words(steps), why)
    b = None if params.b is None else np.array(params.b)
    return Found(np.array(params.W), b, steps, certificate, outcome)


def small_fits(
    data: Training, loss: Known, weight: np.ndarray, bias: bool, start: LinearParams | None = None
) -> SmallFits:
    """Fits to the same rows, to be made and used inside of a float64 scope.

    Args:
      data: the rows.
      loss: a smooth one.
      weight: what they count for in each (M, N), not negative.
      bias: whether there is a b.
      start: of all; None is zero.
    """
    if start is None:
        b: Any = np.zeros(len(data.classes)) if bias else None
        start = LinearParams(np.zeros(data.shape), b)  # pyright: ignore[reportArgumentType]
    elif bias != (start.b is not None):
        b = np.zeros(len(data.classes)) if bias else None
        start = LinearParams(start.W, b)
    largest = weight.max(axis=1, keepdims=True)
    share = weight / largest
    share = share / share.sum(axis=1, keepdims=True)
    examples: Any = Examples(data.x, data.codes, share[0])  # pyright: ignore[reportArgumentType]
    return SmallFits(loss, examples, share, start, scaling=None, dtype=data.dtype)
