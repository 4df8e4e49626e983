"""Leakage is found where it is, and only there."""

from __future__ import annotations

import numpy as np

from jaxlin.probe import Block, Part, Problem
from jaxlin.probe.leaks import duplicates, of_the_split

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
LABELS = (np.arange(60) % 2).astype(np.int32)


def problem(x: np.ndarray, test: np.ndarray | None = None) -> Problem:
    parts = (np.arange(0, 40), np.arange(40, 50), np.arange(50, 60) if test is None else test)
    train, validation, judged = (Part(LABELS[rows], "main", rows) for rows in parts)
    return Problem((Block("b", {"main": x}),), ("a", "b"), train, validation, judged)


def said(x: np.ndarray, test: np.ndarray | None = None) -> dict[str, str]:
    one = problem(x, test)
    return {told["kind"]: told["message"] for told in duplicates(one, one.blocks[0], 0)}


def test_clean_splits_say_nothing() -> None:
    assert said(X) == {}
    assert of_the_split(problem(X), bias=True) == []


def test_test_rows_that_were_trained_on_are_named() -> None:
    x = X.copy()
    x[[52, 57]] = x[[3, 44]]  # one was for training, the other for validation
    message = said(x)["duplicates"]
    assert message.startswith("2 test examples are trained on as well")
    assert "rows 2, 7 of the test set" in message


def test_validation_rows_that_were_trained_on_are_named() -> None:
    x = X.copy()
    x[41] = x[0]
    assert (
        "1 validation example is trained on as well: the validation score" in said(x)["duplicates"]
    )


def test_a_test_set_that_chooses_is_called_that() -> None:
    assert "10 of the 10 test examples" in said(X, test=np.arange(40, 50))["test_chooses"]


def test_missing_and_lonely_classes_and_no_test_are_told() -> None:
    labels = np.zeros(60, np.int32)
    labels[:30] = 1
    labels[0] = 2
    train, validation = Part(labels[:50], "main", np.arange(50)), Part(labels[50:], "main", None)
    one = Problem((Block("b", {"main": X}),), ("a", "<b>", "c\n"), train, validation)
    told = of_the_split(one, bias=True)
    assert [one["kind"] for one in told] == ["no_test", "missing_class", "one_example"]
    assert "classes '<b>', 'c\\n': such classes have no say" in told[1]["message"]
    assert "class 'c\\n'" in told[2]["message"]
    one = Problem(one.blocks, (*one.classes, "unseen"), train, validation)
    for bias, words in ((True, "are never predicted"), (False, "are predicted all the same")):
        assert words in of_the_split(one, bias=bias)[1]["message"]
