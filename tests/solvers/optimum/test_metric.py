"""The products, the metric against the second derivative itself, and both for other platforms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxlin import losses
from jaxlin.data.scaling import Scaling
from jaxlin.solvers.optimum.metric import along_directions, basis_of, metric_at
from jaxlin.solvers.optimum.passes import Data, all_gradient, all_scores
from jaxlin.solvers.optimum.steps import Terms, descend, start

SOFTMAX = losses.softmax_cross_entropy


@pytest.fixture(autouse=True)
def float64() -> Any:
    with jax.enable_x64(True):
        yield


def problem(num_rows: int = 60, num_features: int = 5, num_classes: int = 3) -> Data:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(num_rows, num_features)) + 1.0
    labels = jnp.asarray(rng.integers(0, num_classes, num_rows), jnp.int32)
    weight = rng.uniform(0.5, 1.5, num_rows)
    return Data(jnp.asarray(x), labels, jnp.asarray(weight / weight.sum()), None)


@pytest.mark.parametrize("num_features", [64, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_the_products_are_numpys(num_features: int, dtype: Any) -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 200, (70_001, num_features)).astype(dtype)
    scaling = Scaling(np.float32(100.0), np.float32(0.01))
    data = Data(jnp.asarray(x), jnp.zeros(len(x), jnp.int32), jnp.ones(len(x)), scaling)
    W = rng.normal(size=(3, num_features)).astype(np.float32)
    wide = (x.astype(np.float64) - 100.0) * np.float64(np.float32(0.01))
    np.testing.assert_allclose(jax.jit(all_scores)(W, data), W @ wide.T, atol=1e-4)
    slopes = rng.normal(size=(3, len(x))).astype(np.float32)
    np.testing.assert_allclose(jax.jit(all_gradient)(slopes, data), slopes @ wide, atol=0.05)


@pytest.mark.parametrize("has_bias", [True, False])
def test_where_every_row_is_drawn_the_metric_is_the_second_derivative(has_bias: bool) -> None:
    data, l2 = problem(), 1e-2
    num_rows, num_features = data.x.shape
    scores = jnp.asarray(np.random.default_rng(2).normal(size=(3, num_rows)))
    basis = basis_of(data, has_bias)
    metric = metric_at(
        SOFTMAX, has_bias, num_features, num_rows * 50, "float64", data=data, basis=basis,
        kept=None, scores=scores, width=jnp.asarray(1.0), l2=jnp.asarray(l2),
        offset=jnp.asarray(0.3, jnp.float32),
    )  # fmt: skip
    x, p = np.asarray(data.x), np.asarray(jax.nn.softmax(scores, axis=0)).T
    features = x - np.asarray(basis.center)
    if has_bias:
        features = np.concatenate([features, np.ones((num_rows, 1))], axis=1)
    hessians = np.einsum("ni,ij->nij", p, np.eye(3)) - p[:, :, None] * p[:, None, :]
    H = np.einsum("n,nij,nk,nl->ikjl", np.asarray(data.weight), hessians, features, features)
    ridge = np.full(features.shape[1], 2 * l2)
    ridge[num_features:] = 0.0
    H += np.einsum("ij,kl->ikjl", np.eye(3), np.diag(ridge))
    gradient = np.random.default_rng(3).normal(size=(3, features.shape[1]))
    gradient -= gradient.mean(axis=0)  # a shift of all b is no direction of the problem
    size = gradient.size
    exact = np.linalg.lstsq(H.reshape(size, size), gradient.reshape(-1), rcond=1e-12)[0]
    step = np.asarray(metric.solve(jnp.asarray(gradient)))
    # The ridge that shifts of b are given, and the float32 directions, are all that differs.
    np.testing.assert_allclose(step, exact.reshape(gradient.shape), rtol=0.02, atol=0.02)


def test_rows_that_are_kept_along_the_directions_change_nothing() -> None:
    data, rank = problem(), 4
    basis = basis_of(data, True)
    scores = jnp.asarray(np.random.default_rng(4).normal(size=(3, data.x.shape[0])))
    gradient = jnp.asarray(np.random.default_rng(5).normal(size=(3, data.x.shape[1] + 1)))
    gradient = gradient - gradient.mean(axis=0, keepdims=True)
    steps = [
        metric_at(
            SOFTMAX, True, rank, 40, "float32", data=data, basis=basis, kept=kept, scores=scores,
            width=jnp.asarray(1.0), l2=jnp.asarray(1e-3), offset=jnp.asarray(0.3, jnp.float32),
        ).solve(gradient)
        for kept in (None, along_directions(data, basis, rank), along_directions(data, basis, 5))
    ]  # fmt: skip
    for step in steps[1:]:
        np.testing.assert_allclose(step, steps[0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_a_descent_lowers_for_every_platform(platform: str) -> None:
    data = problem()
    basis = basis_of(data, True)
    terms = Terms(jnp.asarray(1e-2), jnp.asarray(1.0), jnp.asarray(1.0))
    zero, scores = jnp.zeros((3, 6)), jnp.zeros((3, 60))
    state = start(SOFTMAX, "float32", zero, scores, data, basis.center, terms)
    metric = metric_at(
        SOFTMAX, True, 5, 60, "float32", data=data, basis=basis, kept=None, scores=scores,
        width=terms.width, l2=terms.l2, offset=jnp.asarray(0.3, jnp.float32),
    )  # fmt: skip

    def run(state: Any, metric: Any, data: Any) -> Any:
        few = jnp.asarray(3, jnp.int32)
        return descend(SOFTMAX, "float32", state, data, metric, terms, jnp.asarray(1e-9), few)[0]

    exported = export.export(jax.jit(run), platforms=[platform])(
        *jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (state, metric, data)
        )
    )
    assert exported.platforms == (platform,)
