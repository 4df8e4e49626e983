"""The losses and their hand-written gradients: against plain loops, at kinks, as properties."""

from __future__ import annotations

import itertools
import math
from typing import Any

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_programs import AUTODIFF, BY_HAND, PROBABILITIES, VALUE, random_scores, total
from problems import LOSSES

import jaxlin
from jaxlin import gradients, losses

HINGES = ("weston_watkins", "crammer_singer")
DTYPES = ("float32", "float64")


def every_tie() -> tuple[np.ndarray, np.ndarray]:
    """All scores in {-1, 0, 1}^3 with all labels: margins of 0, equal maxima, equal margins."""
    cases = [(s, y) for s in itertools.product((-1.0, 0.0, 1.0), repeat=3) for y in range(len(s))]
    return np.array([s for s, _ in cases]), np.array([y for _, y in cases])


# The formulas


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("data", [random_scores, every_tie])
def test_values_and_gradients_are_the_loops(data: Any, name: str, dtype: str) -> None:
    scores, labels = data()
    scores = scores.astype(dtype)
    with jax.enable_x64(dtype == "float64"):
        s = jnp.asarray(scores)
        value, by_hand, autodiff = (f[name](s, labels) for f in (VALUE, BY_HAND, AUTODIFF))
    assert value.dtype == by_hand.dtype == autodiff.dtype == dtype
    rtol = 1e-14 if dtype == "float64" else 2e-6
    expected = oracles.values(name, scores, labels)
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol)
    expected = oracles.score_gradients(name, scores, labels)
    np.testing.assert_allclose(by_hand, expected, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(autodiff, expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_are_the_loops(dtype: str) -> None:
    scores, _ = random_scores()
    scores = 10.0 * scores
    with jax.enable_x64(dtype == "float64"):
        found = np.asarray(PROBABILITIES(jnp.asarray(scores, dtype)))
    assert found.dtype == dtype
    expected = [oracles.softmax_probabilities(s) for s in oracles.rows(scores.astype(dtype))]
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=0)
    np.testing.assert_allclose(np.sum(found, axis=-1), 1.0, rtol=10 * tolerance)


@pytest.mark.parametrize("name", LOSSES)
def test_the_numerical_gradient_agrees(name: str) -> None:
    scores, labels = random_scores()
    with jax.enable_x64(True):
        s = jnp.asarray(scores)
        numerical = gradients.numerical(lambda s: total(LOSSES[name])(s, labels), s)
        by_hand = BY_HAND[name](s, labels)
    np.testing.assert_allclose(by_hand, numerical, rtol=0, atol=2e-8)


@pytest.mark.parametrize("name", LOSSES)
def test_float64_needs_no_global_switch(name: str) -> None:
    scores, labels = random_scores()
    with jax.enable_x64(True):
        s = jnp.asarray(scores)
    value = LOSSES[name](s, labels)
    by_hand = LOSSES[name].score_gradient(s, labels)
    assert value.dtype == by_hand.dtype == jnp.float64
    np.testing.assert_allclose(value, oracles.values(name, scores, labels), atol=2e-14)
    np.testing.assert_allclose(by_hand, oracles.score_gradients(name, scores, labels), atol=2e-14)


@pytest.mark.parametrize(
    ("loss", "value", "gradient"),
    [
        (
            losses.WestonWatkinsHinge(0.25),
            oracles.weston_watkins,
            oracles.weston_watkins_gradient,
        ),
        (
            losses.SquaredWestonWatkinsHinge(2.5),
            oracles.squared_weston_watkins,
            oracles.squared_weston_watkins_gradient,
        ),
        (
            losses.CrammerSingerHinge(4.0),
            oracles.crammer_singer,
            oracles.crammer_singer_gradient,
        ),
    ],
    ids=["weston_watkins", "squared_weston_watkins", "crammer_singer"],
)
def test_the_margin_is_the_margin(loss: Any, value: Any, gradient: Any) -> None:
    scores, labels = random_scores()
    scores = scores.astype(np.float32)
    pairs = list(zip(oracles.rows(scores), labels.tolist(), strict=True))
    np.testing.assert_allclose(
        jax.jit(loss)(scores, labels),
        [value(s, y, loss.margin) for s, y in pairs],
        rtol=1e-6,
        atol=1e-5,
    )
    np.testing.assert_allclose(
        jax.jit(loss.score_gradient)(scores, labels),
        [gradient(s, y, loss.margin) for s, y in pairs],
        rtol=0,
        atol=1e-5,
    )


def test_with_two_classes_the_losses_are_the_binary_ones() -> None:
    scores, labels = random_scores(num_classes=2)
    rows = np.arange(len(labels))
    lead = scores[rows, labels] - scores[rows, 1 - labels]
    with jax.enable_x64(True):
        found = {name: np.asarray(VALUE[name](jnp.asarray(scores), labels)) for name in LOSSES}
    hinge = np.maximum(0.0, 1.0 - lead)
    np.testing.assert_allclose(found["softmax"], np.log1p(np.exp(-lead)), rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["weston_watkins"], hinge, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["crammer_singer"], hinge, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found["squared_weston_watkins"], hinge**2, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_one_class_costs_nothing(name: str) -> None:
    scores, labels = np.full((2, 1), 3.0, np.float32), np.zeros(2, int)
    assert not np.any(VALUE[name](scores, labels))
    assert not np.any(BY_HAND[name](scores, labels))
    assert VALUE[name](np.zeros((0, 3)), np.zeros(0, int)).shape == (0,)


# Kinks


@pytest.mark.parametrize("name", LOSSES)
def test_at_ties_the_gradients_keep_the_conventions(name: str) -> None:
    scores, labels = every_tie()
    s = scores.astype(np.float32)
    by_hand, autodiff = BY_HAND[name](s, labels), AUTODIFF[name](s, labels)
    if name == "softmax":
        np.testing.assert_allclose(autodiff, by_hand, rtol=0, atol=1e-6)
    else:
        expected = oracles.score_gradients(name, scores, labels)
        assert np.array_equal(by_hand, expected)
        assert np.array_equal(autodiff, expected)


@pytest.mark.parametrize("name", LOSSES)
def test_at_ties_forward_differentiation_keeps_the_conventions_too(name: str) -> None:
    scores, labels = every_tie()
    s = jnp.asarray(scores, jnp.float32)
    for direction in np.eye(3, dtype=np.float32):
        _, slope = jax.jvp(
            lambda s: VALUE[name](s, labels), (s,), (jnp.asarray(np.tile(direction, (len(s), 1))),)
        )
        expected = oracles.score_gradients(name, scores, labels) @ direction
        np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_at_ties_the_gradients_lie_between_the_one_sided_derivatives(name: str) -> None:
    scores, labels = every_tie()
    s = scores.astype(np.float32)
    directions = [d for d in itertools.product((-1.0, 0.0, 1.0), repeat=3) if any(d)]
    kinks = 0
    tolerance = 1e-6 if name in HINGES else 1e-5
    for row, y, *found in zip(
        scores.tolist(),
        labels.tolist(),
        np.asarray(BY_HAND[name](s, labels)).tolist(),
        np.asarray(AUTODIFF[name](s, labels)).tolist(),
        strict=True,
    ):
        for direction in directions:
            forwards = oracles.slope_along(oracles.VALUES[name], row, y, direction)
            backwards = -oracles.slope_along(
                oracles.VALUES[name], row, y, [-part for part in direction]
            )
            kinks += forwards > backwards + 0.5
            for gradient in found:
                slope = float(np.dot(gradient, direction))
                assert backwards - tolerance <= slope <= forwards + tolerance
    assert (kinks > 100) == (name in HINGES)


def test_at_a_margin_of_exactly_zero_the_derivative_is_zero() -> None:
    scores, labels = np.array([[1.0, 0.0, -3.0]], np.float32), np.array([0])
    for name in ("weston_watkins", "squared_weston_watkins", "crammer_singer"):
        assert float(VALUE[name](scores, labels)[0]) == 0.0
        assert not np.any(BY_HAND[name](scores, labels))
        assert not np.any(AUTODIFF[name](scores, labels))


def test_among_equal_maxima_the_lowest_class_counts() -> None:
    scores, labels = np.array([[2.0, 0.0, 2.0], [0.0, 5.0, 5.0]], np.float32), np.array([1, 0])
    expected = [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0]]
    assert np.asarray(BY_HAND["crammer_singer"](scores, labels)).tolist() == expected
    assert np.asarray(AUTODIFF["crammer_singer"](scores, labels)).tolist() == expected


# Shapes


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("scores", "labels"), [((4, 3), (3,)), ((4, 3), (4, 1)), ((4, 3), ()), ((), ()), ((4, 0), (4,))]
)
def test_wrong_shapes_raise_under_every_transformation(
    name: str, scores: tuple[int, ...], labels: tuple[int, ...]
) -> None:
    loss = LOSSES[name]
    s, y = jnp.zeros(scores), jnp.zeros(labels, jnp.int32)

    def over_copies(f: Any) -> Any:
        return lambda s, y: jax.vmap(f)(s[None], y[None])

    calls: list[Any] = [loss, loss.score_gradient, VALUE[name], BY_HAND[name], AUTODIFF[name]]
    for call in [*calls, over_copies(loss), over_copies(loss.score_gradient)]:
        with pytest.raises((AssertionError, ValueError)):
            call(s, y)


