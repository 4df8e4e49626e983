"""The numbers behind the bars of the bench `softmax`, from its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.optimum.readings import find_case, times_faster
from bench.optimum.running import FASHION
from bench.softmax import certificate_cost, path

# The races that bars hang on: l2 and relative suboptimality.
RACES = {
    "l2_1e-4_to_1e-3": (1e-4, 1e-3),
    "l2_1e-4_to_1e-6": (1e-4, 1e-6),
    "l2_1e-6_to_1e-3": (1e-6, 1e-3),
    "l2_1e-6_to_1e-5": (1e-6, 1e-5),
}


def case_of(record: Mapping[str, Any], l2: float) -> Mapping[str, Any] | None:
    """The case on Fashion-MNIST, or None."""
    return find_case(record, FASHION, "softmax", l2, True)


def values(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured for each bar; what was not is left out."""
    found: dict[str, float | None] = {
        key: times_faster(case_of(record, l2), target) for key, (l2, target) in RACES.items()
    }
    if "path" in record:
        found.update(path.values(record["path"]))
    if "certificate" in record:
        found.update(certificate_cost.values(record["certificate"]))
    return {key: value for key, value in found.items() if value is not None}
