"""Other libraries' scales: each translation is proved by the other's own fit, or its objective."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import oracles
import pytest
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.svm import LinearSVC

from jaxlin import losses, scales
from jaxlin.errors import InputError
from jaxlin.losses import Loss
from jaxlin.precision import float64_scope
from tests.certificates import exact
from tests.problems import LOSSES, blobs

L2 = 0.03
X = blobs()[0].astype(np.float64)
SVMS = {"hinge": "weston_watkins", "squared_hinge": "squared_weston_watkins"}


class Problem(NamedTuple):
    """Labels (N,) of X and weights (N,) or None."""

    labels: np.ndarray
    weight: np.ndarray | None

    @property
    def total(self) -> float:
        """N, or the sum of the weights."""
        return float(len(X) if self.weight is None else self.weight.sum())


def problem(num_classes: int, weighted: bool = False) -> Problem:
    labels = blobs()[1]
    weight = np.random.default_rng(5).uniform(0.0, 3.0, len(X)) if weighted else None
    return Problem(np.minimum(labels, num_classes - 1), weight)


@functools.cache
def optimum(name: str, num_classes: int, bias: bool, weighted: bool = False) -> exact.Optimum:
    """That of our objective, by SciPy or an interior point, in float64."""
    given = problem(num_classes, weighted)
    return exact.optimum(name, X, given.labels, L2, bias, given.weight, width=0.0)


def objective(name: str, W: Any, b: Any, given: Problem) -> float:
    return oracles.objective(name, L2, W, b, X, given.labels, given.weight)


def two_rows(w: Any) -> np.ndarray:
    """W (2, D) with the scores of a single row w = W_1 - W_0, and b (2,) of its intercept."""
    return np.multiply.outer([-0.5, 0.5], np.squeeze(w))


def as_ours(model: Any) -> tuple[np.ndarray, np.ndarray]:
    """A fitted estimator's W and b; b with mean 0, which changes no loss."""
    if len(model.coef_) == 1:
        return two_rows(model.coef_), two_rows(model.intercept_)
    return model.coef_, model.intercept_ - np.mean(model.intercept_)


def centred(b: Any) -> np.ndarray:
    return b - np.mean(b)


# --- the fits of others


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_logistic_regression_has_our_optimum(num_classes: int, weighted: bool) -> None:
    given, best = problem(num_classes, weighted), optimum("softmax", num_classes, True, weighted)
    C = scales.C_of_l2(
        L2, loss=LOSSES["softmax"], num_examples=given.total, num_classes=num_classes
    )
    model = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=100)
    W, b = as_ours(model.fit(X, given.labels, sample_weight=given.weight))
    assert objective("softmax", W, b, given) == pytest.approx(best.value, rel=1e-10)
    np.testing.assert_allclose(W, best.W, atol=1e-6)
    np.testing.assert_allclose(b, centred(best.b), atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", SVMS)
def test_the_svm_of_two_classes_has_our_optimum(loss: str, weighted: bool) -> None:
    given, name = problem(2, weighted), SVMS[loss]
    best = optimum(name, 2, False, weighted)
    C = scales.C_of_l2(L2, loss=LOSSES[name], num_examples=given.total, num_classes=2)
    settings: dict[str, Any] = {"dual": loss == "hinge", "tol": 1e-10, "max_iter": 10**6}
    model = LinearSVC(loss=loss, C=C, fit_intercept=False, random_state=0, **settings)
    W, _ = as_ours(model.fit(X, given.labels, sample_weight=given.weight))
    assert objective(name, W, None, given) == pytest.approx(best.value, rel=1e-7)
    np.testing.assert_allclose(W, best.W, atol=1e-4)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_crammer_and_singers_svm_has_our_optimum(num_classes: int) -> None:
    """It keeps a row a class, of two classes as well."""
    given, best = problem(num_classes), optimum("crammer_singer", num_classes, False)
    C = scales.C_of_l2(
        L2, loss=losses.crammer_singer_hinge, num_examples=len(X), num_classes=num_classes
    )
    model = LinearSVC(multi_class="crammer_singer", C=C, fit_intercept=False, tol=1e-8,
                      max_iter=10**6, random_state=0)  # fmt: skip
    W, _ = as_ours(model.fit(X, given.labels))
    assert objective("crammer_singer", W, None, given) == pytest.approx(best.value, rel=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "name"), [("log_loss", "softmax"), ("hinge", "weston_watkins")])
