"""The audit of an objective: verdicts at ties, in narrow dtypes, and of what is not its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_programs import BY_HAND
from problems import LOSSES, C, D, blobs

from jaxlin import InputError, LinearParams, Objective, losses
from jaxlin.gradients.objective_check import check_objective
from jaxlin.gradients.objective_programs import evaluated

X, Y = blobs()
RNG = np.random.default_rng(5)
W, B = RNG.normal(size=(C, D)), RNG.normal(size=C)
ONE_HOT: Any = LinearParams(jnp.zeros((C, D)), jnp.eye(C)[1])
HINGE = Objective(losses.weston_watkins_hinge, 0.1)


def params(dtype: Any = np.float32) -> Any:
    make: Any = LinearParams
    return make(jnp.asarray(W.astype(dtype)), jnp.asarray(B.astype(dtype)))


def hinge_by_hand(at_zero: float, l2: float = 0.1) -> Any:
    """The hinge's gradient in NumPy, counting a margin of zero by some share."""

    def by_hand(p: Any, x: Any, y: Any) -> Any:
        weights, b, x = np.asarray(p.W), np.asarray(p.b), np.asarray(x)
        s = x @ weights.T + b
        margins = s - s[np.arange(len(y)), y][:, None] + 1.0
        ds = np.where(margins > 0, 1.0, np.where(margins == 0, at_zero, 0.0))
        ds[np.arange(len(y)), y] = 0.0
        ds[np.arange(len(y)), y] = -ds.sum(axis=1)
        ds /= len(y)
        make: Any = LinearParams
        return make(ds.T @ x + 2 * l2 * weights, ds.sum(axis=0))

    return by_hand


@pytest.mark.parametrize("name", LOSSES)
def test_the_librarys_gradients_agree_within_16_eps(name: str) -> None:
    report = check_objective(Objective(LOSSES[name], 0.1), params(), X, Y)
    assert report.verdict == "agrees", report
    assert report.dtype == "float32"
    assert report.num_checked == report.num_coordinates == C * D + C
    assert report.pair("by hand", "jax.grad").error_in_eps < 16
    for first in ("by hand, float32", "jax.grad, float32", "forward mode"):
        pair = next(p for p in report.pairs if p.first.startswith(first))
        assert pair.error_in_eps < 16
    numerical = report.pair("numerical", "closed form")
    assert report.numerical_error is not None
    assert numerical.max_error < 100 * report.numerical_error + 1e-9


@pytest.mark.parametrize(
    ("at_zero", "words"),
    [(0.0, "0 at the tie"), (1.0, "`>=`"), (0.5, "`jnp.maximum`"), (0.3, "another element")],
)
def test_ways_to_count_a_tie_are_named(at_zero: float, words: str) -> None:
    report = check_objective(HINGE, ONE_HOT, X, Y, by_hand=hinge_by_hand(at_zero))
    assert report.verdict == "kink", report
    assert f"by hand takes {words}" in report.explanation or words in report.explanation
    assert "jax.grad takes 0 at the tie" in report.explanation
    count = int((Y == 1).sum()) * (C - 1)
    assert [kink.is_at for kink in report.kinks[:count]] == [True] * count
    assert {kink.example for kink in report.kinks[:count]} == set(np.flatnonzero(Y == 1).tolist())
    assert report.kinks[0].margin == 0.0
    assert any(at.left is not None and at.right is not None for at in report.worst)
    for at in report.worst:
        if at.left is not None and at.right is not None and at.by_hand is not None:
            assert at.left - 1e-12 <= at.by_hand <= at.right + 1e-12


@pytest.mark.parametrize("at_zero", [2.0, -1.0])
def test_what_lies_outside_of_the_subdifferential_disagrees(at_zero: float) -> None:
    report = check_objective(HINGE, ONE_HOT, X, Y, by_hand=hinge_by_hand(at_zero))
    assert report.verdict == "disagrees"
    assert not report
    assert "outside of the subdifferential" in report.explanation


def test_the_maximum_shared_out_is_a_subgradient_and_named() -> None:
    make: Any = LinearParams
    zero = make(np.zeros((C, D), np.float32), np.zeros(C, np.float32))

    def shared(p: Any, x: Any, y: Any) -> Any:
        ds = np.full((len(y), C), 1.0 / (C - 1))
        ds[np.arange(len(y)), y] = -1.0
        return make(ds.T @ x / len(y), ds.mean(axis=0))

    report = check_objective(Objective(losses.crammer_singer_hinge), zero, X, Y, by_hand=shared)
    assert report.verdict == "kink", report
    assert "by hand takes equal shares" in report.explanation
    assert "jax.grad takes the lowest class" in report.explanation


def test_margins_of_another_sign_in_float32_are_ties() -> None:
    found = 0
    make: Any = LinearParams
    x = np.zeros_like(X)  # one row counts; the others make it the shape of the other tests
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x[0] = rng.normal(size=D)
        weights = rng.normal(size=(C, D)).astype(np.float32)
        s = (x.astype(np.float64) @ weights.T.astype(np.float64))[0]
        # b brings every margin of label 0 as near to zero as float32 can.
        b = np.concatenate([[0.0], s[0] - 1.0 - s[1:]]).astype(np.float32)
        report = check_objective(
            Objective(losses.weston_watkins_hinge), make(weights, b), x, np.zeros_like(Y)
        )
        assert report.verdict in ("agrees", "kink"), report
        for kink in report.kinks:
            if kink.is_at and kink.example == 0 and "float32" in kink.certainty:
                found += 1
                assert kink.margin is not None
                assert kink.bound is not None
                assert kink.wrong_class is not None
                size = 1.0 + np.abs(weights[kink.wrong_class] - weights[0]) @ np.abs(x[0])
                size += abs(b[kink.wrong_class] - b[0])
                assert kink.bound == pytest.approx(64 * np.finfo(np.float32).eps * size, rel=1e-5)
                assert 0.0 < abs(kink.margin) <= kink.bound
                assert report.verdict == "kink"
                assert "different sides" in report.explanation
    assert found


