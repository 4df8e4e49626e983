"""The numbers behind the bars of the bench `svm`, from its record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.optimum.account import short
from bench.optimum.readings import certified, find_case, own_seconds
from bench.optimum.running import FASHION

MAIN_L2 = 1e-4
TARGET = 1e-3  # of the two comparisons
# Seconds of the Weston-Watkins hinge: whether the bias is free, and the certified gap.
SECONDS = {
    f"{'free_bias' if bias else 'no_bias'}_to_{short(target)}": (bias, target)
    for bias in (False, True)
    for target in (1e-2, 1e-3, 1e-6)
}


def case_of(record: Mapping[str, Any], loss: str, bias: bool) -> Mapping[str, Any] | None:
    """A case on Fashion-MNIST that bars hang on."""
    return find_case(record, FASHION, loss, MAIN_L2, bias)


def one_fit_seconds(record: Mapping[str, Any]) -> float | None:
    """Seconds of one `LinearSVC` fit as it comes, on the same data; None where it did not run."""
    one = record.get("linear_svc")
    return one["seconds"] if one and one["dataset"].startswith(FASHION) else None


def against_linear_svc(record: Mapping[str, Any]) -> float | None:
    """One `LinearSVC` fit over jaxlin's certified Crammer-Singer fit."""
    own = own_seconds(case_of(record, "crammer-singer", False), TARGET)
    one = one_fit_seconds(record)
    return None if own is None or one is None else one / own


def dual_ascent_seconds(case: Mapping[str, Any] | None) -> tuple[float, bool] | None:
    """The plain dual ascent to its own certified gap; or, where it was cut off before, so far.

    Returns:
      Seconds, and whether it takes longer than that; None where it had no part.
    """
    one = {} if case is None else case["solvers"].get("dual-ascent", {})
    if not one.get("points"):
        return None
    seconds = certified(one, TARGET)
    is_bound = not math.isfinite(seconds)
    return (one["points"][-1]["seconds"] if is_bound else seconds), is_bound


def against_dual_ascent(record: Mapping[str, Any]) -> float | None:
    """The plain dual ascent over jaxlin, both certified; at least that, where it was cut off."""
    case = case_of(record, "weston-watkins", False)
    own, peer = own_seconds(case, TARGET), dual_ascent_seconds(case)
    return None if own is None or peer is None else peer[0] / own


def values(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured for each bar; what was not is left out."""
    found: dict[str, float | None] = {
        key: own_seconds(case_of(record, "weston-watkins", bias), target)
        for key, (bias, target) in SECONDS.items()
    }
    found["against_linear_svc"] = against_linear_svc(record)
    found["against_dual_ascent"] = against_dual_ascent(record)
    return {key: value for key, value in found.items() if value is not None}