def test_minibatches_of_one_end_near_our_optimum_at_this_alpha_alone(
    loss: str, name: str, weighted: bool
) -> None:
    given, best = problem(2, weighted), optimum(name, 2, True, weighted)
    alpha = scales.alpha_of_l2(
        L2, loss=LOSSES[name], num_classes=2, mean_weight=given.total / len(X)
    )

    def gap(alpha: float) -> float:
        settings: dict[str, Any] = {"max_iter": 10_000, "tol": None, "average": len(X) * 2000}
        model = SGDClassifier(loss=loss, alpha=alpha, random_state=0, **settings)
        W, b = as_ours(model.fit(X, given.labels, sample_weight=given.weight))
        return objective(name, W, b, given) / best.value - 1.0

    less, there, more = (gap(factor * alpha) for factor in (0.5, 1.0, 2.0))
    assert 0.0 <= there < 0.005
    assert min(less, more) > 0.05


def descended(loss: Callable[[Any], jax.Array], start: dict[str, Any], decay: float) -> Any:
    """Where optax's SGD ends that adds the decay times W to the gradient, as `torch.optim.SGD`."""
    decayed = optax.add_decayed_weights(decay, mask={"W": True, "b": False})
    optimizer = optax.chain(decayed, optax.sgd(0.5, momentum=0.9))

    def step(carry: Any, _: None) -> Any:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return (optax.apply_updates(params, updates), state), None

    @jax.jit
    def run(params: Any) -> Any:
        return jax.lax.scan(step, (params, optimizer.init(params)), length=2000)[0][0]

    with float64_scope(True):
        return jax.device_get(run(jax.tree.map(jnp.asarray, start)))


def test_descent_with_a_weight_decay_ends_at_our_optimum() -> None:
    given, best = problem(3), optimum("softmax", 3, True)

    def loss(params: Any) -> jax.Array:
        scores = X @ params["W"].T + params["b"][None]
        labels = jnp.asarray(given.labels)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, labels))

    start = {"W": np.zeros((3, X.shape[1])), "b": np.zeros(3)}
    found = descended(loss, start, scales.weight_decay_of_l2(L2))
    assert objective("softmax", found["W"], found["b"], given) == pytest.approx(
        best.value, rel=1e-12
    )
    np.testing.assert_allclose(found["W"], best.W, atol=1e-6)


def test_a_single_row_of_two_classes_decays_half_as_much() -> None:
    """A linear layer with one output and the binary cross entropy of it."""
    given, best = problem(2), optimum("softmax", 2, True)

    def loss(params: Any) -> jax.Array:
        scores = X @ params["W"] + params["b"]
        return jnp.mean(optax.sigmoid_binary_cross_entropy(scores, jnp.asarray(given.labels)))

    start = {"W": np.zeros(X.shape[1]), "b": np.zeros(())}
    found = descended(loss, start, scales.weight_decay_of_l2(L2, one_row=True))
    W, b = two_rows(found["W"]), two_rows(found["b"])
    assert objective("softmax", W, b, given) == pytest.approx(best.value)
    np.testing.assert_allclose(W, best.W, atol=1e-6)


def test_cyanure_has_our_optimum() -> None:
    estimators = pytest.importorskip("cyanure.estimators", reason="Cyanure is not installed")
    logging.getLogger("Cyanure").setLevel(logging.ERROR)
    svm, softmax = estimators.LinearSVC, estimators.LogisticRegression
    cases = [(svm, "squared_weston_watkins", 2), (softmax, "softmax", 2), (softmax, "softmax", 3)]
    for kind, name, num_classes in cases:
        given, best = problem(num_classes), optimum(name, num_classes, True)
        lambda_1 = scales.cyanure_of_l2(L2, loss=LOSSES[name], num_classes=num_classes)
        model = kind(lambda_1=lambda_1, fit_intercept=True, tol=1e-10, max_iter=5000)
        model.fit(X, given.labels.astype(np.int64))
        model.coef_, model.intercept_ = np.atleast_2d(model.coef_.T), np.ravel(model.intercept_)
        W, b = as_ours(model)
        assert objective(name, W, b, given) == pytest.approx(best.value, rel=1e-7)
        np.testing.assert_allclose(W, best.W, atol=1e-3)


# --- their objectives, as their pages have them: a multiple of ours, whatever the weights


def logistic(margin: np.ndarray) -> np.ndarray:
    return np.logaddexp(0.0, -margin)


def hinge(margin: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - margin)


def squared_hinge(margin: np.ndarray) -> np.ndarray:
    return hinge(margin) ** 2


