"""What `jaxlin probe` says in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from jaxlin.report.tables import facts, plain_table
from jaxlin.report.words import duration, number, one_line, percent, shown

_HOW = {"none": "as they are", "unit": "over their largest", "standardize": "standardised"}


def shown_record(record: dict[str, Any], written: dict[str, str | None]) -> Iterator[Any]:
    """Tables and lines, in the order to print them in.

    Args:
      record: of a probe.
      written: the files, by what they hold.
    """
    blocks = record["blocks"]
    best = blocks[record["best_block"]]
    if len(blocks) > 1:
        yield _comparison(record)
    yield _grid(best)
    yield best["best"]["sentence"] + "\n"
    yield _scores(best)
    if best["few_shot"] is not None and best["few_shot"]["summary"]:
        yield _few_shot(best["few_shot"])
    files = {name: path for name, path in written.items() if path is not None}
    yield facts(_facts(record, best) | files)
    for warning in record["warnings"]:
        yield Text(f"warning      {_where(record, warning)}{one_line(warning['message'])}")


def _where(record: dict[str, Any], warning: dict[str, Any]) -> str:
    index = warning["block"]
    if index is None or len(record["blocks"]) == 1:
        return ""
    return f"{shown(record['blocks'][index]['name'])}: "


def _comparison(record: dict[str, Any]) -> Table:
    table = plain_table("block", "features", "validation", "test", "95 % interval")
    for index, block in enumerate(record["blocks"]):
        test = block["test"]
        mark = "best " if index == record["best_block"] else ""
        table.add_row(
            Text(mark + shown(block["name"])),
            f"{block['num_features']:,}",
            percent(block["best"]["validation_accuracy"]),
            percent(None if test is None else test["accuracy"]),
            "-" if test is None else _interval(test),
        )
    return table


def _interval(told: dict[str, Any], name: str = "accuracy") -> str:
    low, high = told[f"{name}_low"], told[f"{name}_high"]
    return "-" if low is None else f"{100 * low:.2f} to {100 * high:.2f}"


def _grid(block: dict[str, Any]) -> Table:
    """A line for each way to scale: what was tried, how much is proved, and the best."""
    grid = block["grid"]
    table = plain_table("features", "l2 tried", "proved", "best l2", "validation", "95 % interval")
    _never_broken(table)
    rows = range(len(grid["l2"]))
    for normalize, scaling in dict.fromkeys(_way(grid, row) for row in rows):
        own = [
            r for r in rows if (grid["normalize"][r], grid["scaling"][r]) == (normalize, scaling)
        ]
        scores = [grid["validation_accuracy"][row] or 0.0 for row in own]
        top = own[scores.index(max(scores))]
        if block["best"]["row"] in own:
            top = block["best"]["row"]
        told = {
            f"accuracy_{end}": grid[f"validation_accuracy_{end}"][top] for end in ("low", "high")
        }
        table.add_row(
            ("rows normalised, " if normalize else "") + _HOW[scaling],
            f"{min(grid['l2'][r] for r in own):.2g} to {max(grid['l2'][r] for r in own):.2g}",
            f"{sum(bool(grid['certified'][row]) for row in own)} of {len(own)}",
            f"{grid['l2'][top]:.3g}",
            percent(grid["validation_accuracy"][top]),
            _interval(told),
        )
    return table


def _way(grid: dict[str, Any], row: int) -> tuple[bool, str]:
    return grid["normalize"][row], grid["scaling"][row]


def _scores(block: dict[str, Any]) -> Table:
    """The probe and its baselines, on validation and test rows."""
    table = plain_table("", "validation", "test", "95 % interval", "by class")
    _never_broken(table)
    for baseline in block["baselines"]:
        test = baseline["test"] or {}
        table.add_row(
            baseline["name"],
            percent(baseline["validation_accuracy"]),
            percent(test.get("accuracy")),
            "",
            percent(test.get("mean_class_accuracy")),
        )
    test = block["test"] or {}
    table.add_row(
        "probe",
        percent(block["best"]["validation_accuracy"]),
        percent(test.get("accuracy")),
        _interval(test) if test else "-",
        percent(test.get("mean_class_accuracy")),
    )
    return table


def _never_broken(table: Table) -> None:
    """Numbers stay in one line each; where there is no room the table runs over."""
    for column in table.columns:
        column.no_wrap = True


def _few_shot(told: dict[str, Any]) -> Table:
    judged = f"{told['summary'][0]['judged_on']} accuracy"
    table = plain_table("examples a class", "draws", judged, "sd", "lowest", "highest")
    for row in told["summary"]:
        table.add_row(
            f"{row['per_class']:,}",
            f"{row['draws']}",
            percent(row["mean"]),
            percent(row["sd"]),
            percent(row["lowest"]),
            percent(row["highest"]),
        )
    return table


def _facts(record: dict[str, Any], block: dict[str, Any]) -> dict[str, object]:
    test = block["test"]
    told: dict[str, object] = {
        "certificate": block["refit"]["certificate_sentence"],
        "protocol": record["protocol"]["title"],
    }
    if test is not None:
        parts = [f"macro F1 {test['macro_f1']:.4f}, log loss {number(test['log_loss'])}"]
        if test["top_k"] is not None:
            top = test["top_k"]
            parts.append(f"top {top['k']} accuracy {percent(top['accuracy'])}")
        parts.append(f"calibration error {percent(test['calibration_error'])}")
        told["test"] = ", ".join(parts)
        if test["certain"]["count"] is not None:
            told["certain"] = test["certain"]["sentence"]
    few = block["few_shot"]
    left_out = [
        f"{skipped['per_class']} examples a class: {one_line(skipped['reason'])}"
        for skipped in (few["skipped"] if few else ())
    ]
    if left_out:
        told["left out"] = "; ".join(left_out)
    if record["replay"] is not None:
        told["replay"] = replay_words(record["replay"])
    told["device"] = record["device"]
    told["time"] = f"{duration(record['seconds'])}, compiling included"
    return told


def replay_words(replay: dict[str, Any]) -> str:
    """How a run compares with the record that it repeats.

    >>> replay_words({"of": "r.json", "same_numbers": True, "compared": 9, "numbers": [],
    ...               "differs": []})
    'the same as r.json in all 9 numbers compared'
    """
    if replay["same_numbers"]:
        words = f"the same as {replay['of']} in all {replay['compared']} numbers compared"
    else:
        first = replay["numbers"][0]
        words = (
            f"{len(replay['numbers'])} of {replay['compared']} numbers differ from {replay['of']}; "
            f"{first['what']} was {first['was']}, is {first['is']}"
        )
    for one in replay["differs"]:
        words += f"; {one['what']} was {one['was']}, is {one['is']}"
    return one_line(words)
