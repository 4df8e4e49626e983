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

import abc
import dataclasses
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
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
      scores: (..., C), or with the classes along another axis; wide enough to compute in.
      axis: of the classes.
      classes: their indices, of the scores' rank.
      is_label: which entry is the label's, as the scores.
      one_or_nan: 1 for a label that names a class, else NaN; as the scores, but 1 along the axis.
      dtype: of what is returned.
    """

    scores: jax.Array
    axis: int
    classes: jax.Array
    is_label: jax.Array
    one_or_nan: jax.Array
    dtype: Any

    def sum(self, values: jax.Array) -> jax.Array:
        """Over the classes, whose axis stays with a length of 1."""
        return jnp.sum(values, axis=self.axis, keepdims=True)

    def value(self, values: jax.Array) -> jax.Array:
        """Without the classes' axis, in the dtype to return."""
        return jnp.squeeze(values, self.axis).astype(self.dtype)


@jax.jit
def _check_labels(are_valid: jax.Array, labels: jax.Array) -> None:
    """For checkify alone, which numbers its checks as they are traced.

    Traced once a shape, by a jit of its own: a program that held another number each time would
    never be found in a compilation cache.
    """
    checkify.debug_check(are_valid, "labels must lie in 0..C-1, got {labels}", labels=labels)


def _prepare(
    scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike, axis: int = -1
) -> _Prepared:
    scores = as_floats(scores, jnp.float32)
    assert_axis_dimension_gt(scores, axis, 0)
    num_classes = scores.shape[axis]
    labels = class_indices(labels, num_classes)
    assert_shape(labels, np.delete(scores.shape, axis).tolist())
    valid = (labels >= 0) & (labels < num_classes)
    if isinstance(valid, Tracer):  # what can be seen has been looked at
        _check_labels(jnp.all(valid), labels)
    along = [1] * scores.ndim
    along[axis] = num_classes
    classes = jnp.arange(num_classes, dtype=jnp.int32).reshape(along)
    wide = scores.astype(compute_dtype(scores.dtype))
    one_or_nan = jnp.expand_dims(jnp.where(valid, 1.0, jnp.nan).astype(wide.dtype), axis)
    is_label = jnp.expand_dims(labels, axis) == classes
    return _Prepared(wide, axis, classes, is_label, one_or_nan, scores.dtype)


def _margins(given: _Prepared, margin: float) -> jax.Array:
    """`s_j - s_y + margin`, as the scores, and 0 for the label itself; NaN where it names no class.

    The label's term is taken out by the mask, not by subtracting the margin from the sum: that
    would round. A NaN that came after `max(0, z)` would not reach the derivative.
    """
    label_score = given.sum(jnp.where(given.is_label, given.scores, 0.0))
    margins = jnp.where(given.is_label, 0.0, given.scores - label_score + margin)
    return margins * given.one_or_nan


def _positive_part(z: jax.Array) -> jax.Array:
    """`max(0, z)` with derivative 0 at 0, and NaN for NaN."""
    return jnp.where(z <= 0.0, 0.0, z)


def _is_positive(z: jax.Array) -> jax.Array:
    """The derivative of `_positive_part`, as 0 or 1."""
    return jnp.where(z <= 0.0, 0.0, jnp.ones_like(z))


