"""How a fit to the optimum ended, in words: what is proved, or why it fell short and what to do."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.outcomes import Outcome
from jaxlin.solvers.optimum.certifying import Ending, Solved
from jaxlin.solvers.optimum.passes import Data

# Standard deviations so many times apart make a fit slow.
_BADLY_SCALED = 1e3
# Beside a loss that is about 1 at zero weights.
_SMALL = 0.1
# An objective that no bound can be told from 0 for: the bounds allow for so much rounding.
_NOTHING = 1e-11


def newton_words(count: int) -> str:
    """What was done, for `proof_sentence`: so many of Newton's steps until they settled."""
    return f"Newton's method, {count} step{'' if count == 1 else 's'}"


def proof_sentence(
    ending: Ending, certificate: Certificate, tol: float, words: str, why: str
) -> Outcome:
    """How a fit ended that has a certificate.

    Args:
      ending: whether it got as far as it was to.
      certificate: of what it found.
      tol: the relative gap that was asked for.
      words: what was done, for the brackets.
      why: it fell short, and what to do.
    """
    gap = f"{certificate.relative_gap:.2g}"
    if ending == "certified":
        sentence = (
            f"Converged ({words}): the objective, {certificate.primal:.6g}, is proved to be within "
            f"{gap} of itself of the optimum (tol {tol:.3g})."
        )
        return Outcome(sentence, kind="converged")
    proved = f"the certified relative gap is {gap} (tol {tol:.3g})"
    if ending == "stopped":
        return Outcome(f"Stopped by on_epoch ({words}): {proved}.", kind="stopped_by_callback")
    start = "Ran out of steps" if ending == "out_of_steps" else "No step improves anything more"
    return Outcome(f"{start} ({words}): {proved}.{why}", kind="out_of_steps")


def why_short(
    solved: Solved, tol: float, data: Data, dtype: Any, variance: float, most_passes: int
) -> str:
    """The likeliest cause, with its numbers, and what to do.

    Args:
      solved: where it ended.
      tol: that it was to reach.
      data: what was fitted.
      dtype: of the parameters.
      variance: the largest of the features, along any direction.
      most_passes: that it had.
    """
    dtype, certificate = jnp.dtype(dtype), solved.certificate
    if certificate.primal < _NOTHING:
        return (
            f" The objective is down to {certificate.primal:.1g}: beside the rounding that a proof "
            "allows for it is 0. A larger l2 gives an optimum that can be told from 0."
        )
    accuracy = solved.rounds[-1].accuracy if solved.rounds else 0.0
    penalty = certificate.l2 * float(np.sum(np.square(np.asarray(solved.params.W, np.float64))))
    loss = max(certificate.primal - penalty, 0.0)
    if accuracy == 1.0 and max(loss, penalty) < _SMALL:
        return (
            " The classes are separable: every example is right, the loss is down to "
            f"{loss:.2g}, and only l2 = {certificate.l2:.3g} keeps the weights from growing. A "
            "larger l2 gives an optimum that can be reached."
        )
    spread = _feature_spread(data)
    if spread > _BADLY_SCALED:
        return (
            f" The features are badly scaled: their standard deviations differ {spread:.2g}-fold. "
            "Standardise them (scaling=jaxlin.data.Scaling.standardize(x)), which makes that 1."
        )
    if solved.ending == "stuck":
        floor = _rounding_floor(solved, dtype, variance)
        if dtype == jnp.float64 or floor < 0.1 * certificate.relative_gap:
            return " Rounding lets nothing smaller be told apart: ask for a larger tol, or more l2."
        return (
            f" Rounding is in the way: in {dtype.name} the parameters alone leave a gap of "
            f"about {floor:.1g}. Pass dtype=jnp.float64, or a larger tol."
        )
    return (
        f" Allow more than {most_passes} passes (solver=solvers.LBFGS(passes=...)), or a larger "
        f"tol than {tol:.3g}, or more l2."
    )


def _feature_spread(data: Data) -> float:
    """The largest standard deviation of a feature over the smallest that is not 0."""
    rows = np.linspace(0, data.x.shape[0] - 1, min(data.x.shape[0], 4096)).astype(np.int64)
    x = np.asarray(data.prepared(data.x[rows], jnp.float32), np.float64)
    deviations = x.std(axis=0)
    seen = deviations[deviations > 0.0]
    return float(seen.max() / seen.min()) if len(seen) and seen.min() > 0.0 else 1.0


def _rounding_floor(solved: Solved, dtype: Any, variance: float) -> float:
    """The gap, over the objective, that rounding the parameters to their dtype makes."""
    eps = float(jnp.finfo(dtype).eps)
    W = np.asarray(solved.params.W, np.float64)
    curvature = variance + 2.0 * solved.certificate.l2
    slope = 0.5 * eps * curvature * float(np.sqrt(np.sum(W * W)))
    return slope**2 / (4.0 * solved.certificate.l2 * max(solved.certificate.primal, 1e-300))
