"""Newton's method by conjugate gradients, for many small problems in one compiled program.

The problems are `vmap`ped: what they share, as folds share their features, exists once, and their
products become one wide product. Each stops when its gradient promises a gap that is small enough,
and stands still while the others go on.

A step balances the bias first, on the stored scores: then `||dL/dW||^2 / (4 l2)` bounds the gap.
The Newton direction is found by conjugate gradients, in coordinates in which the features are
uncorrelated (`reduced`). There the mean curvature of the scores, times the features' variances,
plus 2 l2, is a matrix whose inverse is known, and near enough to the second derivative that few
products do. It is solved as exactly as the promised gap is far from the one that is wanted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Curvature, Known
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import first_largest, product
from jaxlin.solvers.optimum.reduced import Rows
from jaxlin.solvers.optimum.rounded import Tangent, tangent

# Of the target over the gap: how exactly a Newton direction is solved for, and within what bounds.
_EXACTNESS, _LOOSEST, _TIGHTEST = 0.3, 0.3, 0.02
_MOST_PRODUCTS, _HALVINGS, _BALANCINGS = 300, 30, 8
# Steps in which neither the objective nor the gap moves by more than rounding.
_IDLE, _FLAT = 3, 1e-13
# A class with so low a score has no part in a softmax, nor a margin.
_NEVER = -1e30
# So far below the labels' scores a class adds nothing to a softmax that float64 can hold.
_FAR = 40.0
# Of the largest curvature: what is a direction in which a bias changes nothing.
_NONE = 1e-12


class Found(NamedTuple):
    """Where a problem stands.

    Attributes:
      theta: W and b in the coordinates of `Rows` (C, K).
      slopes: of the loss by the scores (C, N), the bias balanced: a dual point.
      value: the objective.
      accuracy: on the rows.
      gap: over the objective, as the gradient promises it.
      steps: that were taken.
      products: over the rows, forwards and backwards.
      is_stuck: no step improves anything more.
    """

    theta: jax.Array
    slopes: jax.Array
    value: jax.Array
    accuracy: jax.Array
    gap: jax.Array
    steps: jax.Array
    products: jax.Array
    is_stuck: jax.Array


@functools.partial(jax.jit, static_argnames="loss")
def descend(
    loss: Known,
    rows: Rows,
    weight: jax.Array,
    has_bias: jax.Array,
    l2: jax.Array,
    starts: tuple[jax.Array, jax.Array],
    target: jax.Array,
    most_steps: jax.Array,
) -> Found:
    """Takes M problems to a promised gap.

    Args:
      loss: a smooth one.
      rows: of each problem, with a leading axis M; or without it, where all have the same.
      weight: (M, N), sum 1 each; 0 for rows that are none.
      has_bias: scalar; without one the last coordinate is nowhere but zero.
      l2: scalar.
      starts: two points (M, C, K), the better of which is started from.
      target: relative gap.
      most_steps: after which it ends anywhere.

    Returns:
      `Found`, leading axis M.
    """
    axis = None if rows.labels.ndim == 1 else 0

    def one(rows: Rows, weight: jax.Array, starts: tuple[jax.Array, jax.Array]) -> Found:
        return _Problem(loss, rows, weight, has_bias, l2).solved(starts, target, most_steps)

    return jax.vmap(one, in_axes=(axis, 0, 0))(rows, weight, starts)


class _Point(NamedTuple):
    """Parameters whose bias is balanced; everything that one look at the scores gives."""

    theta: jax.Array
    scores: jax.Array
    slopes: jax.Array
    value: jax.Array
    gradient: jax.Array
    gap: jax.Array


class _State(NamedTuple):
    at: _Point
    steps: jax.Array
    products: jax.Array
    idle: jax.Array


class _Problem:
    """One problem, as `vmap` sees it."""

    def __init__(
        self, loss: Known, rows: Rows, weight: jax.Array, has_bias: jax.Array, l2: jax.Array
    ) -> None:
        self.loss, self.rows, self.weight = loss, rows, weight
        self.has_bias, self.l2 = has_bias, l2
        self.is_label = conjugates.label_mask(rows.labels, rows.num_classes, axis=0)
        self.share = self.is_label.astype(weight.dtype) @ weight  # of the classes (C,)
        # With a free bias a class without examples has no part: its b goes to minus infinity.
        self.allowed = ~has_bias | (self.share > 0.0)
        # What every coordinate's square is multiplied by (K,).
        last = jnp.where(has_bias, 0.0, l2)
        self.ridge = jnp.full(rows.features.shape[1], l2).at[-1].set(last)

    def solved(
        self, starts: tuple[jax.Array, jax.Array], target: jax.Array, most_steps: jax.Array
    ) -> Found:
        none = jnp.zeros((), jnp.int32)
        first, second = ((theta, self.scores(theta)) for theta in starts)
        is_second = ~(self.value(*first) <= self.value(*second))  # where the first is NaN too
        theta, s = (jnp.where(is_second, b, a) for a, b in zip(first, second, strict=True))
        start = _State(self.point(theta, s), none, none + 3, none)

        def goes_on(state: _State) -> jax.Array:
            unfinished = (state.at.gap > target) & (state.idle < _IDLE)
            return unfinished & (state.steps < most_steps)

        end = jax.lax.while_loop(goes_on, lambda state: self.step(state, target), start)
        at = end.at
        return Found(
            self.with_absent(at), at.slopes, at.value, self.accuracy(at.scores), at.gap, end.steps,
            end.products, end.idle >= _IDLE,
        )  # fmt: skip

    def scores(self, theta: jax.Array) -> jax.Array:
        """(C, N)."""
        return product(theta, self.rows.features, (1, 1))

    def seen(self, s: jax.Array) -> Tangent:
        """Losses and slopes at scores."""
        width = jnp.ones((), s.dtype)  # of no use to a smooth loss
        return tangent(self.loss, self.inside(s), self.rows.labels, width)

    def inside(self, s: jax.Array) -> jax.Array:
        return jnp.where(self.allowed[:, None], s, _NEVER)

    def value(self, theta: jax.Array, s: jax.Array) -> jax.Array:
        return self.weight @ self.seen(s).value + self.penalty(theta)

    def penalty(self, theta: jax.Array) -> jax.Array:
        return jnp.sum(self.ridge[None, :] * theta * theta)

    def curve(self, slopes: jax.Array) -> Curvature:
        width = jnp.ones((), slopes.dtype)
        return conjugates.curvature(self.loss, slopes, self.rows.labels, width, axis=-2)

    def mean_curvature(self, curve: Curvature) -> jax.Array:
        """(C, C)."""
        return conjugates.mean_curvature(self.loss, curve, self.rows.labels, self.weight, axis=-2)

    def point(self, theta: jax.Array, s: jax.Array) -> _Point:
        shift, seen = self.balanced(s)
        theta, s = theta.at[:, -1].add(shift), s + shift[:, None]
        value = self.weight @ seen.value + self.penalty(theta)
        weighted = seen.slopes * self.weight[None, :]
        gradient = product(weighted, self.rows.features, (1, 0))
        gradient = gradient + 2.0 * self.ridge[None, :] * theta
        gap = jnp.sum(gradient[:, :-1] ** 2) / (4.0 * self.l2) + self.repair_cost(seen.slopes, s)
        return _Point(theta, s, seen.slopes, value, gradient, gap / jnp.maximum(value, 1e-300))

    def balanced(self, s: jax.Array) -> tuple[jax.Array, Tangent]:
        """What to add to the bias (C,), by Newton steps as long as each halves what is left."""

        def size_at(seen: Tangent) -> tuple[jax.Array, jax.Array]:
            mean = jnp.where(self.has_bias, seen.slopes @ self.weight, 0.0)
            return mean, jnp.max(jnp.abs(mean))

        def goes_on(carry: tuple[jax.Array, Tangent, jax.Array, jax.Array]) -> jax.Array:
            _, seen, is_better, count = carry
            return is_better & (size_at(seen)[1] > 1e-15) & (count < _BALANCINGS)

        def step(
            carry: tuple[jax.Array, Tangent, jax.Array, jax.Array],
        ) -> tuple[jax.Array, Tangent, jax.Array, jax.Array]:
            shift, seen, _, count = carry
            mean, size = size_at(seen)
            hessian = self.mean_curvature(self.curve(seen.slopes))
            ridge = 1e-10 * jnp.trace(hessian) + 1e-280
            factor = jnp.linalg.cholesky(hessian + ridge * jnp.eye(len(mean), dtype=s.dtype))
            moved = shift - jax.scipy.linalg.cho_solve((factor, True), mean)
            there = self.seen(s + moved[:, None])
            is_better = size_at(there)[1] < 0.5 * size  # not where anything is NaN
            shift = jnp.where(is_better, moved, shift)
            there = Tangent(*(jnp.where(is_better, n, o) for n, o in zip(there, seen, strict=True)))
            return shift, there, is_better, count + 1

        none = jnp.zeros(s.shape[0], s.dtype)
        start = (none, self.seen(s), jnp.asarray(True), jnp.zeros((), jnp.int32))
        shift, seen, *_ = jax.lax.while_loop(goes_on, step, start)
        return shift, seen

    def repair_cost(self, slopes: jax.Array, s: jax.Array) -> jax.Array:
        """What it costs the bound to make up for a bias that is not quite balanced, about."""
        mean = slopes @ self.weight
        present = self.share > 0.0
        rho = jnp.max(jnp.where(present, mean / jnp.where(present, self.share, 1.0), 0.0))
        largest = jnp.max(jnp.where(self.allowed[:, None], jnp.abs(s), 0.0))
        return jnp.where(self.has_bias, jnp.maximum(rho, 0.0) * (3.0 + 2.0 * largest), 0.0)

    def step(self, state: _State, target: jax.Array) -> _State:
        """A Newton step, as long as the objective goes down."""
        at = state.at
        share = _EXACTNESS * jnp.sqrt(target / at.gap)
        direction, products = self.direction(at, jnp.clip(share, _TIGHTEST, _LOOSEST))
        ds = self.scores(direction)
        slope = jnp.sum(direction * at.gradient)
        slack = 8.0 * float(jnp.finfo(slope.dtype).eps) * jnp.abs(at.value)

        def too_high(t: jax.Array) -> jax.Array:
            there = self.value(at.theta + t * direction, at.scores + t * ds)
            return ~(there <= at.value + 1e-4 * t * slope + slack)

        t = _first_low(too_high, jnp.ones((), ds.dtype))
        there = self.point(at.theta + t * direction, at.scores + t * ds)
        # A balanced bias is better still; only rounding can say otherwise.
        moves = (t > 0.0) & (there.value <= at.value + slack)
        flat = ~(there.value < at.value - _FLAT * jnp.abs(at.value)) & ~(there.gap < 0.5 * at.gap)
        idle = jnp.where(moves, jnp.where(flat, state.idle + 1, 0), _IDLE)
        there = _Point(*(jnp.where(moves, n, o) for n, o in zip(there, at, strict=True)))
        return _State(there, state.steps + 1, state.products + products + 2, idle)

    def direction(self, at: _Point, exactness: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The Newton direction (C, K), and the products that it took."""
        curve = self.curve(at.slopes)
        precondition = self.preconditioner(self.mean_curvature(curve))

        def times_hessian(v: jax.Array) -> jax.Array:
            ds = self.scores(v)
            change = conjugates.bent(self.loss, curve, ds, self.is_label, axis=-2)
            change = product(change * self.weight[None, :], self.rows.features, (1, 0))
            return change + 2.0 * self.ridge[None, :] * v

        return _conjugate_gradients(times_hessian, precondition, -at.gradient, exactness)

    def preconditioner(self, mean: jax.Array) -> Callable[[jax.Array], jax.Array]:
        """Solves with the mean curvature (C, C) times the variances, plus 2 l2: all diagonal."""
        bends, axes = jnp.linalg.eigh(mean)
        bends = jnp.maximum(bends, 0.0)
        scale = bends[:, None] * self.rows.variances[None, :] + 2.0 * self.ridge[None, :]
        # A common shift of the bias changes nothing.
        counts = (self.ridge > 0.0)[None, :] | (bends > _NONE * jnp.max(bends))[:, None]
        counts = counts & (scale > 0.0)
        inverse = jnp.where(counts, 1.0 / jnp.where(counts, scale, 1.0), 0.0)
        return lambda r: product(axes, inverse * product(axes, r, (0, 0)), (1, 0))

    def accuracy(self, s: jax.Array) -> jax.Array:
        right = first_largest(self.inside(s), axis=0) == self.rows.labels
        return jnp.sum(jnp.where(right, self.weight, 0.0))

    def with_absent(self, at: _Point) -> jax.Array:
        """The parameters, the bias of a class that may have no part so low that it has none."""
        own = jnp.min(jnp.sum(jnp.where(self.is_label, at.scores, 0.0), axis=0))
        far = _FAR if isinstance(self.loss, SoftmaxCrossEntropy) else self.loss.margin
        last = jnp.where(self.allowed, at.theta[:, -1], own - far)
        theta = jnp.where(self.allowed[:, None], at.theta, 0.0)
        return theta.at[:, -1].set(last)


