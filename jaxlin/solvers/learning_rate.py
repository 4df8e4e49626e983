"""A learning rate to start from, a schedule to go down from it, and for how long.

How far a step moves an example's own scores is known for a linear model: `rate * |g| * |x|^2`,
with g the loss's gradient in the scores (the bias counts as a feature of 1). A rate that moves
scores by a chosen distance needs no search to be of the right order, whatever the features' scale,
the loss and the number of classes.

A loss that is flat for examples that are well classified forgives steps that are too long. One
that is curved there too (a square) does not: on it heavy-ball momentum diverges once
`rate * curvature * (e / (1 + momentum) + R / (B (1 - momentum)))` is about 2, with e the largest
eigenvalue of mean(x x^T) (B. T. Polyak, "Some methods of speeding up the convergence of iteration
methods", 1964) and R the largest |x|^2, by which a minibatch's own curvature can exceed the mean's.
For such a loss the rate is at most half of that.

The penalty is curved everywhere, by `2 * l2`, and diverges by itself once `rate * 2 * l2` is
`2 * (1 + momentum)`. The rate keeps that to `1 - momentum`: what the penalty takes from W, over the
steps that momentum remembers, is then no more than W. That is far from the limit, no slower than
momentum itself, and W stays a mean over as many minibatches as momentum remembers.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.checks import check_not_negative, check_positive
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.losses import Loss

_SAMPLE_ROWS, _SAMPLE_VALUES, _SAMPLE_LABELS = 4096, 1 << 23, 64
_POWER_STEPS = 20

# How far an example's scores may move, summed over the steps that momentum remembers. The best of
# 30, 100 and 300 over four losses on digits, Fashion-MNIST and three tables of scikit-learn, each
# after the default number of epochs; a third or three times of it costs little.
_SCORE_STEP = 100.0

_MIN_EPOCHS, _MAX_EPOCHS, _MIN_STEPS = 20, 200, 2000


def suggested_learning_rate(
    x: Any,
    *,
    loss: Loss,
    num_classes: int,
    momentum: float = 0.9,
    batch_size: int = 256,
    scaling: Scaling | None = None,
    l2: float = 0.0,
    factors: np.ndarray | None = None,
) -> float:
    """A learning rate for minibatch SGD with heavy-ball momentum and a decaying schedule.

    `(1 - momentum) * 100 / (mean(|x|^2 + 1) * |g|)`: the mean is over at most 4,096 rows spread
    over the data, and g is the loss's gradient where all scores are zero. Less
    for a loss that is curved everywhere, and where l2 is large (see the module).

    Args:
      x: features (N, D), finite.
      loss: what is minimised.
      num_classes: C.
      momentum: of the optimiser, in [0, 1).
      batch_size: B.
      scaling: what the rows go through before the product.
      l2: of the objective, not negative.
      factors: what the loss of each row is multiplied by (N,), not negative; None is 1.

    Returns:
      The learning rate.

    >>> from jaxlin import losses
    >>> rate = suggested_learning_rate(
    ...     np.ones((10, 3)), loss=losses.crammer_singer_hinge, num_classes=3)
    >>> round(rate, 2)  # 0.1 * 100 / (4 * sqrt(2))
    1.77
    >>> rate = suggested_learning_rate(
    ...     np.ones((10, 3)), loss=losses.crammer_singer_hinge, num_classes=3, l2=1.0)
    >>> round(rate, 2)  # 0.1 / 2
    0.05
    """
    if not 0.0 <= momentum < 1.0:
        raise InputError(f"momentum must be in [0, 1), got {momentum}.")
    l2 = check_not_negative("l2", l2)
    with np.errstate(over="ignore", invalid="ignore"):  # rows near the end of float64's range
        rows = sample_rows(x, scaling)
        if factors is not None:  # what is looked at is squares of the rows
            rows = rows * np.sqrt(factors[_sampled(*x.shape)])[:, None]
        rate = _suggestion(rows, loss, num_classes, momentum, batch_size)
    return limited_by_penalty(rate, l2, momentum)


def limited_by_penalty(learning_rate: float, l2: float, momentum: float) -> float:
    """A rate that the penalty can take: at most `(1 - momentum) / (2 * l2)`.

    >>> limited_by_penalty(1.0, 1e-3, 0.5), limited_by_penalty(1.0, 1.0, 0.5)
    (1.0, 0.25)
    """
    return min(learning_rate, (1.0 - momentum) / (2.0 * l2)) if l2 > 0.0 else learning_rate


def largest_stable_rate(
    x: Any, *, loss: Loss, num_classes: int, l2: float, scaling: Scaling | None = None
) -> float:
    """Above which gradient steps without momentum diverge near zero parameters.

    `2 / (curvature * e + 2 * l2)`, with the largest curvature of the loss where all scores are zero
    and e the largest eigenvalue of mean(x x^T), over at most 4,096 rows spread over the data.
    Momentum m allows `1 + m` times as much (B. T. Polyak, 1964). A hinge bends nowhere, so that l2
    alone limits its rate.

    Args:
      x: features (N, D), finite.
      loss: what is minimised.
      num_classes: C.
      l2: of the objective.
      scaling: what the rows go through before the product.

    Returns:
      The rate; infinity where nothing limits it.

    >>> from jaxlin import losses
    >>> rate = largest_stable_rate(
    ...     np.ones((10, 3)), loss=losses.softmax_cross_entropy, num_classes=2, l2=0.0)
    >>> round(rate, 2)  # 2 / (1/2 * 4)
    1.0
    """
    with np.errstate(over="ignore", invalid="ignore"):
        moments = _largest_eigenvalue(sample_rows(x, scaling))
    curvature = _curvature_at(np.zeros((len(_sample_labels(num_classes)), num_classes)), loss)
    steepness = curvature * moments + 2.0 * l2
    return 2.0 / steepness if steepness > 0.0 else float("inf")


def _suggestion(
    rows: np.ndarray, loss: Loss, num_classes: int, momentum: float, batch_size: int
) -> float:
    slope = mean_square_norm(rows) * _gradient_norm(loss, num_classes)
    rate = (1.0 - momentum) * _SCORE_STEP / slope
    curvature = _lasting_curvature(loss, num_classes)
    if curvature == 0.0:
        return rate
    noise = float(np.max(np.sum(rows * rows, axis=1))) / (batch_size * (1.0 - momentum))
    steepness = curvature * (_largest_eigenvalue(rows) / (1.0 + momentum) + noise)
    return min(rate, 1.0 / steepness)


def _sampled(num_rows: int, num_features: int) -> slice:
    """Which rows of features (N, D) are looked at."""
    count = max(1, min(_SAMPLE_ROWS, _SAMPLE_VALUES // num_features))
    return slice(None, None, -(-num_rows // count))


def sample_rows(x: Any, scaling: Scaling | None) -> np.ndarray:
    """At most 4,096 scaled rows, spread over the data, with the bias's feature: float64 (n, D + 1).

    Of very wide data fewer, so that the copy stays small.

    Args:
      x: features (N, D), finite.
      scaling: what the rows go through, or None.

    >>> sample_rows(np.array([[2.0], [3.0]]), None).tolist()
    [[2.0, 1.0], [3.0, 1.0]]
    """
    rows = np.asarray(x[_sampled(*x.shape)]).astype(np.float64)
    if scaling is not None:
        shift, scale = (np.asarray(v, np.float64) for v in (scaling.shift, scaling.scale))
        rows = (rows - shift) * scale
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def mean_square_norm(rows: np.ndarray) -> float:
    """Mean of |x|^2 over rows (n, D).

    >>> mean_square_norm(np.array([[1.0, 1.0], [2.0, 0.0]]))
    3.0
    """
    return float(np.mean(np.sum(rows * rows, axis=1)))


def _largest_eigenvalue(rows: np.ndarray) -> float:
    """Of mean(x x^T) over rows (n, D), by power iteration."""
    size = float(np.max(np.abs(rows)))
    rows, vector = rows / size, np.ones(rows.shape[1])
    for _ in range(_POWER_STEPS):
        vector = rows.T @ (rows @ (vector / np.linalg.norm(vector))) / len(rows)
    return float(np.linalg.norm(vector)) * size * size


def _sample_labels(num_classes: int) -> jax.Array:
    """At most 64 labels, spread over the classes."""
    return jnp.arange(0, num_classes, -(-num_classes // _SAMPLE_LABELS), dtype=jnp.int32)


def _score_gradients(loss: Loss, scores: jax.Array) -> jax.Array:
    """Derivative of the loss of each row of scores (n, C), its label one of `_sample_labels`."""
    labels = _sample_labels(scores.shape[-1])
    return jax.grad(lambda scores: jnp.sum(loss(scores, labels)))(scores)


def _gradient_norm(loss: Loss, num_classes: int) -> float:
    """Root mean square, over labels, of the norm of the score gradient at zero scores."""
    zero = jnp.zeros((len(_sample_labels(num_classes)), num_classes), jnp.float32)
    norms = np.linalg.norm(np.asarray(_score_gradients(loss, zero), np.float64), axis=1)
    norm = float(np.sqrt(np.mean(norms**2)))
    return norm if np.isfinite(norm) and norm > 0.0 else 1.0


@functools.partial(jax.jit, static_argnames="loss")
def _curvatures(loss: Loss, scores: jax.Array, start: jax.Array) -> jax.Array:
    """The largest curvature of the loss at each row of scores (n, C), by power iteration.

    On differences of the gradient: no second derivative is asked of the loss.
    """
    step = jnp.float32(0.1)

    def apply(_: int, vectors: jax.Array) -> jax.Array:
        norms = jnp.linalg.norm(vectors, axis=1, keepdims=True)
        move = step * vectors / jnp.where(norms > 0.0, norms, 1.0)
        up, down = (_score_gradients(loss, scores + sign * move) for sign in (1.0, -1.0))
        return (up - down) / (2.0 * step)

    vectors = jax.lax.fori_loop(0, _POWER_STEPS, apply, start)
    return jnp.linalg.norm(vectors, axis=1)


def _lasting_curvature(loss: Loss, num_classes: int) -> float:
    """The largest curvature of the loss in the scores, where it is less: at zero or far off.

    Far off is where the label's score leads by 10: hinges and softmax are flat there. The median
    over labels, as a difference may happen to cross a kink.
    """
    labels = np.asarray(_sample_labels(num_classes))
    zero = np.zeros((len(labels), num_classes))
    far = zero.copy()
    far[np.arange(len(labels)), labels] = 10.0
    return min(_curvature_at(scores, loss) for scores in (zero, far))


def _curvature_at(scores: np.ndarray, loss: Loss) -> float:
    """The median over rows of scores (n, C) of the largest curvature there; 0 if not known."""
    start = jnp.asarray(np.random.default_rng(0).normal(size=scores.shape), jnp.float32)
    found = float(jnp.median(_curvatures(loss, jnp.asarray(scores, jnp.float32), start)))
    return found if np.isfinite(found) else 0.0


def suggested_epochs(num_examples: int, batch_size: int = 256) -> int:
    """How many epochs to run: 20, or more where that is less than 2,000 steps, up to 200.

    Args:
      num_examples: N.
      batch_size: B.

    >>> suggested_epochs(60_000), suggested_epochs(1_347)
    (20, 200)
    """
    steps = -(-num_examples // min(batch_size, num_examples))
    return min(max(_MIN_EPOCHS, -(-_MIN_STEPS // steps)), _MAX_EPOCHS)


def cosine_decay(learning_rate: jax.typing.ArrayLike, total_steps: jax.typing.ArrayLike) -> Any:
    """An optax schedule from `learning_rate` down to 0 along half a cosine.

    Unlike optax's own, both numbers may be traced, so that they can be leaves of a solver.

    Args:
      learning_rate: at step 0, positive.
      total_steps: where 0 is reached.

    >>> schedule = cosine_decay(0.1, 100)
    >>> [round(float(schedule(step)), 3) for step in (0, 50, 100)]
    [0.1, 0.05, 0.0]
    """
    if isinstance(learning_rate, int | float):
        check_positive("learning_rate", learning_rate)

    def schedule(count: jax.typing.ArrayLike) -> jax.Array:
        progress = jnp.minimum(jnp.asarray(count) / jnp.asarray(total_steps), 1.0)
        return jnp.asarray(learning_rate) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))

    return schedule
