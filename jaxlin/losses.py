"""Losses: how unhappy we are with the scores of one example.

A loss is a pure function of `scores (..., C)` and `labels (...,)` that gives one value an example
and reduces nothing; the mean is the objective's business. Any function of that form can be used
wherever a loss is expected. The four losses here also carry `score_gradient`, their derivative
with respect to the scores written by hand, so that it can be compared with `jax.grad`.

Two conventions hold in the differentiated code and in the hand-written gradients alike:

* the derivative of `max(0, z)` at `z = 0` is 0 (`jnp.maximum` gives 1/2);
* among equal maxima the lowest class index counts (the derivative of `jnp.max` is shared out).

Labels outside 0..C-1 raise `InputError` where their values can be seen. Under `jit` they cannot:
there the example's loss and gradient become NaN, never a plausible number, and
`jax.experimental.checkify.checkify(f, errors=checkify.user_checks)` reports the label itself.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.experimental import checkify

from jaxlin.checks import check_positive
from jaxlin.precision import (
    as_floats,
    class_indices,
    compute_dtype,
    first_largest,
    keeps_float64,
)
from jaxlin.shapes import assert_axis_dimension_gt, assert_shape


class Loss(Protocol):
    """Any callable `(scores (..., C), labels (...,)) -> (...,)`, pure and traceable by JAX."""

    def __call__(self, scores: jax.Array, labels: jax.Array, /) -> jax.Array:
        """One value an example."""
        ...


@runtime_checkable
class HandWrittenLoss(Protocol):
    """A loss that also knows its derivative with respect to the scores."""

    def __call__(self, scores: jax.Array, labels: jax.Array, /) -> jax.Array:
        """One value an example."""
        ...

    def score_gradient(self, scores: jax.Array, labels: jax.Array, /) -> jax.Array:
        """Derivative of each example's loss with respect to its scores, (..., C)."""
        ...


class _Prepared(NamedTuple):
    """What each loss starts from.

    Attributes:
      scores: (..., C), wide enough to compute in.
      is_label: which entry is the label's (..., C).
      one_or_nan: 1 for a label that names a class, else NaN, (..., 1).
      dtype: of what is returned.
    """

    scores: jax.Array
    is_label: jax.Array
    one_or_nan: jax.Array
    dtype: Any


