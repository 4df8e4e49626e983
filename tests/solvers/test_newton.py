"""Newton's method: to the optimum, and what it does where there is none."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlin
from jaxlin import losses
from jaxlin.certificates import duality_gap
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import BLOCK_ROWS
from tests.problems import LOSSES, C, D, N, blobs, same_params

NEWTON = jaxlin.solvers.Newton()


def fit(name: str, x: Any = None, labels: Any = None, **options: Any) -> jaxlin.Fit:
    if x is None:
        x, labels = blobs()
    given = {"l2": 1e-3, "solver": NEWTON, "dtype": np.float64} | options
    return jaxlin.fit(x, labels, loss=LOSSES[name], **given)


def gap(found: jaxlin.Fit, x: Any, labels: Any, **options: Any) -> float:
    return duality_gap(found.objective, found.params, x, labels, **options).relative_gap


@pytest.mark.parametrize("l2", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", list(LOSSES))
def test_the_optimum_is_reached_and_certified(name: str, bias: bool, l2: float) -> None:
    x, labels = blobs()
    found = fit(name, l2=l2, bias=bias)
    hinge = name in ("weston_watkins", "crammer_singer")
    assert gap(found, x, labels) < (1e-5 if hinge else 1e-8)
    assert found.params.W.dtype == np.float64


@pytest.mark.parametrize("name", list(LOSSES))
def test_weights_scaling_and_several_blocks(name: str) -> None:
    """uint8 rows in two blocks, weighted and scaled in the program, against copies of rows."""
    x, labels = blobs(BLOCK_ROWS + 11)
    x = np.clip(40 * x + 128, 0, 255).astype(np.uint8)
    # As many copies as rows, so that both fits are one program.
    weight = np.random.default_rng(0).permutation(np.resize([0, 1, 2], len(x)))
    scaling = jaxlin.data.Scaling.standardize(x)
    found = fit(name, x, labels, sample_weight=weight, scaling=scaling, l2=1e-2)
    assert gap(found, x, labels, sample_weight=weight, scaling=scaling) < 1e-6
    rows = np.repeat(np.arange(len(x)), weight)
    assert len(rows) == len(x)
    copies = fit(name, x[rows], labels[rows], scaling=scaling, l2=1e-2)
    np.testing.assert_allclose(found.params.W, copies.params.W, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.history.objective[-1], copies.history.objective[-1], rtol=1e-7)


@pytest.mark.parametrize("name", list(LOSSES))
def test_float32_ends_near_the_optimum(name: str) -> None:
    found = fit(name, dtype=np.float32, l2=1e-2)
    best = fit(name, l2=1e-2).history.objective[-1]
    assert found.params.W.dtype == np.float32
    np.testing.assert_allclose(found.history.objective[-1], best, rtol=5e-3)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", list(LOSSES))
def test_without_l2_on_separable_data_numbers_stay_finite(
    name: str, dtype: Any, scale: float
) -> None:
    """No curvature in many directions, and for softmax no minimum at all."""
    labels = np.arange(N) % C
    x = scale * np.eye(C, D)[labels]
    found = fit(name, x, labels, l2=0.0, dtype=dtype)
    assert np.isfinite(np.asarray(found.params.W)).all()
    assert found.history.objective[-1] <= found.history.objective[0]
    if scale == 1.0:
        assert found.history.objective[-1] < 1e-3


def test_duplicated_rows_and_constant_features() -> None:
    x, labels = blobs()
    x, labels = np.tile(x[::3], (3, 1)), np.tile(labels[::3], 3)
    x[:, -3:] = 1.0, 1.0, 0.0
    for name in LOSSES:
        assert gap(fit(name, x, labels), x, labels) < 1e-6


def test_fewer_examples_than_features() -> None:
    x, labels = np.random.default_rng(0).normal(size=(8, 30)), np.arange(8) % 3
    for name in ("weston_watkins", "softmax"):  # one for each of the two methods
        assert gap(fit(name, x, labels), x, labels) < 1e-5


def test_a_loss_and_a_penalty_of_ones_own() -> None:
    def squared_error(s: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.sum((s - jax.nn.one_hot(labels, C, dtype=s.dtype)) ** 2, axis=-1)

    x, labels = blobs()
    found = jaxlin.fit(
        x,
        labels,
        loss=squared_error,
        penalty=lambda W: 0.1 * jnp.sum(W[0] ** 2),
        l2=0.01,
        solver=NEWTON,
        dtype=np.float64,
    )
    wide = np.concatenate([x.astype(np.float64), np.ones((N, 1))], 1)
    square = wide.T @ wide / N
    for k in range(C):
        ridge = np.diag([0.01 + (0.1 if k == 0 else 0.0)] * D + [0.0])
        row = np.linalg.solve(square + ridge, wide.T @ (labels == k) / N)
        np.testing.assert_allclose(found.params.W[k], row[:-1], atol=1e-10)
        assert found.params.b is not None
        np.testing.assert_allclose(found.params.b[k], row[-1], atol=1e-10)


@pytest.mark.parametrize("name", list(LOSSES))
def test_from_the_optimum_it_stays_there_and_repeats(name: str) -> None:
    found = fit(name)
    assert same_params(found.params, fit(name).params)
    again = fit(name, init=found.params)
    assert again.history.objective[-1] <= found.history.objective[-1] * (1 + 1e-12)
    assert (np.diff(again.history.objective) <= 1e-12).all()
    far = jaxlin.LinearParams(
        jnp.asarray(np.random.default_rng(0).normal(size=(C, D)) * 100), jnp.zeros(C)
    )
    other = fit(name, init=far)
    np.testing.assert_allclose(other.history.objective[-1], found.history.objective[-1], rtol=1e-6)


def test_too_large_a_problem_is_refused() -> None:
    x = np.zeros((4, 2000), np.float32)
    with pytest.raises(jaxlin.InputError, match=r"4,002 x 4,002.*up to 3,000.*lbfgs"):
        jaxlin.fit(x, [0, 1, 0, 1], loss=losses.softmax_cross_entropy, solver=NEWTON)


def test_a_small_squared_hinge_by_hand() -> None:
    """One feature, x = 1 and -1, W = (w, -w): the minimum of (1 - 2w)^2 + 2 l2 w^2 is known."""
    with float64_scope(True):
        found = jaxlin.fit(
            jnp.array([[1.0], [-1.0]]), [0, 1], loss=losses.squared_weston_watkins_hinge, l2=0.5,
            bias=False, solver=NEWTON,
        )  # fmt: skip
    np.testing.assert_allclose(found.params.W, [[0.4], [-0.4]], rtol=1e-14)