ONE_ROW: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "softmax": logistic,
    "weston_watkins": hinge,
    "squared_weston_watkins": squared_hinge,
}


@pytest.mark.parametrize("name", ONE_ROW)
@pytest.mark.parametrize("weighted", [False, True])
def test_objectives_of_a_single_row_are_multiples_of_ours(name: str, weighted: bool) -> None:
    given, loss = problem(2, weighted), LOSSES[name]
    w = np.random.default_rng(1).normal(size=X.shape[1])
    weight = np.ones(len(X)) if given.weight is None else given.weight
    each = weight * ONE_ROW[name]((2.0 * given.labels - 1.0) * (X @ w))
    square, ours = float(w @ w), objective(name, two_rows(w), None, given)
    C = scales.C_of_l2(L2, loss=loss, num_examples=given.total, num_classes=2)
    assert C * each.sum() + square / 2 == pytest.approx(C * given.total * ours, rel=1e-12)
    mean = given.total / len(X)
    alpha = scales.alpha_of_l2(L2, loss=loss, num_classes=2, mean_weight=mean)
    assert each.mean() + alpha / 2 * square == pytest.approx(mean * ours, rel=1e-12)
    if weighted or name == "weston_watkins":  # which Cyanure has not
        return
    lambda_1 = scales.cyanure_of_l2(L2, loss=loss, num_classes=2)
    half = 0.5 if name == "squared_weston_watkins" else 1.0
    assert half * each.mean() + lambda_1 / 2 * square == pytest.approx(half * ours, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "num_classes"), [("softmax", 3), ("crammer_singer", 3), ("crammer_singer", 2)]
)
def test_objectives_of_a_row_a_class_are_multiples_of_ours(name: str, num_classes: int) -> None:
    given, loss = problem(num_classes), LOSSES[name]
    W = np.random.default_rng(2).normal(size=(num_classes, X.shape[1]))
    each = oracles.values(name, X @ W.T, given.labels)
    square, ours = float(np.sum(W * W)), objective(name, W, None, given)
    C = scales.C_of_l2(L2, loss=loss, num_examples=len(X), num_classes=num_classes)
    assert C * each.sum() + square / 2 == pytest.approx(C * len(X) * ours, rel=1e-12)
    if name == "softmax":
        lambda_1 = scales.cyanure_of_l2(L2, loss=loss, num_classes=3)
        assert each.mean() + lambda_1 / 2 * square == pytest.approx(ours, rel=1e-12)


@pytest.mark.parametrize("name", ["weston_watkins", "squared_weston_watkins"])
def test_a_loss_over_the_number_of_classes_decays_by_as_much_less(name: str) -> None:
    """`torch.nn.MultiMarginLoss`, of p = 1 or 2, divides by C."""
    given, W = problem(3), np.random.default_rng(3).normal(size=(3, X.shape[1]))
    each = oracles.values(name, X @ W.T, given.labels) / 3
    decay = scales.weight_decay_of_l2(L2) / 3
    theirs = each.mean() + decay / 2 * float(np.sum(W * W))
    assert theirs == pytest.approx(objective(name, W, None, given) / 3, rel=1e-12)


@pytest.mark.parametrize("name", ["weston_watkins", "crammer_singer", "squared_weston_watkins"])
def test_what_is_said_of_another_margin(name: str) -> None:
    """The objective at W of margin m is a multiple of that at W / m of margin 1."""
    given, m = problem(3), 2.5
    W = np.random.default_rng(4).normal(size=(3, X.shape[1]))
    value: Any = getattr(oracles, name)
    each = [value(s, int(y), m) for s, y in zip((m * X @ W.T).tolist(), given.labels, strict=True)]
    power, l2 = (2, L2) if name == "squared_weston_watkins" else (1, L2 / m)
    theirs = np.mean(each) + l2 * float(np.sum((m * W) ** 2))
    assert theirs == pytest.approx(m**power * objective(name, W, None, given), rel=1e-12)


# --- the numbers