@pytest.mark.parametrize("name", LOSSES)
def test_any_leading_dimensions_are_kept(name: str) -> None:
    scores, labels = random_scores()
    s, y = jnp.asarray(scores, jnp.float32), jnp.asarray(labels)
    deep, deep_labels = s.reshape(4, 10, 5), y.reshape(4, 10)
    for f in (VALUE[name], BY_HAND[name]):
        flat = f(s, y)
        assert np.array_equal(f(deep, deep_labels), flat.reshape(4, 10, *flat.shape[1:]))
        assert np.array_equal(jax.jit(jax.vmap(f))(s, y), flat)
        alone = f(s[0], y[0])
        assert alone.shape == flat.shape[1:]
        np.testing.assert_allclose(alone, flat[0], rtol=1e-6, atol=1e-6)


# The loss objects


@pytest.mark.parametrize(
    "margin", [0.0, -1.0, math.nan, math.inf, "wide", "1", True, 10**400, 1j, None]
)
def test_a_margin_that_is_not_positive_is_an_error(margin: Any) -> None:
    for kind in (
        losses.WestonWatkinsHinge,
        losses.SquaredWestonWatkinsHinge,
        losses.CrammerSingerHinge,
    ):
        with pytest.raises(jaxlin.InputError, match="margin must be"):
            kind(margin)


