"""What the losses make of extreme scores, of narrow ones, and of labels of every kind."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest
from jax.experimental import checkify
from loss_programs import AUTODIFF, BY_HAND, PROBABILITIES, VALUE, random_scores
from problems import LOSSES

import jaxlin
from jaxlin import losses

F32_MAX = float(np.finfo(np.float32).max)


# Scores


def every_extreme() -> tuple[np.ndarray, np.ndarray]:
    levels = (-3e38, -1e38, 0.0, 1e38, 3e38)
    cases = [(s, y) for s in itertools.product(levels, repeat=3) for y in range(3)]
    return np.array([s for s, _ in cases], np.float32), np.array([y for _, y in cases])


def as_float32_would_hold(values: np.ndarray) -> np.ndarray:
    """The same numbers, those beyond float32's range as infinities."""
    return np.where(np.abs(values) <= F32_MAX, values, np.copysign(np.inf, values))


@pytest.mark.parametrize("name", LOSSES)
def test_huge_scores_give_the_true_value_or_infinity_and_never_nan(name: str) -> None:
    scores, labels = every_extreme()
    value = oracles.values(name, scores, labels)
    assert (value > F32_MAX).any()
    assert (np.isfinite(value) & (value > 1e38) & (value < F32_MAX)).any() or "squared" in name
    np.testing.assert_allclose(
        VALUE[name](scores, labels), as_float32_would_hold(value), rtol=1e-6, atol=1e-6
    )


def gradient_at_extremes(name: str, method: Any, finite: bool) -> None:
    scores, labels = every_extreme()
    rows = (oracles.values(name, scores, labels) <= F32_MAX) == finite
    assert rows.any()
    expected = as_float32_would_hold(oracles.score_gradients(name, scores, labels))
    found = np.asarray(method[name](scores, labels))
    assert not np.isnan(found).any()
    np.testing.assert_allclose(found[rows], expected[rows], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("method", [BY_HAND, AUTODIFF], ids=["by_hand", "autodiff"])
@pytest.mark.parametrize("name", LOSSES)
def test_huge_scores_give_the_true_gradient_and_never_nan(name: str, method: Any) -> None:
    gradient_at_extremes(name, method, finite=True)


@pytest.mark.parametrize("method", [BY_HAND, AUTODIFF], ids=["by_hand", "autodiff"])
@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_is_true_where_the_value_overflows(name: str, method: Any) -> None:
    gradient_at_extremes(name, method, finite=False)


def test_huge_scores_have_probabilities() -> None:
    scores, _ = every_extreme()
    expected = [oracles.softmax_probabilities(s) for s in oracles.rows(scores)]
    np.testing.assert_allclose(PROBABILITIES(scores), expected, rtol=1e-6, atol=1e-6)


def test_two_margins_of_2e38_are_beyond_float32_and_one_is_not() -> None:
    two = np.array([[-1e38, 1e38, 1e38]], np.float32)
    one = np.array([[-1e38, 1e38, -1e38]], np.float32)
    label = np.array([0])
    for name, beyond in (("weston_watkins", True), ("crammer_singer", False), ("softmax", False)):
        assert np.isinf(VALUE[name](two, label)).all() == beyond
        np.testing.assert_allclose(VALUE[name](one, label), [2e38], rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_not_hidden(name: str, bad: float) -> None:
    scores = np.array([[0.0, bad, 0.0], [0.0, 1.0, 2.0]], np.float32)
    for label in range(3):
        found = np.asarray(VALUE[name](scores, np.array([label, 0])))
        assert np.isfinite(found[1])
        if np.isnan(bad) or label != 1:
            assert not np.isfinite(found[0])


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float16") for name in LOSSES), ("softmax", "bfloat16")]
)
def test_half_width_scores_are_computed_in_float32(name: str, dtype: str) -> None:
    scores, labels = random_scores()
    narrow = jnp.asarray(100.0 * scores, dtype)
    wide = narrow.astype(jnp.float32)
    for f in (VALUE, BY_HAND):
        found = f[name](narrow, labels)
        assert found.dtype == dtype
        assert np.array_equal(found, f[name](wide, labels).astype(dtype))
    assert AUTODIFF[name](narrow, labels).dtype == dtype


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_width_probabilities_are_computed_in_float32(dtype: str) -> None:
    narrow = jnp.asarray(np.linspace(-30.0, 30.0, 400)[None], dtype)
    found = PROBABILITIES(narrow)
    assert found.dtype == dtype
    assert np.array_equal(found, PROBABILITIES(narrow.astype(jnp.float32)).astype(dtype))


@pytest.mark.parametrize("name", LOSSES)
def test_integer_scores_are_computed_in_float32(name: str) -> None:
    scores = np.array([[0, 255, 7]], np.uint8)
    label = np.array([0])
    found = VALUE[name](scores, label)
    assert found.dtype == jnp.float32
    assert np.array_equal(found, VALUE[name](scores.astype(np.float32), label))


@pytest.mark.parametrize("name", LOSSES)
def test_integer_scores_of_64_bits_are_converted_before_jax_cuts_them(name: str) -> None:
    scores, label = np.array([[0, 2**40, 2**33]]), np.array([1])
    with jax.enable_x64(True):
        wide = jnp.asarray(scores)
    for f in (LOSSES[name], LOSSES[name].score_gradient, jax.jit(LOSSES[name])):
        expected = f(scores.astype(np.float32), label)
        assert np.array_equal(f(wide, label), expected)
    found = LOSSES[name](scores, label)
    assert np.array_equal(found, LOSSES[name](scores.astype(np.float32), label))
    assert np.array_equal(
        losses.softmax_probabilities(scores),
        losses.softmax_probabilities(scores.astype(np.float32)),
    )


# Labels


@pytest.mark.parametrize("name", LOSSES)
def test_jax_labels_of_64_bits_need_no_global_switch(name: str) -> None:
    scores = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], np.float32)
    with jax.enable_x64(True):
        labels, beyond = jnp.asarray([0, 2]), jnp.asarray([0, 2**32 + 1])
    for f in (LOSSES[name], LOSSES[name].score_gradient):
        expected = f(scores, np.array([0, 2]))
        assert np.array_equal(f(scores, labels), expected)
        np.testing.assert_allclose(jax.jit(f)(scores, labels), expected, rtol=1e-6)
        with pytest.raises(jaxlin.InputError, match=r"got 4294967297 at index \(1,\)"):
            f(scores, beyond)
        assert np.isnan(jax.jit(f)(scores, beyond)[1]).all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3], r"labels must lie in 0\.\.2 .*got 3 at index \(1,\)"),
        ([-1, 0], r"got -1 at index \(0,\)"),
        (np.array([0, 2**32 + 1]), r"got 4294967297 at index \(1,\)"),
        (np.array([2**63, 0], np.uint64), r"got 9223372036854775808 at index \(0,\)"),
        ([0.0, 1.0], "labels must be integers"),
        ([True, False], "labels must be integers"),
    ],
)
def test_labels_that_name_no_class_are_errors_where_they_can_be_seen(
    name: str, labels: Any, message: str
) -> None:
    scores = np.zeros((2, 3), np.float32)
    for f in (LOSSES[name], LOSSES[name].score_gradient):
        with pytest.raises(jaxlin.InputError, match=message):
            f(scores, labels)
        # Closed over, their values can be seen under jit too.
        with pytest.raises(jaxlin.InputError, match=message):
            jax.jit(lambda s, f=f: f(s, labels))(scores)


