"""Every planted bug is caught, and explained where its form is known."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from planted_bugs import BUGS, RIGHT, Bug, gradient, scores_of
from problems import LOSSES

from jaxlin import LinearParams, Objective
from jaxlin.gradients import check

N, D, C, L2 = 40, 6, 4, 0.03


def problem(
    seed: int = 0, size: float = 1.0
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    params = {"W": 0.5 * size * rng.normal(size=(C, D)), "b": rng.normal(size=C)}
    return params, rng.normal(size=(N, D)), rng.integers(0, C, N)


def margins(s: jax.Array, y: jax.Array) -> jax.Array:
    own = jax.nn.one_hot(y, C, dtype=bool)
    right = jnp.take_along_axis(s, y[:, None], axis=1)
    return jnp.where(own, 0.0, jnp.maximum(s - right + 1.0, 0.0))


# The losses as a user writes them, so that the check knows nothing of them. An objective refers to
# its loss and not to this table: of a table the check has to think that it may hold arrays, and
# then forgets all of JAX's programs, before and after.
OWN: dict[str, Any] = {
    "weston_watkins": lambda s, y: jnp.sum(margins(s, y), axis=1),
    "squared_weston_watkins": lambda s, y: jnp.sum(margins(s, y) ** 2, axis=1),
    "crammer_singer": lambda s, y: jnp.max(margins(s, y), axis=1),
    "softmax": lambda s, y: -jnp.take_along_axis(jax.nn.log_softmax(s), y[:, None], axis=1)[:, 0],
}


def own_objective(loss: Any) -> Any:
    def objective(p: Any, x: Any, y: Any, l2: Any) -> jax.Array:
        scores = x @ p["W"].T + p["b"].reshape(1, -1)
        return jnp.mean(loss(scores, y)) + l2 * jnp.sum(p["W"] ** 2)

    return objective


OBJECTIVES = {name: own_objective(loss) for name, loss in OWN.items()}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_in_code_that_the_library_does_not_know(bug: Bug) -> None:
    params, x, labels = problem(size=bug.size)
    report = check(OBJECTIVES[bug.loss], params, x, labels, L2, by_hand=bug.by_hand)
    assert report.verdict == "disagrees"
    assert not report
    assert report.cause == bug.explained, report.explanation


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_in_the_gradient_of_a_library_objective(bug: Bug) -> None:
    params, x, labels = problem(size=bug.size)
    both = LinearParams(params["W"], params["b"])  # pyright: ignore[reportArgumentType]

    def by_hand(p: LinearParams, x: Any, labels: Any) -> LinearParams:
        found = bug.by_hand({"W": np.asarray(p.W), "b": np.asarray(p.b)}, x, labels, L2)
        return LinearParams(found["W"], found["b"])  # pyright: ignore[reportArgumentType]

    report = check(Objective(LOSSES[bug.loss], L2), both, x, labels, by_hand=by_hand)
    assert report.verdict == "disagrees"
    assert not report
    assert report.cause == bug.explained, report.explanation


@pytest.mark.parametrize("loss", RIGHT)
@pytest.mark.parametrize("seed", range(5))
def test_without_a_bug_they_agree(loss: str, seed: int) -> None:
    params, x, labels = problem(seed)

    def by_hand(p: Any, x: Any, y: Any, l2: float) -> Any:
        return gradient(p, x, y, l2, RIGHT[loss](scores_of(p, x), y))

    report = check(OBJECTIVES[loss], params, x, labels, L2, by_hand=by_hand)
    assert report.verdict == "agrees", report.explanation
    assert report.pair("by hand", "jax.grad").error_in_eps < 16


def test_what_is_not_known_is_at_least_placed() -> None:
    params, x, labels = problem()
    (bug,) = (bug for bug in BUGS if bug.name == "wrong for one class")
    report = check(OBJECTIVES["weston_watkins"], params, x, labels, L2, by_hand=bug.by_hand)
    assert "all in row 2" in report.explanation
    (bug,) = (bug for bug in BUGS if bug.name == "one coordinate wrong by 1e-4")
    report = check(OBJECTIVES["softmax"], params, x, labels, L2, by_hand=bug.by_hand)
    assert "W[1, 2]" in report.explanation
    assert report.worst[0].place == "W[1, 2]"
