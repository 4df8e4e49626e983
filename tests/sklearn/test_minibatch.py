"""MinibatchClassifier: SGD that goes on where it was."""

from __future__ import annotations

import pickle
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_iris

import jaxlin
from jaxlin import losses
from jaxlin.precision import float64_scope
from jaxlin.sklearn import MinibatchClassifier, epochs

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
CLASSES = [0, 1, 2]


def relative_gap(model: MinibatchClassifier) -> float:
    """To the optimum of iris, proved."""
    objective = jaxlin.Objective(losses.softmax_cross_entropy, model.l2)
    with float64_scope(True):
        params = jaxlin.LinearParams(jnp.asarray(model.coef_), jnp.asarray(model.intercept_))
        return jaxlin.certificates.duality_gap(objective, params, X, Y).relative_gap


def test_fit_comes_near_the_optimum_and_predicts() -> None:
    model = MinibatchClassifier(l2=1e-2, batch_size=32).fit(X, Y)
    assert model.score(X, Y) > 0.9
    assert model.certificate_ is None
    assert relative_gap(model) < 0.01


@pytest.mark.parametrize("l2", [0.1, 1.0, 10.0, 100.0])
def test_a_rate_of_its_own_does_not_diverge_on_l2(l2: float) -> None:
    whole = MinibatchClassifier(l2=l2, batch_size=32).fit(X, Y)
    stream = MinibatchClassifier(l2=l2, batch_size=200)
    for _ in range(60):
        stream.partial_fit(X, Y, classes=CLASSES)
    for model in (whole, stream):
        assert relative_gap(model) < 5e-3
        assert model.score(X, Y) > 0.7  # the optimum of the largest l2 has 0.81


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_pickle_goes_on_as_if_nothing_had_been(dtype: str) -> None:
    x = X.astype(dtype)
    whole = MinibatchClassifier(batch_size=32, random_state=3)
    for _ in range(4):
        whole.partial_fit(x, Y, classes=CLASSES)
    part = MinibatchClassifier(batch_size=32, random_state=3)
    part.partial_fit(x, Y, classes=CLASSES).partial_fit(x, Y)
    part = pickle.loads(pickle.dumps(part))  # one of our own
    part.partial_fit(x, Y).partial_fit(x, Y)
    np.testing.assert_array_equal(part.coef_, whole.coef_)
    assert part.n_iter_ == 4
    assert part.coef_.dtype == dtype


def test_momentum_is_kept_between_calls() -> None:
    slow = MinibatchClassifier(momentum=0.0, learning_rate=0.01, batch_size=200)
    fast = MinibatchClassifier(momentum=0.9, learning_rate=0.01, batch_size=200)
    for model in (slow, fast):
        model.partial_fit(X, Y, classes=CLASSES)
    np.testing.assert_allclose(slow.coef_, fast.coef_)
    for model in (slow, fast):
        model.partial_fit(X, Y)
    gradient = 0.01 * jaxlin_gradient(np.zeros((3, 4)), np.zeros(3))
    np.testing.assert_allclose(fast.coef_ - slow.coef_, -0.9 * gradient, rtol=1e-9)


def after(rows: list[int], weight: np.ndarray, W: np.ndarray) -> np.ndarray:
    """W with a column for b, after a step by 0.1 along some rows' weighted softmax losses."""
    slope = np.zeros_like(W)
    for row in rows:
        x = np.append(X[row], 1.0)
        scores = np.exp(W @ x)
        slope += weight[row] * np.outer(scores / scores.sum() - np.eye(3)[Y[row]], x)
    return W - 0.1 * slope / len(rows)


