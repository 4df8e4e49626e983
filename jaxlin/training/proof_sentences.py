"""How a fit to the optimum ended, in words: what is proved, or why it fell short and what to do."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.certificate import Certificate
from jaxlin.linear import LinearParams
from jaxlin.outcomes import Outcome
from jaxlin.solvers.optimum.certifying import Ending
from jaxlin.solvers.optimum.passes import Data

# A standard deviation so many times the others makes a fit slow.
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


class Shortfall(NamedTuple):
    """A fit that ended before it was where it was to get.

    Attributes:
      ending: how.
      certificate: of its parameters.
      params: in their dtype.
      accuracy: on its rows.
      rounding: what the objective of the parameters is above that of those before they were
        rounded to their dtype.
    """

    ending: Ending
    certificate: Certificate
    params: LinearParams
    accuracy: float
    rounding: float


def why_short(short: Shortfall, tol: float, data: Data, more: str) -> str:
    """The likeliest cause, with its numbers, and what to do.

    Args:
      short: where it ended.
      tol: that it was to reach.
      data: what was fitted.
      more: how to have more steps, as in "Allow more than 600 passes"; "" where there is no way.
    """
    certificate, dtype = short.certificate, short.params.W.dtype
    if certificate.primal < _NOTHING:
        return (
            f" The objective is down to {certificate.primal:.1g}: beside the rounding that a proof "
            "allows for it is 0. A larger l2 gives an optimum that can be told from 0."
        )
    if dtype != np.float64 and short.rounding >= 0.5 * certificate.gap:
        return (
            f" Rounding is in the way: in {dtype.name} the parameters alone leave a gap of "
            f"about {short.rounding / certificate.primal:.1g}. Pass dtype=jnp.float64, or a larger "
            "tol."
        )
    penalty = certificate.l2 * float(np.sum(np.square(np.asarray(short.params.W, np.float64))))
    loss = max(certificate.primal - penalty, 0.0)
    if short.accuracy == 1.0 and max(loss, penalty) < _SMALL:
        return (
            " The classes are separable: every example is right, the loss is down to "
            f"{loss:.2g}, and only l2 = {certificate.l2:.3g} keeps the weights from growing. A "
            "larger l2 gives an optimum that can be reached."
        )
    spread = _feature_spread(data)
    if spread > _BADLY_SCALED:
        return (
            " The features are badly scaled: the largest of their standard deviations is "
            f"{spread:.2g} times the median. Standardise them "
            "(scaling=jaxlin.data.Scaling.standardize(x)), which makes that 1."
        )
    if short.ending == "stuck":
        wider = "" if dtype == np.float64 else "pass dtype=jnp.float64, or "
        return (
            f" Rounding lets nothing smaller be told apart: {wider}ask for a larger tol, or more "
            "l2."
        )
    ask = f"{more}, or ask" if more else "Ask"
    return f" {ask} for a larger tol than {tol:.3g}, or more l2."


def _feature_spread(data: Data) -> float:
    """The largest standard deviation of a feature over the median of those that are not 0.

    Not over the smallest: features that hardly vary, such as an image's corners, are left to l2
    and slow nothing.
    """
    rows = np.linspace(0, data.x.shape[0] - 1, min(data.x.shape[0], 4096)).astype(np.int64)
    x = np.asarray(data.prepared(data.x[rows], jnp.float32), np.float64)
    deviations = x.std(axis=0)
    seen = deviations[deviations > 0.0]
    return float(seen.max() / np.median(seen)) if len(seen) else 1.0
