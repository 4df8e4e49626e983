"""Rows as Newton's method takes them: of fewer rows than features their span's coordinates.

What it builds has the square of as many numbers as W and b have, and in the span of N rows a class
needs no more than N (`jaxlin.solvers.optimum.reduced`). ||W|| is the same there, so that it is the
same problem. In between, rows of weight 0 have no place, which is not so in the features: there
they would keep the interior-point method from the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.solvers.base import Examples
from jaxlin.solvers.loop import LoopRow, OnEpoch
from jaxlin.solvers.newton import LARGEST_SIZE
from jaxlin.solvers.optimum.reduced import Span, seen_by_model, span_of

# With S numbers an iteration adds up 2 N S^2 products and factors S^3 / 3, and there are 20 to 40:
# at most a minute. Of S x S float64 numbers (72 MB for 3,000) some five are there at a time.
_MOST_WORK = 2e10
# Numbers of the rows that are brought into their span: some five copies in float64, 2 GB in all.
_MOST_WIDE = 50_000_000
# Of the largest weight.
_LEAST_WEIGHT = 0.1
# Rows whose coordinates are computed at a time.
_BLOCK_ROWS = 1024


def takes_newton(
    loss: Loss, num_rows: int, params: LinearParams, weight: np.ndarray | None = None
) -> bool:
    """Whether to take the steps of an interior-point method: for small problems with a hinge.

    Args:
      loss: which.
      num_rows: N.
      params: that are to be found.
      weight: (N,), or None. Rows that hardly count have their place in the method all the same, and
        keep it from the end.

    >>> from jaxlin.linear import init_params
    >>> from jaxlin.losses import weston_watkins_hinge
    >>> [takes_newton(weston_watkins_hinge, n, init_params(5000, 5)) for n in (300, 700)]
    [True, False]
    """
    num_features, has_bias = params.num_features, params.b is not None
    if weight is not None:
        counted = weight[weight > 0.0]
        if _is_wide(len(counted), num_features, has_bias):
            weight, num_rows = counted, len(counted)
        if weight.min() < _LEAST_WEIGHT * weight.max():
            return False
    if _is_wide(num_rows, num_features, has_bias):
        if num_rows * num_features > _MOST_WIDE:
            return False
        num_features = num_rows - has_bias
    size = params.num_classes * (num_features + has_bias)
    is_small = size <= LARGEST_SIZE and num_rows * size * size <= _MOST_WORK
    return conjugates.is_hinge(loss) and is_small


def _is_wide(num_rows: int, num_features: int, has_bias: bool) -> bool:
    """Whether the rows have fewer coordinates than features."""
    return num_rows - has_bias < num_features


class NewtonRows(NamedTuple):
    """The rows, and the way there and back.

    Attributes:
      examples: features (N, K), or as they came; weights with sum 1.
      scaling: that these still go through, or None.
      span: whose coordinates they are; None where they are the features.
      given_scaling: of the features, or None.
      counts: which of all rows these are (N,) bool.
    """

    examples: Examples
    scaling: Scaling | None
    span: Span | None
    given_scaling: Scaling | None
    counts: np.ndarray

    def zero(self, like: LinearParams) -> LinearParams:
        """W (1, C, K) and b (1, C) or None, zeros in float64."""
        shape = (1, like.num_classes)
        W = jnp.zeros((*shape, self.examples.x.shape[1]), jnp.float64)
        return LinearParams(W, None if like.b is None else jnp.zeros(shape, jnp.float64))

    def others(self, rows: Examples | None) -> Examples | None:
        """Other rows (M, D) as these are."""
        if rows is None or self.span is None:
            return rows
        return rows._replace(x=jnp.asarray(_coordinates(self.span, rows.x, self.given_scaling)))

    def back(self, params: LinearParams) -> LinearParams:
        """W (..., C, D) of the features and b of W (..., C, K) of the coordinates."""
        if self.span is None:
            return params
        W = np.asarray(params.W) @ self.span.basis.T
        b = None if params.b is None else np.asarray(params.b) - W @ self.span.center
        return LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))

    def dual(self, params: LinearParams, l2: float) -> jax.Array:
        """The dual point that belongs to W (C, K) at the optimum, where a span has its own (N, C).

        `sum w a x^T = -2 l2 W` and with a bias `sum w a = 0` say what it is, as the rows are
        hardly dependent. Read off the scores, over the width of the kink, it is of rounding errors
        where a small l2 makes it small.
        """
        x, weight = np.asarray(self.examples.x), np.asarray(self.examples.weight)
        right = -2.0 * l2 * np.asarray(params.W).T
        if params.b is not None:
            x, right = np.c_[x, np.ones(len(x))], np.r_[right, np.zeros((1, params.num_classes))]
        a = np.zeros((len(self.counts), params.num_classes))
        if np.isfinite(x).all() and np.isfinite(right).all():
            a[self.counts] = np.linalg.lstsq((x * weight[:, None]).T, right)[0]
        return jnp.asarray(a)

    def told(self, on_epoch: OnEpoch | None) -> OnEpoch | None:
        """A callback that hears of parameters of the features."""
        if on_epoch is None or self.span is None:
            return on_epoch

        def tell(epoch: int, epochs: int, row: LoopRow, read: Callable[[], LinearParams]) -> Any:
            return on_epoch(epoch, epochs, row, lambda: self.back(read()))

        return tell


def newton_rows(examples: Examples, scaling: Scaling | None, has_bias: bool) -> NewtonRows:
    """Rows for Newton's method; in a float64 scope.

    Args:
      examples: all rows, weights in float64.
      scaling: of the features, or None.
      has_bias: whether b is free.
    """
    weight = np.asarray(examples.weight)
    counts = weight > 0.0
    if not _is_wide(int(counts.sum()), examples.x.shape[1], has_bias):
        return NewtonRows(examples, scaling, None, scaling, counts)
    x, labels, weight = (np.asarray(leaf)[counts] for leaf in examples)
    span = span_of(seen_by_model(x, scaling), weight, has_bias)
    inner = _coordinates(span, x, scaling)
    if not span.basis.shape[1]:  # rows all the same: nothing is to be learnt, by one number a class
        span, inner = span._replace(basis=np.zeros((x.shape[1], 1))), np.zeros((len(x), 1))
    within = Examples(jnp.asarray(inner), jnp.asarray(labels), jnp.asarray(weight))
    return NewtonRows(within, None, span, scaling, counts)


def _coordinates(span: Span, x: Any, scaling: Scaling | None) -> np.ndarray:
    """Of features (N, D) as they came, a block of rows at a time (N, K)."""
    x = np.asarray(x)
    blocks = range(0, len(x), _BLOCK_ROWS)
    parts = [span.coordinates(seen_by_model(x[k : k + _BLOCK_ROWS], scaling)) for k in blocks]
    return np.concatenate(parts)
