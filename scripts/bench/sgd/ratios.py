"""The numbers behind the bars of the bench `sgd`, from its record: ratios, and who counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from bench.harness.timing import median

# At equal epochs and learning rate an objective may be so much above the best one, relatively: the
# last batches of an epoch move it by about that. And an accuracy so much below the best one.
TOLERANCE, ACCURACY_TOLERANCE = 0.02, 0.02


def find_case(record: Mapping[str, Any], dataset: str, batch_size: int) -> Mapping[str, Any] | None:
    """The race over some data, or None."""
    for case in record.get("race", ()):
        if case["dataset"].startswith(dataset) and case["batch_size"] == batch_size:
            return case
    return None


def limit_seconds(case: Mapping[str, Any]) -> float:
    """What an epoch cannot take less than."""
    return case["flops"] / median(case["matrix_flops"])


def epoch_seconds(case: Mapping[str, Any], label: str) -> float | None:
    """The median of a competitor, or None where it had no part; NaN where noise outweighs it."""
    times = case["solvers"].get(label, {}).get("epoch_seconds")
    if not times:
        return None
    return middle if (middle := median(times)) > 0 else math.nan


def over_limit(case: Mapping[str, Any] | None, label: str) -> float | None:
    """A competitor's epoch, as a multiple of the limit."""
    seconds = None if case is None else epoch_seconds(case, label)
    return None if case is None or seconds is None else seconds / limit_seconds(case)


def has_own_objective(case: Mapping[str, Any], label: str) -> bool:
    """Whether an answer minimises something else: one class against the rest."""
    return label.startswith("sklearn") and case["c"] > 2


def accuracy_of(answer: Mapping[str, Any]) -> float:
    """Of the test data, or of the training data where there are no others."""
    test = answer["test_accuracy"]
    return answer["train_accuracy"] if test is None else test


def is_comparable(case: Mapping[str, Any], label: str) -> bool:
    """Whether an answer is as good as the others'. An infinite objective is None in a record."""
    ran = {name: one for name, one in case["solvers"].items() if "skipped" not in one}
    if has_own_objective(case, label):
        best = max(accuracy_of(one) for one in ran.values())
        return accuracy_of(ran[label]) >= best - ACCURACY_TOLERANCE
    objectives = {
        name: math.inf if one["objective"] is None else one["objective"]
        for name, one in ran.items()
        if not has_own_objective(case, name)
    }
    best = min(objectives.values())
    return math.isfinite(best) and objectives[label] <= best * (1 + TOLERANCE)


def _honest(case: Mapping[str, Any] | None, value: float | None) -> float | None:
    """NaN, which meets no bar, where jaxlin's answer is worse than the others'.

    And where an epoch seems to beat the limit: then the machine was busy with something else.
    """
    if case is None or value is None:
        return value
    over = over_limit(case, "jaxlin") or math.nan
    return value if over >= 1 and is_comparable(case, "jaxlin") else math.nan


def _times_faster(case: Mapping[str, Any] | None, label: str) -> float | None:
    if case is None:
        return None
    peer, own = epoch_seconds(case, label), epoch_seconds(case, "jaxlin")
    return None if peer is None or own is None else _honest(case, peer / own)


def grid_values(measured: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of a grid; NaN where its models are not those of single fits."""
    seconds = median(measured["sweep_seconds"])
    is_right = measured["answers"]["largest_difference"] <= TOLERANCE
    limit = measured["flops"] / measured["epochs"] / median(measured["matrix_flops"])
    share = 100 * limit / median(measured["sweep_epoch_seconds"])
    one_by_one = measured["models"] * median(measured["sklearn_fit_seconds"])
    yield "grid_share", share if is_right else math.nan
    yield "grid_against_sklearn", one_by_one / seconds if is_right else math.nan
    yield "grid_seconds", measured["more_models_seconds"][0]


def values(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured for each bar; what was not is left out."""
    fashion = "fashion-mnist[dtype=float32"
    in_floats = find_case(record, fashion, 256)
    in_bytes = find_case(record, "fashion-mnist[dtype=uint8", 256)
    large = find_case(record, fashion, 2048)
    found: dict[str, float | None] = {
        "epoch_256": _honest(in_floats, over_limit(in_floats, "jaxlin")),
        "epoch_256_uint8": _honest(in_bytes, over_limit(in_bytes, "jaxlin")),
        "epoch_2048": _honest(large, over_limit(large, "jaxlin")),
        "against_optax": _times_faster(in_floats, "optax-loop"),
        "against_torch": _times_faster(in_floats, "torch-index"),
        "against_sklearn": _times_faster(in_floats, "sklearn-sgd"),
    }
    if "grid" in record:
        found.update(grid_values(record["grid"]))
    for one in record.get("memory", ()):
        found[f"memory_{one['values']['dtype']}"] = one["ratio"]
    for one in record.get("rows", ()):
        few, many = (median(times) for times in one["seconds_per_example"])
        key = "rows_uint8" if "uint8" in one["datasets"][0] else "rows_float32"
        found[key] = many / few if min(few, many) > 0 else math.nan
    if "order" in record:
        found["sorted_labels"] = record["order"]["ratio"]
    return {key: value for key, value in found.items() if value is not None}
