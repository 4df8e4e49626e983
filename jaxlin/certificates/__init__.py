"""Certificates: how far from the optimum some parameters can be at most, whoever found them.

Every feasible dual point bounds the optimum from below (the formulas are in `jaxlin.conjugates`):

    P(W, b) = sum_i w_i L_i(W x_i + b) + l2 ||W||^2
    D(A) = -sum_i w_i L*_i(a_i) - ||V||^2 / (4 l2),    V = sum_i w_i a_i x_i^T    (C, D)

so `P(W, b) - D(A)` bounds `P(W, b) - P*`. Where the bias is free, `sum_i w_i a_i = 0` is needed as
well: a point that ignores it can "prove" more than the optimum. The dual point is made from the
slopes of the losses at the scores, once the bias has been minimised over the stored scores; what is
then left of the sum is removed exactly, by mixing in a multiple of `1 q^T - Y` (Y the labels, one
column a class, and q the distribution that makes it come out). The slope of a hinge at its kink is
a choice, so that several roundings of the kink are tried and the best bound is kept.

Everything is float64, whatever the data are; the bound is lowered by what its rounding errors can
amount to.
"""

from typing import TYPE_CHECKING

from jaxlin.later import attributes_from

if TYPE_CHECKING:
    from jaxlin.certificates.certain import certain_predictions
    from jaxlin.certificates.certificate import Certificate
    from jaxlin.certificates.gap import duality_gap

__all__ = ["Certificate", "certain_predictions", "duality_gap"]

__getattr__ = attributes_from(
    "jaxlin.certificates",
    {
        "certain": ("certain_predictions",),
        "certificate": ("Certificate",),
        "gap": ("duality_gap",),
    },
)


def __dir__() -> list[str]:
    """All names, those that nobody has asked for yet as well."""
    return sorted({*globals(), *__all__})
