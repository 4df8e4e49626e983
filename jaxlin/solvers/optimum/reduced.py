"""Small problems in few coordinates: those of the span of their rows, uncorrelated, and padded.

The optimum's W lies in the span of the rows (with a free bias, of the rows less their mean), so
that N rows of D features need no more than min(N, D) numbers a class: exactly, and not by leaving
anything out. Along the axes of their second moments the features are uncorrelated, which is what
Newton's preconditioner wants.

Rows of weight 0 and features of zeros fill everything up to one of a few sizes, so that problems
of nearly the same size share their compiled programs.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError

_SMALLEST, _FEW_ROWS = 8, (16, 64, 256)


class Rows(NamedTuple):
    """The rows of a problem, or with a leading axis of several; float64 but for the labels.

    Attributes:
      x: the features as the model sees them (N, D).
      labels: (N,) int32.
      features: the same in K coordinates, uncorrelated (N, K); the last is the bias's: ones, or
        zeros where there is none.
      variances: the second moments of these (K,).
      back: from coordinates to features (D, K).
      center: what was taken from x first (D,).
      classes: an array whose length is C.
    """

    x: jax.Array
    labels: jax.Array
    features: jax.Array
    variances: jax.Array
    back: jax.Array
    center: jax.Array
    classes: jax.Array

    @property
    def num_classes(self) -> int:
        """C."""
        return self.classes.shape[-1]


def padded_size(count: int) -> int:
    """The size that so many features are filled up to: above 64 at most a quarter more.

    Above 1024 at most an eighth: there the work costs more than a program more.

    >>> [padded_size(n) for n in (3, 9, 20, 100, 1437, 1797)]
    [8, 16, 32, 112, 1536, 1920]
    """
    if count <= 64:
        return max(_SMALLEST, 1 << (count - 1).bit_length())
    step = 1 << (count.bit_length() - (3 if count <= 1024 else 4))
    return -(-count // step) * step


def padded_rows(count: int) -> int:
    """The size that so many rows are filled up to: few cost less than a program of their own.

    >>> [padded_rows(n) for n in (3, 16, 20, 100, 1437)]
    [16, 16, 64, 256, 1536]
    """
    return next((size for size in _FEW_ROWS if count <= size), padded_size(count))


def padded(array: np.ndarray, *sizes: int) -> np.ndarray:
    """Zeros at the end of each axis, up to a size.

    >>> padded(np.ones((1, 2)), 2, 3).tolist()
    [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return np.pad(array, [(0, size - old) for size, old in zip(sizes, array.shape, strict=True)])


def seen_by_model(x: np.ndarray, scaling: Scaling | None) -> np.ndarray:
    """Features (N, D) as the model sees them, in float64.

    >>> seen_by_model(np.array([[3, 1]], np.uint8), Scaling(1.0, 0.5)).tolist()
    [[1.0, 0.0]]
    """
    wide = np.asarray(x).astype(np.float64)
    if scaling is None:
        return wide
    with np.errstate(over="ignore", invalid="ignore"):  # looked for in `reduced`
        shift, scale = (np.asarray(v, np.float64) for v in (scaling.shift, scaling.scale))
        return (wide - shift) * scale


class Span(NamedTuple):
    """What rows span, with a free bias from their mean on: any of them is a sum of its axes.

    Attributes:
      center: what is taken from x first (D,): the mean, or zeros where there is no bias.
      basis: an axis a column, orthonormal (D, K).
      num_varying: how many features differ between rows, or without a bias from zero.
    """

    center: np.ndarray
    basis: np.ndarray
    num_varying: int

    def coordinates(self, x: np.ndarray) -> np.ndarray:
        """Of rows (N, D), as they lie along the axes (N, K); what is beside these is left out."""
        with np.errstate(over="ignore", invalid="ignore"):
            return (x - self.center) @ self.basis


def span_of(x: np.ndarray, share: np.ndarray, has_bias: bool, *, keeps_all: bool = False) -> Span:
    """The span of the rows that count.

    Args:
      x: features (N, D) as the model sees them, float64.
      share: what every row counts for (N,), sum 1.
      has_bias: whether b is free.
      keeps_all: also features that are the same in all rows, and have no weight.

    >>> rows = np.array([[3.0, 0.0, 1.0], [3.0, 2.0, 1.0], [9.0, 9.0, 9.0]])
    >>> span = span_of(rows, np.array([0.5, 0.5, 0.0]), True)
    >>> span.center.tolist(), np.abs(span.basis).tolist(), span.num_varying
    ([3.0, 1.0, 1.0], [[0.0], [1.0], [0.0]], 1)
    """
    num_features = x.shape[1]
    counts = share > 0.0
    x, share = (x, share) if counts.all() else (x[counts], share[counts])
    kept = np.arange(num_features)
    with np.errstate(over="ignore", invalid="ignore"):  # whoever needs finite ones looks for them
        center = share @ x if has_bias else np.zeros(num_features)
        if not keeps_all:
            kept = kept[(x != (x[:1] if has_bias else 0.0)).any(axis=0)]
        num_axes = min(len(x) - has_bias, len(kept))
        if num_axes == len(kept):
            basis = np.zeros((num_features, num_axes))
            basis[kept, np.arange(num_axes)] = 1.0
            return Span(center, basis, len(kept))
        if has_bias:  # less their mean they add up to zero: one of them says nothing new
            x = np.delete(x, np.argmax(share), axis=0)
        if len(kept) == num_features:
            return Span(center, np.linalg.qr((x - center).T)[0], num_features)
        basis = np.zeros((num_features, num_axes))
        basis[kept] = np.linalg.qr((x[:, kept] - center[kept]).T)[0]
    return Span(center, basis, len(kept))


def reduced(
    x: np.ndarray,
    labels: np.ndarray,
    share: np.ndarray,
    num_classes: int,
    has_bias: bool,
    most_rows: int | None = None,
) -> Rows:
    """The rows in the span's coordinates, NumPy arrays.

    Args:
      x: features (N, D) as the model sees them, float64.
      labels: (N,).
      share: what every row counts for (N,), sum 1; that of rows that never count is 0.
      num_classes: C.
      has_bias: whether b is free.
      most_rows: the largest N of the problems that this one is to stand beside; None is its own.

    Raises:
      InputError: features whose squares float64 cannot hold.
    """
    num_rows, num_features = x.shape
    # Several problems of one size do not leave out the same features.
    span = span_of(x, share, has_bias, keeps_all=most_rows is not None)
    inner = span.coordinates(x)
    with np.errstate(over="ignore", invalid="ignore"):
        moments = (inner * share[:, None]).T @ inner
    if not np.isfinite(moments).all():
        raise InputError(
            "X is so large that float64 cannot hold its squares. Scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)), or give them in another unit."
        )
    variances, axes = np.linalg.eigh(moments)
    back = span.basis @ axes
    features, variances = inner @ axes, np.maximum(variances, 0.0)
    most = num_rows if most_rows is None else most_rows
    # The bias, or the place that it would have, is one more coordinate.
    rows, wide = padded_rows(most + (not has_bias)), padded_size(num_features)
    size = min(rows, padded_size(span.num_varying + 1))
    features, variances = padded(features, rows, size), padded(variances, size)
    if has_bias:
        features[:, -1], variances[-1] = 1.0, 1.0
    return Rows(
        x=padded(x, rows, wide),  # pyright: ignore[reportArgumentType]
        labels=padded(labels.astype(np.int32), rows),  # pyright: ignore[reportArgumentType]
        features=features,  # pyright: ignore[reportArgumentType]
        variances=variances,  # pyright: ignore[reportArgumentType]
        back=padded(back, wide, size),  # pyright: ignore[reportArgumentType]
        center=padded(span.center, wide),  # pyright: ignore[reportArgumentType]
        classes=np.zeros(num_classes),  # pyright: ignore[reportArgumentType]
    )


def together(problems: list[Rows]) -> Rows:
    """Problems of one padded size, along a new leading axis, on the device."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *problems)
