"""Options with several values: lists and ranges, and what is wrong with those that are none."""

from __future__ import annotations

import click
import numpy as np
import pytest

from jaxlin.cli.lists import SeveralNames, SeveralNumbers
from jaxlin.cli.options import NOT_NEGATIVE, Number, Whole

RATIOS = SeveralNumbers(NOT_NEGATIVE, equal_ratios=True)
STEPS = SeveralNumbers(Number(0.0, 1.0), equal_ratios=False)
COUNTS = SeveralNumbers(Whole(1), equal_ratios=True)


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        (RATIOS, "0.1", [0.1]),
        (RATIOS, "3, 1,2", [3.0, 1.0, 2.0]),
        (RATIOS, "1e-4:1e-2:3", [1e-4, 1e-3, 1e-2]),
        (RATIOS, "1e-2:1e-4:3", [1e-2, 1e-3, 1e-4]),
        (RATIOS, "0,1e-6:1e-1:6,7", [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 7.0]),
        (RATIOS, "1:2:2", [1.0, 2.0]),
        (STEPS, "0:0.9:4", [0.0, 0.3, 0.6, 0.9]),
        (COUNTS, "64:1024:5", [64, 128, 256, 512, 1024]),
        (COUNTS, "1:3:9", [1, 2, 3]),
    ],
)
def test_values_and_ranges(kind: SeveralNumbers, text: str, values: list[float]) -> None:
    found = kind.convert(text, None, None)
    assert found == values
    assert kind.convert(found, None, None) == found


def test_what_lies_between_the_ends_can_be_typed() -> None:
    found = RATIOS.convert("1.23456789:9.87654321e5:17", None, None)
    assert found[0] == 1.23456789
    assert found[-1] == 987654.321
    np.testing.assert_allclose(found, np.geomspace(found[0], found[-1], 17), rtol=1e-5)
    assert [float(f"{value:.6g}") for value in found[1:-1]] == found[1:-1]


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (RATIOS, "", "empty place"),
        (RATIOS, "1,,2", "empty place"),
        (RATIOS, "1,2,1", "'1,2,1' has 1 twice"),
        (RATIOS, "1e-1:1:2,0.1", "0.1 twice"),
        (RATIOS, "1:2", "'1:2' is neither a number nor start:stop:count"),
        (RATIOS, "1:2:3:4", "neither"),
        (RATIOS, "0:1:3", "do not reach 0"),
        (RATIOS, "1:1:3", "starts where it stops"),
        (RATIOS, "1:2:1", "'1' is not a whole number from 2 to 1000"),
        (RATIOS, "1:2:1e9", "whole number"),
        (RATIOS, "1:x:3", "'x' is not a number"),
        (RATIOS, "nan", "'nan' is not a number"),
        (RATIOS, "-1", "from 0"),
        (STEPS, "0.5,1", "'1' is not a number from 0 to below 1"),
        (COUNTS, "2.5", "whole number"),
    ],
)
def test_what_is_wrong_is_named(kind: SeveralNumbers, text: str, words: str) -> None:
    with pytest.raises(click.BadParameter) as problem:
        kind.convert(text, None, None)
    assert words in problem.value.message


def test_names() -> None:
    kind = SeveralNames(("a", "b", "c"))
    assert kind.convert("c, a", None, None) == ["c", "a"]
    for text, words in (("a,d", "'d' is not one of a, b, c"), ("a,a", "a twice"), ("", "''")):
        with pytest.raises(click.BadParameter) as problem:
            kind.convert(text, None, None)
        assert words in problem.value.message
