"""The lecture's worked examples, with the numbers of its slides."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import oracles
import pytest

import jaxlin
from jaxlin import LinearParams, Objective, gradients, losses, metrics, penalties

CAT, CAR, FROG = 0, 1, 2
# One row an image, one column a class.
IMAGES = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
LABELS = np.array([CAT, CAR, FROG])


def test_an_image_of_four_pixels_gets_three_scores() -> None:
    W = np.array([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]])
    b, image = np.array([1.1, 3.2, -1.2]), np.array([56, 231, 24, 2], np.uint8)
    # The slide has 61.95 for the third: the bias is missing there.
    expected = [-96.8, 437.9, 60.75]
    np.testing.assert_allclose(oracles.scores(W, b, image[None])[0], expected, rtol=1e-12)
    params = LinearParams(jnp.asarray(W), jnp.asarray(b))
    np.testing.assert_allclose(jaxlin.scores(params, image), expected, rtol=1e-6)
    assert int(jaxlin.predict(params, image)) == 1


def test_the_multiclass_svm_loss_of_three_images() -> None:
    expected = [2.9, 0.0, 12.9]
    np.testing.assert_allclose(
        losses.weston_watkins_hinge(IMAGES, LABELS), expected, rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(
        oracles.values("weston_watkins", IMAGES, LABELS), expected, rtol=0, atol=1e-12
    )
    # The scores are what a model with W = 1 gives to them as features.
    objective = Objective(losses.weston_watkins_hinge)
    mean = float(objective(LinearParams(jnp.eye(3)), IMAGES, LABELS))
    assert mean == pytest.approx(15.8 / 3, rel=1e-6)
    assert f"{mean:.2f}" == "5.27"
    np.testing.assert_allclose(metrics.accuracy(IMAGES, LABELS), 1 / 3, rtol=1e-6)


def test_the_softmax_of_the_cat() -> None:
    scores = IMAGES[0]
    cat, car, frog = np.exp(scores)
    assert (f"{cat:.1f}", f"{car:.1f}", f"{frog:.2f}") == ("24.5", "164.0", "0.18")
    probabilities = np.asarray(losses.softmax_probabilities(scores))
    assert [f"{p:.2f}" for p in probabilities] == ["0.13", "0.87", "0.00"]
    np.testing.assert_allclose(probabilities, np.exp(scores) / np.exp(scores).sum(), rtol=1e-6)
    loss = float(losses.softmax_cross_entropy(scores, CAT))
    assert f"{loss:.2f}" == "2.04"  # in nats
    assert f"{loss / np.log(10.0):.2f}" == "0.89"  # the slide's, to base 10
    assert loss == pytest.approx(oracles.softmax_cross_entropy(scores.tolist(), CAT), rel=1e-6)


def test_the_numerical_gradient_of_a_loss_of_1_25347() -> None:
    W = np.array([0.34, -1.11, 0.78, 0.12, 0.55, 2.81, -3.1, -1.5, 0.33])
    slopes = np.array([-2.5, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])

    def loss(w: Any) -> Any:
        return 1.25347 + (w - W) @ slopes

    step = 1e-4
    for index, value in ((0, 1.25322), (1, 1.25353), (2, 1.25347)):
        moved = W.copy()
        moved[index] += step
        assert float(loss(moved)) == pytest.approx(value, abs=1e-12)
    assert f"{W[0] + step:.4f}" == "0.3401"
    found = gradients.numerical(loss, W, step=step, scheme="forward")
    np.testing.assert_allclose(found, slopes, rtol=0, atol=1e-9)
    assert f"{found[0]:.1f}" == "-2.5"
    np.testing.assert_allclose(gradients.numerical(loss, W), slopes, rtol=0, atol=1e-9)


def test_the_loss_at_the_start_is_known() -> None:
    params = jaxlin.init_params(5, 10)
    x, labels = np.random.default_rng(0).normal(size=(20, 5)), np.arange(20) % 10
    for loss, start in (
        (losses.weston_watkins_hinge, 9.0),
        (losses.squared_weston_watkins_hinge, 9.0),
        (losses.crammer_singer_hinge, 1.0),
        (losses.softmax_cross_entropy, np.log(10.0)),
    ):
        assert float(Objective(loss)(params, x, labels)) == pytest.approx(start, rel=1e-6)


def test_the_svm_is_content_where_the_softmax_is_not() -> None:
    scores = np.array([[10.0, -2.0, 3.0], [10.0, 9.0, 9.0], [10.0, -100.0, -100.0]])
    labels = np.zeros(3, int)
    assert losses.weston_watkins_hinge(scores, labels).tolist() == [0.0, 0.0, 0.0]
    softmax = losses.softmax_cross_entropy(scores, labels)
    expected = oracles.values("softmax", scores, labels)
    np.testing.assert_allclose(softmax, expected, rtol=0, atol=1e-6)
    assert softmax[1] > softmax[0] > softmax[2]


def test_a_car_that_is_jiggled_a_little_still_costs_nothing() -> None:
    for jiggle in (-0.5, 0.5):
        scores = IMAGES[1] + np.array([0.0, jiggle, 0.0])
        assert float(losses.weston_watkins_hinge(scores, CAR)) == 0.0


def test_doubling_the_weights_keeps_a_loss_of_zero_and_only_l2_objects() -> None:
    x, labels = IMAGES[1:2], LABELS[1:2]
    plain, regularised = (Objective(losses.weston_watkins_hinge, l2) for l2 in (0.0, 0.1))
    once, twice = LinearParams(jnp.eye(3)), LinearParams(2 * jnp.eye(3))
    assert float(plain(once, x, labels)) == float(plain(twice, x, labels)) == 0.0
    assert float(regularised(once, x, labels)) == pytest.approx(0.3)
    assert float(regularised(twice, x, labels)) == pytest.approx(1.2)


def test_l2_prefers_weights_that_are_spread_out() -> None:
    x = jnp.ones(4)
    one, spread = jnp.array([1.0, 0.0, 0.0, 0.0]), jnp.full(4, 0.25)
    assert float(one @ x) == float(spread @ x) == 1.0
    assert float(penalties.l2(one)) == 1.0
    assert float(penalties.l2(spread)) == 0.25
