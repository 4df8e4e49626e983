"""The errors: between processes they stay what they are."""

from __future__ import annotations

import pickle

import numpy as np

import jaxlin
from jaxlin import DataFormatError, DivergedError, History


def test_errors_reach_another_process_whole() -> None:
    nothing = np.empty(0)
    params = jaxlin.LinearParams(np.ones((2, 1)))  # pyright: ignore[reportArgumentType]
    history = History(nothing, nothing, nothing)
    diverged = DivergedError("too fast", params=params, history=history)
    again = pickle.loads(pickle.dumps(diverged))  # one of our own
    assert (type(again), str(again)) == (DivergedError, "too fast")
    np.testing.assert_array_equal(again.params.W, params.W)
    wrong = DataFormatError("expected 4 fields", path="a.csv", line=7)
    again = pickle.loads(pickle.dumps(wrong))
    assert (str(again), again.line, again.path) == (str(wrong), 7, "a.csv")