def test_the_numbers_of_the_digits() -> None:
    C, N = 1.0, 1347
    softmax = losses.softmax_cross_entropy
    l2 = scales.l2_of_C(C, loss=softmax, num_examples=N, num_classes=10)
    assert l2 == pytest.approx(1 / (2 * 1347), rel=1e-15)
    assert scales.l2_of_C(C, loss=softmax, num_examples=N, num_classes=2) == 2 * l2
    # As a scale alone, also of a loss that nobody else has, or of one's own.
    assert scales.l2_of_C(C, num_examples=float(N), num_classes=10) == l2
    assert scales.l2_of_C(C, loss=lambda s, y: s[..., 0], num_examples=N, num_classes=10) == l2
    counts: dict[str, Any] = {"num_examples": np.int64(5), "num_classes": np.int64(3)}
    assert scales.l2_of_C(np.float32(2), **counts) == 0.05
    assert scales.l2_of_weight_decay(0.5) == 0.25
    assert scales.l2_of_weight_decay(0.5, one_row=True) == 0.5
    assert scales.l2_of_alpha(0.5, num_classes=2, mean_weight=2.0) == 0.25
    assert scales.l2_of_cyanure(0.5, num_classes=3) == 0.25
    squared = losses.squared_weston_watkins_hinge
    assert scales.l2_of_cyanure(0.5, loss=squared, num_classes=2) == 1.0


def test_weights_may_add_up_to_less_than_one() -> None:
    """Shares are weights too, and their sum may be rounded to just below 1."""
    assert scales.l2_of_C(1.0, num_examples=0.25, num_classes=3) == 2.0


PAIRS: list[tuple[Callable[..., float], Callable[..., float], dict[str, Any]]] = [
    (scales.l2_of_C, scales.C_of_l2, {"num_examples": 1347, "num_classes": 10}),
    (scales.l2_of_C, scales.C_of_l2, {"num_examples": 1e9, "num_classes": 2}),
    (scales.l2_of_alpha, scales.alpha_of_l2, {"num_classes": 2, "mean_weight": 0.3}),
    (scales.l2_of_weight_decay, scales.weight_decay_of_l2, {}),
    (scales.l2_of_weight_decay, scales.weight_decay_of_l2, {"one_row": True}),
    (scales.l2_of_cyanure, scales.cyanure_of_l2, {"num_classes": 3}),
    (
        scales.l2_of_cyanure, scales.cyanure_of_l2,
        {"num_classes": 2, "loss": losses.squared_weston_watkins_hinge},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("there", "back", "about"), PAIRS)
@pytest.mark.parametrize("value", [1e-250, 3e-7, 1.0, 7, 1e250])
def test_there_and_back(there: Any, back: Any, about: dict[str, Any], value: float) -> None:
    assert back(there(value, **about), **about) == pytest.approx(value, rel=1e-14)
    assert there(back(value, **about), **about) == pytest.approx(value, rel=1e-14)


# --- what cannot be

FEW = {"num_examples": 10, "num_classes": 3}
NO_NUMBERS = [-1.0, float("nan"), float("inf"), "1", True, None, [1.0], 1j]
NAMES = {
    scales.l2_of_C: ("C", FEW),
    scales.C_of_l2: ("l2", FEW),
    scales.l2_of_alpha: ("alpha", {"num_classes": 2}),
    scales.alpha_of_l2: ("l2", {"num_classes": 2}),
    scales.l2_of_weight_decay: ("weight_decay", {}),
    scales.weight_decay_of_l2: ("l2", {}),
    scales.l2_of_cyanure: ("lambda_1", {"num_classes": 3}),
    scales.cyanure_of_l2: ("l2", {"num_classes": 3}),
}


@pytest.mark.parametrize("convert", NAMES)
def test_what_is_no_number_is_refused_by_name(convert: Any) -> None:
    name, about = NAMES[convert]
    for value in NO_NUMBERS:
        with pytest.raises(InputError, match=rf"^{name} must be .*, got "):
            convert(value, **about)
    if name != "C" and convert is not scales.C_of_l2:
        assert convert(0.0, **about) == 0.0  # no penalty is no penalty
        return
    with pytest.raises(InputError, match=r"^(C must be a positive|l2 = 0 has no C: .*np\.inf)"):
        convert(0.0, **about)


@pytest.mark.parametrize("convert", [scales.l2_of_C, scales.C_of_l2])
def test_counts_are_checked(convert: Any) -> None:
    for N in (0, -3, float("nan"), float("inf"), "10", True, None):
        with pytest.raises(InputError, match=r"^num_examples must be a positive"):
            convert(1.0, num_examples=N, num_classes=3)
    for C in (2.0, "3", True, None):
        with pytest.raises(InputError, match=r"^num_classes must be a whole number"):
            convert(1.0, num_examples=10, num_classes=C)
    for C in (1, 0, -1):
        with pytest.raises(InputError, match=rf"^num_classes must be at least 2, got {C}"):
            convert(1.0, num_examples=10, num_classes=C)
    with pytest.raises(InputError, match=r"^loss must be a loss of jaxlin\.losses or None, got 's"):
        convert(1.0, loss="softmax", num_examples=10, num_classes=3)


def test_other_arguments_are_checked() -> None:
    for mean in (0.0, -1.0, float("nan"), "1"):
        with pytest.raises(InputError, match=r"^mean_weight must be a positive"):
            scales.l2_of_alpha(1.0, num_classes=2, mean_weight=mean)
    with pytest.raises(InputError, match=r"^one_row must be True or False, got 1"):
        scales.weight_decay_of_l2(1.0, one_row=1)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("convert", "value", "about"),
    [
        (scales.l2_of_C, 5e-324, FEW),
        (scales.l2_of_C, 1e308, {**FEW, "num_examples": 1e17}),
        (scales.C_of_l2, 5e-324, FEW),
        (scales.C_of_l2, 1e308, {**FEW, "num_examples": 1e17}),
        (scales.l2_of_alpha, 5e-324, {"num_classes": 2, "mean_weight": 3.0}),
        (scales.l2_of_alpha, 1e308, {"num_classes": 2, "mean_weight": 0.1}),
        (scales.alpha_of_l2, 5e-324, {"num_classes": 2, "mean_weight": 0.1}),
        (scales.l2_of_weight_decay, 5e-324, {}),
        (scales.weight_decay_of_l2, 1e308, {}),
        (scales.l2_of_cyanure, 5e-324, {"num_classes": 3}),
        (scales.cyanure_of_l2, 1e308, {"num_classes": 3}),
    ],
)
def test_a_number_that_leaves_the_range_is_no_number(
    convert: Any, value: float, about: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match=r"would be \w+ = (inf|0): it is out of float64's range"):
        convert(value, **about)


