"""Certificates: a lower bound is never above the optimum, whatever it was made of."""

from __future__ import annotations

import functools
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize

import jaxlin
from jaxlin import conjugates, losses
from jaxlin.certificates import Certificate, certain_predictions, duality_gap
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import BLOCK_ROWS
from tests import oracles
from tests.objective_programs import VALUE
from tests.problems import LOSSES

N, D, C, L2 = 20, 3, 3, 0.05
NAMES = list(LOSSES)
SMOOTH = ("softmax", "squared_weston_watkins")


def data(seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(C), rng.integers(0, C, n - C)])
    return rng.normal(size=(n, D)) + 0.8 * np.eye(C, D)[labels], labels


def params_of(W: np.ndarray, b: np.ndarray | None) -> jaxlin.LinearParams:
    with float64_scope(True):
        return jaxlin.LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))


def random_params(rng: np.random.Generator, bias: bool, size: float) -> jaxlin.LinearParams:
    return params_of(size * rng.normal(size=(C, D)), size * rng.normal(size=C) if bias else None)


@functools.cache
def optimum(name: str, bias: bool, seed: int = 0, weighted: bool = False) -> float:
    """The minimum, by SciPy: of the quadratic program with slacks for a hinge, else by BFGS."""
    x, labels = data(seed)
    weight = weights(seed) if weighted else np.ones(N)
    weight = weight / weight.sum()
    size = C * (D + 1)

    def unpack(v: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return v[: C * D].reshape(C, D), v[C * D : size] if bias else None

    if name in SMOOTH:

        def smooth(v: np.ndarray) -> tuple[float, np.ndarray]:
            W, b = unpack(v)
            dW, db = oracles.objective_gradient(name, L2, W, b, x, labels, weight)
            value = oracles.objective(name, L2, W, b, x, labels, weight)
            return value, np.concatenate([dW.ravel(), db if bias else np.zeros(C)])

        found = optimize.minimize(smooth, np.zeros(size), jac=True, method="BFGS", tol=1e-11)
        return float(found.fun)
    # Slacks xi (N, C) or (N, 1), xi >= 0, xi >= s_j - s_y + 1.
    shared = name == "crammer_singer"
    slack_of = np.arange(N)[:, None] + (0 if shared else N * np.arange(C)[None, :])
    slack_of = np.broadcast_to(slack_of, (N, C))
    num_slacks = N if shared else N * C
    constraint_rows = []
    for i in range(N):
        for j in set(range(C)) - {int(labels[i])}:
            row = np.zeros(size + num_slacks)
            for k, sign in ((j, -1.0), (int(labels[i]), 1.0)):
                row[k * D : (k + 1) * D] += sign * x[i]
                row[C * D + k] += sign if bias else 0.0
            row[size + slack_of[i, j]] = 1.0
            constraint_rows.append(row)
    A = np.array(constraint_rows)
    cost = np.zeros(size + num_slacks)
    for i in range(N):
        for slack in {slack_of[i, j] for j in range(C) if j != labels[i]}:
            cost[size + slack] = weight[i]
    quadratic = np.zeros(size + num_slacks)
    quadratic[: C * D] = L2
    start = np.zeros(size + num_slacks)
    start[size:] = 1.0
    found = optimize.minimize(
        lambda v: cost @ v + quadratic @ v**2,
        start,
        jac=lambda v: cost + 2 * quadratic * v,
        constraints=[{"type": "ineq", "fun": lambda v: A @ v - 1.0, "jac": lambda v: A}],
        bounds=[(None, None)] * size + [(0.0, None)] * num_slacks,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    return float(found.fun)


def weights(seed: int) -> np.ndarray:
    weight = np.random.default_rng(seed).integers(0, 4, N).astype(float)
    weight[:C] = 1.0
    return weight


# How exactly SciPy finds the optimum.
NEAR = 1e-8


@pytest.mark.parametrize("name", NAMES)
def test_conjugates_bound_the_loss_and_touch_it_at_its_slope(name: str) -> None:
    """Fenchel and Young: `L(s) + L*(a) >= <a, s>`, with equality at the slope."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        y = int(rng.integers(C))
        s = (rng.normal(size=C) * 3).tolist()
        slope = oracles.GRADIENTS[name](s, y)
        touching = oracles.VALUES[name](s, y) + oracles.conjugate(name, slope, y)
        np.testing.assert_allclose(touching, np.dot(slope, s), atol=1e-12)
        other = oracles.GRADIENTS[name]((rng.normal(size=C) * 3).tolist(), y)
        assert oracles.VALUES[name](s, y) + oracles.conjugate(name, other, y) >= (
            np.dot(other, s) - 1e-12
        )


@pytest.mark.parametrize("margin", [1.0, 0.25])
@pytest.mark.parametrize("name", NAMES)
def test_the_dual_side_matches_its_twin(name: str, margin: float) -> None:
    rng = np.random.default_rng(1)
    loss: Any = LOSSES[name]
    if name != "softmax":
        loss = type(loss)(margin)
    labels = rng.integers(0, 5, 200)
    with float64_scope(True):
        every, width = jnp.ones(5, bool), jnp.asarray(0.5)
        codes = jnp.asarray(labels.astype(np.int32))
        wild = jnp.asarray(rng.normal(size=(200, 5)))
        tame = np.asarray(conjugates.feasible(loss, wild, codes, every))
        again = np.asarray(conjugates.feasible(loss, jnp.asarray(tame), codes, every))
        stars = np.asarray(conjugates.conjugate(loss, jnp.asarray(tame), codes))
        s = jnp.asarray(rng.normal(size=(200, 5)) * 2)
        slopes = np.asarray(conjugates.dual_point(loss, s, codes, width, every))
    expected = [
        oracles.conjugate(name, a, int(y), margin) for a, y in zip(tame, labels, strict=True)
    ]
    np.testing.assert_allclose(stars, expected, atol=1e-14)
    np.testing.assert_allclose(again, tame, atol=1e-15)
    np.testing.assert_allclose(tame.sum(axis=1), 0.0, atol=1e-14)
    for a, y in zip(slopes, labels, strict=True):
        assert np.isfinite(oracles.conjugate(name, a, int(y)))


@pytest.mark.parametrize("name", ["weston_watkins", "crammer_singer", "softmax"])
def test_curvature_is_the_derivative_of_the_slope(name: str) -> None:
    rng = np.random.default_rng(2)
    loss: Any = LOSSES[name]
    labels = jnp.asarray(rng.integers(0, 4, 30).astype(np.int32))
    weight = rng.uniform(size=30)
    with float64_scope(True):
        every, width = jnp.ones(4, bool), jnp.asarray(0.7)
        s = jnp.asarray(rng.normal(size=(30, 4)))

        def mean_slope(b: jax.Array) -> jax.Array:
            points = conjugates.dual_point(loss, s + b[None, :], labels, width, every)
            return jnp.asarray(weight) @ points

        a = conjugates.dual_point(loss, s, labels, width, every)
        curve = conjugates.curvature(loss, a, labels, width)
        found = conjugates.mean_curvature(loss, curve, labels, jnp.asarray(weight))
        expected = jax.jacfwd(mean_slope)(jnp.zeros(4))
        np.testing.assert_allclose(found, expected, atol=1e-12)
        if name != "softmax":
            hessians = conjugates.score_hessians(curve, conjugates.label_mask(labels, 4))
            np.testing.assert_allclose(
                np.tensordot(weight, np.asarray(hessians), 1), expected, atol=1e-12
            )
        shift = 1e-7 * rng.normal(size=4)
        moved = conjugates.shifted_point(loss, a, labels, width, jnp.asarray(shift), every)
        np.testing.assert_allclose(
            weight @ np.asarray(moved - a), np.asarray(expected) @ shift, atol=1e-12
        )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_weak_duality(name: str, bias: bool) -> None:
    """Thousands of dual points, feasible or not: none proves more than the optimum."""
    x, labels = data()
    best = optimum(name, bias)
    rng = np.random.default_rng(3)
    objective = jaxlin.Objective(LOSSES[name], L2)
    params = random_params(rng, bias, 0.3)
    tightest = -np.inf
    for _ in range(150):
        made_at = random_params(rng, bias, 10.0 ** rng.uniform(-2, 0.5))
        s = oracles.scores(made_at.W, made_at.b, x)
        dual = oracles.score_gradients(name, s, labels)
        dual = dual + rng.choice([0.0, 1e-9, 0.1, 3.0]) * rng.normal(size=dual.shape)
        proof = duality_gap(objective, params, x, labels, dual=dual)
        assert proof.dual <= best + NEAR
        assert proof.gap >= proof.primal - best - NEAR
        tightest = max(tightest, proof.dual)
        own = duality_gap(objective, made_at, x, labels)
        assert own.dual <= best + NEAR
        assert own.primal >= best - NEAR
    assert tightest > 0.0


@pytest.mark.parametrize("name", NAMES)
def test_the_dual_value_is_the_formula(name: str) -> None:
    """Without a bias, and where scaling back would not help, it is D(A) up to rounding."""
    x, labels = data()
    found = fitted(name, False)
    s = oracles.scores(found.W, None, x)
    dual = oracles.score_gradients(name, s, labels) * 0.5
    proof = duality_gap(jaxlin.Objective(LOSSES[name], L2), found, x, labels, dual=dual)
    expected = oracles.dual_objective(name, L2, dual, x, labels)
    assert expected > 0.0
    assert expected - 1e-12 <= proof.dual or "scaled back" in proof.how
    assert proof.dual <= optimum(name, False) + NEAR


@functools.cache
def fitted(
    name: str, bias: bool, seed: int = 0, weighted: bool = False, l2: float = L2
) -> jaxlin.LinearParams:
    x, labels = data(seed)
    return jaxlin.fit(
        x,
        labels,
        loss=LOSSES[name],
        l2=l2,
        bias=bias,
        solver=jaxlin.solvers.Newton(),
        sample_weight=weights(seed) if weighted else None,
        dtype=np.float64,
    ).params


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_at_the_optimum_the_gap_closes(name: str, bias: bool, weighted: bool) -> None:
    x, labels = data()
    weight = weights(0) if weighted else None
    proof = duality_gap(
        jaxlin.Objective(LOSSES[name], L2), fitted(name, bias, 0, weighted), x, labels, weight
    )
    assert 0.0 <= proof.relative_gap < (1e-9 if name in SMOOTH else 1e-6)
    best = optimum(name, bias, 0, weighted)
    np.testing.assert_allclose(proof.primal, best, rtol=3 * NEAR)
    assert proof.dual <= best + NEAR


@pytest.mark.parametrize("name", ["softmax", "weston_watkins", "crammer_singer"])
def test_the_bias_trap(name: str) -> None:
    """A bound that forgets `sum a = 0` exceeds the optimum here; ours does not."""
    x, labels = data()
    best = optimum(name, True)
    params = params_of(np.asarray(fitted(name, False).W), np.zeros(C))
    without = params_of(np.asarray(params.W), None)
    objective = jaxlin.Objective(LOSSES[name], L2)
    trapped = duality_gap(objective, without, x, labels)
    assert trapped.dual > best + 1e-4
    s = oracles.scores(params.W, None, x)
    dual = oracles.score_gradients(name, s, labels)
    assert duality_gap(objective, params, x, labels, dual=dual).dual <= best + NEAR
    assert duality_gap(objective, params, x, labels).dual <= best + NEAR


@hypothesis.given(
    seed=st.integers(0, 10**6),
    name=st.sampled_from(NAMES),
    bias=st.booleans(),
    size=st.floats(-3, 2),
    l2=st.floats(-6, 2),
    missing=st.booleans(),
)
@hypothesis.settings(max_examples=150)
def test_the_bound_holds_at_other_parameters_too(
    seed: int, name: str, bias: bool, size: float, l2: float, missing: bool
) -> None:
    """The bound made at one point is below the objective at every other: no solver is needed."""
    rng = np.random.default_rng(seed)
    x, labels = data(seed)
    if missing:
        labels = np.where(labels == 1, 0, labels)
    weight = rng.integers(0, 3, N) + (np.arange(N) < C)
    objective = jaxlin.Objective(LOSSES[name], 10.0**l2)
    first = duality_gap(objective, random_params(rng, bias, 10.0**size), x, labels, weight)
    for _ in range(3):
        other = duality_gap(objective, random_params(rng, bias, 10.0**size), x, labels, weight)
        assert first.dual <= other.primal
        assert other.dual <= first.primal
        assert other.gap >= 0.0


def test_a_class_that_no_example_has() -> None:
    """Its bias runs away where it is free, and the certificate closes as far as it has run."""
    x, labels = data()
    labels = np.where(labels == 1, 0, labels)
    for name in NAMES:
        init = jaxlin.init_params(D, C)
        found = jaxlin.fit(
            x, labels, loss=LOSSES[name], l2=L2, init=init, solver=jaxlin.solvers.Newton(),
            dtype=np.float64,
        )  # fmt: skip
        assert np.isfinite(np.asarray(found.params.b)).all()
        proof = duality_gap(found.objective, found.params, x, labels)
        assert 0.0 <= proof.relative_gap < 1e-3, name


@pytest.mark.parametrize("name", NAMES)
def test_data_of_any_dtype_beyond_a_block(name: str) -> None:
    n = BLOCK_ROWS + 7
    rng = np.random.default_rng(4)
    labels = rng.integers(0, C, n)
    pixels = rng.integers(0, 100, (n, D)) + 40 * np.eye(C, D, dtype=int)[labels]
    weight = rng.uniform(size=n)
    scaling = jaxlin.data.Scaling(10.0, 0.01)
    params = params_of(0.1 * rng.normal(size=(C, D)), 0.1 * rng.normal(size=C))
    objective = jaxlin.Objective(LOSSES[name], L2)
    wide = (pixels - 10.0) * 0.01
    same = duality_gap(objective, params, wide, labels, weight)
    with float64_scope(True):
        expected = float(VALUE(objective, params, wide, labels, weight))
    # Rows are wide before a loss sees them: one loss with all dtypes, the others with bytes.
    others = (np.float16, np.float32, np.float64) if name == "softmax" else ()
    for dtype in (np.uint8, *others):
        x = pixels.astype(dtype)
        proof = duality_gap(objective, params, x, labels, weight, scaling=scaling)
        np.testing.assert_allclose(proof.primal, expected, rtol=1e-12)
        np.testing.assert_allclose(proof.dual, same.dual, rtol=1e-9)
        assert 0.0 < proof.dual < proof.primal


def test_integer_weights_act_as_copies() -> None:
    x, labels = data()
    # As many copies as rows, so that both are one program.
    weight = np.random.default_rng(5).permutation(np.resize([0, 3, 1, 0, 1], N))
    rows = np.repeat(np.arange(N), weight)
    assert len(rows) == N
    params = random_params(np.random.default_rng(6), True, 0.5)
    for name in NAMES:
        objective = jaxlin.Objective(LOSSES[name], L2)
        a = duality_gap(objective, params, x, labels, weight)
        b = duality_gap(objective, params, x[rows], labels[rows])
        np.testing.assert_allclose([a.primal, a.dual], [b.primal, b.dual], rtol=1e-9)


def test_what_has_no_certificate_says_why() -> None:
    x, labels = data()
    params = params_of(np.zeros((C, D)), None)

    def own_loss(scores: jax.Array, labels: jax.Array) -> jax.Array:
        return losses.softmax_cross_entropy(scores, labels)

    softmax = losses.softmax_cross_entropy
    for objective, words in (
        (jaxlin.Objective(softmax, 0.0), "no certificate with l2 = 0"),
        (jaxlin.Objective(softmax, 0.1, lambda W: jnp.sum(jnp.abs(W))), "penalty of your own"),
        (jaxlin.Objective(own_loss, 0.1), "convex conjugate.*own_loss"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            duality_gap(objective, params, x, labels)
    objective = jaxlin.Objective(softmax, 0.1)
    for dual, words in (
        (np.zeros((N, C + 1)), "dual has 4 features"),
        (np.zeros((N - 1, C)), "20 rows, got 19"),
        (np.full((N, C), np.nan), "dual contains NaN"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            duality_gap(objective, params, x, labels, dual=dual)


@pytest.mark.parametrize("name", NAMES)
def test_certain_predictions_are_those_of_the_optimum(name: str) -> None:
    x, labels = data(7)
    rows, _ = data(8, 200)  # others than those that the certificate is made of
    objective = jaxlin.Objective(LOSSES[name], L2)
    exact = jaxlin.fit(
        x, labels, loss=LOSSES[name], l2=L2, bias=False, solver=jaxlin.solvers.Newton(),
        dtype=np.float64,
    ).params  # fmt: skip
    decided = np.asarray(jaxlin.predict(exact, rows))
    rng = np.random.default_rng(8)
    claimed = []
    for size in (0.0, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1):
        W = np.asarray(exact.W) + size * rng.normal(size=(C, D))
        rough = params_of(W, None)
        proof = duality_gap(objective, rough, x, labels)
        certain = certain_predictions(proof, rough, rows)
        predicted = np.asarray(jaxlin.predict(rough, rows))
        assert np.linalg.norm(W - np.asarray(exact.W)) <= proof.radius * (1 + 1e-6)
        assert (predicted == decided)[certain].all()
        claimed.append(certain.mean())
    assert claimed[0] > 0.9
    assert claimed[0] > claimed[-1]


def test_with_a_free_bias_nothing_is_claimed() -> None:
    x, labels = data()
    params = fitted("softmax", True)
    proof = duality_gap(jaxlin.Objective(losses.softmax_cross_entropy, L2), params, x, labels)
    assert not certain_predictions(proof, params, x).any()
    sure = Certificate(primal=1.0, dual=1.0, how="", l2=1.0, has_bias=False)
    assert not certain_predictions(sure, params, x).any()
