"""What would make a score worth less than it says."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.data import duplicate_rows
from jaxlin.data.labels import shortened
from jaxlin.probe.problem import Block, Part, Problem
from jaxlin.probe.selecting import Selection
from jaxlin.probe.settings import Settings

_MOST_NAMED = 5
# Of the test rows: where so many are validation rows, it is the same set.
_THE_SAME = 0.5


def warning(kind: str, message: str, block: int | None = None) -> dict[str, Any]:
    """A warning of a record."""
    return {"kind": kind, "block": block, "message": message}


def of_the_split(problem: Problem, *, bias: bool) -> list[dict[str, Any]]:
    """What can be said of the labels and the splits, whatever the features.

    Args:
      problem: the splits.
      bias: whether what is trained has one: nothing else tells a class away that never occurs.
    """
    warnings = []
    if problem.test is None:
        warnings.append(
            warning(
                "no_test",
                "There is no test split: the validation score was chosen as the best of many, and "
                "promises too much.",
            )
        )
    counts = {
        name: np.bincount(part.labels, minlength=len(problem.classes))
        for name, part in problem.parts.items()
        if part is not None
    }
    for name, count in counts.items():
        missing = np.flatnonzero(count == 0)
        if len(missing):
            what = {
                "train": "are never predicted"
                if bias
                else "are predicted all the same, without a bias and without having been learned",
                "validation": "have no say in the choice",
                "test": "count for nothing in the test's means over classes",
            }[name]
            warnings.append(
                warning(
                    "missing_class",
                    f"No {name} examples of {_named(missing, problem)}: such classes {what}.",
                )
            )
    alone = np.flatnonzero(counts["train"] == 1)
    if len(alone):
        warnings.append(
            warning("one_example", f"Only one training example of {_named(alone, problem)}.")
        )
    return warnings


def _named(classes: np.ndarray, problem: Problem) -> str:
    names = [shortened(problem.classes[index]) for index in classes[:_MOST_NAMED]]
    more = f" and {len(classes) - len(names):,} more" if len(classes) > len(names) else ""
    return f"class{'es' if len(classes) > 1 else ''} {', '.join(names)}{more}"


def duplicates(problem: Problem, block: Block, index: int) -> list[dict[str, Any]]:
    """Rows that are in more than one split."""
    warnings = []
    train, validation, test = problem.train, problem.validation, problem.test
    if test is not None:
        chosen_by = _twice(block, validation, test)
        if len(chosen_by) > _THE_SAME * len(test):
            warnings.append(
                warning(
                    "test_chooses",
                    f"{len(chosen_by):,} of the {len(test):,} test examples are validation "
                    "examples as well: the test set chooses the winner, and its score promises "
                    "too much. Give validation examples of their own.",
                    index,
                )
            )
        in_either = np.union1d(_twice(block, train, test), chosen_by)
        warnings += _said(in_either, "test", "test score", index)
    in_train = _twice(block, train, validation)
    warnings += _said(in_train, "validation", "validation score", index)
    return warnings


def _twice(block: Block, one: Part, other: Part) -> np.ndarray:
    """Rows of the other part, from 0, whose features some row of the one has too."""
    return duplicate_rows(*(_rows(block, part) for part in (one, other))).rows


def _rows(block: Block, part: Part) -> Any:
    return block.arrays[part.array] if part.rows is None else block.rows(part)


def _said(rows: np.ndarray, name: str, what: str, index: int) -> list[dict[str, Any]]:
    if len(rows) == 0:
        return []
    shown = ", ".join(str(int(row)) for row in rows[:_MOST_NAMED])
    more = ", ..." if len(rows) > _MOST_NAMED else ""
    are = "example is" if len(rows) == 1 else "examples are"
    message = (
        f"{len(rows):,} {name} {are} trained on as well: the {what} promises too much (from 0, row"
        f"{'s' if len(rows) > 1 else ''} {shown}{more} of the {name} set)."
    )
    return [warning("duplicates", message, index)]


def of_the_choice(
    chosen: Selection, told: dict[str, Any], settings: Settings, index: int
) -> list[dict[str, Any]]:
    """What can be said of the winner.

    Args:
      chosen: by the validation rows.
      told: the block's record.
      settings: of the probe.
      index: of the block.
    """
    warnings = []
    if chosen.edge is not None:
        beyond = "smaller" if chosen.edge == "lowest" else "larger"
        warnings.append(
            warning(
                "edge",
                f"The best l2, {chosen.value('l2'):.4g}, is the {chosen.edge} that was tried: the "
                f"best of all may be {beyond}.",
                index,
            )
        )
    if told["refit"]["outcome_kind"] != "converged":
        warnings.append(
            warning(
                "uncertified",
                f"The final fit is not proved to be within {settings.tol:g} of its optimum: "
                f"{told['refit']['outcome']}",
                index,
            )
        )
    test = told["test"]
    if test is not None:
        warnings += [
            warning(
                "worse_than_baseline",
                f"The {baseline['name']} is right as often ("
                f"{100 * baseline['test']['accuracy']:.2f} % of the test set).",
                index,
            )
            for baseline in told["baselines"]
            if baseline["test"]["accuracy"] >= test["accuracy"]
        ]
    return warnings
