"""What a first-order solver is, and what it may ask of the data.

A solver is a frozen dataclass registered as a pytree: its numbers are leaves, its choices static.
`init` makes a state that holds everything the next step needs, the parameters among it; `step`
gives the next state and what a person wants to know. A step sees a `Problem`: all of the data, or
one minibatch; it cannot tell which, nor where the rows come from. How many steps there are, when
to stop and what is recorded is the loop's business (`jaxlin.solvers.loop`).
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxlin import gradients, metrics, row_blocks
from jaxlin.data.scaling import Scaling
from jaxlin.kernels import row_scores
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import compute_dtype, product

GradientMethod = Literal["autodiff", "by_hand", "numerical"]
GRADIENT_METHODS: tuple[GradientMethod, ...] = ("autodiff", "by_hand", "numerical")


class Evaluation(NamedTuple):
    """The objective and the accuracy at some parameters, scalars.

    The accuracy is 1 less the weight of the examples that are predicted wrong. Of a minibatch,
    whose weights need not sum to 1, it means nothing by itself; the mean over an epoch does.
    """

    objective: jax.Array
    accuracy: jax.Array


class _Sums(NamedTuple):
    """What is summed over rows: their weighted losses, and the weights of those predicted wrong.

    The wrong ones, so that a model that has every row right has an accuracy of exactly 1.
    """

    loss: jax.Array
    wrong: jax.Array


class RowNumbers(NamedTuple):
    """Rows of a larger array, by their places in it.

    Attributes:
      now: (B,) int32.
      soon: (B,) int32, those that are asked for next: they may be fetched from memory already.
    """

    now: jax.Array
    soon: jax.Array


class Examples(NamedTuple):
    """Rows as the engine keeps them.

    Attributes:
      x: features (N, D), in the dtype they came in; of a minibatch, where they are to be found.
      labels: (N,) int32.
      weight: (N,) floating, with sum 1 over all of the data.
    """

    x: Any
    labels: jax.Array
    weight: jax.Array


class Problem(NamedTuple):
    """The objective over some examples: what a step minimises.

    Attributes:
      objective: the loss, l2 and penalty.
      examples: the rows, with weights that sum to about 1 (rows of weight 0 do not count).
      scaling: applied to a block after its conversion, or None.
      source: where `examples.x` are `RowNumbers`, the features (N, D) that they number.
      block_rows: how many rows a pass takes at a time.
    """

    objective: Objective
    examples: Examples
    scaling: Scaling | None
    source: jax.Array | None = None
    block_rows: int = row_blocks.BLOCK_ROWS

    def evaluate(self, params: LinearParams) -> Evaluation:
        """Objective and accuracy, in one pass."""
        sums = self.sum_over_blocks(params, jax.checkpoint(self._block_sums))
        return self._evaluation(params, sums)

    def value_and_gradient(
        self, params: LinearParams, method: GradientMethod = "autodiff"
    ) -> tuple[Evaluation, LinearParams]:
        """Objective, accuracy and gradient; in one pass, unless the gradient is numerical."""
        if method == "numerical":
            gradient = gradients.numerical(lambda p: self.evaluate(p).objective, params)
            return self.evaluate(params), gradient
        block = self._block_by_hand if method == "by_hand" else self._block_autodiff
        sums, data_gradient = self.sum_over_blocks(params, block)
        if method == "by_hand":
            penalty_gradient = self.objective.penalty_gradient_by_hand(params)
        else:
            penalty_gradient = jax.grad(self.objective.penalty_term)(params)
        gradient = jax.tree.map(jnp.add, data_gradient, penalty_gradient)
        evaluation = self._evaluation(params, sums)
        # From where the objective is no number no step leads anywhere. And as a step waits for the
        # value, XLA overwrites the parameters in place: else it would copy them for each step.
        is_number = ~jnp.isnan(evaluation.objective)
        return evaluation, jax.tree.map(lambda g: jnp.where(is_number, g, jnp.nan), gradient)

    def _evaluation(self, params: LinearParams, sums: _Sums) -> Evaluation:
        objective = sums.loss + self.objective.penalty_term(params)
        return Evaluation(objective, 1.0 - sums.wrong)

    def prepared(self, params: LinearParams, x: Any) -> jax.Array:
        """Some rows of features as a model sees them: converted, then scaled."""
        if self.source is not None:
            x = self.source.at[x.now].get(mode="promise_in_bounds")
        x = x.astype(compute_dtype(params.W.dtype))
        return x if self.scaling is None else self.scaling(x)

    def _data_term(self, params: LinearParams, examples: Examples) -> tuple[jax.Array, _Sums]:
        labels, weight = examples.labels, examples.weight
        if self.source is None:
            s = product(params.W, self.prepared(params, examples.x), (1, 1))
        else:
            rows = examples.x
            s = row_scores(params.W, self.source, rows.now, self.scaling, rows.soon)
        s = s if params.b is None else s + params.b[:, None]
        value = self.objective.data_term_by_class(s, labels, weight)
        correct = metrics.is_correct(s, labels, axis=0)
        return value, _Sums(value, jnp.sum(jnp.where(correct, 0.0, weight)))

    def _block_sums(self, params: LinearParams, examples: Examples) -> _Sums:
        return self._data_term(params, examples)[1]

    def _block_autodiff(
        self, params: LinearParams, examples: Examples
    ) -> tuple[_Sums, LinearParams]:
        (_, sums), gradient = jax.value_and_grad(self._data_term, has_aux=True)(params, examples)
        return sums, gradient

    def _block_by_hand(
        self, params: LinearParams, examples: Examples
    ) -> tuple[_Sums, LinearParams]:
        x = self.prepared(params, examples.x)
        gradient = self.objective.data_gradient_by_hand(params, x, examples.labels, examples.weight)
        return self._block_sums(params, examples), gradient

    def sum_over_blocks(self, params: LinearParams, block: Any) -> Any:
        """Sums `block(params, examples)` over the rows, a block of them at a time."""

        def counted(rows: Examples, is_new: jax.Array) -> Any:
            return block(params, rows._replace(weight=jnp.where(is_new, rows.weight, 0.0)))

        return row_blocks.sum_over_blocks(counted, self.examples, self.block_rows)


class HasParams(Protocol):
    """A solver's state: whatever the next step needs, the parameters among it."""

    @property
    def params(self) -> LinearParams:
        """Where the solver stands."""
        ...


class Solver(Protocol):
    """The protocol of the first-order solvers; a frozen dataclass registered as a pytree."""

    @property
    def batch_size(self) -> int | None:
        """Examples a step sees; None: all of them."""
        ...

    @property
    def epochs(self) -> int:
        """Passes over the data. Where a step sees all of it, each step is a pass."""
        ...

    def init(self, params: LinearParams, key: jax.Array) -> Any:
        """The state to start from: a pytree with `params` among its attributes."""
        ...

    def step(self, problem: Problem, state: Any) -> tuple[Any, Evaluation]:
        """The next state, and what was seen on the way: the objective where the step was taken."""
        ...
