"""Few examples a class: draws, their sweeps, and what is said of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from probe_problem import settings, small_problem
from sklearn.linear_model import LogisticRegression

from jaxlin.probe.few_shot import draws_of, few_shot
from jaxlin.probe.selecting import select
from jaxlin.scales import C_of_l2
from jaxlin.sweeps import sweep_subsets


def test_draws_are_seeded_balanced_and_nested() -> None:
    problem = small_problem()
    draws, skipped = draws_of(problem, settings(few_shot=(1, 4), repeats=3))
    again, _ = draws_of(problem, settings(few_shot=(1, 4), repeats=3))
    other, _ = draws_of(problem, settings(few_shot=(1, 4), repeats=3, seed=1))
    assert skipped == []
    assert [(d.per_class, d.repeat) for d in draws] == [(s, r) for s in (1, 4) for r in range(3)]
    for draw, same, different in zip(draws, again, other, strict=True):
        assert draw.rows.tolist() == same.rows.tolist()
        assert draw.rows.tolist() != different.rows.tolist()
        counts = np.bincount(problem.train.labels[draw.rows])
        assert counts.tolist() == [draw.per_class] * 3
    assert set(draws[0].rows) <= set(draws[3].rows)
    assert draws[0].rows.tolist() != draws[1].rows.tolist()


def test_sizes_that_a_class_is_too_small_for_are_left_out_and_told() -> None:
    draws, skipped = draws_of(small_problem(), settings(few_shot=(2, 500), repeats=1))
    assert [draw.per_class for draw in draws] == [2]
    assert skipped[0]["per_class"] == 500
    assert "training examples" in skipped[0]["reason"]


def test_each_draw_has_its_own_sweep() -> None:
    problem, asked = small_problem(), settings(few_shot=(2, 8), repeats=2)
    block = problem.blocks[0]
    chosen = select(block, problem, asked, lambda words: None)
    told = few_shot(block, problem, asked, chosen, lambda words: None)
    assert len(told["draws"]) == 4
    draws, _ = draws_of(problem, asked)
    x, held_out, test = block.first, problem.validation, problem.test
    assert test is not None
    one, rows = told["draws"][3], draws[3].rows
    at = np.asarray(problem.train.rows)[rows]
    chosen_by, tested = [], []
    for l2 in told["l2"]:
        C = C_of_l2(l2, num_examples=24, num_classes=3)
        peer = LogisticRegression(C=C, tol=1e-8, max_iter=1000)
        peer.fit(x[at].astype(np.float64), problem.train.labels[rows])
        chosen_by.append(peer.score(x[held_out.rows], held_out.labels))
        tested.append(peer.score(block.arrays["test"], test.labels))
    assert one["examples"] == 24
    assert one["largest_gap"] <= 1e-3
    assert one["validation_accuracy"] == pytest.approx(max(chosen_by), abs=0.02)
    assert one["test_accuracy"] == pytest.approx(tested[told["l2"].index(one["l2"])], abs=0.02)
    for row in told["summary"]:
        own = [d["test_accuracy"] for d in told["draws"] if d["per_class"] == row["per_class"]]
        assert row["mean"] == pytest.approx(np.mean(own))
        assert row["sd"] == pytest.approx(np.std(own, ddof=1))
        assert (row["lowest"], row["highest"]) == (min(own), max(own))
        assert row["judged_on"] == "test"


def test_a_c_is_another_l2_for_each_size(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = small_problem()
    asked = settings(l2=None, C=(0.1, 1.0), keeps="C", few_shot=(2, 8), repeats=1,
                     certified_from=0.03, passes=500, passes_below=7)  # fmt: skip
    chosen = select(problem.blocks[0], problem, asked, lambda words: None)
    limits = []

    def recorded(*arrays: Any, **options: Any) -> Any:
        limits.append(list(zip(options["l2"], options["passes"], strict=True)))
        return sweep_subsets(*arrays, **options)

    monkeypatch.setattr("jaxlin.probe.few_shot.sweep_subsets", recorded)
    told = few_shot(problem.blocks[0], problem, asked, chosen, lambda words: None)
    assert [[most for _, most in some] for some in limits] == [[500, 500], [500, 7]]
    assert (told["l2"], told["C"]) == (None, [0.1, 1.0])
    for draw in told["draws"]:
        found = C_of_l2(draw["l2"], num_examples=draw["examples"], num_classes=3)
        assert min(abs(found / C - 1.0) for C in (0.1, 1.0)) < 1e-9
