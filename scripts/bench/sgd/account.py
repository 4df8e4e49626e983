"""What a record of the bench `sgd` says, in tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bench.harness.tables import Section, ms, ratio
from bench.harness.timing import median
from bench.sgd.ratios import (
    ACCURACY_TOLERANCE,
    TOLERANCE,
    accuracy_of,
    epoch_seconds,
    grid_values,
    has_own_objective,
    is_comparable,
    limit_seconds,
    over_limit,
)

TITLE = "Minibatch SGD"
CAPTION = "Seconds an epoch over the limit, by competitor, batch size and shape"

_TEXT = f"""\
Softmax with l2, momentum 0.9 and a constant learning rate, the same for all; every epoch is freshly
shuffled. The limit of an epoch is 4 N D C operations at the rate of a large square product, which
takes its turn in the same rounds. Seconds an epoch are those of a run of many epochs less those of
a run of one, by the difference, as medians: what a call costs once falls out, the shuffle does not.
Comparable is who ends, after as many epochs, within {100 * TOLERANCE:g} % of the lowest objective,
judged in float64 outside of all of them. scikit-learn trains one class against the rest, example by
example, which is another objective: it is comparable by its accuracy, within
{100 * ACCURACY_TOLERANCE:g} percentage points of the best."""


def _race_row(case: Mapping[str, Any], label: str) -> list[str]:
    one = case["solvers"][label]
    seconds = epoch_seconds(case, label) or math.nan
    own = epoch_seconds(case, "jaxlin")
    verdict = "yes" if is_comparable(case, label) else "no"
    verdict += " (accuracy)" if has_own_objective(case, label) else ""
    objective = "infinite" if one["objective"] is None else f"{one['objective']:.5f}"
    return [
        label,
        ms(seconds),
        ratio(seconds / limit_seconds(case)),
        "" if own is None else ratio(seconds / own),
        ms(one["call_seconds"]),
        ms(one["first_call_seconds"]),
        objective,
        f"{100 * accuracy_of(one):.2f}",
        verdict,
    ]


def _race_section(case: Mapping[str, Any]) -> Section:
    head = ["who", "ms an epoch", "over the limit", "over jaxlin", "ms a call"]
    head += ["ms the first call", "objective", "accuracy, %", "comparable"]
    ran = [label for label, one in case["solvers"].items() if "skipped" not in one]
    ran.sort(key=lambda label: median(case["solvers"][label]["epoch_seconds"]))
    limit = limit_seconds(case)
    products = case["flops"] / median(case["shape_flops"])
    text = (
        f"Limit {ms(limit)} ms an epoch, at {median(case['matrix_flops']) / 1e9:.0f} GFLOP/s; the "
        f"two products of this shape alone, on contiguous batches: {ms(products)} ms "
        f"({ratio(products / limit)} times the limit, "
        f"{median(case['shape_flops']) / 1e9:.0f} GFLOP/s). Calls are of {case['epochs']} epochs."
    )
    skipped = [
        f"{label}: {one['skipped']}" for label, one in case["solvers"].items() if "skipped" in one
    ]
    text += f" Without: {'; '.join(skipped)}." if skipped else ""
    title = f"{case['dataset']}, batch {case['batch_size']}"
    return Section(title, text, head, [_race_row(case, label) for label in ran])


def _shapes_section(cases: list[Mapping[str, Any]]) -> Section:
    labels = sorted({label for case in cases for label in case["solvers"]})
    labels.sort(key=lambda label: label != "jaxlin")
    rows = []
    for case in cases:
        limit = limit_seconds(case)
        times = [over_limit(case, label) for label in labels]
        rows.append(
            [
                case["dataset"],
                str(case["batch_size"]),
                ms(limit),
                ratio(median(case["matrix_flops"]) / median(case["shape_flops"])),
                *("" if one is None else ratio(one) for one in times),
            ]
        )
    head = ["data", "batch", "limit, ms", "products alone", *labels]
    text = "Epochs as multiples of the limit; beside them the two products of each step alone."
    return Section("Other sizes", text, head, rows)


def _grid_section(measured: Mapping[str, Any]) -> Section:
    seconds, epochs = median(measured["sweep_seconds"]), measured["epochs"]
    peer = median(measured["sklearn_fit_seconds"])
    number = dict(grid_values(measured))
    first, second = measured["more_models_seconds"]
    of_call = 100 * measured["flops"] / median(measured["matrix_flops"]) / seconds
    an_epoch = median(measured["sweep_epoch_seconds"])
    rows = [
        [
            "`sweep`, an epoch",
            str(measured["models"]),
            f"{an_epoch:.3g}",
            ratio(number["grid_share"]),
        ],
        ["`sweep`", str(measured["models"]), f"{seconds:.3g}", ratio(of_call)],
        [
            "scikit-learn, one by one",
            str(measured["models"]),
            f"{measured['models'] * peer:.4g}",
            "",
        ],
        ["`sweep`, first call", str(measured["more_models"]), f"{first:.3g}", ""],
        ["`sweep`, second call", str(measured["more_models"]), f"{second:.3g}", ""],
    ]
    off = 100 * measured["answers"]["largest_difference"]
    text = (
        f"{measured['dataset']}, {epochs} epochs, batch {measured['batch_size']}, models of other "
        "l2 and learning rates; whole calls, from NumPy arrays on, and what an epoch more "
        "costs. Of scikit-learn's fits "
        f"{len(measured['sklearn_fit_seconds'])}, of as many settings, are measured "
        f"({peer:.3g} s each, the median) and multiplied. Three models beside `fit` alone with the "
        f"same key: objectives, judged outside, differ by {off:.2g} % at most."
    )
    return Section("Grids", text, ["who", "models", "s", "% of the peak"], rows)


def _memory_section(measured: list[Mapping[str, Any]]) -> Section:
    rows = [
        [
            one["values"]["dtype"],
            f"{one['data_bytes'] / 1e6:.0f}",
            f"{one['level_bytes'] / 1e6:.0f}",
            f"{one['peak_bytes'] / 1e6:.0f}",
            ratio(one["ratio"]),
            ratio(1 + one["ratio"]),
            "" if device is None else f"{device / 1e6:.0f}",
        ]
        for one in measured
        for device in [one["device_peak_bytes"]]
    ]
    text = (
        "Of a fit in a fresh process, the data in memory: its peak above the level after a fit of "
        "1,000 of the rows, as a multiple of the data. The user's array is below that level; the "
        "column after it counts that, too."
    )
    head = ["data", "data, MB", "level, MB", "peak, MB", "times the data", "with the array"]
    head.append("on the device, MB")
    return Section("Memory", text, head, rows)


def _rows_section(measured: list[Mapping[str, Any]]) -> Section:
    rows = []
    for one in measured:
        few, many = (median(times) for times in one["seconds_per_example"])
        sizes = [f"{1e9 * few:.0f}", f"{1e9 * many:.0f}", ratio(many / few)]
        rows.append([" and ".join(one["datasets"]), *sizes])
    head = ["data", "few rows, ns", "many rows, ns", "ratio"]
    return Section("Cost an example", "An epoch's time by its examples.", head, rows)


def _order_section(measured: Mapping[str, Any]) -> Section:
    rows = [
        [name, *(f"{objective:.5f}" for objective in objectives)]
        for name, objectives in zip(measured["datasets"], measured["objectives"], strict=True)
    ]
    text = (
        f"Objectives after {measured['epochs']} epochs, judged outside; the means' ratio is "
        f"{measured['ratio']:.4f}."
    )
    seeds = [f"seed {seed}" for seed in range(len(measured["objectives"][0]))]
    return Section("Rows sorted by label", text, ["data", *seeds], rows)


def _programs_section(measured: list[Mapping[str, Any]]) -> Section:
    rows = []
    for one in measured:
        for program in one["programs"]:
            if "error" in program:
                rows.append([one["dataset"], program["error"], "", "", "", ""])
                continue
            sizes = [program["flops"], program["bytes"]]
            ratios = [program["flops"] / one["step_flops"], program["bytes"] / one["step_bytes"]]
            row = [one["dataset"], program["name"], *(f"{size:.4g}" for size in sizes)]
            rows.append([*row, *map(ratio, ratios)])
    passes = "; ".join(
        f"{one['dataset']}: a pass {one['epoch_flops']:.4g} FLOPs and {one['epoch_bytes']:.4g} "
        f"bytes of features, a step {one['step_flops']:.4g} and {one['step_bytes']:.4g}"
        for one in measured
    )
    text = (
        "As XLA counts them. It counts the body of a loop once, so that what trains is a step and "
        "what an epoch does once; and it counts all rows as read where some are gathered. By "
        f"arithmetic ({passes}), 4 B D C operations and B D features a step."
    )
    head = ["data", "program", "FLOPs", "bytes", "FLOPs by step's", "bytes by step's"]
    return Section("Compiled programs", text, head, rows)


def sections(record: Mapping[str, Any]) -> list[Section]:
    """The tables of the page, those of the parts that ran."""
    read = median(record["read_bytes_per_second"]) / 1e9
    found = [Section("Epochs", f"{_TEXT} Memory is read at {read:.3g} GB/s.")]
    race = record.get("race", [])
    has_many = [case for case in race if len(case["solvers"]) > 2]
    found += [_race_section(case) for case in has_many]
    if race:
        found.append(_shapes_section(race))
    parts: list[tuple[str, Any]] = [
        ("grid", _grid_section),
        ("memory", _memory_section),
        ("rows", _rows_section),
        ("order", _order_section),
        ("programs", _programs_section),
    ]
    return found + [section(record[part]) for part, section in parts if record.get(part)]