class _ClassAxisLoss(abc.ABC):
    """What the losses here share: classes along the last axis, or along the first."""

    @abc.abstractmethod
    def _values(self, given: _Prepared) -> jax.Array:
        """One value an example, the classes' axis having length 1."""

    @keeps_float64
    def __call__(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (..., C)."""
        given = _prepare(scores, labels)
        return given.value(self._values(given))

    @keeps_float64
    def by_class(self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike) -> jax.Array:
        """Per-example losses (...,) of scores (C, ...), a class after the other.

        So laid out, a processor does the same to many examples at once.
        """
        given = _prepare(scores, labels, axis=0)
        return given.value(self._values(given))


@dataclasses.dataclass(frozen=True)
class _MarginLoss(_ClassAxisLoss):
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

    def _values(self, given: _Prepared) -> jax.Array:
        return given.sum(_positive_part(_margins(given, self.margin)))

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """1 for each wrong class inside the margin, minus their number for the right class."""
        given = _prepare(scores, labels)
        active = _is_positive(_margins(given, self.margin))
        gradient = jnp.where(given.is_label, -given.sum(active), active)
        return (gradient * given.one_or_nan).astype(given.dtype)


@dataclasses.dataclass(frozen=True)
class SquaredWestonWatkinsHinge(_MarginLoss):
    """The squared multiclass hinge, `L = sum_{j != y} max(0, s_j - s_y + margin)^2`.

    Smooth where the hinge has its kink, and harder on large violations.

    >>> float(SquaredWestonWatkinsHinge()(jnp.array([3.0, 4.0, 2.5]), jnp.array(0)))
    4.25
    """

    def _values(self, given: _Prepared) -> jax.Array:
        violation = _positive_part(_margins(given, self.margin))
        return given.sum(violation * violation)

    @keeps_float64
    def score_gradient(
        self, scores: jax.typing.ArrayLike, labels: jax.typing.ArrayLike
    ) -> jax.Array:
        """Twice each violation, minus their sum for the right class."""
        given = _prepare(scores, labels)
        slope = 2.0 * _positive_part(_margins(given, self.margin))
        gradient = jnp.where(given.is_label, -given.sum(slope), slope)
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
        """The largest margin, 1 along the classes, and which has it, the lowest among equals.

        It is looked for among the scores: margins can be infinite where scores are not, and tie.
        """
        worst = first_largest(jnp.where(given.is_label, -jnp.inf, given.scores), given.axis)
        is_worst = jnp.expand_dims(worst, given.axis) == given.classes
        return given.sum(jnp.where(is_worst, _margins(given, self.margin), 0.0)), is_worst

    def _values(self, given: _Prepared) -> jax.Array:
        margin, _ = self._worst(given)
        return _positive_part(margin)

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


def _shifted(scores: jax.Array, axis: int = -1) -> jax.Array:
    """Scores less their maximum: the same probabilities, and no overflow."""
    # The maximum is taken of constants, so that its derivative, which names a dtype, has no place.
    return scores - jnp.max(jax.lax.stop_gradient(scores), axis=axis, keepdims=True)


@dataclasses.dataclass(frozen=True)
class SoftmaxCrossEntropy(_ClassAxisLoss):
    """The softmax classifier's loss, `L = -log(exp(s_y) / sum_j exp(s_j))`, in nats.

    Computed without overflow for any finite scores.

    >>> loss = SoftmaxCrossEntropy()(jnp.array([3.2, 5.1, -1.7]), jnp.array(0))
    >>> round(float(loss), 2)
    2.04
    """

    def _values(self, given: _Prepared) -> jax.Array:
        shifted = _shifted(given.scores, given.axis)
        label_score = given.sum(jnp.where(given.is_label, shifted, 0.0))
        return (jnp.log(given.sum(jnp.exp(shifted))) - label_score) * given.one_or_nan

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


def loss_by_class(loss: Loss) -> Loss | None:
    """The form of a loss for scores (C, ...); None where it has none.

    >>> loss_by_class(softmax_cross_entropy)(jnp.zeros((2, 3)), jnp.array([0, 1, 1])).shape
    (3,)
    >>> loss_by_class(lambda scores, labels: scores[..., 0]) is None
    True
    """
    return loss.by_class if isinstance(loss, _ClassAxisLoss) else None


weston_watkins_hinge = WestonWatkinsHinge()
squared_weston_watkins_hinge = SquaredWestonWatkinsHinge()
crammer_singer_hinge = CrammerSingerHinge()
softmax_cross_entropy = SoftmaxCrossEntropy()
