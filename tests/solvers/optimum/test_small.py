"""Many small problems at once: each is at its optimum, and its certificate is sound."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates.exact import objective, optimum
from problems import LOSSES, C, D, N, blobs

import jaxlin
from jaxlin import solvers
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.solvers.optimum import at_once
from jaxlin.solvers.optimum.certifying import Round
from jaxlin.solvers.optimum.newton_cg import descend
from jaxlin.training.listening import Listener
from jaxlin.training.proved import history_of_rounds
from jaxlin.training.small_fits import TO_ROUNDING, SmallFits

X, LABELS = blobs()
WIDE = X.astype(np.float64)
RNG = np.random.default_rng(1)
# All rows, two folds of which one lacks a class, and weights of all sizes.
WEIGHTS = np.stack(
    [
        np.ones(N),
        (np.arange(N) % 3 != 0).astype(float),
        (LABELS != 1).astype(float),
        10.0 ** RNG.uniform(-3.0, 0.0, N),
    ]
)
WEIGHTS = WEIGHTS / WEIGHTS.sum(axis=1, keepdims=True)
L2 = [1.0, 1e-3, 1e-6]
TOL = 1e-6


def fits(name: str, bias: bool, dtype: Any) -> SmallFits:
    start = jaxlin.init_params(D, C, bias=bias, dtype=jnp.float32)
    with float64_scope(True):
        examples = Examples(jnp.asarray(X), jnp.asarray(LABELS, jnp.int32), jnp.ones(N) / N)
        return SmallFits(LOSSES[name], examples, WEIGHTS, start, scaling=None, dtype=dtype)


@pytest.mark.parametrize(
    ("name", "bias", "dtype"),
    [
        ("softmax", True, jnp.float64),
        ("softmax", False, jnp.float32),
        ("squared_weston_watkins", True, jnp.float32),
        ("squared_weston_watkins", False, jnp.float64),
    ],
)
def test_every_gap_is_small_and_not_below_the_truth(name: str, bias: bool, dtype: Any) -> None:
    with float64_scope(True):
        found = fits(name, bias, dtype).at(L2, TOL)
    for l2, of_l2 in zip(L2, found, strict=True):
        for weight, one in zip(WEIGHTS, of_l2, strict=True):
            best = optimum(name, WIDE, LABELS, l2, bias, weight, C).value
            value = objective(name, one.params.W, one.params.b, WIDE, LABELS, l2, weight)
            proof = one.certificate
            assert one.params.W.dtype == dtype
            assert one.outcome.kind == "converged"
            assert proof.relative_gap <= TOL
            assert proof.dual <= best * (1.0 + 1e-12)
            np.testing.assert_allclose(proof.primal, value, rtol=1e-11)
            assert value - best <= proof.gap + 1e-9 * best


def test_a_class_without_rows_keeps_its_place_along_a_long_path() -> None:
    # Its own rows have weight 0: a bias that lay below those would go down with every strength.
    with float64_scope(True):
        found = fits("softmax", True, jnp.float64).standings(list(np.geomspace(1.0, 1e-6, 30)), TOL)
    for of_l2 in found:
        W, b = of_l2.params.W[2], of_l2.params.b[2]  # pyright: ignore[reportOptionalSubscript]
        counts = WEIGHTS[2] > 0.0
        own = (WIDE[counts] @ W.T + b)[np.arange(counts.sum()), LABELS[counts]]
        np.testing.assert_allclose(W[1], 0.0, atol=1e-12)
        assert own.min() - 60.0 < b[1] < own.min() - 20.0


def test_more_models_than_memory_is_meant_for_are_solved_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with float64_scope(True):
        one_part = fits("softmax", True, jnp.float64).standings(L2, TOL)
    # Twice as many, with room for half of them: two parts of the size that is compiled.
    monkeypatch.setattr(at_once, "_BUDGET", 4 * 8 * C * (24 * 64 + 3 * (8 + 8)))
    most = at_once.models_at_once(N, D, C, len(L2), own_rows=False)
    assert len(WEIGHTS) <= most < 2 * len(WEIGHTS)
    seen: list[int] = []

    def told(place: int, products: int) -> bool:
        del products
        seen.append(place)
        return False

    start = jaxlin.init_params(D, C, dtype=jnp.float32)
    with float64_scope(True):
        examples = Examples(jnp.asarray(X), jnp.asarray(LABELS, jnp.int32), jnp.ones(N) / N)
        twice = np.concatenate([WEIGHTS, WEIGHTS])[: 2 * len(WEIGHTS) - 1]
        many = SmallFits(
            LOSSES["softmax"], examples, twice, start, scaling=None, dtype=jnp.float64
        ).standings(L2, TOL, on_l2=told)
    assert seen == [0, 1, 2]
    for few, all_of_l2 in zip(one_part, many, strict=True):
        gaps = [proof.relative_gap for proof in all_of_l2.certificates]
        assert len(gaps) == len(all_of_l2.params.W) == len(twice)
        assert max(gaps) <= TOL
        np.testing.assert_allclose(all_of_l2.found.value[:4], few.found.value, rtol=TOL)
        np.testing.assert_allclose(all_of_l2.found.value[4:], few.found.value[:3], rtol=TOL)


def test_to_rounding_the_gradient_is_zero_whatever_float32_does_on_the_way() -> None:
    with float64_scope(True):
        (found,) = fits("softmax", True, jnp.float64).standings([1e-4], TOL, target=TO_ROUNDING)
    assert found.params.b is not None
    for weight, W, b in zip(WEIGHTS, found.params.W, found.params.b, strict=True):
        s = WIDE @ W.T + b
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p = p / p.sum(axis=1, keepdims=True)
        p[np.arange(N), LABELS] -= 1.0
        gradient = (weight[:, None] * p).T @ WIDE + 2e-4 * W
        assert np.abs(gradient).max() < 1e-12


@pytest.mark.parametrize("l2", [1e-3, 1e-6])
def test_to_rounding_float32_is_not_the_end_for_a_squared_hinge_either(l2: float) -> None:
    with float64_scope(True):
        many = fits("squared_weston_watkins", True, jnp.float64)
        (found,) = many.standings([l2], 1e-3, target=TO_ROUNDING)
    for weight, W, b in zip(WEIGHTS, found.params.W, np.asarray(found.params.b), strict=True):
        s = WIDE @ W.T + b
        margins = np.maximum(0.0, s - s[np.arange(N), LABELS][:, None] + 1.0)
        margins[np.arange(N), LABELS] = 0.0
        slopes = 2.0 * margins
        slopes[np.arange(N), LABELS] = -slopes.sum(axis=1)
        gradient = (weight[:, None] * slopes).T @ WIDE + 2.0 * l2 * W
        assert np.abs(gradient).max() < 1e-9


def test_who_listens_hears_of_the_same_steps() -> None:
    # A step at a time, what was learnt of how exact a direction has to be is kept.
    options: dict[str, Any] = {"loss": LOSSES["squared_weston_watkins"], "l2": 1e-6, "tol": 1e-6}
    heard = jaxlin.fit(X, LABELS, on_epoch=lambda report: None, **options)
    silent = jaxlin.fit(X, LABELS, **options)
    assert heard.outcome.kind == silent.outcome.kind == "converged"
    assert "Newton's method" in str(heard.outcome)
    assert len(heard.history) < 60


def test_no_model_takes_the_steps_of_another() -> None:
    with float64_scope(True):
        many = fits("squared_weston_watkins", True, jnp.float64)
        (few,) = many.standings([1e-6], 1e-12, most_steps=9)
        (more,) = many.standings([1e-6], 1e-12)
    np.testing.assert_array_equal(few.found.steps <= 9, True)
    gaps = [proof.relative_gap for proof in more.certificates]
    assert max(gaps) <= 1e-8  # what a proof of so small an objective allows for rounding


def test_a_bias_is_not_balanced_uphill() -> None:
    # One row of a class among many of another, all far on one side: there a softmax is so flat
    # that Newton's step for the bias alone leads hundreds away.
    x = np.concatenate([np.full(997, 33.0), np.full(2, 1.0), np.zeros(1)]).astype(np.float32)
    labels = np.r_[np.ones(999, np.int32), 0]
    weight = np.r_[np.full(999, 1e-4), 0.9]
    start = jaxlin.LinearParams(jnp.array([[-1.0], [1.0]]), jnp.array([3.0, -3.0]))
    found = jaxlin.fit(
        x[:, None], labels, loss=LOSSES["softmax"], l2=1e-6, sample_weight=weight, init=start
    )
    assert found.outcome.kind == "converged"


def test_a_gap_that_rounding_forbids_is_an_outcome_with_what_was_reached() -> None:
    with float64_scope(True):
        one = fits("softmax", True, jnp.float32).at([1.0], 1e-15)[0][0]
    assert one.outcome.kind == "out_of_steps"
    assert one.certificate.relative_gap < 1e-9
    assert "Rounding" in str(one.outcome)


def test_other_rows_and_strengths_of_about_the_same_size_compile_nothing() -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": 1e-3}
    jaxlin.fit(X, LABELS, **options)
    before = descend._cache_size()  # pyright: ignore[reportAttributeAccessIssue]
    options["l2"] = 1e-2
    few = jaxlin.fit(X[::-1][:50, :5], LABELS[::-1][:50], **options)
    assert few.certificate is not None
    assert descend._cache_size() == before  # pyright: ignore[reportAttributeAccessIssue]


def test_a_start_is_taken_and_a_bad_one_does_no_harm() -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": 1e-3}
    first = jaxlin.fit(X, LABELS, **options)
    again = jaxlin.fit(X, LABELS, init=first.params, **options)
    assert again.history.passes is not None
    assert first.history.passes is not None
    assert again.history.passes[-1] < first.history.passes[-1]
    bad = jax.tree.map(lambda leaf: leaf + 1e3, jaxlin.init_params(D, C))
    assert jaxlin.fit(X, LABELS, init=bad, **options).outcome.kind == "converged"


def test_who_listens_hears_of_each_step_and_may_end_it() -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": 1e-4}
    alone = jaxlin.fit(X, LABELS, **options)
    told: list[float] = []

    def hear(report: jaxlin.EpochReport) -> bool:
        told.append(report.objective)
        assert report.params.W.shape == (C, D)
        return len(told) == 2

    heard = jaxlin.fit(X, LABELS, validation=(X[:9], LABELS[:9]), **options)
    assert len(heard.history) > 2
    assert heard.history.validation_loss is not None
    assert len(heard.history.validation_loss) == len(heard.history)
    assert alone.certificate is not None
    assert heard.certificate is not None
    assert heard.certificate.relative_gap <= 1e-4
    stopped = jaxlin.fit(X, LABELS, on_epoch=hear, **options)
    assert stopped.outcome.kind == "stopped_by_callback"
    assert told == stopped.history.objective.tolist()
    assert stopped.certificate is not None


def test_the_optimum_is_that_of_lbfgs() -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": 1e-3, "tol": 1e-8}
    own = jaxlin.fit(X, LABELS, dtype=np.float64, **options)
    other = jaxlin.fit(X, LABELS, dtype=np.float64, solver=solvers.LBFGS(), **options)
    np.testing.assert_allclose(np.asarray(own.params.W), np.asarray(other.params.W), atol=1e-3)
    assert own.params.b is not None
    assert float(np.sum(np.asarray(own.params.b))) == pytest.approx(0.0, abs=1e-12)


def test_features_that_float32_cannot_square_are_fitted_in_float64() -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "tol": 1e-8, "dtype": np.float64}
    plain = jaxlin.fit(X, LABELS, l2=1e-2, **options)
    large = jaxlin.fit(1e25 * X, LABELS, l2=1e-2 * 1e50, **options)
    assert large.outcome.kind == "converged"
    np.testing.assert_allclose(1e25 * np.asarray(large.params.W), plain.params.W, atol=1e-3)


def test_a_start_beyond_the_numbers_is_left_for_zero() -> None:
    W = 1e308 * np.outer([1.0, -1.0, 0.0], np.ones(D))
    with float64_scope(True):
        start = jaxlin.LinearParams(jnp.asarray(W), jnp.zeros(3))
    found = jaxlin.fit(X, LABELS, loss=LOSSES["softmax"], l2=1e-2, init=start, dtype=np.float64)
    assert found.certificate is not None
    assert found.certificate.relative_gap <= 1e-4


def test_counts_go_on_where_another_way_takes_over() -> None:
    told: list[jaxlin.EpochReport] = []
    listener = Listener(
        Objective(LOSSES["softmax"], 1e-3), None, None, told.append, num_examples=N,
        most_passes=5, users_x64=False,
    )  # fmt: skip
    first, second = Round(7, 0.5, 0.9, 1e-2, 2.0), Round(3, 0.4, 0.9, 1e-4, 1.0)
    params = jaxlin.init_params(D, C)
    listener(first, lambda: params)
    listener.go_on_from(history_of_rounds([first], []))
    listener(second, lambda: params)
    counts = [(one.epoch, one.epochs, one.seconds, one.examples) for one in told]
    # Products may be more than passes were to be.
    assert counts == [(7, 7, 2.0, 7 * N), (10, 12, 3.0, 10 * N)]
    kept = listener.counted_on(history_of_rounds([second], []))
    assert kept.passes is not None
    assert (kept.passes.tolist(), kept.seconds.tolist()) == ([10], [3.0])