SUMS = (losses.weston_watkins_hinge, losses.squared_weston_watkins_hinge)


@pytest.mark.parametrize("loss", SUMS)
def test_a_sum_over_three_classes_has_no_c(loss: Loss) -> None:
    words = rf"^no C has the optimum of {type(loss).__name__} with 3 classes: .* or {{}}, which"
    with pytest.raises(InputError, match=words.format("l2 = 0.05")):
        scales.l2_of_C(1.0, loss=loss, **FEW)
    with pytest.raises(InputError, match=words.format("C = 0.05")):
        scales.C_of_l2(1.0, loss=loss, **FEW)


def test_three_classes_have_no_alpha() -> None:
    words = r"^alpha is SGDClassifier's, which fits 3 classes one against the rest: .* {}, which"
    with pytest.raises(InputError, match=words.format("l2 = 0.05")):
        scales.l2_of_alpha(0.1, num_classes=3)
    with pytest.raises(InputError, match=words.format("alpha = 0.2")):
        scales.alpha_of_l2(0.1, loss=losses.softmax_cross_entropy, num_classes=3)


@pytest.mark.parametrize("loss", [*SUMS, losses.crammer_singer_hinge])
@pytest.mark.parametrize("num_classes", [2, 3])
def test_cyanure_has_softmax_and_one_svm(loss: Loss, num_classes: int) -> None:
    if loss is losses.squared_weston_watkins_hinge and num_classes == 2:
        assert scales.l2_of_cyanure(0.1, loss=loss, num_classes=2) == 0.2
        return
    for convert in (scales.l2_of_cyanure, scales.cyanure_of_l2):
        words = f"^Cyanure has no {type(loss).__name__} of {num_classes} classes"
        with pytest.raises(InputError, match=words):
            convert(0.1, loss=loss, num_classes=num_classes)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (losses.WestonWatkinsHinge(2.0), "l2 times its margin"),
        (losses.CrammerSingerHinge(2.0), "l2 times its margin"),
        (losses.SquaredWestonWatkinsHinge(2.0), "margin 1 and l2:"),
    ],
)
def test_another_margin_is_refused(loss: Loss, words: str) -> None:
    for convert, about in (
        (scales.l2_of_C, {"num_examples": 10}),
        (scales.C_of_l2, {"num_examples": 10}),
        (scales.l2_of_alpha, {}),
        (scales.alpha_of_l2, {}),
        (scales.cyanure_of_l2, {}),
    ):
        with pytest.raises(InputError, match=rf"^loss has margin 2, and .*{words}"):
            convert(1.0, loss=loss, num_classes=2, **about)