def test_a_stream_multiplies_the_losses_of_its_rows_by_their_weights() -> None:
    of_class = {0: 1.0, 1: 10.0, 2: 0.5}
    own = np.where(np.arange(len(Y)) % 2, 0.1, 1.0)
    own[:10] = 0.0
    plain = {"learning_rate": 0.1, "momentum": 0.0, "l2": 0.0}
    model: Any = MinibatchClassifier(class_weight=of_class, **plain)
    weight = own * np.array([of_class[label] for label in Y])
    W = np.zeros((3, 5))
    for rows in ([0], [60], [61], [149], [20, 101, 3], [1, 2], [70]):
        model.partial_fit(X[rows], Y[rows], classes=CLASSES, sample_weight=own[rows])
        W = after(rows, weight, W)
        np.testing.assert_allclose(model.coef_, W[:, :4], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(model.intercept_, W[:, 4], rtol=1e-9, atol=1e-12)
    # Rows that count nothing, or next to nothing, leave a step of l2.
    model.set_params(l2=0.5)
    for least in (0.0, 1e-300):
        before = model.coef_
        model.partial_fit(X[:2], Y[:2], sample_weight=[least, least])
        np.testing.assert_allclose(model.coef_, 0.9 * before, rtol=1e-9)
    assert model.n_iter_ == 9


def test_a_rate_of_its_own_makes_up_for_weights_above_one_alone() -> None:
    def first(weight: float, **options: Any) -> MinibatchClassifier:
        model = MinibatchClassifier(l2=0.0, **options)
        return model.partial_fit(X[:1], Y[:1], classes=CLASSES, sample_weight=[weight])

    whole, part = first(1.0), first(0.1)
    assert part.learning_rate_ == whole.learning_rate_
    np.testing.assert_allclose(part.coef_, 0.1 * whole.coef_)
    for much in (first(10.0), first(1.0, class_weight={2: 10.0})):
        assert whole.learning_rate_ / much.learning_rate_ == pytest.approx(10.0)
    with pytest.raises(jaxlin.InputError, match=r"sample_weight, .* goes up to 1e\+39, which "):
        first(1e39, dtype="float32")


def jaxlin_gradient(W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of the mean softmax loss by W, at zero: in NumPy."""
    scores = X @ W.T + b
    slopes = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) - np.eye(3)[Y]
    return slopes.T @ X / len(X)


def test_padding_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    padded = MinibatchClassifier(epochs=20).fit(X, Y)
    monkeypatch.setattr(epochs, "padded_shape", lambda *shape: shape)
    as_it_is = MinibatchClassifier(epochs=20).fit(X, Y)
    np.testing.assert_allclose(padded.coef_, as_it_is.coef_, rtol=1e-9)


def test_fit_starts_again_and_a_warm_start_does_not() -> None:
    model = MinibatchClassifier(epochs=1, learning_rate=0.01).fit(X, Y)
    once = model.coef_.copy()
    np.testing.assert_array_equal(model.fit(X, Y).coef_, once)
    model.set_params(warm_start=True).fit(X, Y)
    assert np.abs(model.coef_).sum() > 1.5 * np.abs(once).sum()


def test_partial_fit_wants_its_classes_declared() -> None:
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MinibatchClassifier().partial_fit(X, Y)
    model = MinibatchClassifier().partial_fit(X[:50], Y[:50], classes=CLASSES)
    assert model.coef_.shape == (3, 4)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        model.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(jaxlin.InputError, match="the label 3, which is not among the classes"):
        model.partial_fit(X, Y + 3)
    with pytest.raises(jaxlin.InputError, match="not supported for partial_fit"):
        MinibatchClassifier(class_weight="balanced").partial_fit(X, Y, classes=CLASSES)


@pytest.mark.parametrize("rate", [1e10, 1e300])
def test_divergence_is_an_error_and_leaves_a_model_as_it_was(rate: float) -> None:
    with pytest.raises(jaxlin.DivergedError, match="Lower the learning rate") as caught:
        MinibatchClassifier("squared_svm", learning_rate=rate, momentum=0.9).fit(X, Y)
    assert np.isfinite(caught.value.params.W).all()
    model = MinibatchClassifier("squared_svm", learning_rate=1e-3)
    before = model.partial_fit(X, Y, classes=CLASSES).coef_.copy()
    model.set_params(learning_rate=rate)
    with pytest.raises(jaxlin.DivergedError):
        for _ in range(3):
            before = model.partial_fit(X, Y).coef_.copy()
    np.testing.assert_array_equal(model.coef_, before)
