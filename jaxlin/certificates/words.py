"""A certificate in a line for anyone."""

from __future__ import annotations

import math
from decimal import ROUND_UP, Context, Decimal

from jaxlin.certificates.certificate import Certificate


def certificate_words(certificate: Certificate) -> str:
    """What is proved of some parameters.

    >>> proof = Certificate(primal=0.5, dual=0.4999, how="", l2=1e-4, has_bias=True)
    >>> certificate_words(proof)
    'objective 0.5 is within 0.021 % of the best possible; proved'
    """
    value = f"{certificate.primal:.5g}"
    if not math.isfinite(certificate.gap):
        return f"none: no bound of the optimum was found; the objective is {value}"
    if certificate.dual <= 0.0:
        above = rounded_up(max(certificate.gap, 0.0))
        return f"objective {value} is at most {above} above the best possible; proved"
    # Of the best possible, not of what was found: the larger of the two.
    share = rounded_up(100.0 * max(certificate.gap / certificate.dual, 1e-6))
    return f"objective {value} is within {share} % of the best possible; proved"


def rounded_up(value: float) -> str:
    """Two digits that are no less than the value: a bound stays one.

    >>> rounded_up(0.1201)
    '0.13'
    """
    return f"{Context(prec=2, rounding=ROUND_UP).create_decimal(Decimal(value)).normalize():f}"
