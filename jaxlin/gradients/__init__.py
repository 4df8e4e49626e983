"""Gradients of the same function found in different ways, so that one can vouch for another.

The numerical gradient needs nothing but function values: exact enough to check with, far too slow
to train with. The gradient written by hand is `Objective.gradient_by_hand`; the third is
`jax.grad`.
"""

from typing import TYPE_CHECKING

from jaxlin.later import attributes_from

if TYPE_CHECKING:
    from jaxlin.gradients.checking import check
    from jaxlin.gradients.cost import GradientCost, ProgramCost, gradient_cost
    from jaxlin.gradients.finite_differences import (
        NumericalGradient,
        numerical,
        numerical_with_error,
    )
    from jaxlin.gradients.numerical_sampling import NumericalSample, numerical_sample
    from jaxlin.gradients.objective_check import check_objective
    from jaxlin.gradients.report import Coordinate, GradientReport, Kink, Pair

__all__ = [
    "Coordinate",
    "GradientCost",
    "GradientReport",
    "Kink",
    "NumericalGradient",
    "NumericalSample",
    "Pair",
    "ProgramCost",
    "check",
    "check_objective",
    "gradient_cost",
    "numerical",
    "numerical_sample",
    "numerical_with_error",
]

__getattr__ = attributes_from(
    "jaxlin.gradients",
    {
        "checking": ("check",),
        "cost": (
            "GradientCost",
            "ProgramCost",
            "gradient_cost",
        ),
        "finite_differences": (
            "NumericalGradient",
            "numerical",
            "numerical_with_error",
        ),
        "numerical_sampling": (
            "NumericalSample",
            "numerical_sample",
        ),
        "objective_check": ("check_objective",),
        "report": (
            "Coordinate",
            "GradientReport",
            "Kink",
            "Pair",
        ),
    },
)


def __dir__() -> list[str]:
    """All names, those that nobody has asked for yet as well."""
    return sorted({*globals(), *__all__})
