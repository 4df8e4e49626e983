"""What models are worth on rows that they were not trained on, and how much of it is chance.

With folds a score is the mean over them, and its spread their standard deviation. With a
validation set of n rows the spread is a 95 % bootstrap interval: n rows are drawn from it with
replacement, again and again. How many of them a model has right is then a binomial count, whose
quantiles need no drawing; for the mean loss a thousand draws are made, the same for all models.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.data.order import key_words
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams, scores
from jaxlin.objective import Objective
from jaxlin.precision import compute_dtype
from jaxlin.row_blocks import map_blocks
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.grid import Grid, evaluate_models

_QUANTILES = (0.025, 0.975)
_DRAWS, _DRAWN_NUMBERS = 1000, 1 << 23


@dataclasses.dataclass(frozen=True, eq=False)
class Score:
    """How good a setting is on rows that were not trained on.

    Attributes:
      loss: mean loss, without penalties; with folds the mean over them.
      accuracy: likewise, 0 to 1.
      spread: further columns of the table: standard deviations, or ends of intervals.
      folds: loss and accuracy in each fold, (2, k); None without folds.
    """

    loss: float
    accuracy: float
    spread: dict[str, float]
    folds: np.ndarray | None = None


def _without_penalties(end: Grid) -> Grid:
    return end._replace(objective=end.objective.without_penalties())


def share_of(accuracy: np.ndarray | float, count: np.ndarray | int) -> np.ndarray:
    """A share of `count` rows without rounding, so that models that are equally good tie."""
    return np.rint(np.asarray(accuracy, np.float64) * count) / count


def held_out_scores(
    end: Grid, held_out: Examples, scaling: Scaling | None, key: jax.Array
) -> list[Score]:
    """The scores of a grid's models on a validation set, with intervals.

    Args:
      end: where the models ended.
      held_out: the validation set, without weights.
      scaling: of its features, or None.
      key: of the draws.
    """
    count = len(held_out.labels)
    seen = evaluate_models(_without_penalties(end), held_out, scaling)
    accuracy = share_of(seen.accuracy, count)
    loss = np.asarray(seen.objective, np.float64)
    losses = np.asarray(_example_losses(end, held_out, scaling))
    return [
        Score(float(loss[i]), float(accuracy[i]), dict(zip(_ENDS, ends, strict=True)))
        for i, ends in enumerate(
            zip(*mean_interval(losses, key), *share_interval(accuracy, count), strict=True)
        )
    ]


_ENDS = (
    "validation_loss_low",
    "validation_loss_high",
    "validation_accuracy_low",
    "validation_accuracy_high",
)


@jax.jit
def _example_losses(end: Grid, examples: Examples, scaling: Scaling | None) -> jax.Array:
    """The loss of every row, for every model (M, N)."""

    def one_model(objective: Objective, params: LinearParams) -> jax.Array:
        def losses(rows: tuple[jax.Array, jax.Array]) -> jax.Array:
            x = rows[0].astype(compute_dtype(params.W.dtype))
            x = x if scaling is None else scaling(x)
            return jnp.asarray(objective.loss(scores(params, x), rows[1]))

        return map_blocks(losses, (examples.x, examples.labels))

    return jax.vmap(one_model)(end.objective, end.params)


def share_interval(share: np.ndarray, count: int) -> tuple[list[float], list[float]]:
    """Ends of the 95 % bootstrap interval of a share of `count` rows (M,): binomial quantiles.

    >>> share_interval(np.array([0.5, 1.0]), 100)
    ([0.4, 1.0], [0.6, 1.0])
    """
    low, high = (_binomial_quantile(q, count, share) / count for q in _QUANTILES)
    return low.tolist(), high.tolist()


def _binomial_quantile(q: float, count: int, share: np.ndarray) -> np.ndarray:
    """The least number of successes with a cumulated probability of q, by bisection (M,).

    `scipy.stats` has it too, but takes a second to load.
    """
    from scipy.special import bdtr

    low, high = np.zeros(len(share)), np.full(len(share), float(count))
    while (low < high).any():
        middle = np.floor((low + high) / 2)
        enough = bdtr(middle, count, share) >= q
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    return high


def mean_interval(values: np.ndarray, key: jax.Array) -> tuple[list[float], list[float]]:
    """Ends of the 95 % bootstrap interval of the mean over the last axis (M, n), seeded.

    >>> mean_interval(np.ones((1, 5)), jax.random.key(0))
    ([1.0], [1.0])
    """
    count = values.shape[1]
    generator = np.random.default_rng(np.random.SeedSequence([*key_words(key), count]))
    at_a_time = max(1, min(_DRAWS, _DRAWN_NUMBERS // count))
    means = []
    for begin in range(0, _DRAWS, at_a_time):
        draws = min(at_a_time, _DRAWS - begin)
        drawn = generator.integers(count, size=(draws, count))
        drawn += count * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * count).reshape(draws, count)
        with np.errstate(invalid="ignore", over="ignore"):  # of a model that diverged
            means.append(times.astype(values.dtype) @ values.T / count)
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(np.concatenate(means), _QUANTILES, axis=0)
    return low.tolist(), high.tolist()


def fold_scores(
    end: Grid, left_out: Examples, scaling: Scaling | None, is_weighted: bool
) -> list[Score]:
    """The scores of settings over their folds.

    Args:
      end: where the models ended: of each setting one a fold, and perhaps one on all rows.
      left_out: all rows, with a table (k + 1, N) of what they count for in a fold.
      scaling: of the features, or None.
      is_weighted: whether the rows of a fold have weights of their own.
    """
    table = np.asarray(left_out.weight)
    k = len(table) - 1
    assert end.fold is not None
    per_setting = k + int(np.any(np.asarray(end.fold) == k))
    seen = evaluate_models(_without_penalties(end), left_out, scaling)
    loss, accuracy = (
        np.asarray(values, np.float64).reshape(-1, per_setting)[:, :k]
        for values in Evaluation(*seen)
    )
    if not is_weighted:
        accuracy = share_of(accuracy, np.count_nonzero(table[:k], axis=1))
    found = []
    for folds in np.stack([loss, accuracy], axis=1):
        mean, deviation = folds.mean(axis=1), folds.std(axis=1, ddof=1)
        spread = {"validation_loss_sd": deviation[0], "validation_accuracy_sd": deviation[1]}
        for name, values in zip(("loss", "accuracy"), folds, strict=True):
            spread |= {f"validation_{name}_fold_{i}": v for i, v in enumerate(values)}
        spread = {name: float(value) for name, value in spread.items()}
        found.append(Score(float(mean[0]), float(mean[1]), spread, folds))
    return found