def test_losses_are_values() -> None:
    assert losses.WestonWatkinsHinge() == losses.weston_watkins_hinge
    assert losses.WestonWatkinsHinge(2) == losses.WestonWatkinsHinge(np.float32(2.0))  # pyright: ignore[reportArgumentType]
    assert losses.WestonWatkinsHinge() != losses.CrammerSingerHinge()
    assert len({losses.WestonWatkinsHinge(), losses.WestonWatkinsHinge(1.0)}) == 1
    assert losses.weston_watkins_hinge.margin == 1.0
    for loss in LOSSES.values():
        assert isinstance(loss, losses.HandWrittenLoss)
    assert not isinstance(lambda s, y: s, losses.HandWrittenLoss)


# Properties, on scores that are multiples of 1/4: sums of these are exact


def quarters(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    integers = hnp.arrays(np.int32, shape, elements=st.integers(-24, 24))
    return integers.map(lambda a: (a / 4.0).astype(np.float32))


SCORES = quarters((4, 3))
LABELS = hnp.arrays(np.int32, (4,), elements=st.integers(0, 2))


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40)
@given(scores=SCORES, labels=LABELS, shift=quarters((4, 1)))
def test_a_shift_of_all_scores_changes_nothing(
    name: str, scores: np.ndarray, labels: np.ndarray, shift: np.ndarray
) -> None:
    for f in (VALUE, BY_HAND):
        np.testing.assert_allclose(
            f[name](scores + shift, labels),
            f[name](scores, labels),
            rtol=0,
            atol=1e-5 if name == "softmax" else 0,
        )


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40)
@given(scores=SCORES, labels=LABELS, order=st.permutations(range(3)))
def test_the_names_of_the_classes_do_not_matter(
    name: str, scores: np.ndarray, labels: np.ndarray, order: list[int]
) -> None:
    renamed = np.argsort(order).astype(np.int32)[labels]
    tolerance = 1e-5 if name == "softmax" else 0
    np.testing.assert_allclose(
        VALUE[name](scores[:, order], renamed), VALUE[name](scores, labels), rtol=0, atol=tolerance
    )
    if name != "crammer_singer":  # its choice among equals goes by the index
        np.testing.assert_allclose(
            BY_HAND[name](scores[:, order], renamed),
            np.asarray(BY_HAND[name](scores, labels))[:, order],
            rtol=0,
            atol=tolerance,
        )


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=40)
@given(scores=SCORES, other=SCORES, labels=LABELS)
def test_losses_are_convex_and_the_gradient_supports_them_from_below(
    name: str, scores: np.ndarray, other: np.ndarray, labels: np.ndarray
) -> None:
    here, there = VALUE[name](scores, labels), VALUE[name](other, labels)
    for f in (BY_HAND, AUTODIFF):
        gradient = np.asarray(f[name](scores, labels))
        tangent = np.asarray(here) + np.sum(gradient * (other - scores), axis=1)
        assert (np.asarray(there) >= tangent - 1e-4).all()
        np.testing.assert_allclose(gradient.sum(axis=1), 0.0, rtol=0, atol=1e-6)


@settings(max_examples=40)
@given(scores=SCORES, labels=LABELS)
def test_losses_are_not_negative_and_keep_their_order(
    scores: np.ndarray, labels: np.ndarray
) -> None:
    found = {name: np.asarray(VALUE[name](scores, labels)) for name in LOSSES}
    for value in found.values():
        assert (value >= 0.0).all()
    sums, worst = found["weston_watkins"], found["crammer_singer"]
    assert (worst <= sums).all()
    assert (sums <= 2 * worst).all()
    assert (worst**2 <= found["squared_weston_watkins"]).all()
    wrong = np.argmax(scores, axis=1) != labels
    assert (worst[wrong] >= 1.0).all()
    # A wrong prediction costs at least one bit.
    assert (found["softmax"][wrong] >= np.log(2.0) - 1e-6).all()
