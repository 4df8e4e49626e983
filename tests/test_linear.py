"""Scores and predictions against plain loops, in every dtype and layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jaxlin
from jaxlin import LinearParams

N, D, C = 5, 4, 3


def model(seed: int = 0, bias: bool = True) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    rng = np.random.default_rng(seed)
    W, b, x = rng.normal(size=(C, D)), rng.normal(size=C), rng.normal(size=(N, D))
    return W, b if bias else None, x


def as_params(W: np.ndarray, b: np.ndarray | None, dtype: Any) -> LinearParams:
    return LinearParams(jnp.asarray(W, dtype), None if b is None else jnp.asarray(b, dtype))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_are_the_loops(dtype: str, bias: bool) -> None:
    W, b, x = model(bias=bias)
    with jax.enable_x64(dtype == "float64"):
        found = jaxlin.scores(as_params(W, b, dtype), jnp.asarray(x, dtype))
    assert found.dtype == dtype
    assert found.shape == (N, C)
    tolerance = 1e-14 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(found, oracles.scores(W, b, x), rtol=0, atol=tolerance)


def test_float64_arrays_stay_float64_without_the_global_switch() -> None:
    W, b, x = model()
    with jax.enable_x64(True):
        params, wide = as_params(W, b, "float64"), jnp.asarray(x, jnp.float64)
    for found in (jaxlin.scores(params, wide), jaxlin.scores(params, x)):
        assert found.dtype == jnp.float64
        np.testing.assert_allclose(found, oracles.scores(W, b, x), rtol=0, atol=1e-6)
    np.testing.assert_allclose(
        jaxlin.scores(params, wide), oracles.scores(W, b, x), rtol=0, atol=1e-14
    )
    assert jaxlin.scores(as_params(W, b, "float32"), wide).dtype == jnp.float64


# The argmax is taken in the scope in which scores keeps float64.
def test_predictions_in_float64_see_what_float32_would_round_away() -> None:
    with jax.enable_x64(True):
        params = LinearParams(jnp.asarray([[1.0], [1.0 + 1e-12]], jnp.float64))
        x = jnp.ones((1, 1), jnp.float64)
    assert jaxlin.predict(params, x).tolist() == [1]


def test_predictions_are_the_loops_and_ties_go_to_the_lowest_class() -> None:
    rng = np.random.default_rng(1)
    W, b, x = rng.integers(-1, 2, (C, D)), rng.integers(-1, 2, C), rng.integers(-1, 2, (40, D))
    params = as_params(W, b, "float32")
    found = jaxlin.predict(params, x.astype(np.float32))
    s = oracles.scores(W, b, x)
    assert any((row == row.max()).sum() > 1 for row in s)
    assert found.tolist() == [oracles.predicted(row) for row in s.tolist()]
    assert found.dtype == jnp.int32
    assert jaxlin.predict(params, x[0].astype(np.float32)).shape == ()


def test_leading_dimensions_are_kept() -> None:
    W, b, x = model()
    params = as_params(W, b, "float32")
    flat = np.asarray(jaxlin.scores(params, x))
    assert np.array_equal(jaxlin.scores(params, x[None, :, None]), flat[None, :, None])
    np.testing.assert_allclose(jaxlin.scores(params, x[0]), flat[0], rtol=0, atol=1e-6)
    assert jaxlin.scores(params, x[:0]).shape == (0, C)


def test_the_bias_is_a_feature_that_is_always_one() -> None:
    W, b, x = model()
    assert b is not None
    folded = as_params(np.concatenate([W, b[:, None]], axis=1), None, "float32")
    extended = np.concatenate([x, np.ones((N, 1))], axis=1)
    np.testing.assert_allclose(
        jaxlin.scores(folded, extended),
        jaxlin.scores(as_params(W, b, "float32"), x),
        rtol=0,
        atol=1e-6,
    )


def fortran(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def strided(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]


def reversed_view(x: np.ndarray) -> np.ndarray:
    return x[::-1].copy()[::-1]


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("view", [fortran, strided, reversed_view, read_only])
def test_memory_layout_changes_no_bit(view: Callable[[np.ndarray], np.ndarray]) -> None:
    W, b, x = model()
    params, x = as_params(W, b, "float32"), x.astype(np.float32)
    assert np.array_equal(jaxlin.scores(params, view(x)), jaxlin.scores(params, x))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "bool"])
def test_integer_features_give_what_their_float_values_give(dtype: str) -> None:
    W, b, _ = model()
    top = {"uint8": 255, "int8": 127, "int32": 10**6, "bool": 1}[dtype]
    x = np.random.default_rng(2).integers(0, top, (N, D), endpoint=True).astype(dtype)
    x[0] = top
    params = as_params(W, b, "float32")
    found = jaxlin.scores(params, x)
    assert found.dtype == jnp.float32
    assert np.array_equal(found, jaxlin.scores(params, x.astype(np.float32)))


# JAX cuts 2**40 down to 0 without a word.
def test_integer_features_of_64_bits_are_converted_before_jax_cuts_them() -> None:
    params = LinearParams(jnp.ones((1, 1)))
    x = np.array([[2**40]])
    with jax.enable_x64(True):
        wide = jnp.asarray(x)
    for features in (x, x.astype(np.uint64), wide):
        assert float(jaxlin.scores(params, features)[0, 0]) == 2.0**40
        assert float(jax.jit(jaxlin.scores)(params, wide)[0, 0]) == 2.0**40


@pytest.mark.parametrize(("dtype", "x"), [("float16", 70_000), ("bfloat16", 257)])
def test_whole_numbers_are_not_rounded_to_the_width_of_the_weights(dtype: str, x: int) -> None:
    params = LinearParams(jnp.asarray([[0.5], [-0.25]], dtype))
    found = jaxlin.scores(params, np.array([[x]]))
    assert found.dtype == dtype
    assert np.array_equal(found, jnp.asarray([[0.5 * x, -0.25 * x]], dtype))


def test_whole_weights_and_biases_are_numbers_like_any_other() -> None:
    params = LinearParams(jnp.asarray([[100], [-100]], jnp.int8), jnp.asarray([1, 0], jnp.int8))
    found = jaxlin.scores(params, np.array([[200]], np.uint8))
    assert found.dtype == jnp.float32
    assert found.tolist() == [[20_001.0, -20_000.0]]


def test_lists_are_features_too() -> None:
    params = LinearParams(jnp.ones((1, 2)))
    lists: list[Any] = [[[1.0, 2.0]], [[1, 2]], [[True, 2]]]
    for x in lists:
        assert jaxlin.scores(params, x).tolist() == [[3.0]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_width_products_are_summed_in_float32(dtype: str) -> None:
    # Added one by one in float16 the ones are lost beside 2048, in bfloat16 beside 256.
    large = {"float16": 2048, "bfloat16": 256}[dtype]
    W = jnp.asarray([[large] + [1] * large], dtype)
    found = jaxlin.scores(LinearParams(W, jnp.zeros(1, dtype)), jnp.ones((1, large + 1), dtype))
    assert found.dtype == dtype
    assert float(found[0, 0]) == 2 * large


def test_the_bias_is_added_before_the_scores_are_rounded() -> None:
    W = jnp.asarray([[2048.0, 1.0]], jnp.float16)
    params = LinearParams(W, jnp.asarray([1.0], jnp.float16))
    assert float(jaxlin.scores(params, jnp.ones((1, 2), jnp.float16))[0, 0]) == 2050.0


@pytest.mark.parametrize(
    ("W", "b", "x"),
    [
        ((C, D), (C,), (N, D + 1)),
        ((C, D), (C + 1,), (N, D)),
        ((C, D), (1,), (N, D)),
        ((C, D), (C, 1), (N, D)),
        ((D,), None, (N, D)),
        ((2, C, D), None, (N, D)),
        ((C, D), None, ()),
    ],
)
def test_wrong_shapes_raise_under_every_transformation(
    W: tuple[int, ...], b: tuple[int, ...] | None, x: tuple[int, ...]
) -> None:
    params = LinearParams(jnp.zeros(W), None if b is None else jnp.zeros(b))

    def total(params: LinearParams, x: jax.Array) -> jax.Array:
        return jnp.sum(jaxlin.scores(params, x))

    def over_models(params: LinearParams, x: jax.Array) -> jax.Array:
        stacked = jax.tree.map(lambda leaf: leaf[None], params)
        return jax.vmap(jaxlin.scores, in_axes=(0, None))(stacked, x)

    calls: list[Callable[..., Any]] = [
        jaxlin.scores,
        jaxlin.predict,
        jax.jit(jaxlin.scores),
        jax.grad(total),
        over_models,
    ]
    for call in calls:
        with pytest.raises((AssertionError, ValueError)):
            call(params, jnp.zeros(x))


def test_right_shapes_pass_under_every_transformation() -> None:
    W, b, x = model()
    params, x = as_params(W, b, "float32"), jnp.asarray(x, jnp.float32)
    plain = jaxlin.scores(params, x)
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), params)
    both = jax.vmap(jaxlin.scores, in_axes=(0, None))(stacked, x)
    np.testing.assert_allclose(both, np.stack([plain, 2 * plain]), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(jax.jit(jaxlin.scores)(params, x), plain, rtol=1e-6, atol=1e-6)
    gradient = jax.grad(lambda p: jnp.sum(jaxlin.scores(p, x)))(params)
    np.testing.assert_allclose(gradient.b, np.full(C, N), rtol=0)
    np.testing.assert_allclose(gradient.W, np.tile(x.sum(axis=0), (C, 1)), rtol=1e-5)


def test_params_start_at_zero_or_normal() -> None:
    params = jaxlin.init_params(D, C)
    assert params.b is not None
    assert not np.any(params.W)
    assert not np.any(params.b)
    assert (params.num_classes, params.num_features) == (C, D)
    assert jaxlin.init_params(D, C, bias=False).b is None
    drawn = jaxlin.init_params(400, 50, key=jax.random.key(0), scale=0.5)
    assert drawn.b is not None
    assert not np.any(drawn.b)
    assert abs(float(jnp.std(drawn.W)) - 0.5) < 0.01
    assert abs(float(jnp.mean(drawn.W))) < 0.02
    again = jaxlin.init_params(400, 50, key=jax.random.key(0), scale=0.5)
    assert np.array_equal(drawn.W, again.W)
    for dtype in (jnp.float16, jnp.float64):
        for scale in (0.0, 1.0):
            leaves = jax.tree.leaves(
                jaxlin.init_params(D, C, key=jax.random.key(0), scale=scale, dtype=dtype)
            )
            assert [leaf.dtype for leaf in leaves] == [dtype, dtype]


def test_params_that_cannot_be_made_are_named() -> None:
    with pytest.raises(jaxlin.InputError, match=r"scale=0.1 draws W at random: pass key="):
        jaxlin.init_params(D, C, scale=0.1)
    for scale in (-1.0, np.nan, np.inf, "1", 1j):
        with pytest.raises(jaxlin.InputError, match="scale must be a positive, finite number"):
            jaxlin.init_params(D, C, key=jax.random.key(0), scale=scale)  # pyright: ignore[reportArgumentType]
    for dtype in (jnp.int32, jnp.complex64, bool):
        with pytest.raises(jaxlin.InputError, match="dtype must be floating"):
            jaxlin.init_params(D, C, dtype=dtype)
    with pytest.raises(jaxlin.InputError, match="num_features must be at least 1, got 0"):
        jaxlin.init_params(0, C)
    with pytest.raises(jaxlin.InputError, match=r"num_classes must be a whole number, got 2.5"):
        jaxlin.init_params(D, 2.5)  # pyright: ignore[reportArgumentType]


def test_params_are_a_pytree() -> None:
    params = jaxlin.init_params(D, C)
    assert len(jax.tree.leaves(params)) == 2
    assert len(jax.tree.leaves(LinearParams(params.W))) == 1
    doubled = jax.tree.map(lambda leaf: leaf + 1, params)
    assert isinstance(doubled, LinearParams)
    assert float(doubled.W[0, 0]) == 1.0
