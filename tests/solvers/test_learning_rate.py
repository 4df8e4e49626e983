"""The learning rate that is suggested: the same in every unit, and stable where it must be."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import LOSSES, blobs

import jaxlin
from jaxlin import losses
from jaxlin.data import Scaling
from jaxlin.solvers import SGD, GradientDescent, suggested_learning_rate
from jaxlin.solvers.learning_rate import largest_stable_rate, mean_square_norm, sample_rows

MOMENTUM = 0.9


def squared_error(scores: jax.Array, labels: jax.Array) -> jax.Array:
    return jnp.sum((scores - jax.nn.one_hot(labels, scores.shape[-1])) ** 2, axis=-1)


def heavy_squared_error(scores: jax.Array, labels: jax.Array) -> jax.Array:
    return 1000.0 * squared_error(scores, labels)


def heavy_tailed(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which a few are a hundred times as long as the others."""
    rng = np.random.default_rng(seed)
    x = rng.standard_t(1.5, size=(600, 8))
    return x, rng.integers(0, 3, 600)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_features_in_another_unit_change_the_rate_by_its_square(name: str, factor: float) -> None:
    x, _ = blobs()
    scaled = Scaling(0.0, factor)
    rate = suggested_learning_rate(x, loss=LOSSES[name], num_classes=3, scaling=scaled)
    same = suggested_learning_rate(factor * x.astype(np.float64), loss=LOSSES[name], num_classes=3)
    assert rate == pytest.approx(same, rel=1e-6)
    plain = suggested_learning_rate(x, loss=LOSSES[name], num_classes=3)
    assert rate < plain if factor > 1 else rate > plain


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("loss", "weight"), [(squared_error, 1.0), (heavy_squared_error, 1000.0)])
def test_the_default_solver_does_not_diverge_on_a_loss_that_is_curved_everywhere(
    loss: losses.Loss, weight: float, seed: int
) -> None:
    x, labels = heavy_tailed(seed)
    found = jaxlin.fit(x, labels, loss=loss)
    assert found.history.objective[-1] < 0.9 * weight  # what scores of zero have is `weight`


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_rate_is_far_from_diverging_on_the_penalty(momentum: float) -> None:
    x, _ = blobs()
    loss, l2 = losses.weston_watkins_hinge, 10.0
    rate = suggested_learning_rate(x, loss=loss, num_classes=3, momentum=momentum, l2=l2)
    limit = largest_stable_rate(x, loss=loss, num_classes=3, l2=l2)
    assert 0.01 * limit < rate <= (1.0 + momentum) * limit / 2.0
    for none in (0.0, 1e-6):  # which the other limit is below
        without = suggested_learning_rate(x, loss=loss, num_classes=3, momentum=momentum, l2=none)
        assert without == suggested_learning_rate(x, loss=loss, num_classes=3, momentum=momentum)


def test_a_square_has_the_rate_of_the_textbook_where_batches_add_no_noise() -> None:
    x, labels = blobs()
    rows = sample_rows(x, None)
    largest = float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1])
    rate = suggested_learning_rate(
        x, loss=squared_error, num_classes=3, momentum=MOMENTUM, batch_size=10**9
    )
    assert rate == pytest.approx((1 + MOMENTUM) / (2.0 * largest), rel=0.05)
    diverging = GradientDescent(optax.sgd(2.2 * rate, momentum=MOMENTUM), steps=3000)
    with pytest.raises(jaxlin.DivergedError):
        jaxlin.fit(x, labels, loss=squared_error, solver=diverging)


@pytest.mark.parametrize("l2", [0.0, 1.0])
def test_gradient_steps_diverge_just_above_the_limit_and_the_error_names_it(l2: float) -> None:
    x, labels = blobs()
    limit = largest_stable_rate(x, loss=squared_error, num_classes=3, l2=l2)
    rows = sample_rows(x, None)
    largest = float(np.linalg.eigvalsh(rows.T @ rows / len(rows))[-1])
    # l2 leaves the bias alone, so that the limit is a little cautious.
    assert limit == pytest.approx(2.0 / (2.0 * largest + 2.0 * l2), rel=0.02)
    below = GradientDescent(optax.sgd(0.95 * limit), steps=300)
    found = jaxlin.fit(x, labels, loss=squared_error, l2=l2, solver=below)
    assert found.history.objective[-1] <= found.history.objective[0]
    above = GradientDescent(optax.sgd(1.2 * limit), steps=300)
    with pytest.raises(jaxlin.DivergedError, match=re.escape(f"above a rate of {limit:.2g} ")):
        jaxlin.fit(x, labels, loss=squared_error, l2=l2, solver=above)


def test_the_limit_of_a_hinge_is_that_of_l2_alone() -> None:
    x, _ = blobs()
    hinge = losses.weston_watkins_hinge
    assert largest_stable_rate(x, loss=hinge, num_classes=3, l2=10.0) == pytest.approx(0.1)
    assert largest_stable_rate(x, loss=hinge, num_classes=3, l2=0.0) == np.inf


def test_losses_whose_slope_is_bounded_keep_their_rate() -> None:
    x, _ = blobs()
    size = mean_square_norm(sample_rows(x, None))
    rate = suggested_learning_rate(x, loss=losses.weston_watkins_hinge, num_classes=3)
    assert rate == pytest.approx(0.1 * 100 / (size * np.sqrt(6.0)), rel=1e-6)


def test_many_classes_and_wide_rows_take_little_memory() -> None:
    x = np.zeros((4096, 20_000), np.uint8)
    x[:, ::7] = 3
    assert sample_rows(x, None).nbytes < 1 << 27
    rate = suggested_learning_rate(x, loss=losses.softmax_cross_entropy, num_classes=30_000)
    assert np.isfinite(rate)
    assert rate > 0


def test_a_fit_of_many_classes_judges_divergence_a_few_classes_at_a_time() -> None:
    num_classes = 12_000
    labels = np.arange(num_classes) % num_classes
    x = np.ones((num_classes, 1), np.float32)
    solver = SGD(optax.sgd(0.1), batch_size=512, epochs=1)
    found = jaxlin.fit(x, labels, loss=losses.softmax_cross_entropy, solver=solver)
    assert found.history.objective[0] == pytest.approx(np.log(num_classes), rel=0.02)
