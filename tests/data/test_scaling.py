"""Scaling against plain loops, and what it does to a model."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jaxlin
from jaxlin import LinearParams
from jaxlin.data.scaling import Scaling

RNG = np.random.default_rng(4)
X = RNG.normal(size=(30, 4)) * [1.0, 1e-6, 1e4, 3.0] + [0.0, 5.0, -1e5, 100.0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_standardisation_is_the_loop(dtype: str) -> None:
    x = X.astype(dtype)
    scaling = Scaling.standardize(x)
    mean, deviation = oracles.standardisation(x)
    np.testing.assert_allclose(np.asarray(scaling.shift), mean, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(scaling.scale), 1.0 / deviation, rtol=1e-7)


def test_standardised_features_have_mean_0_and_variance_1() -> None:
    with jax.enable_x64(True):
        found = np.asarray(Scaling.standardize(X)(jnp.asarray(X)))
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-8)
    np.testing.assert_allclose(found.var(axis=0), 1.0, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "float16", "int64"])
def test_narrow_features_do_not_wrap(dtype: str) -> None:
    top = {"uint8": 255, "int8": -128, "bool": 1, "float16": 60000, "int64": 2**40}[dtype]
    x = np.array([[0, top], [top, top], [top, 0]]).astype(dtype)
    mean, deviation = oracles.standardisation(x)
    scaling = Scaling.standardize(x)
    np.testing.assert_allclose(np.asarray(scaling.shift), mean, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(scaling.scale), 1.0 / deviation, rtol=1e-12)
    largest = oracles.largest_absolute_value(x)
    np.testing.assert_allclose(np.asarray(Scaling.unit_range(x).scale), 1.0 / largest, rtol=1e-12)


# In float16 arithmetic 1 / 60000 would be denormal, and JAX cuts 2**40 down to 0.
@pytest.mark.parametrize(
    ("dtype", "top"),
    [
        ("uint8", 255),
        ("int8", -128),
        ("bool", 1),
        ("float16", 60000),
        ("bfloat16", 3e37),
        ("int64", 2**40),
        ("int64", -(2**63)),
        ("uint64", 2**64 - 1),
    ],
)
def test_narrow_and_wide_features_reach_1_in_their_unit_range(dtype: str, top: float) -> None:
    x = np.array([[0, top], [top, top], [top, 0]], jnp.dtype(dtype))
    largest = float(np.max(np.abs(np.asarray(Scaling.unit_range(x)(x), np.float64))))
    assert largest == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_width_features_are_scaled_in_float32(dtype: str) -> None:
    scaling = Scaling(np.array([1e5, 0.1]), np.array([1e-5, 1e5]))
    x = jnp.asarray([[2.0, 0.125], [60000.0, 1.0]], dtype)
    found = scaling(x)
    assert found.dtype == dtype
    assert np.array_equal(found, scaling(x.astype(jnp.float32)).astype(dtype))


def test_more_rows_than_a_block_are_all_counted() -> None:
    x = np.random.default_rng(0).integers(0, 256, (70_000, 64), dtype=np.uint8)
    x[-1, 0], x[:-1, 1] = 255, 7
    scaling = Scaling.standardize(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(np.asarray(scaling.shift), wide.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(scaling.scale), 1.0 / wide.std(axis=0), rtol=1e-10)
    small = np.zeros((70_000, 64), np.int8)
    small[-1, -1] = -128
    assert Scaling.unit_range(small).scale == 1.0 / 128.0


# Row by row the rounding errors of a sum grow with N, and so do those of the mean.
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        *((value, "float32") for value in (0.0, 0.1, 1e8, -3.0, 1e-30)),
        *((value, "float64") for value in (0.0, 0.1, 1e8, -3.0, 1e-30)),
    ],
)
def test_a_constant_feature_becomes_zero(value: float, dtype: str) -> None:
    x = np.full((999, 2), value, dtype)
    x[:, 1] = np.arange(999)
    scaling = Scaling.standardize(x)
    assert np.asarray(scaling.scale)[0] == 1.0
    found = np.asarray(scaling(x.astype(np.float32)))
    np.testing.assert_allclose(found[:, 0], 0.0, atol=1e-7 * abs(value))
    assert found[-1, 1] == pytest.approx(1.73, abs=0.01)


def test_unit_range_has_one_factor_and_keeps_zero() -> None:
    x = np.array([[0.0, -4.0], [2.0, 1.0]])
    scaling = Scaling.unit_range(x)
    assert (scaling.shift, scaling.scale) == (0.0, 1.0 / oracles.largest_absolute_value(x))
    assert np.asarray(scaling(x)).tolist() == [[0.0, -1.0], [0.5, 0.25]]
    assert Scaling.unit_range(np.zeros((2, 2))).scale == 1.0


@pytest.mark.parametrize(
    ("shift", "scale"),
    [(2.0, 0.5), (np.arange(4.0), 2.0 + np.arange(4.0)), (0.0, np.float32(3.0)), (1.0, np.ones(4))],
)
def test_a_scaling_is_its_formula(shift: Any, scale: Any) -> None:
    x = RNG.normal(size=(5, 4)).astype(np.float32)
    expected = (x - np.asarray(shift)) * np.asarray(scale)
    scaling = Scaling(shift, scale)
    for found in (scaling(x), jax.jit(lambda s, x: s(x))(scaling, x)):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scaling(x[0]), expected[0], rtol=1e-5, atol=1e-6)


def test_integers_become_float32_and_floats_keep_their_dtype() -> None:
    scaling = Scaling(1.0, 0.5)
    assert scaling(np.array([[0, 255]], np.uint8)).tolist() == [[-0.5, 127.0]]
    assert scaling(np.array([[0, 255]], np.uint8)).dtype == jnp.float32
    assert scaling(jnp.ones((1, 2), jnp.bfloat16)).dtype == jnp.bfloat16
    with jax.enable_x64(True):
        assert scaling(jnp.ones((1, 2), jnp.float64)).dtype == jnp.float64


def test_float64_needs_no_global_switch() -> None:
    with jax.enable_x64(True):
        x = jnp.asarray([[1.0 + 1e-12, 3.0]])
    scaling = Scaling(np.array([1.0, 2.0]), 1e12)
    for f in (scaling, jax.jit(scaling)):
        found = f(x)
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, [[1.0, 1e12]], rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_folded_model_gives_raw_features_the_same_scores(bias: bool, dtype: str) -> None:
    W, b = RNG.normal(size=(3, 4)), RNG.normal(size=3)
    expected = oracles.scores(W, b if bias else None, (X - X.mean(axis=0)) / X.std(axis=0))
    with jax.enable_x64(True):
        params = LinearParams(jnp.asarray(W, dtype), jnp.asarray(b, dtype) if bias else None)
    folded = Scaling.standardize(X).fold(params)
    assert folded.W.dtype == dtype
    assert folded.b is not None
    assert folded.b.dtype == dtype
    W_raw, b_raw = np.asarray(folded.W, np.float64), np.asarray(folded.b, np.float64)
    np.testing.assert_allclose(W_raw, W / X.std(axis=0), rtol=1e-6)
    if dtype == "float64":  # in float32 a scale of 1e6 leaves few digits
        np.testing.assert_allclose(oracles.scores(W_raw, b_raw, X), expected, rtol=0, atol=1e-7)


def test_without_a_shift_no_bias_appears() -> None:
    params = jaxlin.init_params(4, 3, bias=False, key=jax.random.key(0), scale=1.0)
    assert Scaling(0.0, 0.5).fold(params).b is None
    assert Scaling(np.zeros(4), np.ones(4)).fold(params).b is None
    with_shift = Scaling(1.0, 0.5).fold(params)
    np.testing.assert_allclose(with_shift.W, 0.5 * params.W, rtol=1e-6)
    assert with_shift.b is not None
    np.testing.assert_allclose(with_shift.b, -0.5 * params.W.sum(axis=1), rtol=1e-5)


# Squares of these are beyond float64.
@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_features_of_any_size_are_standardised(size: float) -> None:
    x = np.array([[1.0, 1.0], [-1.0, 2.0], [3.0, 2.0]]) * np.array([size, 1.0])
    scaling = Scaling.standardize(x)
    mean, deviation = oracles.standardisation(x / np.array([size, 1.0]))
    shift, scale = np.asarray(scaling.shift), np.asarray(scaling.scale)
    np.testing.assert_allclose(shift, mean * np.array([size, 1.0]), rtol=1e-12)
    np.testing.assert_allclose(scale, 1.0 / deviation / np.array([size, 1.0]), rtol=1e-12)


def test_features_too_small_for_a_factor_get_a_finite_one() -> None:
    x = np.array([[5e-324], [0.0]])
    assert np.isfinite(Scaling.unit_range(x).scale)
    assert np.isfinite(Scaling.standardize(x).scale).all()


@pytest.mark.parametrize("make", [Scaling.standardize, Scaling.unit_range])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[1.0, np.nan]]), r"Input X contains NaN\."),
        (np.array([[1.0], [np.nan]], jnp.bfloat16), r"Input X contains NaN\."),
        (np.array([[1.0, np.inf]]), "Input X contains infinity"),
        (np.array([[1.0, -np.inf]], np.float16), "Input X contains infinity"),
        (np.array([["1e4000"]], np.longdouble), "Input X contains infinity"),
        (np.zeros((0, 3)), r"0 sample\(s\)"),
        (np.zeros((3, 0)), r"0 feature\(s\)"),
        (np.zeros(3), "Expected 2D array"),
        (np.array([["1"]]), "X holds text"),
        (np.array([[1j]]), "Complex data not supported"),
        (np.ma.masked_equal([[1.0, 2.0]], 1.0), "masked array"),
    ],
)
def test_what_cannot_be_scaled_is_an_error(make: Any, x: Any, message: str) -> None:
    with pytest.raises(jaxlin.InputError, match=message):
        make(x)


def test_parameters_beyond_their_dtype_are_an_error() -> None:
    params = LinearParams(jnp.ones((2, 3)), jnp.zeros(2))
    for scaling in (Scaling(0.0, 1e200), Scaling(1e30, 1e30), Scaling(1e308, 1e308)):
        with pytest.raises(jaxlin.InputError, match=r"too large for dtype\('float32'\)"):
            scaling.fold(params)
