"""The squared hinge is smooth once only: its second derivative jumps where a margin is zero."""

from __future__ import annotations

import numpy as np
import pytest

from jaxlin import LinearParams, Objective, data, losses
from jaxlin.gradients import check


@pytest.mark.parametrize(("seed", "scale"), [(0, 0.1), (14, 1.0), (15, 3.0)])
def test_jumps_within_a_step_are_no_disagreement(seed: int, scale: float) -> None:
    # Three draws of twenty in which extrapolation was off by more than it said.
    digits = data.load("digits").train
    rng = np.random.default_rng(seed)
    W, b = scale * rng.normal(size=(10, 64)), rng.normal(size=10)
    params = LinearParams(W, b)  # pyright: ignore[reportArgumentType]
    objective = Objective(losses.squared_weston_watkins_hinge, l2=1e-3)
    report = check(objective, params, digits.x[:400] / 16, digits.labels[:400])
    assert report.verdict == "agrees", report.explanation


def test_a_mistake_is_still_one() -> None:
    digits = data.load("digits").train
    rng = np.random.default_rng(0)
    params = LinearParams(rng.normal(size=(10, 64)), rng.normal(size=10))  # pyright: ignore[reportArgumentType]

    objective = Objective(losses.squared_weston_watkins_hinge, l2=1e-3)

    def by_hand(params: LinearParams, x: np.ndarray, labels: np.ndarray) -> LinearParams:
        right = objective.gradient_by_hand(params, x, labels)
        return LinearParams(right.W * 1.0001, right.b)

    report = check(
        objective, params, digits.x[:100] / 16, digits.labels[:100], by_hand=by_hand, coordinates=8
    )
    assert report.verdict == "disagrees"
