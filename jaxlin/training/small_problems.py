"""Small problems with a smooth loss: padded to one of few shapes, and solved in one program.

Rows of weight 0 and columns of zeros change no optimum (`jaxlin.solvers.newton_path`), and a
program that has been compiled for one shape then serves all that are padded to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlin import conjugates
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.precision import float64_scope
from jaxlin.solvers.newton_path import newton_paths

# A second derivative of so many rows, and the work of adding it up for all models.
MOST_NUMBERS, MOST_WORK = 320, 3e8
# The shapes that are padded to: these, and then powers of two.
_ROWS, _FEATURES = (128, 512), (4, 16)
# Steps where nobody says how many, and what a counter holds.
_MOST_STEPS, _MOST_AT_ALL = 60, 2**31 - 1


class Padded(NamedTuple):
    """A small problem in one of few shapes; float64."""

    x: np.ndarray
    labels: np.ndarray
    num_rows: int
    num_features: int


def is_small(loss: Known, num_rows: int, shape: tuple[int, int], models: int = 1) -> bool:
    """Whether some models of a shape (C, D) are found soonest by Newton's method.

    >>> from jaxlin.losses import softmax_cross_entropy
    >>> [is_small(softmax_cross_entropy, 150, shape) for shape in ((3, 4), (10, 784))]
    [True, False]
    """
    size = shape[0] * (padded_size(shape[1], _FEATURES) + 1)
    work = float(models) * padded_size(num_rows, _ROWS) * size * size
    return not conjugates.is_hinge(loss) and size <= MOST_NUMBERS and work <= MOST_WORK


def padded_size(size: int, first: Sequence[int]) -> int:
    """The size that an axis is padded to.

    >>> [padded_size(size, (4, 16)) for size in (3, 5, 17, 33)]
    [4, 16, 32, 64]
    """
    return next((one for one in first if one >= size), 1 << (size - 1).bit_length())


def padded_shape(num_rows: int, num_features: int) -> tuple[int, int]:
    """The shape that features (N, D) are padded to."""
    return padded_size(num_rows, _ROWS), padded_size(num_features, _FEATURES)


def padded(x: np.ndarray, codes: np.ndarray) -> Padded:
    """Rows and columns of zeros added, up to the next of few shapes; labels 0."""
    shape = padded_shape(*x.shape)
    wide, labels = np.zeros(shape), np.zeros(shape[0], np.int32)
    wide[: x.shape[0], : x.shape[1]] = x
    labels[: len(codes)] = codes
    return Padded(wide, labels, *x.shape)


def padded_weights(weights: np.ndarray, problem: Padded) -> np.ndarray:
    """Weights (F, N) as shares with sum 1, the added rows of weight 0."""
    wide = np.zeros((len(weights), len(problem.x)))
    scaled = weights / weights.max(axis=1, keepdims=True)
    wide[:, : problem.num_rows] = scaled / scaled.sum(axis=1, keepdims=True)
    return wide


def padded_start(start: LinearParams | None, num_classes: int, problem: Padded, bias: bool) -> Any:
    """W (C, D') and b (C,) or None, NumPy: zero where nothing else is given."""
    W = np.zeros((num_classes, problem.x.shape[1]))
    b = np.zeros(num_classes) if bias else None
    if start is not None:
        W[:, : problem.num_features] = start.W
        b = None if b is None or start.b is None else np.asarray(start.b, np.float64)
    return LinearParams(W, b)  # pyright: ignore[reportArgumentType]


def paths_of(
    loss: Known,
    problem: Padded,
    weights: np.ndarray,
    l2s: Sequence[float],
    num_classes: int,
    *,
    bias: bool,
    most: int | None = None,
    start: LinearParams | None = None,
) -> Any:
    """`jaxlin.solvers.newton_path.Paths` as NumPy arrays, W (F, L, C, D) without the padding.

    Args:
      loss: a smooth one.
      problem: padded.
      weights: of its rows, for each of F models that share a path (F, N).
      l2s: the largest first, (L,).
      num_classes: C.
      bias: whether there is a b.
      most: steps a model may take; None is as many as will be needed.
      start: where the first starts; None is zero.
    """
    with float64_scope(True):
        found = newton_paths(
            loss, problem.x, problem.labels, padded_weights(weights, problem),
            np.asarray(l2s, np.float64), padded_start(start, num_classes, problem, bias),
            np.int32(_MOST_STEPS if most is None else min(most, _MOST_AT_ALL)),
        )  # fmt: skip
        found = jax.device_get(found)
    W, b = found.params.W[..., : problem.num_features], found.params.b
    # A shift of all classes alike changes no loss; without penalty nothing else says which it is.
    W = W - W.mean(axis=-2, keepdims=True)
    b = None if b is None else b - b.mean(axis=-1, keepdims=True)
    return found._replace(params=LinearParams(W, b))
