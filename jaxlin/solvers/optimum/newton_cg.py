"""Newton's method by conjugate gradients, for many small problems in one compiled program.

The problems are `vmap`ped: what they share, as folds share their features, exists once, and their
products become one wide product. Each stops when its gradient promises a gap that is small enough,
and stands still while the others go on.

A step balances the bias first, on the stored scores: then `||dL/dW||^2 / (4 l2)` bounds the gap.
The Newton direction is found by conjugate gradients, in coordinates in which the features are
uncorrelated (`reduced`). There the mean curvature of the scores, times the features' variances,
plus 2 l2, is a matrix whose inverse is known, and near enough to the second derivative that few
products do (`newton_direction`). It is solved as exactly as the promised gap is far from the one
that is wanted.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Known
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import first_largest, product
from jaxlin.solvers.optimum.line_search import lowest_on_line
from jaxlin.solvers.optimum.newton_direction import Local, newton_direction
from jaxlin.solvers.optimum.reduced import Rows
from jaxlin.solvers.optimum.rounded import Tangent, tangent

# Of the target over the gap: how exactly a Newton direction is solved for, and within what bounds.
_EXACTNESS, _LOOSEST, _TIGHTEST = 0.3, 0.3, 0.02
_BALANCINGS = 8
# A step so much shorter than Newton's was not solved for exactly enough: rows that it brought in
# stopped it. The next one is so much more exact, down to what a dtype can do.
_SHORT, _MORE_EXACT, _MOST_EXACT = 0.3, 0.1, {"float32": 1e-4, "float64": 1e-8}
# A bias is balanced until what is left costs so much of the gap that is wanted; and never better
# than so far off, which is rounding.
_BALANCE, _BALANCED = 0.1, 1e-15
# Steps in which neither the objective nor the gap moves by more than rounding; or by more than
# that, with the most exact directions of float32.
_IDLE, _FLAT, _CREEPING = 3, 1e-13, 1e-3
# What rounding may add to a loss that a balanced bias makes smaller.
_UP = 1e-9
# A class with so low a score has no part in a softmax, nor a margin.
_NEVER = -1e30
# So far below the labels' scores a class adds nothing to a softmax that float64 can hold.
_FAR = 40.0


class Point(NamedTuple):
    """Parameters, and what a look at the scores gives: enough to start from.

    Attributes:
      theta: W and b in the coordinates of `Rows` (C, K).
      scores: (C, N).
      values: the losses (N,).
      slopes: of the losses by the scores (C, N); of a solution, whose bias is balanced, a dual
        point.
    """

    theta: jax.Array
    scores: jax.Array
    values: jax.Array
    slopes: jax.Array


class Pace(NamedTuple):
    """How a problem gets on, for those who go on with it.

    Attributes:
      exactness: of the next direction, at most.
      idle: steps up to the last one that brought nothing.
      crept: whether the last of those did bring something, but too little for its exactness.
    """

    exactness: jax.Array
    idle: jax.Array
    crept: jax.Array


class Found(NamedTuple):
    """Where a problem stands.

    Attributes:
      at: the parameters, and their slopes.
      value: the objective.
      accuracy: on the rows.
      gap: over the objective, as the gradient promises it.
      steps: that were taken.
      products: over the rows, forwards and backwards.
      is_stuck: no step improves anything more, or enough.
      pace: how it got on.
    """

    at: Point
    value: jax.Array
    accuracy: jax.Array
    gap: jax.Array
    steps: jax.Array
    products: jax.Array
    is_stuck: jax.Array
    pace: Pace


def first_pace(count: int) -> Pace:
    """That of M problems at their start, in a float64 scope."""
    none = jnp.zeros(count, jnp.int32)
    return Pace(jnp.full(count, _LOOSEST, jnp.float64), none, none > 0)


@functools.partial(jax.jit, static_argnames=("loss", "dtype"))
def descend(
    loss: Known,
    rows: Rows,
    weight: jax.Array,
    has_bias: jax.Array,
    l2: jax.Array,
    last: Point,
    start: jax.Array,
    target: jax.Array,
    most_steps: jax.Array,
    pace: Pace,
    dtype: str = "float32",
) -> Found:
    """Takes M problems to a promised gap.

    Args:
      loss: a smooth one.
      rows: of each problem, with a leading axis M; or without it, where all have the same.
      weight: (M, N), sum 1 each; 0 for rows that are none.
      has_bias: scalar; without one the last coordinate is nowhere but zero.
      l2: scalar.
      last: where to start if it is better than `start`, leading axis M; never where its values are
        NaN.
      start: where to start (M, C, K).
      target: relative gap.
      most_steps: after which it ends anywhere (M,).
      pace: of the steps before, leading axis M.
      dtype: of the products on the way to a direction.

    Returns:
      `Found`, leading axis M.
    """
    axis = None if rows.labels.ndim == 1 else 0

    def one(
        rows: Rows, weight: jax.Array, last: Point, start: jax.Array, most_steps: jax.Array,
        pace: Pace,
    ) -> Found:  # fmt: skip
        problem = _Problem(loss, rows, weight, has_bias, l2, target, dtype)
        return problem.solved(last, start, most_steps, pace)

    axes = (axis, 0, 0, 0, 0, 0)
    return jax.vmap(one, in_axes=axes)(rows, weight, last, start, most_steps, pace)


class _Place(NamedTuple):
    """A point whose bias is balanced, and what it says of the optimum."""

    at: Point
    value: jax.Array
    gradient: jax.Array
    gap: jax.Array


class _State(NamedTuple):
    place: _Place
    steps: jax.Array
    products: jax.Array
    pace: Pace


class _Problem:
    """One problem, as `vmap` sees it."""

    def __init__(
        self, loss: Known, rows: Rows, weight: jax.Array, has_bias: jax.Array, l2: jax.Array,
        target: jax.Array, dtype: str,
    ) -> None:  # fmt: skip
        self.loss, self.rows, self.weight = loss, rows, weight
        self.has_bias, self.l2, self.target, self.dtype = has_bias, l2, target, dtype
        self.is_label = conjugates.label_mask(rows.labels, rows.num_classes, axis=0)
        self.share = self.is_label.astype(weight.dtype) @ weight  # of the classes (C,)
        # With a free bias a class without examples has no part: its b goes to minus infinity.
        self.allowed = ~has_bias | (self.share > 0.0)
        # What every coordinate's square is multiplied by (K,).
        last = jnp.where(has_bias, 0.0, l2)
        self.ridge = jnp.full(rows.features.shape[1], l2).at[-1].set(last)

    def solved(self, last: Point, start: jax.Array, most_steps: jax.Array, pace: Pace) -> Found:
        none = jnp.zeros((), jnp.int32)
        s = self.scores(start)
        new = Point(start, s, *self.seen(s))
        value = self.value(last)
        is_new = jnp.isnan(value) | (self.value(new) < value)  # never for what is not a number
        at = Point(*(jnp.where(is_new, n, o) for n, o in zip(new, last, strict=True)))
        first = _State(self.place(at), none, none + 2, pace)

        def goes_on(state: _State) -> jax.Array:
            return ~self.is_done(state) & (state.steps < most_steps)

        end = jax.lax.while_loop(goes_on, self.step, first)
        place = end.place
        return Found(
            place.at._replace(theta=self.with_absent(place.at)), place.value,
            self.accuracy(place.at.scores), place.gap, end.steps, end.products,
            end.pace.idle >= _IDLE, end.pace,
        )  # fmt: skip

    def is_done(self, state: _State) -> jax.Array:
        return ~(state.place.gap > self.target) | (state.pace.idle >= _IDLE)

    def scores(self, theta: jax.Array) -> jax.Array:
        """(C, N)."""
        return product(theta, self.rows.features, (1, 1))

    def seen(self, s: jax.Array) -> Tangent:
        """Losses and slopes at scores."""
        width = jnp.ones((), s.dtype)  # of no use to a smooth loss
        return tangent(self.loss, self.inside(s), self.rows.labels, width)

    def inside(self, s: jax.Array) -> jax.Array:
        return jnp.where(self.allowed[:, None], s, _NEVER)

    def value(self, at: Point) -> jax.Array:
        return self.weight @ at.values + jnp.sum(self.ridge[None, :] * at.theta * at.theta)

    def place(self, at: Point) -> _Place:
        at = self.balanced(at)
        value = self.value(at)
        weighted = at.slopes * self.weight[None, :]
        gradient = product(weighted, self.rows.features, (1, 0))
        gradient = gradient + 2.0 * self.ridge[None, :] * at.theta
        scale = 1.0 / jnp.maximum(value, 1e-300)
        gap = jnp.sum(gradient[:, :-1] ** 2) / (4.0 * self.l2)
        return _Place(at, value, gradient, (gap + self.repair_cost(at.slopes, at.scores)) * scale)

    def balanced(self, at: Point) -> Point:
        """The bias moved, by Newton steps as long as each halves what is left."""
        s = at.scores
        enough = _BALANCE * self.target * self.value(at)

        def size_at(seen: Tangent) -> jax.Array:
            mean = jnp.where(self.has_bias, seen.slopes @ self.weight, 0.0)
            return jnp.max(jnp.abs(mean))

        def goes_on(carry: tuple[jax.Array, Tangent, jax.Array, jax.Array]) -> jax.Array:
            _, seen, is_better, count = carry
            return is_better & (self.repair_cost(seen.slopes, s) > enough) & (count < _BALANCINGS)

        def step(
            carry: tuple[jax.Array, Tangent, jax.Array, jax.Array],
        ) -> tuple[jax.Array, Tangent, jax.Array, jax.Array]:
            shift, seen, _, count = carry
            width = jnp.ones((), s.dtype)
            curve = conjugates.curvature(self.loss, seen.slopes, self.rows.labels, width, axis=-2)
            hessian = conjugates.mean_curvature(
                self.loss, curve, self.rows.labels, self.weight, axis=-2
            )
            ridge = 1e-10 * jnp.trace(hessian) + 1e-280
            factor = jnp.linalg.cholesky(hessian + ridge * jnp.eye(len(shift), dtype=s.dtype))
            moved = shift - jax.scipy.linalg.cho_solve((factor, True), seen.slopes @ self.weight)
            there = self.seen(s + moved[:, None])
            is_better = size_at(there) < 0.5 * size_at(seen)  # not where anything is NaN
            # Far from balance a softmax is so flat that the step leads nowhere.
            rises = self.weight @ there.value > (1.0 + _UP) * (self.weight @ seen.value)
            is_better = is_better & ~rises
            shift = jnp.where(is_better, moved, shift)
            there = Tangent(*(jnp.where(is_better, n, o) for n, o in zip(there, seen, strict=True)))
            return shift, there, is_better, count + 1

        start = (
            jnp.zeros(s.shape[0], s.dtype), Tangent(at.values, at.slopes), jnp.asarray(True),
            jnp.zeros((), jnp.int32),
        )  # fmt: skip
        shift, seen, *_ = jax.lax.while_loop(goes_on, step, start)
        return Point(at.theta.at[:, -1].add(shift), s + shift[:, None], *seen)

    def repair_cost(self, slopes: jax.Array, s: jax.Array) -> jax.Array:
        """What it costs the bound to make up for a bias that is not quite balanced, about.

        Nothing where it is as good as rounding allows.
        """
        mean = slopes @ self.weight
        present = self.share > 0.0
        rho = jnp.max(jnp.where(present, mean / jnp.where(present, self.share, 1.0), 0.0))
        largest = jnp.max(jnp.where(self.allowed[:, None], jnp.abs(s), 0.0))
        costs = self.has_bias & (jnp.max(jnp.abs(mean)) > _BALANCED)
        return jnp.where(costs, jnp.maximum(rho, 0.0) * (3.0 + 2.0 * largest), 0.0)

    def step(self, state: _State) -> _State:
        """A Newton step, as long as the objective goes down."""
        place, at, pace = state.place, state.place.at, state.pace
        share = jnp.clip(_EXACTNESS * jnp.sqrt(self.target / place.gap), _TIGHTEST, _LOOSEST)
        share = jnp.minimum(share, pace.exactness)
        # Those that stand still pass through here with the others: they are not to keep them.
        share = jnp.where(self.is_done(state), jnp.inf, share)
        here = Local(
            self.rows.features, self.rows.variances, self.weight, self.is_label, self.ridge,
            at.slopes, self.rows.labels,
        )  # fmt: skip
        direction, products = newton_direction(self.loss, here, place.gradient, share, self.dtype)
        ds = self.scores(direction)
        slope = jnp.sum(direction * place.gradient)
        # Of a sum over many rows; so close to the optimum the slope alone decides.
        slack = 64.0 * float(jnp.finfo(slope.dtype).eps) * jnp.abs(place.value)
        own = 2.0 * jnp.sum(self.ridge[None, :] * direction * at.theta)
        bend = 2.0 * jnp.sum(self.ridge[None, :] * direction * direction)

        def seen_at(t: jax.Array) -> tuple[Point, jax.Array, jax.Array]:
            s = at.scores + t * ds
            there = Point(at.theta + t * direction, s, *self.seen(s))
            change = jnp.sum(there.slopes * self.weight[None, :] * ds)
            return there, self.value(there), change + own + t * bend

        there, t = lowest_on_line(seen_at, at, place.value, slope, slack)
        new = self.place(there)
        # A balanced bias is better still; only rounding can say otherwise.
        moves = new.value <= place.value + slack
        flat = ~(new.value < place.value - _FLAT * jnp.abs(place.value))
        flat = flat & ~(new.gap < 0.5 * place.gap)
        # A short step may be all that a direction is good for that could be more exact.
        most, is_short = _MOST_EXACT[self.dtype], (t < _SHORT) & (slope < 0.0)
        flat = flat & ~(is_short & (share > most))
        # At what float32 can do the steps only creep: float64 has to go on.
        creeps = is_short & (new.value > (1.0 - _CREEPING) * place.value)
        crept = creeps & ~flat & (share <= most) & (self.dtype == "float32")
        longer = jnp.where(t < 1.0, share, share / _MORE_EXACT)
        exactness = jnp.where(is_short, jnp.maximum(_MORE_EXACT * share, most), longer)
        idle = jnp.where(moves, jnp.where(flat | crept, pace.idle + 1, 0), _IDLE)
        pace = Pace(exactness, idle, crept & moves)
        new = jax.tree.map(lambda n, o: jnp.where(moves, n, o), new, place)
        return _State(new, state.steps + 1, state.products + products + 2, pace)

    def accuracy(self, s: jax.Array) -> jax.Array:
        right = first_largest(self.inside(s), axis=0) == self.rows.labels
        # So that all of them make 1, whatever the weights add up to.
        return 1.0 - jnp.sum(jnp.where(right, 0.0, self.weight))

    def with_absent(self, at: Point) -> jax.Array:
        """The parameters, the bias of a class that may have no part so low that it has none."""
        # Rows of weight 0 may be the absent class's own: it would then follow itself downwards.
        own = jnp.sum(jnp.where(self.is_label, at.scores, 0.0), axis=0)
        own = jnp.min(jnp.where(self.weight > 0.0, own, jnp.inf))
        far = _FAR if isinstance(self.loss, SoftmaxCrossEntropy) else self.loss.margin
        last = jnp.where(self.allowed, at.theta[:, -1], own - far)
        theta = jnp.where(self.allowed[:, None], at.theta, 0.0)
        return theta.at[:, -1].set(last)
