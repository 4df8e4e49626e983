"""The fit of a small problem with a smooth loss: by Newton's method, to rounding."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.bounds import certified
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.sklearn.inputs import Training
from jaxlin.solvers.optimum.certifying import Ending
from jaxlin.training.optimum import usual_tol
from jaxlin.training.proof_sentences import proof_sentence
from jaxlin.training.small_problems import padded, padded_start, padded_weights, paths_of

# No certificate in float64 proves less.
_FINEST_TOL = 1e-9
# Where there is no certificate: largest |gradient| over its value at zero.
_FLAT = 1e-6


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
      l2: not negative; with 0 there is no certificate.
      bias: whether there is a b.
      tol: the certified relative gap that counts as reached, None is what is usual. Without a
        certificate the largest |gradient| over its value at zero.
      max_iter: the most steps, None is 60.
      start: None is zero.
    """
    problem = padded(data.x, data.codes)
    weights = np.ones((1, len(data.codes))) if data.weight is None else data.weight[None]
    num_classes = len(data.classes)
    found = paths_of(
        loss, problem, weights, [l2], num_classes, bias=bias, most=max_iter, start=start
    )
    exact = jax.tree.map(lambda leaf: leaf[0, 0], found.params)
    W, b = jax.tree.map(lambda leaf: leaf.astype(data.dtype), (exact.W, exact.b))
    steps = int(found.steps[0, 0])
    words = f"Newton's method, {steps} step{'' if steps == 1 else 's'}"
    if l2 == 0.0:
        slope = float(found.slope[0, 0])
        return Found(W, b, steps, None, _without_proof(slope, _FLAT if tol is None else tol, words))
    with float64_scope(True):
        rounded = padded_start(LinearParams(W, b), num_classes, problem, bias)
        given = Given(
            jax.tree.map(jnp.asarray, rounded), jnp.asarray(problem.x), jnp.asarray(problem.labels),
            jnp.asarray(padded_weights(weights, problem)[0]), None,
        )  # fmt: skip
        certificate = certified(loss, given, l2)
    tol = usual_tol(loss) if tol is None else max(float(tol), _FINEST_TOL)
    is_out = max_iter is not None and steps >= max_iter
    ending: Ending = "out_of_steps" if is_out else "stuck"
    if certificate.relative_gap <= tol:
        ending = "certified"
    why = " Allow more (max_iter)." if is_out else " Scale the features, or take a larger l2."
    outcome = proof_sentence(ending, certificate, tol, words, why)
    return Found(W, b, steps, certificate, outcome)


def _without_proof(slope: float, tol: float, words: str) -> Outcome:
    none = " l2 is 0: there is no certificate, and there need not be an optimum."
    if slope <= tol:
        return Outcome(
            f"Converged ({words}): the largest |gradient| is {slope:.2g} of its value at zero "
            f"parameters (tol {tol:.3g}).{none}",
            kind="converged",
        )
    return Outcome(
        f"Ran out of steps ({words}): the largest |gradient| is still {slope:.2g} of its value at "
        f"zero parameters (tol {tol:.3g}).{none}",
        kind="out_of_steps",
    )