def test_a_mistake_in_float32_alone_is_found() -> None:
    def by_hand(p: Any, x: Any, y: Any) -> Any:
        factor = 1.0 if p.W.dtype == np.float64 else 1.001
        return jax.tree.map(lambda leaf: np.asarray(leaf) * factor, BY_HAND(HINGE, p, x, y))

    report = check_objective(HINGE, params(), X, Y, by_hand=by_hand)
    assert report.verdict == "disagrees"
    assert "in float32 not" in report.explanation


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_width_parameters_are_judged_in_their_own_eps(dtype: Any) -> None:
    report = check_objective(Objective(LOSSES["softmax"], 0.1), params(dtype), X, Y)
    assert report.verdict == "agrees", report
    assert report.eps == float(jnp.finfo(dtype).eps)
    assert report.pair(f"by hand, {jnp.dtype(dtype).name}", "closed form").error_in_eps < 16


def test_a_penalty_of_the_users_is_part_of_the_gradient() -> None:
    objective = Objective(losses.softmax_cross_entropy, 0.1, lambda w: jnp.sum(jnp.abs(w)))
    assert check_objective(objective, params(), X, Y).verdict == "agrees"

    @jax.custom_jvp
    def odd(w: jax.Array) -> jax.Array:
        return jnp.sum(w**2)

    odd.defjvp(lambda p, t: (odd(p[0]), 3.0 * jnp.sum(p[0] * t[0])))
    wrong = Objective(losses.softmax_cross_entropy, 0.0, odd)
    report = check_objective(wrong, params(np.float64), X, Y)
    assert report.verdict == "undecided", report
    assert "penalty" in report.explanation


def test_integer_features_weights_and_no_bias() -> None:
    make: Any = LinearParams
    pixels = RNG.integers(0, 256, (30, D)).astype(np.uint8)
    weight = RNG.integers(0, 3, 30)
    # Weights, and no bias, with the other losses: test_no_false_alarm.
    for name in ("weston_watkins", "softmax"):
        report = check_objective(
            Objective(LOSSES[name], 0.1), make(W.astype(np.float32)), pixels, Y[:30], weight
        )
        assert report.verdict == "agrees", report


def test_another_loss_is_checked_like_any_function() -> None:
    def squares(s: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.sum(s**2, axis=-1) + 0.0 * y

    report = check_objective(Objective(squares, 0.1), params(np.float32), X, Y)
    assert report.verdict == "agrees", report
    assert report.num_directions > 0


def test_a_gradient_of_the_wrong_shape_disagrees() -> None:
    make: Any = LinearParams
    report = check_objective(
        HINGE, params(), X, Y, by_hand=lambda p, x, y: make(np.zeros((D, C)), np.zeros(C))
    )
    assert report.verdict == "disagrees"
    assert report.cause in ("transposed", "shape")


def test_a_gradient_that_is_not_finite_disagrees() -> None:
    report = check_objective(
        HINGE, params(), X, Y, by_hand=lambda p, x, y: jax.tree.map(lambda a: a * np.nan, p)
    )
    assert report.verdict == "disagrees"
    assert report.cause == "not finite"


def test_what_overflows_cannot_be_told() -> None:
    make: Any = LinearParams
    huge = make(np.full((C, D), 1e300), None)
    report = check_objective(HINGE, huge, 1e300 * np.abs(X).astype(np.float64), Y)
    assert report.verdict == "undecided"
    rows = np.full((C, D), 1e30, np.float32) * (1 + np.arange(C, dtype=np.float32))[:, None]
    narrow = make(rows, np.zeros(C, np.float32))
    squared = Objective(losses.squared_weston_watkins_hinge)
    report = check_objective(squared, narrow, X, Y)
    assert report.verdict == "undecided"
    assert "float32" in report.explanation


def test_nothing_is_compiled_twice_and_the_global_setting_stays() -> None:
    check_objective(HINGE, params(), X, Y)
    program: Any = evaluated
    before = program._cache_size()
    check_objective(Objective(losses.weston_watkins_hinge, 0.7), params(), X + 1, Y[::-1], key=3)
    assert program._cache_size() == before
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": X[:, :-1]}, "features"),
        ({"labels": Y[:-1]}, "labels"),
        ({"labels": Y + C}, "labels must lie"),
        ({"params": LinearParams(jnp.full((C, D), jnp.nan))}, "params must be finite"),
        ({"params": {"W": W}}, "LinearParams"),
        ({"coordinates": 0}, "coordinates"),
        ({"sample_weight": -np.ones(len(Y))}, "weight"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {"params": params(), "x": X, "labels": Y} | change
    with pytest.raises(InputError, match=words):
        check_objective(HINGE, **given)