@pytest.mark.parametrize("name", LOSSES)
def test_labels_that_name_no_class_are_nan_under_jit(name: str) -> None:
    scores = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0], [1.0, 2.0, 4.0]], np.float32)
    for bad in (3, -1, 2**31 - 1, -(2**31)):
        labels = np.array([0, bad, 2], np.int32)
        for f in (VALUE, BY_HAND):
            found, right = f[name](scores, labels), f[name](scores, np.array([0, 0, 2], np.int32))
            assert np.isnan(found[1]).all()
            assert np.array_equal(found[::2], right[::2])
        autodiff = np.asarray(AUTODIFF[name](scores, labels))
        assert np.isnan(autodiff[1]).any()
        assert np.isfinite(autodiff[::2]).all()


# Where every wrong class is outside the margin, max(0, z) would make zeros of NaN.
@pytest.mark.parametrize("name", LOSSES)
def test_the_derivative_at_a_label_that_names_no_class_is_nan_whatever_the_scores(
    name: str,
) -> None:
    for level in (-5.0, 0.0, 5.0):
        scores = np.full((1, 3), level, np.float32)
        for bad in (3, -1):
            assert np.isnan(AUTODIFF[name](scores, np.array([bad], np.int32))).all()


@pytest.mark.parametrize("name", LOSSES)
def test_checkify_reports_a_label_that_names_no_class(name: str) -> None:
    for f in (LOSSES[name], LOSSES[name].score_gradient):
        checked = jax.jit(checkify.checkify(f, errors=checkify.user_checks))
        error, _ = checked(np.zeros((2, 3), np.float32), np.array([0, 7], np.int32))
        assert "labels must lie in 0..C-1" in str(error.get())
        assert "7" in str(error.get())
        error, value = checked(np.zeros((2, 3), np.float32), np.array([0, 2], np.int32))
        assert error.get() is None
        assert np.isfinite(value).all()


@pytest.mark.parametrize(
    ("dtype", "num_classes"),
    [
        ("int8", 3),
        ("int8", 127),
        ("int8", 128),
        ("int8", 300),
        ("uint8", 255),
        ("uint8", 256),
        ("uint8", 300),
        ("int16", 300),
        ("uint16", 300),
        ("uint32", 300),
        ("int64", 300),
        ("uint64", 300),
    ],
)
def test_labels_of_any_width_serve_any_number_of_classes(dtype: str, num_classes: int) -> None:
    scores = np.linspace(0.0, 1.0, num_classes, dtype=np.float32)[None] ** 2
    for f in (VALUE["softmax"], BY_HAND["softmax"]):
        found = f(scores, np.array([2], dtype))
        assert np.array_equal(found, f(scores, np.array([2], np.int32)))
