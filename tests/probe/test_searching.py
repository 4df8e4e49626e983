"""CLIP's search: every sixteenth value, then half the way between neighbours of the best."""

from __future__ import annotations

import numpy as np
import pytest
from probe_problem import small_problem

from jaxlin.probe import PROTOCOLS
from jaxlin.probe.selecting import Tell, _Trial, l2_values, select


class Planned(_Trial):
    """A search over values whose scores are known."""

    def __init__(self, peak: float) -> None:
        self.settings = PROTOCOLS["clip"].settings()
        self.values = l2_values(self.settings, 240, 3)
        self.rows, self.fits, self.peak, self.is_between = {}, {}, peak, False
        self.order: list[list[int]] = []

    def try_out(self, places: object) -> None:
        tried = list(places)  # pyright: ignore[reportCallIssue, reportArgumentType]
        self.order.append(tried)
        for at in tried:
            self.rows[at] = {"validation_accuracy": 1.0 - abs(at - self.peak) / 100}


@pytest.mark.parametrize("peak", [0, 5, 41, 64, 96])
def test_the_search_ends_at_a_peak(peak: int) -> None:
    search = Planned(peak)
    search.search()
    assert search.order[0] == list(range(0, 97, 16))
    assert search.best() == peak
    assert len(search.rows) <= 7 + 4 * 2


def test_it_ends_beside_real_scores_and_starts_from_neighbours() -> None:
    problem = small_problem()
    settings = PROTOCOLS["clip"].settings(scaling=("none",), passes_below=5, certified_from=1e-4)
    told: list[str] = []
    tell: Tell = told.append
    found = select(problem.blocks[0], problem, settings, tell)
    table = found.table
    assert 7 + 4 <= len(found) <= 15
    assert table["l2"] == sorted(table["l2"], reverse=True)
    best = found.value("C")
    steps = np.rint(8 * np.log10(np.array(table["C"]) / best)).astype(int)
    assert {-1, 1} & set(steps.tolist())  # a neighbour was tried
    assert found.value("validation_accuracy") == max(table["validation_accuracy"])
    assert told
    proved = [ok for ok, l2 in zip(table["certified"], table["l2"], strict=True) if l2 > 1e-4]
    assert proved
    assert all(proved)
