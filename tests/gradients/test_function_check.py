"""The check of functions that nothing is known of: kinks, mistakes near them, dtypes, arguments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlin
from jaxlin.gradients import GradientReport, check

RNG = np.random.default_rng(0)
X, TARGETS = RNG.normal(size=(30, 4)), RNG.normal(size=30)
OUT = RNG.normal(size=6)
NET = {"W": RNG.normal(size=(6, 4)), "b": RNG.normal(size=6), "a": OUT}
AT_REST = {"W": np.zeros((6, 4)), "b": np.zeros(6), "a": OUT}


def absolute(p: Any) -> jax.Array:
    return jnp.sum(jnp.abs(p))


def net(p: Any, x: Any, targets: Any) -> jax.Array:
    """A network of one hidden layer of rectifiers."""
    hidden = jax.nn.relu(x @ p["W"].T + p["b"].reshape(1, -1))
    return jnp.mean((hidden @ p["a"] - targets) ** 2)


def net_gradient(p: Any, x: Any, targets: Any) -> Any:
    before = x @ p["W"].T + p["b"]
    hidden = np.maximum(before, 0.0)
    error = 2.0 * (hidden @ p["a"] - targets) / len(targets)
    inner = error[:, None] * p["a"] * (before > 0)
    return {"W": inner.T @ x, "b": inner.sum(axis=0), "a": hidden.T @ error}


def pooled(p: Any, x: Any) -> jax.Array:
    return jnp.sum(jnp.max((x @ p).reshape(10, 3, -1), axis=1))


@pytest.mark.parametrize(
    ("f", "params", "args"),
    [
        (absolute, np.array([0.0, 1.0, -3.0]), ()),
        (lambda p: jnp.max(p), np.array([2.0, 2.0, 1.0]), ()),
        (lambda p: -absolute(p), np.zeros(2), ()),
        (lambda p: absolute(p[:2]) - absolute(p[2:]), np.zeros(4), ()),
        (lambda p: jnp.sum(jax.nn.relu(p)) + jnp.sum(jnp.sin(p)), np.array([0.0, 0.3]), ()),
        (net, AT_REST, (X, TARGETS)),
        (pooled, np.zeros((4, 2)), (X,)),
        (lambda p: jnp.sum(jnp.clip(p, -1.0, 1.0)), np.array([1.0, 0.2, -1.0]), ()),
        (lambda p: jnp.sum(jnp.abs(p[0] - p[1])), np.array([5.0, 5.0]), ()),
    ],
    ids=["abs", "max", "concave", "mixed", "relu", "net", "pool", "clip", "difference"],
)
def test_a_kink_is_called_a_kink(f: Any, params: Any, args: Any) -> None:
    report = check(f, params, *args)
    assert report.verdict == "kink", report.explanation
    assert report
    assert report.kinks
    assert all(kink.is_at for kink in report.kinks)
    assert "of 14 steps" in report.kinks[0].certainty
    assert report.kinks[0].left != report.kinks[0].right


@pytest.mark.parametrize(
    ("f", "params", "args"),
    [
        (net, NET, (X, TARGETS)),
        (pooled, RNG.normal(size=(4, 2)), (X,)),
        (lambda p: jnp.sum(jnp.exp(p)), np.array([30.0, -30.0]), ()),
        (lambda p: jnp.sum(p["a"] ** 3) * p["b"], {"a": np.arange(3.0), "b": np.float64(2)}, ()),
        (lambda p: 3.0 + 0.0 * jnp.sum(p), np.ones(3), ()),
        (lambda p: jnp.sum(jnp.log(p)), np.array([1e-6, 1e6]), ()),
        (lambda p: 1e12 + jnp.sum(p**2), np.array([1e5, 2e5]), ()),
        (lambda p: jnp.linalg.slogdet(p.reshape(3, 3))[1], RNG.normal(size=9), ()),
    ],
    ids=["net", "pool", "exp", "tree", "constant", "log", "offset", "determinant"],
)
def test_a_smooth_function_agrees(f: Any, params: Any, args: Any) -> None:
    report = check(f, params, *args)
    assert report.verdict == "agrees", report.explanation
    assert not report.kinks


@pytest.mark.parametrize("near", [0.0, 1e-14, 1e-9, 1e-5, 1e-2])
def test_a_gradient_that_is_wrong_near_a_kink_is_called_wrong(near: float) -> None:
    params = np.array([near, 1.0, -3.0])

    def right(p: np.ndarray) -> np.ndarray:
        return np.sign(p)

    assert check(absolute, params, by_hand=right)
    for wrong in (
        lambda p: 3.0 * np.sign(p) + 3.0 * (p == 0),  # outside of [-1, 1] at the kink
        lambda p: 1.0001 * np.sign(p),
        lambda p: np.sign(p) * np.array([1.0, 1.0, 0.0]),
        lambda p: np.sign(p) + np.array([0.0, 1e-4, 0.0]),
    ):
        report = check(absolute, params, by_hand=wrong)
        assert report.verdict == "disagrees", (near, report.explanation)


def test_a_mistake_is_not_excused_by_the_kinks_of_a_network_at_rest() -> None:
    assert check(net, AT_REST, X, TARGETS, by_hand=net_gradient).verdict == "kink"

    def wrong(p: Any, x: Any, targets: Any) -> Any:
        found = net_gradient(p, x, targets)
        return {**found, "W": 2.0 * found["W"]}  # zero at rest, as the right one is

    report = check(net, AT_REST, X, TARGETS, by_hand=wrong)
    assert report.verdict == "disagrees"
    assert "beside" in report.explanation


@pytest.mark.parametrize("share", [-1.0, -0.3, 0.0, 0.5, 1.0])
def test_every_value_between_the_sides_is_accepted(share: float) -> None:
    report = check(
        absolute, np.array([0.0, 2.0]), by_hand=lambda p: np.where(p == 0, share, np.sign(p))
    )
    assert report.verdict == "kink"


def test_a_kink_that_cancels_is_no_excuse() -> None:
    # relu(p) - relu(-p) is p, and jax.grad gives 0 at 0.
    report = check(lambda p: jnp.sum(jax.nn.relu(p) - jax.nn.relu(-p)), np.array([0.0, 1.0]))
    assert report.verdict == "disagrees"
    assert "jax.grad is wrong at params[0]" in report.explanation


def test_a_wrong_rule_for_jax_grad_is_caught() -> None:
    @jax.custom_vjp
    def square(p: jax.Array) -> jax.Array:
        return jnp.sum(p**2)

    square.defvjp(lambda p: (square(p), p), lambda p, g: (g * p,))
    for f in (square, lambda p: square(p) + absolute(p)):
        report = check(f, np.array([0.0, 1.0, 2.0]), by_hand=lambda p: 2.0 * p)
        assert report.verdict == "disagrees"
        assert "jax.grad is wrong" in report.explanation
    # sqrt has no derivative at 0, and the chain rule makes NaN of it.
    report = check(lambda p: jnp.sqrt(jnp.sum(p**2)), np.zeros(3))
    assert report.verdict == "disagrees"
    assert "nan" in report.explanation


def test_what_cannot_be_told_is_not_judged() -> None:
    report = check(lambda p: jnp.sum(jnp.log(p)), np.array([-1.0, 2.0]))
    assert report.verdict == "undecided"
    assert report
    assert "not finite" in report.explanation

    def smaller_than_rounding(p: jax.Array) -> jax.Array:
        return 1e18 + jnp.sum(p)

    assert check(smaller_than_rounding, np.ones(2)).verdict == "undecided"


def test_the_dtype_of_the_parameters_is_judged_too() -> None:
    def variance(p: Any, x: Any) -> jax.Array:
        z = x @ p
        return jnp.mean(z**2) - jnp.mean(z) ** 2

    def by_hand(p: Any, x: Any) -> Any:
        z = x @ p
        return 2.0 * (x.T @ z / len(x) - x.mean(axis=0) * z.mean())

    x = RNG.normal(size=(50, 3))
    for dtype, name in (
        (np.float32, "float32"),
        (jnp.bfloat16, "bfloat16"),
        (np.float64, "float64"),
    ):
        report = check(variance, np.ones(3).astype(dtype), x.astype(dtype), by_hand=by_hand)
        assert report.verdict == "agrees", report.explanation
        assert report.dtype == name
        assert report.eps == float(jnp.finfo(dtype).eps)
        if name != "float64":
            assert report.pair(f"jax.grad, {name}", "jax.grad, float64").error_in_eps < 100
    # A mean a million times the deviation leaves no digits in float32, where float64 has enough.
    far = (x + 1e4).astype(np.float32)
    report = check(variance, np.ones(3, np.float32), far, by_hand=by_hand)
    assert report.verdict == "undecided"
    assert "float32" in report.explanation

    def overflows(p: Any) -> jax.Array:
        return jnp.log(jnp.sum(jnp.exp(p)))

    report = check(overflows, np.array([100.0, 1.0], np.float32))
    assert report.verdict == "disagrees"
    assert report.cause == "not finite"
    assert check(overflows, np.array([100.0, 1.0])).verdict == "agrees"


def test_the_users_settings_and_arrays_stay_as_they_were() -> None:
    params, x = np.ones(3, np.float32), X[:, :3].astype(np.float32)
    before = params.copy(), x.copy()
    seen: list[Any] = []

    def by_hand(p: Any, x: Any) -> Any:
        seen.append((type(p), p.dtype, type(x), x.dtype))
        p += 1.0  # a student's code may write into what it is given
        return x.sum(axis=0)

    report = check(lambda p, x: jnp.sum(x @ p), params, x, by_hand=by_hand)
    assert report.verdict == "agrees"
    assert not jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    assert (np.ndarray, np.float64, np.ndarray, np.float64) in seen
    assert (np.ndarray, np.float32, np.ndarray, np.float32) in seen
    assert np.array_equal(params, before[0])
    assert np.array_equal(x, before[1])


def test_arguments_of_any_kind_are_passed_on() -> None:
    def f(p: Any, config: Any, labels: Any, key: Any) -> jax.Array:
        one_hot = jax.nn.one_hot(labels, config["classes"])  # needs a Python number
        noise = jax.random.normal(key, p.shape, p.dtype)
        return jnp.sum(one_hot @ p) * (2.0 if config["double"] else 1.0) + jnp.vdot(noise, p)

    labels = np.array([0, 2, 1, 1], np.uint8)
    config = {"classes": 3, "double": True, "name": "text", "nothing": None}
    report = check(f, RNG.normal(size=(3, 2)), config, labels, jax.random.key(1))
    assert report.verdict == "agrees", report.explanation


def test_a_large_problem_is_sampled_and_suspects_are_looked_at_first() -> None:
    params = np.zeros(40_000)
    at = 23_456

    def f(p: Any) -> jax.Array:
        return jnp.sum(jnp.sin(p))

    def by_hand(p: Any) -> Any:
        found = np.cos(p)
        found[at] *= 1.01
        return found

    report = check(f, params, by_hand=by_hand)
    assert report.verdict == "disagrees"
    assert report.num_checked < 1000
    assert report.num_coordinates == params.size
    assert report.worst[0].index == (at,)
    assert report.worst[0].numerical == pytest.approx(1.0, rel=1e-6)
    report = check(f, params, coordinates=7, directions=2)
    assert (report.num_checked, report.num_directions) == (7, 2)
    assert report.verdict == "agrees"
    again = check(f, params, coordinates=7, directions=2)
    assert again.numerical_error == report.numerical_error


def test_the_report_can_be_printed_and_asked() -> None:
    report = check(absolute, np.array([0.0, 1.0]), by_hand=lambda p: 2.0 * np.sign(p) + (p == 0))
    assert isinstance(report, GradientReport)
    text = str(report)
    assert text.startswith("disagrees: ")
    assert "by hand - jax.grad" in text
    assert "params[1]" in text
    assert "from the left" in text
    assert max(map(len, text.splitlines())) <= 100
    with pytest.raises(KeyError, match=r"Compared were: by hand with jax\.grad"):
        report.pair("nobody", "jax.grad")


def test_what_cannot_be_checked_is_named() -> None:
    with pytest.raises(jaxlin.InputError, match="f must return a scalar"):
        check(lambda p: p, np.ones(2))
    with pytest.raises(jaxlin.InputError, match="params must be floating-point"):
        check(absolute, np.array([1, 2]))
    with pytest.raises(jaxlin.InputError, match="params hold no numbers"):
        check(absolute, np.zeros(0))
    with pytest.raises(jaxlin.InputError, match="by_hand must return a pytree like params"):
        check(lambda p: jnp.sum(p["a"]), {"a": np.ones(2)}, by_hand=lambda p: {"a": 1.0, "b": 2.0})
    for bad in (0, 1.5, "all"):
        with pytest.raises(jaxlin.InputError, match="coordinates"):
            check(absolute, np.ones(2), coordinates=bad)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlin.InputError, match="directions"):
        check(absolute, np.ones(2), directions=-1)
    report = check(absolute, np.ones((2, 3)), by_hand=lambda p: np.ones(6))
    assert report.verdict == "disagrees"
    assert report.cause == "shape"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sum_that_cancels_leaves_rounding_and_no_doubt(dtype: type) -> None:
    # At W = 0, with as many examples of every class, the gradient by b is zero.
    labels = np.arange(60, dtype=np.int32) % 3
    x = (np.random.default_rng(0).normal(size=(60, 4)) + labels[:, None]).astype(dtype)
    params = {"W": np.zeros((3, 4), dtype), "b": np.zeros(3, dtype)}

    def loss(p: Any, x: Any) -> jax.Array:
        scores, rows = x @ p["W"].T + p["b"].reshape(1, -1), jnp.arange(60)
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - scores[rows, rows % 3])

    def gradient(p: Any, x: Any, forgotten: float = 1.0) -> Any:
        e = np.exp(x @ p["W"].T + p["b"])
        dS = (e / e.sum(axis=1, keepdims=True) - forgotten * np.eye(3, dtype=dtype)[labels]) / 60
        return {"W": dS.T @ x, "b": dS.sum(axis=0)}

    report = check(loss, params, x, by_hand=gradient)
    assert report.verdict == "agrees", report.explanation
    report = check(loss, params, x, by_hand=lambda p, x: gradient(p, x, 1.0001))
    assert report.verdict == "disagrees"


def one_unit(p: Any, x: Any, targets: Any) -> jax.Array:
    return jnp.mean((jnp.maximum(x @ p["w"] + p["b"], 0.0) - targets) ** 2)


def one_unit_gradient(p: Any, x: Any, targets: Any) -> Any:
    before = x @ p["w"] + p["b"]
    error = 2.0 * (np.maximum(before, 0.0) - targets) * (before > 0) / len(targets)
    return {"w": x.T @ error, "b": error.sum()}


def test_any_convention_is_accepted_where_several_kinks_meet() -> None:
    # jnp.maximum gives 1/2 at a tie, the gradient by hand 0; the residuals have both signs, so that
    # the derivatives from the two sides bound neither.
    rest = {"w": np.zeros(4), "b": np.array(0.0)}
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, targets = rng.normal(size=(8, 4)), rng.normal(size=8)
        report = check(one_unit, rest, x, targets, by_hand=one_unit_gradient)
        assert report.verdict == "kink", report.explanation

        def wrong(p: Any, x: Any, targets: Any) -> Any:
            found = one_unit_gradient(p, x, targets)
            return {"w": 1.01 * found["w"], "b": found["b"]}

        assert check(one_unit, rest, x, targets, by_hand=wrong).verdict == "disagrees"


@pytest.mark.parametrize("weight", [1.0, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("near", [0.0, 1e-11, 3e-10, 1e-9, 3e-9, 1e-8, 1e-6])
def test_a_kink_of_any_strength_and_nearness_is_no_false_alarm(weight: float, near: float) -> None:
    def f(p: Any) -> jax.Array:
        return jnp.sum(p**2 + p + weight * jnp.abs(p))

    report = check(f, np.array([near, 1.0, 0.3]))
    assert report.verdict in ("agrees", "kink", "undecided"), report.explanation


def test_the_mistake_is_named_for_the_parameters_as_they_are_laid_out() -> None:
    x = np.column_stack([X, np.ones(len(X))])
    labels = np.arange(len(X)) % 3
    W = RNG.normal(size=(5, 3))

    def softmax(P: Any, x: Any, y: Any, l2: Any) -> jax.Array:
        scores = x @ P
        own = jnp.take_along_axis(scores, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(scores, axis=1) - own) + l2 * jnp.sum(P[:-1] ** 2)

    def bias_penalised(P: Any, x: Any, y: Any, l2: Any) -> Any:
        scores = x @ P
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        ds = e / e.sum(axis=1, keepdims=True) - np.eye(3)[y]
        return x.T @ ds / len(x) + 2.0 * l2 * P

    report = check(softmax, W, x, labels, 0.1, by_hand=bias_penalised)
    assert report.cause == "penalised bias", report.explanation

    def logistic(w: Any, x: Any, y: Any, l2: Any) -> jax.Array:
        z = x @ w
        return jnp.mean(jnp.logaddexp(0.0, z) - y * z) + l2 * jnp.sum(w**2)

    def without_penalty(w: Any, x: Any, y: Any, l2: Any) -> Any:
        return x.T @ (1.0 / (1.0 + np.exp(-x @ w)) - y) / len(x)

    report = check(logistic, W[:, 0], x, labels % 2, 0.1, by_hand=without_penalty)
    assert report.cause == "missing penalty", report.explanation


def test_coordinates_of_one_is_the_most_suspicious_one() -> None:
    report = check(
        lambda p: jnp.sum(p**2),
        np.arange(1.0, 9.0),
        by_hand=lambda p: 2.0 * p * (1.0 + (p == 3.0)),
        coordinates=1,
        directions=0,
    )
    assert report.verdict == "disagrees"
    assert report.worst[0].index == (2,)
