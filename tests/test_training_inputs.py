"""`fit` on arrays of every form, and what it says of arguments that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import C, D, N, blobs, same_params

import jaxlin
from jaxlin import losses, solvers

SOFTMAX = losses.softmax_cross_entropy
X, Y = blobs()


def test_float64_needs_no_global_setting_and_leaves_it() -> None:
    fit = jaxlin.fit(X, Y, loss=SOFTMAX, dtype="float64", solver=solvers.SGD(optax.adam(0.01)))
    assert fit.params.W.dtype == jnp.float64
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    with jax.enable_x64(True):
        x = jnp.asarray(X, jnp.float64)
    assert jaxlin.fit(x, Y, loss=SOFTMAX).params.W.dtype == jnp.float64
    assert jaxlin.fit(X.astype(np.float64), Y, loss=SOFTMAX).params.W.dtype == jnp.float32
    assert jaxlin.scores(fit.params, X).dtype == jnp.float64


def test_float32_stays_float32_under_a_users_global_float64() -> None:
    solver = solvers.SGD(optax.sgd(lambda t: 0.1 / (1 + t)), 16, 3)
    narrow = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    with jax.enable_x64(True):
        fit = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver, validation=(X, Y), tol=1e-9)
        default = jaxlin.fit(X, Y, loss=losses.weston_watkins_hinge)
        searched = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solvers.RandomSearch(3))
        numerical = jaxlin.fit(
            X,
            Y,
            loss=SOFTMAX,
            solver=solvers.GradientDescent(optax.sgd(0.1), steps=2, gradient="numerical"),
        )
    for found in (fit, default, searched, numerical):
        assert found.params.W.dtype == jnp.float32
    np.testing.assert_allclose(fit.params.W, narrow.params.W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int32", "int64", "bool", "float16", "bfloat16"]
)
def test_narrow_features_give_what_their_float32_values_give(dtype: str) -> None:
    values = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 120, (N, D))
    x = np.asarray(jnp.asarray(values).astype(dtype)) if dtype != "int64" else values
    scaling = jaxlin.data.Scaling.unit_range(values.astype(np.float32))
    solver = solvers.SGD(optax.sgd(0.1), 16, 3)
    narrow = jaxlin.fit(x, Y, loss=SOFTMAX, solver=solver, scaling=scaling)
    wide = jaxlin.fit(values.astype(np.float32), Y, loss=SOFTMAX, solver=solver, scaling=scaling)
    assert same_params(narrow.params, wide.params)


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


def big_endian(x: np.ndarray) -> np.ndarray:
    return x.astype(">f4")


def nested_lists(x: np.ndarray) -> Any:
    return x.tolist()


def jax_array(x: np.ndarray) -> Any:
    return jnp.asarray(x.copy())


@pytest.mark.parametrize(
    "view", [fortran, strided, reversed_view, read_only, big_endian, nested_lists, jax_array]
)
def test_memory_layout_changes_no_bit(view: Callable[[np.ndarray], Any]) -> None:
    solver = solvers.SGD(optax.sgd(0.1), 16, 3)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    assert same_params(jaxlin.fit(view(X), Y, loss=SOFTMAX, solver=solver).params, plain.params)


def test_the_callers_arrays_may_change_while_the_fit_runs() -> None:
    solver = solvers.SGD(optax.sgd(0.1), 16, 4)
    plain = jaxlin.fit(X, Y, loss=SOFTMAX, solver=solver)
    x, y, weight = X.copy(), Y.copy(), np.ones(N)

    def vandal(report: jaxlin.EpochReport) -> None:
        del report
        x[:], y[:], weight[:] = np.nan, 0, 0.0

    fit = jaxlin.fit(x, y, loss=SOFTMAX, solver=solver, sample_weight=weight, on_epoch=vandal)
    assert same_params(fit.params, plain.params)


def test_a_scaling_folds_into_the_parameters() -> None:
    x = 50.0 * X + 300.0
    scaling = jaxlin.data.Scaling.standardize(x)
    for bias in (True, False):
        fit = jaxlin.fit(x, Y, loss=SOFTMAX, scaling=scaling, bias=bias, dtype=np.float64)
        with jax.enable_x64(True):
            inside = jaxlin.scores(fit.params, scaling(x.astype(np.float64)))
        outside = jaxlin.scores(fit.raw_params, x)
        np.testing.assert_allclose(outside, inside, rtol=1e-9, atol=1e-9)


def test_features_of_any_size_are_scaled_by_the_default_step() -> None:
    for size in (1e-6, 1e6, 1e15):
        fit = jaxlin.fit((size * X).astype(np.float32), Y, loss=losses.crammer_singer_hinge)
        assert np.isfinite(fit.params.W).all()
    with pytest.raises(jaxlin.InputError, match=r"Scale the features.*dtype=jnp.float64"):
        jaxlin.fit(X * np.float32(1e30), Y, loss=SOFTMAX)
    fit = jaxlin.fit(X.astype(np.float64) * 1e100, Y, loss=SOFTMAX, dtype=np.float64)
    assert fit.history.accuracy[-1] > 0.8


def test_one_example_a_class_one_feature_and_constant_features() -> None:
    fit = jaxlin.fit([[0.0], [1.0]], [0, 1], loss=SOFTMAX)
    assert fit.params.W.shape == (2, 1)
    constant = np.concatenate([X, np.full((N, 1), 3.0), np.zeros((N, 1))], axis=1)
    scaling = jaxlin.data.Scaling.standardize(constant)
    fit = jaxlin.fit(constant, Y, loss=SOFTMAX, scaling=scaling)
    assert fit.history.accuracy[-1] > 0.8
    contradictory = jaxlin.fit(np.zeros((4, 2)), [0, 1, 0, 1], loss=SOFTMAX, l2=0.1)
    assert abs(contradictory.history.objective[-1] - np.log(2)) < 1e-3


def test_classes_can_be_declared_by_init() -> None:
    fit = jaxlin.fit(X, np.ones(N, int), loss=SOFTMAX, init=jaxlin.init_params(D, 5), l2=0.01)
    assert fit.params.W.shape == (5, D)
    assert (np.asarray(jaxlin.predict(fit.params, X)) == 1).all()


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "l2 negative": ({"l2": -1.0}, "l2 must be finite and not negative, got -1.0"),
    "l2 nan": ({"l2": float("nan")}, "l2 must be finite"),
    "l2 beyond float32": ({"l2": 1e39}, "l2 is 1e.39, which is too large for float32"),
    "l2 text": ({"l2": "1"}, "l2 must be a number, got '1'"),
    "loss text": ({"loss": "svm"}, r"loss must be a loss of jaxlin.losses.*got 'svm'"),
    "penalty": ({"penalty": 3.0}, "penalty must be a function of W"),
    "penalty not scalar": ({"penalty": lambda W: W}, "penalty must return a scalar"),
    "solver text": ({"solver": "sgd"}, "solver must be one of jaxlin.solvers"),
    "solver optimiser": ({"solver": optax.sgd(0.1)}, "solver must be one of jaxlin.solvers"),
    "key text": ({"key": "1"}, "key must be"),
    "key negative": ({"key": -1}, r"0 to 2\*\*32 - 1, got -1"),
    "key too large": ({"key": 2**63}, r"0 to 2\*\*32 - 1"),
    "tol": ({"tol": 0.0}, "tol must be a positive"),
    "patience": ({"patience": 0}, "patience must be at least 1"),
    "patience alone": ({"patience": 2}, "patience needs validation"),
    "on_epoch": ({"on_epoch": 1}, "on_epoch must be a function"),
    "dtype": ({"dtype": "float16"}, "dtype must be float32 or float64"),
    "dtype nonsense": ({"dtype": "floaty"}, "dtype must be float32 or float64"),
    "validation": ({"validation": X}, r"validation must be a pair"),
    "validation D": ({"validation": (X[:, 1:], Y)}, "validation X has 5 features, but 6"),
    "validation labels": ({"validation": (X, Y + 1)}, r"validation labels must be .*0\.\.2"),
    "validation nan": ({"validation": (X * np.nan, Y)}, "Input validation X contains NaN"),
    "init": ({"init": np.zeros((C, D))}, "init must be LinearParams"),
    "init D": ({"init": jaxlin.init_params(D + 1, C)}, r"init.W must have shape \(3, 6\)"),
    "init C": ({"init": jaxlin.init_params(D, 2)}, r"labels must be integers 0\.\.1"),
    "init nan": (
        {"init": jaxlin.LinearParams(jnp.full((C, D), jnp.nan))},
        "init holds NaN or infinity",
    ),
    "init b": (
        {"init": jaxlin.LinearParams(jnp.zeros((C, D)), jnp.zeros(2))},
        r"init.b must have shape \(3,\)",
    ),
    "init one-dimensional": (
        {"init": jaxlin.LinearParams(jnp.zeros(4))},
        "init.W must be an array of numbers with 2 dimensions",
    ),
    "init text": (
        {"init": jaxlin.LinearParams("a")},  # pyright: ignore[reportArgumentType]
        "init.W must be an array of numbers",
    ),
    "l2 negative on the device": ({"l2": jnp.float32(-0.5)}, "l2 must be finite and not negative"),
    "l2 of several": ({"l2": np.array([1e-3, 1e-2])}, "l2 must be one number"),
    "init b unwanted": ({"init": jaxlin.init_params(D, C), "bias": False}, "init has a b"),
    "scaling": ({"scaling": "standardize"}, "scaling must be a jaxlin.data.Scaling"),
    "scaling shape": (
        {"scaling": jaxlin.data.Scaling(np.zeros(2), np.ones(2))},
        r"scaling.shift must be finite, a scalar or of shape \(6,\)",
    ),
    "scaling too small": (
        {"scaling": jaxlin.data.Scaling(0.0, 1e-60)},
        "scaling.scale holds 1e-60, which float32 cannot hold: pass dtype=jnp.float64",
    ),
    "scaling too large": ({"scaling": jaxlin.data.Scaling(0.0, 1e60)}, "float32 cannot hold"),
    "weight length": ({"sample_weight": np.ones(3)}, r"sample_weight.shape == \(3,\)"),
    "weight 2-D": ({"sample_weight": np.ones((N, 1))}, "Sample weights must be 1D array"),
    "weight nan": ({"sample_weight": np.full(N, np.nan)}, "Input sample_weight contains NaN"),
    "weight negative": ({"sample_weight": -np.ones(N)}, "sample_weight must not be negative"),
    "weight zero": ({"sample_weight": np.zeros(N)}, "at least one non-zero number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_argument_is_named(name: str) -> None:
    changed, message = BAD[name]
    arguments: dict[str, Any] = {"loss": SOFTMAX, **changed}
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.fit(X, Y, **arguments)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(N, int), "contains only one class: 0"),
        (Y[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
        (Y - 1, r"got -1 at index 0.*encode_labels"),
        (Y.astype(float) + 0.5, "Unknown label type: continuous"),
        (np.array(["a", "b", "c"])[Y], "encode_labels"),
        (np.eye(C)[Y], r"labels must have shape \(N,\), got \(60, 3\)"),
        (None, "labels must be given"),
        (np.full(N, 2**33), "got 8589934592 at index 0"),
        (Y * 10**9, "labels go up to 2000000000, but there are 60 examples"),
    ],
)
def test_bad_labels_are_told_apart(labels: Any, message: str) -> None:
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.fit(X, labels, loss=SOFTMAX)


def test_solvers_check_their_numbers() -> None:
    with pytest.raises(jaxlin.InputError, match="batch_size must be at least 1"):
        solvers.SGD(optax.sgd(0.1), batch_size=0)
    with pytest.raises(jaxlin.InputError, match="epochs must be a whole number"):
        solvers.SGD(optax.sgd(0.1), epochs=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match=r"optimizer must be an optax.*got 0.1"):
        solvers.SGD(0.1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match="gradient must be one of"):
        solvers.GradientDescent(optax.sgd(0.1), gradient="symbolic")  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match="scale must be a positive"):
        solvers.RandomSearch(scale=0.0)
    with pytest.raises(jaxlin.InputError, match="learning_rate must be a positive"):
        solvers.cosine_decay(float("nan"), 10)


def test_a_large_start_has_not_grown_and_a_last_step_out_of_bounds_has() -> None:
    x = X.astype(np.float32)
    far = jaxlin.init_params(D, C, key=jax.random.key(0), scale=1.0)
    squared = jaxlin.losses.squared_weston_watkins_hinge
    assert jaxlin.fit(x * 1e5, Y, loss=squared, init=far).history.objective[0] > 1e8
    search = jaxlin.solvers.RandomSearch(trials=3, scale=1e7)
    assert np.isfinite(jaxlin.fit(x, Y, loss=SOFTMAX, solver=search).history.objective).all()
    hinge = jaxlin.losses.weston_watkins_hinge
    once = jaxlin.solvers.SGD(optax.sgd(1e10), batch_size=1000, epochs=1)
    with pytest.raises(jaxlin.DivergedError) as error:
        jaxlin.fit(x, Y, loss=hinge, solver=once)
    assert np.isfinite(error.value.params.W).all()


def test_what_is_evaluated_has_to_be_a_model() -> None:
    nothing: Any = 3
    for params, words in (
        (nothing, "params must be LinearParams"),
        (jaxlin.LinearParams(jnp.full((C, D), jnp.nan)), "params holds NaN"),
    ):
        with pytest.raises(jaxlin.InputError, match=words):
            jaxlin.evaluate(params, X, Y, loss=SOFTMAX)