def _prepare(scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> _Prepared:
    scores = as_floats(scores, jnp.float32)
    assert_axis_dimension_gt(scores, -1, 0)
    num_classes = scores.shape[-1]
    labels = class_indices(labels, num_classes)
    assert_shape(labels, scores.shape[:-1])
    valid = (labels >= 0) & (labels < num_classes)
    checkify.debug_check(
        jnp.all(valid), "labels must lie in 0..C-1, got {labels}", labels=jnp.asarray(labels)
    )
    classes = jnp.arange(num_classes, dtype=jnp.int32).reshape((1,) * labels.ndim + (-1,))
    wide = scores.astype(compute_dtype(scores.dtype))
    one_or_nan = jnp.expand_dims(jnp.where(valid, 1.0, jnp.nan).astype(wide.dtype), -1)
    return _Prepared(wide, jnp.expand_dims(labels, -1) == classes, one_or_nan, scores.dtype)


def _margins(given: _Prepared, margin: float) -> jax.Array:
    """`s_j - s_y + margin` (..., C), and 0 for the label itself; NaN where it names no class.

    The label's term is taken out by the mask, not by subtracting the margin from the sum: that
    would round. A NaN that came after `max(0, z)` would not reach the derivative.
    """
    label_score = jnp.sum(jnp.where(given.is_label, given.scores, 0.0), axis=-1, keepdims=True)
    margins = jnp.where(given.is_label, 0.0, given.scores - label_score + margin)
    return margins * given.one_or_nan


def _positive_part(z: jax.Array) -> jax.Array:
    """`max(0, z)` with derivative 0 at 0, and NaN for NaN."""
    return jnp.where(z <= 0.0, 0.0, z)


def _is_positive(z: jax.Array) -> jax.Array:
    """The derivative of `_positive_part`, as 0 or 1."""
    return jnp.where(z <= 0.0, 0.0, jnp.ones_like(z))


@dataclasses.dataclass(frozen=True)
class _MarginLoss:
    """What the hinge losses share: a margin, checked."""

    margin: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", check_positive("margin", self.margin))


@dataclasses.dataclass(frozen=True)
class WestonWatkinsHinge(_MarginLoss):
    """The multiclass SVM loss, `L = sum_{j != y} max(0, s_j - s_y + margin)`.

    Every wrong class that comes within the margin of the right one pays. This is the sum over
    classes; `CrammerSingerHinge` takes only the worst. `torch.nn.MultiMarginLoss` is this divided
    by C.

    Source: Weston and Watkins, "Support vector machines for multi-class pattern recognition",
    ESANN 1999.

    >>> loss = WestonWatkinsHinge()
    >>> scores = jnp.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    >>> [round(v, 1) for v in loss(scores, jnp.array([0, 1, 2])).tolist()]
    [2.9, 0.0, 12.9]
    >>> loss.score_gradient(scores, jnp.array([0, 1, 2])).tolist()[0]
    [-1.0, 1.0, 0.0]
    """

    @keeps_float64
    def __call__(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (..., C)."""
        given = _prepare(scores, labels)
        violation = _positive_part(_margins(given, self.margin))
        return jnp.sum(violation, axis=-1).astype(given.dtype)

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """1 for each wrong class inside the margin, minus their number for the right class."""
        given = _prepare(scores, labels)
        active = _is_positive(_margins(given, self.margin))
        gradient = jnp.where(given.is_label, -jnp.sum(active, axis=-1, keepdims=True), active)
        return (gradient * given.one_or_nan).astype(given.dtype)


@dataclasses.dataclass(frozen=True)
class SquaredWestonWatkinsHinge(_MarginLoss):
    """The squared multiclass hinge, `L = sum_{j != y} max(0, s_j - s_y + margin)^2`.

    Smooth where the hinge has its kink, and harder on large violations.

    >>> float(SquaredWestonWatkinsHinge()(jnp.array([3.0, 4.0, 2.5]), jnp.array(0)))
    4.25
    """

    @keeps_float64
    def __call__(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (..., C)."""
        given = _prepare(scores, labels)
        violation = _positive_part(_margins(given, self.margin))
        return jnp.sum(violation * violation, axis=-1).astype(given.dtype)

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """Twice each violation, minus their sum for the right class."""
        given = _prepare(scores, labels)
        slope = 2.0 * _positive_part(_margins(given, self.margin))
        gradient = jnp.where(given.is_label, -jnp.sum(slope, axis=-1, keepdims=True), slope)
        return gradient.astype(given.dtype)


@dataclasses.dataclass(frozen=True)
class CrammerSingerHinge(_MarginLoss):
    """The hinge of the worst wrong class, `L = max(0, max_{j != y} s_j - s_y + margin)`.

    This is what scikit-learn and optax call the multiclass hinge loss.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based
    vector machines", JMLR 2001.

    >>> float(CrammerSingerHinge()(jnp.array([3.0, 4.0, 2.5]), jnp.array(0)))
    2.0
    """

    def _worst(self, given: _Prepared) -> tuple[jax.Array, jax.Array]:
        """The largest margin (..., 1) and which class has it (..., C), the lowest among equals.

        It is looked for among the scores: margins can be infinite where scores are not, and tie.
        """
        worst = first_largest(jnp.where(given.is_label, -jnp.inf, given.scores))
        classes = jnp.arange(given.scores.shape[-1], dtype=jnp.int32)
        is_worst = jnp.expand_dims(worst, -1) == classes.reshape((1,) * worst.ndim + (-1,))
        margins = _margins(given, self.margin)
        return jnp.sum(jnp.where(is_worst, margins, 0.0), axis=-1, keepdims=True), is_worst

    @keeps_float64
    def __call__(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (..., C)."""
        given = _prepare(scores, labels)
        margin, _ = self._worst(given)
        return _positive_part(margin[..., 0]).astype(given.dtype)

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """1 for the worst class and -1 for the right one, where the margin is violated."""
        given = _prepare(scores, labels)
        margin, is_worst = self._worst(given)
        active = _is_positive(margin)
        gradient = jnp.where(given.is_label, -active, jnp.where(is_worst, active, 0.0))
        return (gradient * given.one_or_nan).astype(given.dtype)


def _shifted(scores: jax.Array) -> jax.Array:
    """Scores less their maximum: the same probabilities, and no overflow."""
    # The maximum is taken of constants, so that its derivative, which names a dtype, has no place.
    return scores - jnp.max(jax.lax.stop_gradient(scores), axis=-1, keepdims=True)


@dataclasses.dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """The softmax classifier's loss, `L = -log(exp(s_y) / sum_j exp(s_j))`, in nats.

    Computed without overflow for any finite scores.

    >>> loss = SoftmaxCrossEntropy()(jnp.array([3.2, 5.1, -1.7]), jnp.array(0))
    >>> round(float(loss), 2)
    2.04
    """

    @keeps_float64
    def __call__(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (..., C)."""
        given = _prepare(scores, labels)
        shifted = _shifted(given.scores)
        label_score = jnp.sum(jnp.where(given.is_label, shifted, 0.0), axis=-1)
        log_normaliser = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1))
        value = (log_normaliser - label_score) * given.one_or_nan[..., 0]
        return value.astype(given.dtype)

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """The probabilities, less 1 for the right class."""
        given = _prepare(scores, labels)
        gradient = softmax_probabilities(given.scores) - given.is_label.astype(given.scores.dtype)
        return (gradient * given.one_or_nan).astype(given.dtype)


@keeps_float64
def softmax_probabilities(scores: jax.typing.ArrayLike) -> jax.Array:
    """The scores read as unnormalised log probabilities: `exp(s_k) / sum_j exp(s_j)`.

    Args:
      scores: (..., C).

    Returns:
      Probabilities (..., C), each row with sum 1.

    >>> [round(p, 2) for p in softmax_probabilities(jnp.array([3.2, 5.1, -1.7])).tolist()]
    [0.13, 0.87, 0.0]
    """
    scores = as_floats(scores, jnp.float32)
    assert_axis_dimension_gt(scores, -1, 0)
    exponentials = jnp.exp(_shifted(scores.astype(compute_dtype(scores.dtype))))
    return (exponentials / jnp.sum(exponentials, axis=-1, keepdims=True)).astype(scores.dtype)


def takes_one_example(loss: object) -> bool:
    """Whether a loss is known to take scores (C,) and a label () as well: one of this module's.

    >>> takes_one_example(softmax_cross_entropy), takes_one_example(lambda scores, labels: 0.0)
    (True, False)
    """
    return isinstance(loss, _MarginLoss | SoftmaxCrossEntropy)


weston_watkins_hinge = WestonWatkinsHinge()
squared_weston_watkins_hinge = SquaredWestonWatkinsHinge()
crammer_singer_hinge = CrammerSingerHinge()
softmax_cross_entropy = SoftmaxCrossEntropy()
