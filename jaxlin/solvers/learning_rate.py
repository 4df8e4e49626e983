"""A learning rate to start from, a schedule to go down from it, and for how long.

How far a step moves an example's own scores is known for a linear model: `rate * |g| * |x|^2`,
with g the loss's gradient in the scores (the bias counts as a feature of 1). A rate that moves
scores by a chosen distance needs no search to be of the right order, whatever the features' scale,
the loss and the number of classes.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.checks import check_positive
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.losses import Loss

_SAMPLE_ROWS = 4096

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
    scaling: Scaling | None = None,
) -> float:
    """A learning rate for minibatch SGD with heavy-ball momentum and a decaying schedule.

    `(1 - momentum) * 100 / (mean(|x|^2 + 1) * |g|)`: the mean is over at most 4,096 rows spread
    over the data, and g is the loss's gradient where all scores are zero.

    Args:
      x: features (N, D), finite.
      loss: what is minimised.
      num_classes: C.
      momentum: of the optimiser, in [0, 1).
      scaling: what the rows go through before the product.

    Returns:
      The learning rate.

    >>> from jaxlin import losses
    >>> rate = suggested_learning_rate(
    ...     np.ones((10, 3)), loss=losses.crammer_singer_hinge, num_classes=3)
    >>> round(rate, 2)  # 0.1 * 100 / (4 * sqrt(2))
    1.77
    """
    if not 0.0 <= momentum < 1.0:
        raise InputError(f"momentum must be in [0, 1), got {momentum}.")
    stride = -(-len(x) // _SAMPLE_ROWS)
    rows = np.asarray(x[::stride]).astype(np.float64)
    if scaling is not None:
        shift, scale = (np.asarray(v, np.float64) for v in (scaling.shift, scaling.scale))
        rows = (rows - shift) * scale
    squared_norm = float(np.mean(np.sum(rows * rows, axis=1))) + 1.0
    return (1.0 - momentum) * _SCORE_STEP / (squared_norm * _gradient_norm(loss, num_classes))


def _gradient_norm(loss: Loss, num_classes: int) -> float:
    """Root mean square, over the labels, of the norm of the score gradient at zero scores."""
    labels = jnp.arange(num_classes, dtype=jnp.int32)
    zero = jnp.zeros((num_classes, num_classes), jnp.float32)
    gradient = jax.grad(lambda scores: jnp.sum(loss(scores, labels)))(zero)
    norm = float(jnp.sqrt(jnp.sum(gradient * gradient) / num_classes))
    return norm if np.isfinite(norm) and norm > 0.0 else 1.0


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
