"""Precision: what is computed in what, and the global float64 switch, which stays the user's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import LOSSES

import jaxlin
from jaxlin import LinearParams, Objective, losses, metrics
from jaxlin.precision import (
    compute_dtype,
    first_largest,
    float64_scope,
    holds_float64,
    keeps_float64,
)


def switch() -> bool:
    return bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]


def float64_array(*values: float) -> jax.Array:
    with jax.enable_x64(True):
        return jnp.asarray(values, jnp.float64)


def test_everything_is_computed_in_float32_but_float64() -> None:
    for dtype in ("float16", "bfloat16", "float32", "uint8", "int64", "bool"):
        assert compute_dtype(jnp.dtype(dtype)) == jnp.float32
    assert compute_dtype(np.float64) == jnp.float64
    assert compute_dtype("float64") == jnp.float64


def test_a_scope_ends_as_it_began_even_by_an_error() -> None:
    with float64_scope(True):
        assert switch()
        with float64_scope(True):
            assert switch()
        assert switch()
    assert not switch()
    with float64_scope(False):
        assert not switch()
    with pytest.raises(KeyError), float64_scope(True):
        raise KeyError
    assert not switch()


def test_a_scope_leaves_on_what_the_user_switched_on() -> None:
    with jax.enable_x64(True):
        with float64_scope(False):
            assert switch()
        with float64_scope(True):
            assert switch()
        assert switch()
    assert not switch()


def test_only_jax_arrays_of_float64_are_a_wish_for_float64() -> None:
    wide = float64_array(1.0)
    assert holds_float64(wide)
    assert holds_float64({"a": [None, LinearParams(wide[None])]})
    assert not holds_float64(np.ones(2))
    assert not holds_float64([1.0, jnp.ones(2), np.float64(3.0), None, "text"])


def test_a_decorated_function_keeps_float64_and_nothing_else() -> None:
    @keeps_float64
    def third(x: Any, *, scale: Any = 1.0) -> jax.Array:
        """What it does."""
        return jnp.asarray(x) * scale / 3.0

    assert (third.__name__, third.__doc__) == ("third", "What it does.")
    found = third(float64_array(1.0))
    assert found.dtype == jnp.float64
    assert float(found[0]) == 1.0 / 3.0
    assert third(1.0, scale=float64_array(1.0)).dtype == jnp.float64
    assert third(np.ones(1)).dtype == jnp.float32
    assert third(jnp.ones(1)).dtype == jnp.float32
    assert jax.jit(third)(float64_array(1.0)).dtype == jnp.float64
    assert not switch()
    with jax.enable_x64(True):
        assert third(np.ones(1)).dtype == jnp.float64


def test_an_error_inside_leaves_the_switch_off() -> None:
    @keeps_float64
    def fails(x: jax.Array) -> jax.Array:
        raise KeyError

    with pytest.raises(KeyError):
        fails(float64_array(1.0))
    assert not switch()
    with jax.enable_x64(True):
        scores = jnp.zeros((1, 3), jnp.float64)
    with pytest.raises(jaxlin.InputError):
        losses.weston_watkins_hinge(scores, np.array([5]))
    assert not switch()


def test_an_image_of_bytes_scores_as_its_floats_do_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, 64), dtype=np.uint8)
    images[0] = 255
    labels = rng.integers(0, 3, 20)
    params = jaxlin.init_params(64, 3, key=jax.random.key(0), scale=0.01)
    objective = Objective(losses.softmax_cross_entropy, 0.1)
    wide = images.astype(np.float32)
    assert np.array_equal(jaxlin.scores(params, images), jaxlin.scores(params, wide))
    assert float(objective(params, images, labels)) == float(objective(params, wide, labels))
    by_hand = objective.gradient_by_hand
    assert np.array_equal(by_hand(params, images, labels).W, by_hand(params, wide, labels).W)


def products_and_their_precisions(f: Callable[..., Any], *arguments: Any) -> tuple[int, int]:
    """How many matrix products a function lowers to, and how many ask for full precision."""
    text = jax.jit(f).lower(*arguments).as_text()
    products = re.findall(r"dot_general.*", text)
    full = [line for line in products if "precision = [HIGHEST, HIGHEST]" in line]
    return len(products), len(full)


def test_every_matrix_product_asks_for_full_precision() -> None:
    params, x, labels = jaxlin.init_params(3, 4), jnp.ones((5, 3)), jnp.zeros(5, jnp.int32)
    objective = Objective(LOSSES["softmax"], 0.1)
    for dtype in (jnp.float32, jnp.bfloat16):
        narrow = jax.tree.map(lambda leaf, dtype=dtype: leaf.astype(dtype), params)
        features = x.astype(dtype)
        assert products_and_their_precisions(jaxlin.scores, narrow, features) == (1, 1)
        assert products_and_their_precisions(jaxlin.predict, narrow, features) == (1, 1)
        for f in (objective.gradient_by_hand, jax.grad(objective)):
            assert products_and_their_precisions(f, narrow, features, labels) == (2, 2)


def value_and_grad(f: Any) -> Any:
    return lambda *arguments: jax.value_and_grad(f)(*arguments)[1]


def grad_over_models(f: Any) -> Any:
    def first(params: LinearParams, *arguments: Any) -> LinearParams:
        one = jax.tree.map(lambda leaf: leaf[None], params)
        found = jax.vmap(jax.grad(f), in_axes=(0, None, None, None))(one, *arguments)
        return jax.tree.map(lambda leaf: leaf[0], found)

    return first


# What is computed backwards runs when the scope that the objective opens has ended.
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_float64_arrays_need_no_global_switch(name: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    W, b, x = rng.normal(size=(3, 4)), rng.normal(size=3), rng.normal(size=(9, 4))
    labels = rng.integers(0, 3, 9)
    with jax.enable_x64(True):
        params, features = LinearParams(jnp.asarray(W), jnp.asarray(b)), jnp.asarray(x)
        weight = jnp.asarray(rng.uniform(size=9)) if weighted else None
    objective = Objective(LOSSES[name], 0.1)
    expected = objective.gradient_by_hand(params, features, labels, weight)
    gradients: list[Any] = [
        jax.grad(objective),
        jax.jit(jax.grad(objective)),
        jax.grad(jax.jit(objective)),
        jax.grad(jax.checkpoint(objective)),
        value_and_grad(objective),
        grad_over_models(objective),
    ]
    for gradient in gradients:
        found = gradient(params, features, labels, weight)
        for leaf, right in zip(*map(jax.tree.leaves, (found, expected)), strict=True):
            assert leaf.dtype == jnp.float64
            np.testing.assert_allclose(leaf, right, rtol=0, atol=1e-14)

    def along(params: LinearParams) -> jax.Array:
        return objective(params, features, labels, weight)

    _, slope = jax.jvp(along, (params,), (expected,))
    products = jax.tree.map(lambda g: np.sum(np.square(np.asarray(g))), expected)
    np.testing.assert_allclose(slope, sum(jax.tree.leaves(products)), rtol=1e-13)
    assert not switch()


def test_compiled_predictions_in_float64_need_no_global_switch() -> None:
    with jax.enable_x64(True):
        params = LinearParams(jnp.asarray([[1.0], [1.0 + 1e-12]]))
        x = jnp.ones((1, 1), jnp.float64)
    assert jax.jit(jaxlin.predict)(params, x).tolist() == [1]
    labels = np.array([1])
    scored = jaxlin.scores(params, x)
    assert float(jax.jit(metrics.accuracy)(scored, labels)) == 1.0


def test_the_first_of_the_largest_is_found_as_numpy_finds_it() -> None:
    nan, inf = np.nan, np.inf
    rows = [[0, 2, 2], [-inf] * 3, [1, nan, nan], [nan, 3, 4], [inf, inf, 0], [-0.0, 0.0, -1]]
    values = np.array(rows, np.float32)
    for f in (first_largest, jax.jit(first_largest)):
        assert np.array_equal(f(jnp.asarray(values)), np.argmax(values, axis=-1))
        assert int(f(jnp.asarray(values[0]))) == 1
        assert f(jnp.asarray(values, jnp.bfloat16)).dtype == jnp.int32
    with pytest.raises(jaxlin.InputError, match="no classes"):
        first_largest(jnp.zeros((2, 0)))