def _first_low(too_high: Callable[[jax.Array], jax.Array], one: jax.Array) -> jax.Array:
    """The first of 1, 1/2, 1/4, ... that is not too high; 0 where there is none."""

    def goes_on(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        t, high = carry
        return high & (t > 0.5**_HALVINGS)

    def halve(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        t = 0.5 * carry[0]
        return t, too_high(t)

    # The first try is made inside as well, so that the objective is compiled once.
    t, high = jax.lax.while_loop(goes_on, halve, (2.0 * one, jnp.asarray(True)))
    return jnp.where(high, 0.0, t)


class _Search(NamedTuple):
    x: jax.Array
    residual: jax.Array
    towards: jax.Array
    size: jax.Array
    products: jax.Array


def _conjugate_gradients(
    times: Callable[[jax.Array], jax.Array],
    precondition: Callable[[jax.Array], jax.Array],
    right: jax.Array,
    exactness: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """`H^-1 right` until the residual, in the preconditioner's measure, is so much smaller."""
    first = precondition(right)
    size = jnp.sum(right * first)
    enough = exactness**2 * size

    def goes_on(search: _Search) -> jax.Array:
        return (search.size > enough) & (search.products < _MOST_PRODUCTS)

    def step(search: _Search) -> _Search:
        image = times(search.towards)
        bend = jnp.sum(search.towards * image)
        is_sound = bend > 0.0
        t = jnp.where(is_sound, search.size / jnp.where(is_sound, bend, 1.0), 0.0)
        residual = search.residual - t * image
        solved = precondition(residual)
        size = jnp.where(is_sound, jnp.sum(residual * solved), 0.0)
        towards = solved + size / search.size * search.towards
        return _Search(search.x + t * search.towards, residual, towards, size, search.products + 1)

    start = _Search(jnp.zeros_like(right), right, first, size, jnp.zeros((), jnp.int32))
    end = jax.lax.while_loop(goes_on, step, start)
    return end.x, end.products
