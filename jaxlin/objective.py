"""The full loss: how well W fits the data, plus how much we dislike W itself.

`L(W, b) = sum_i w_i L_i / sum_i w_i + l2 * sum_kl W_kl^2`, with every `w_i = 1` when no weights
are given. This is the only place that reduces over examples. A weight is brought to its final size
before the sum, so that a mean of large finite losses does not overflow on the way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import penalties
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, prepare_features, scores
from jaxlin.losses import HandWrittenLoss, Loss, loss_by_class
from jaxlin.precision import (
    as_floats,
    class_indices,
    compute_dtype,
    keeps_float64,
    product,
)
from jaxlin.weights import shares

Penalty = Callable[[jax.Array], jax.Array]


def check_l2(l2: object) -> None:
    """Raises `InputError` for an l2 that is seen to be no finite, non-negative number."""
    if isinstance(l2, str | bytes | complex | np.complexfloating) or l2 is None:
        raise InputError(f"l2 must be a number, got {l2!r}.")
    # Nothing else is looked into: traced, or what JAX puts in the place of a leaf, it has no value.
    if isinstance(l2, int | float | np.number | np.ndarray):
        values = np.asarray(l2)
        if values.dtype.kind not in "biuf" or not np.all(np.isfinite(values) & (values >= 0)):
            raise InputError(f"l2 must be finite and not negative, got {l2!s:.40}.")


def loss_name(loss: object) -> str:
    """What to call a loss in a message."""
    if dataclasses.is_dataclass(loss):
        return type(loss).__name__
    return getattr(loss, "__name__", type(loss).__name__)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Objective:
    """Mean loss + `l2` times the sum of squares of W + `penalty(W)`. The bias is not penalised.

    As a pytree, `l2` is its one leaf: changing it does not recompile anything.

    Attributes:
      loss: one of `jaxlin.losses`, or any function `(scores (N, C), labels (N,)) -> (N,)`.
      l2: lambda, not negative.
      penalty: any function of W (C, D) that returns a scalar; added as it is.

    >>> from jaxlin import losses
    >>> objective = Objective(losses.softmax_cross_entropy, l2=0.1)
    >>> params = LinearParams(jnp.ones((3, 2)), jnp.zeros(3))
    >>> x, labels = jnp.ones((4, 2)), jnp.array([0, 1, 2, 0])
    >>> round(float(objective(params, x, labels)), 4)  # log 3 + 0.1 * 6
    1.6986
    >>> objective.gradient_by_hand(params, x, labels).W.shape
    (3, 2)
    """

    loss: Loss = dataclasses.field(metadata={"static": True})
    l2: jax.typing.ArrayLike = 0.0
    penalty: Penalty | None = dataclasses.field(default=None, metadata={"static": True})

    def __post_init__(self) -> None:
        check_l2(self.l2)
        if not callable(self.loss):
            raise InputError(
                "loss must be a loss of jaxlin.losses or a function (scores, labels) -> "
                f"per-example values, got {self.loss!r}."
            )
        if self.penalty is not None and not callable(self.penalty):
            raise InputError(f"penalty must be a function of W, got {self.penalty!r}.")

    def without_penalties(self) -> Objective:
        """The mean loss alone, l2 being zeros: what validation data are judged by."""
        return Objective(self.loss, jnp.zeros_like(jnp.asarray(self.l2)))

    @keeps_float64
    def __call__(
        self,
        params: LinearParams,
        x: jax.typing.ArrayLike,
        labels: jax.typing.ArrayLike,
        sample_weight: jax.typing.ArrayLike | None = None,
    ) -> jax.Array:
        """The objective.

        Args:
          params: W (C, D) and b (C,) or None.
          x: features (N, D).
          labels: integers 0..C-1, (N,).
          sample_weight: (N,), not negative and not all zero; integer weights act as so many
            copies of the row.

        Returns:
          A scalar.
        """
        wide, x, dtype = _prepare(params, x)
        weight = _shares(sample_weight, wide, x)
        value = self.data_term_of_scores(scores(wide, x), labels, weight)
        return (value + self.penalty_term(wide)).astype(dtype)

    def data_term_of_scores(
        self, s: jax.Array, labels: jax.typing.ArrayLike, weight: jax.Array
    ) -> jax.Array:
        """`sum_i weight_i L_i` of scores (N, C), with the weights as they are."""
        values = self._per_example(_where_counted(s, weight), labels)
        return jnp.sum(values * weight.astype(values.dtype))

    def data_term_by_class(
        self, s: jax.Array, labels: jax.typing.ArrayLike, weight: jax.Array
    ) -> jax.Array:
        """`data_term_of_scores` of scores (C, N), a class after the other."""
        loss = loss_by_class(self.loss)
        if loss is None:
            return self.data_term_of_scores(s.T, labels, weight)
        counted = jnp.where((weight == 0.0)[None, :], 0.0, s)
        values = loss(counted, class_indices(labels, s.shape[0]))
        return jnp.sum(values * weight.astype(values.dtype))

    def penalty_term(self, params: LinearParams) -> jax.Array:
        """`l2 * R(W) + penalty(W)`."""
        W = jnp.asarray(params.W)
        value = penalties.scaled_l2(W, self.l2)
        if self.penalty is None:
            return value
        extra = jnp.asarray(self.penalty(W))
        if extra.shape != ():
            raise InputError(f"penalty must return a scalar, got an array of shape {extra.shape}.")
        return value + extra.astype(value.dtype)

    def data_gradient_by_hand(
        self,
        params: LinearParams,
        x: jax.typing.ArrayLike,
        labels: jax.typing.ArrayLike,
        weight: jax.Array,
    ) -> LinearParams:
        """Gradient of the data term: `dS.T @ x` for W and the column sums of `dS` for b."""
        loss = self.loss
        if not isinstance(loss, HandWrittenLoss):
            raise InputError(
                f"gradient_by_hand needs loss.score_gradient; {loss_name(loss)} has none. Give the "
                "loss that method, or use jax.grad (gradient='autodiff')."
            )
        s = scores(params, x)
        score_gradient = (
            loss.score_gradient(_where_counted(s, weight), class_indices(labels, s.shape[-1]))
            * weight.astype(s.dtype)[:, None]
        )
        gradient = product(score_gradient, as_floats(x, s.dtype).astype(s.dtype), (0, 0))
        b = params.b
        return LinearParams(
            gradient.astype(jnp.asarray(params.W).dtype),
            None if b is None else jnp.sum(score_gradient, axis=0).astype(jnp.asarray(b).dtype),
        )

    def penalty_gradient_by_hand(self, params: LinearParams) -> LinearParams:
        """Gradient of `penalty_term`: `2 * l2 * W`, and the user's penalty by `jax.grad`."""
        W = jnp.asarray(params.W)
        gradient = 2.0 * (jnp.asarray(self.l2).astype(W.dtype) * W)
        if self.penalty is not None:
            gradient = gradient + jax.grad(self.penalty)(W)
        return LinearParams(gradient, None if params.b is None else jnp.zeros_like(params.b))

    @keeps_float64
    def gradient_by_hand(
        self,
        params: LinearParams,
        x: jax.typing.ArrayLike,
        labels: jax.typing.ArrayLike,
        sample_weight: jax.typing.ArrayLike | None = None,
    ) -> LinearParams:
        """The gradient, written out rather than differentiated by JAX.

        Args:
          params: W (C, D) and b (C,) or None.
          x: features (N, D).
          labels: integers 0..C-1, (N,).
          sample_weight: (N,) or None.

        Returns:
          `LinearParams` with the derivatives by W and b.

        Raises:
          InputError: the loss has no `score_gradient`.
        """
        wide, x, _ = _prepare(params, x)
        data = self.data_gradient_by_hand(wide, x, labels, _shares(sample_weight, wide, x))
        gradient = jax.tree.map(jnp.add, data, self.penalty_gradient_by_hand(wide))
        return jax.tree.map(lambda g, p: g.astype(jnp.result_type(p)), gradient, params)

    def _per_example(self, s: jax.Array, labels: jax.typing.ArrayLike) -> jax.Array:
        values = jnp.asarray(self.loss(s, class_indices(labels, s.shape[-1])))
        if values.shape != s.shape[:-1]:
            raise InputError(
                f"loss {loss_name(self.loss)} must return one value an example, shape "
                f"{s.shape[:-1]}, got {values.shape}. The objective takes the mean itself."
            )
        return values


def _prepare(
    params: LinearParams, x: jax.typing.ArrayLike
) -> tuple[LinearParams, jax.Array, jax.typing.DTypeLike]:
    """Parameters wide enough to compute in, features, and the dtype of what is returned."""
    params = jax.tree.map(lambda leaf: as_floats(leaf, jnp.float32), params)
    x, dtype = prepare_features(params.W.dtype, x)
    wide = jax.tree.map(lambda leaf: leaf.astype(compute_dtype(leaf.dtype)), params)
    return wide, x, dtype


def _where_counted(s: jax.Array, weight: jax.Array) -> jax.Array:
    """The scores, 0 in rows of weight 0: a loss there may be infinite, and 0 times that is NaN."""
    return jnp.where((weight == 0.0)[:, None], 0.0, s)


def _shares(
    sample_weight: jax.typing.ArrayLike | None, params: LinearParams, x: jax.Array
) -> jax.Array:
    return shares(sample_weight, x.shape[0], jnp.promote_types(params.W.dtype, x.dtype))
