"""L-BFGS in a metric: the compiled loop that a fit to the optimum spends its time in.

A step costs one product with all of the features forwards, for the scores of its direction, and one
backwards, for the gradient. The line search works on scores. Sums and scores are float64; the
products are in the dtype that is computed in, which is enough, as what they add to the scores grows
smaller with every step.

Source: Nocedal, "Updating quasi-Newton matrices with limited storage", Mathematics of Computation
1980.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.metrics import is_correct
from jaxlin.objective import Objective
from jaxlin.solvers.optimum.metric import Metric
from jaxlin.solvers.optimum.passes import Data, all_gradient, all_scores
from jaxlin.solvers.optimum.rounded import Multipliers, rounded_beta, tangent

# Step and gradient pairs that are remembered.
_PAIRS = 24
# A line search ends where the slope along the direction is down to this share of what it was.
_FLAT, _TRIALS = 0.3, 40


class State(NamedTuple):
    """Where the descent stands.

    Attributes:
      theta: W, and in a last column the bias of centred features where there is one (C, K) float64.
      scores: of every example (C, N) float64.
      value: the objective, kinks rounded, scalar.
      gradient: by theta (C, K).
      steps: remembered (M, C, K).
      changes: of the gradient along them (M, C, K).
      remembered: how many pairs have been remembered since the metric was made.
      passes: over the data, since the start.
      is_stuck: no step along the direction improved anything.
    """

    theta: jax.Array
    scores: jax.Array
    value: jax.Array
    gradient: jax.Array
    steps: jax.Array
    changes: jax.Array
    remembered: jax.Array
    passes: jax.Array
    is_stuck: jax.Array


class Terms(NamedTuple):
    """What the objective is made of beside the data.

    Attributes:
      l2: scalar float64.
      width: of the rounding, scalar float64.
      bend: the mean second derivative of the losses by a score, scalar float64.
      around: what a hinge is rounded around, or None.
    """

    l2: jax.Array
    width: jax.Array
    bend: jax.Array
    around: Multipliers | None = None


@functools.partial(jax.jit, static_argnames="loss")
def multipliers_at(loss: Known, scores: jax.Array, data: Data, terms: Terms) -> Multipliers:
    """The slopes of the rounded hinge, to round it around from here on."""
    slopes = rounded_beta(loss, _shifted(scores, terms), data.labels, terms.width)
    return Multipliers(slopes, data.weight @ jnp.sum(slopes * slopes, axis=0))


@jax.jit
def shifted_scores(scores: jax.Array, terms: Terms) -> jax.Array:
    """Scores (C, N) moved so that the hinge rounded around zero is there what it is here."""
    return _shifted(scores, terms)


def _shifted(scores: jax.Array, terms: Terms) -> jax.Array:
    return scores if terms.around is None else scores + terms.width * terms.around.beta


def _mean_loss(values: jax.Array, data: Data, terms: Terms) -> jax.Array:
    """Of losses (N,) at shifted scores."""
    mean = data.weight @ values
    return mean if terms.around is None else mean - 0.5 * terms.width * terms.around.square


def relative_gap(gradient: jax.Array, value: jax.Array, num_features: int, terms: Terms) -> Any:
    """The gap over the objective as a gradient (C, K) promises it.

    It is `||g_W||^2 / (4 l2)` once the bias is balanced, and what balancing it will bring.
    """
    by_W, by_b = gradient[:, :num_features], gradient[:, num_features:]
    gap = jnp.sum(by_W * by_W) / (4.0 * terms.l2)
    gap = gap + jnp.sum(by_b * by_b) / (2.0 * jnp.maximum(terms.bend, 1e-12))
    return gap / jnp.maximum(value, 1e-300)


def _value(
    loss: Known, theta: jax.Array, scores: jax.Array, data: Data, terms: Terms
) -> tuple[jax.Array, jax.Array]:
    """The objective and the weighted slopes (C, N)."""
    seen = tangent(loss, _shifted(scores, terms), data.labels, terms.width)
    W = theta[:, : data.x.shape[1]]
    value = _mean_loss(seen.value, data, terms) + terms.l2 * jnp.sum(W * W)
    return value, seen.slopes * data.weight[None, :]


def _gradient(
    theta: jax.Array,
    slopes: jax.Array,
    data: Data,
    center: jax.Array,
    l2: jax.Array,
    dtype: jax.typing.DTypeLike,
) -> jax.Array:
    num_features = data.x.shape[1]
    total = jnp.sum(slopes, axis=1)
    by_W = all_gradient(slopes.astype(dtype), data) - total[:, None] * center[None, :]
    by_W = by_W + 2.0 * l2 * theta[:, :num_features]
    if theta.shape[1] == num_features:
        return by_W
    return jnp.concatenate([by_W, total[:, None]], axis=1)


def _scores(
    theta: jax.Array, data: Data, center: jax.Array, dtype: jax.typing.DTypeLike
) -> jax.Array:
    """Scores (C, N) float64, their products in a dtype; 0 for examples that do not count."""
    num_features = data.x.shape[1]
    W = theta[:, :num_features].astype(dtype)
    s = all_scores(W, data).astype(jnp.float64)
    if theta.shape[1] > num_features:
        s = s + (theta[:, -1] - W.astype(jnp.float64) @ center)[:, None]
    return jnp.where((data.weight == 0.0)[None, :], 0.0, s)


@jax.jit
def scores_at(theta: jax.Array, data: Data, center: jax.Array) -> jax.Array:
    """The scores of every example (C, N), in float64 throughout."""
    return _scores(theta, data, center, jnp.float64)


@functools.partial(jax.jit, static_argnames="loss")
def exact_loss(loss: Known, params: LinearParams, data: Data) -> jax.Array:
    """The mean loss, no kink rounded, of float64 parameters of the features as they are."""
    s = all_scores(params.W, data)
    s = s if params.b is None else s + params.b[:, None]
    s = jnp.where((data.weight == 0.0)[None, :], 0.0, s)
    return Objective(loss).data_term_by_class(s, data.labels, data.weight)


@jax.jit
def correct_rows(scores: jax.Array, data: Data) -> jax.Array:
    """The share of the examples that are predicted right."""
    wrong = jnp.where(is_correct(scores, data.labels, axis=0), 0.0, data.weight)
    return 1.0 - jnp.sum(wrong)


@functools.partial(jax.jit, static_argnames=("loss", "dtype"))
def start(
    loss: Known,
    dtype: str,
    theta: jax.Array,
    scores: jax.Array,
    data: Data,
    center: jax.Array,
    terms: Terms,
) -> State:
    """The state at some theta and its scores, with nothing remembered."""
    value, slopes = _value(loss, theta, scores, data, terms)
    gradient = _gradient(theta, slopes, data, center, terms.l2, dtype)
    nothing = jnp.zeros((_PAIRS, *theta.shape))
    zero = jnp.zeros((), jnp.int32)
    one = jnp.ones((), jnp.int32)
    return State(theta, scores, value, gradient, nothing, nothing, zero, one, jnp.asarray(False))


@functools.partial(jax.jit, static_argnames=("loss", "dtype"))
def renewed(
    loss: Known,
    dtype: str,
    state: State,
    data: Data,
    center: jax.Array,
    terms: Terms,
    remembers: jax.Array,
) -> State:
    """The same point for another rounding; whether it `remembers` steps in the last one."""
    value, slopes = _value(loss, state.theta, state.scores, data, terms)
    gradient = _gradient(state.theta, slopes, data, center, terms.l2, dtype)
    return state._replace(
        value=value, gradient=gradient, remembered=jnp.where(remembers, state.remembered, 0),
        passes=state.passes + 1, is_stuck=jnp.asarray(False),
    )  # fmt: skip


class Point(NamedTuple):
    """An optimum that has been found: theta (C, K) and scores (C, N)."""

    theta: jax.Array
    scores: jax.Array


@functools.partial(jax.jit, static_argnames=("loss", "dtype"))
def continued(
    loss: Known,
    dtype: str,
    state: State,
    previous: Point,
    factor: jax.Array,
    old_l2: jax.Array,
    data: Data,
    center: jax.Array,
    terms: Terms,
) -> State:
    """The point for another l2, on the line from a previous optimum through this one.

    Scores are linear in theta, so that going further costs no product. What was remembered of the
    gradient's changes holds, but for the part of l2, which is known.
    """
    here = Point(state.theta, state.scores)
    further = jax.tree.map(lambda now, before: now + factor * (now - before), here, previous)
    values = [_value(loss, at.theta, at.scores, data, terms)[0] for at in (further, here)]
    is_better = values[0] < values[1]
    theta, scores = jax.tree.map(lambda a, b: jnp.where(is_better, a, b), further, here)
    value, slopes = _value(loss, theta, scores, data, terms)
    gradient = _gradient(theta, slopes, data, center, terms.l2, dtype)
    num_features = data.x.shape[1]
    by_l2 = 2.0 * (terms.l2 - old_l2) * state.steps[:, :, :num_features]
    return state._replace(
        theta=theta,
        scores=scores,
        value=value,
        gradient=gradient,
        changes=state.changes.at[:, :, :num_features].add(by_l2),
        passes=state.passes + 1,
        is_stuck=jnp.asarray(False),
    )


@functools.partial(jax.jit, static_argnames=("loss", "dtype"), donate_argnames="state")
def descend(
    loss: Known,
    dtype: str,
    state: State,
    data: Data,
    metric: Metric,
    terms: Terms,
    target: jax.Array,
    most: jax.Array,
) -> State:
    """Steps until the relative gap is down to a target, or there have been `most` of them."""
    num_features = data.x.shape[1]
    end = state.passes + most

    def goes_on(state: State) -> jax.Array:
        is_there = relative_gap(state.gradient, state.value, num_features, terms) <= target
        return ~is_there & (state.passes < end) & ~state.is_stuck

    return jax.lax.while_loop(
        goes_on, lambda state: _step(loss, dtype, state, data, metric, terms), state
    )


def _step(loss: Known, dtype: str, state: State, data: Data, metric: Metric, terms: Terms) -> State:
    center, num_features = metric.basis.center, data.x.shape[1]
    direction = _direction(state, metric)
    # What was remembered may not hold any more: then the metric alone.
    is_downhill = jnp.sum(direction * state.gradient) < 0.0
    direction = jnp.where(is_downhill, direction, -metric.solve(state.gradient))
    # And if that fails: the gradient, as long as would bring the objective to 0 on a straight line.
    length = state.value / jnp.maximum(jnp.sum(state.gradient**2), 1e-300)
    direction = jnp.where(jnp.isfinite(direction).all(), direction, -length * state.gradient)
    direction = jnp.where(jnp.isfinite(direction).all(), direction, 0.0)
    # The scores get what the products see: the direction in their dtype.
    direction = direction.astype(dtype).astype(jnp.float64)
    moves = _scores(direction, data, center, dtype)
    W, along = state.theta[:, :num_features], direction[:, :num_features]
    linear = 2.0 * terms.l2 * jnp.sum(W * along)
    square = terms.l2 * jnp.sum(along * along)
    at_zero = jnp.sum(state.gradient * direction)
    data_value = state.value - terms.l2 * jnp.sum(W * W)
    shifted = _shifted(state.scores, terms)

    def look(t: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The objective's change at a step t, its derivative, and the weighted slopes there."""
        seen = tangent(loss, shifted + t * moves, data.labels, terms.width)
        slopes = seen.slopes * data.weight[None, :]
        change = _mean_loss(seen.value, data, terms) - data_value + t * (linear + t * square)
        return change, jnp.sum(slopes * moves) + linear + 2.0 * t * square, slopes

    noise = 1e-14 * jnp.abs(state.value)

    def is_unfinished(carry: tuple[jax.Array, ...]) -> jax.Array:
        _, _, _, _, trials, change, first, _ = carry
        is_flat = jnp.abs(first) <= _FLAT * jnp.abs(at_zero)
        return ~(is_flat & (change <= noise)) & (trials < _TRIALS)

    def try_next(carry: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        t, low, high, low_slope, trials, change, first, _ = carry
        is_short = (first < 0.0) & (change <= noise)
        # The derivative along a line grows: where it is zero on the chord from the left end.
        chord = low - low_slope * (t - low) / jnp.where(
            first > low_slope, first - low_slope, 1e-300
        )
        low, high = jnp.where(is_short, t, low), jnp.where(is_short, high, t)
        low_slope = jnp.where(is_short, first, low_slope)
        # Beyond a kink the derivative jumps, and the chord may point far from it: every third trial
        # cuts what is left, by ten where nothing good is known on the left.
        width = high - low
        cut = jnp.where(low > 0.0, 0.5 * (low + high), 0.1 * high)
        inside = jnp.clip(chord, low + 0.05 * width, high - 0.05 * width)
        inside = jnp.where(trials % 3 == 2, cut, inside)
        t = jnp.where(jnp.isinf(high), jnp.clip(chord, 1.5 * t, 10.0 * t), inside)
        return t, low, high, low_slope, trials + 1, *look(t)

    one = jnp.ones(())
    no_trial = jnp.zeros((), jnp.int32)
    carry = (one, 0.0 * one, jnp.inf * one, at_zero, no_trial, *look(one))
    t, low, *_, change, _, slopes = jax.lax.while_loop(is_unfinished, try_next, carry)
    # Where no trial was flat, the best of those on this side of the minimum will do.
    falls_back = (change > noise) & (low > 0.0)
    t = jnp.where(falls_back, low, t)
    change, slopes = jax.lax.cond(
        falls_back, lambda: (lambda seen: (seen[0], seen[2]))(look(t)), lambda: (change, slopes)
    )
    improves = (change <= noise) & (at_zero < 0.0)
    t = jnp.where(improves, t, 0.0)
    theta, scores = state.theta + t * direction, state.scores + t * moves
    gradient = _gradient(theta, slopes, data, center, terms.l2, dtype)
    gradient = jnp.where(improves, gradient, state.gradient)
    step, difference = theta - state.theta, gradient - state.gradient
    is_curved = jnp.sum(step * difference) > 0.0
    place = state.remembered % _PAIRS
    return State(
        theta=theta,
        scores=scores,
        value=state.value + jnp.where(improves, change, 0.0),
        gradient=gradient,
        steps=state.steps.at[place].set(step),
        changes=state.changes.at[place].set(difference),
        remembered=state.remembered + is_curved.astype(jnp.int32),
        passes=state.passes + 1,
        is_stuck=~improves,
    )


def _direction(state: State, metric: Metric) -> jax.Array:
    """Minus the remembered inverse second derivative times the gradient: the two loops."""
    pairs = jnp.minimum(state.remembered, _PAIRS)
    curvature = jnp.sum(state.steps * state.changes, axis=(1, 2))
    scale = jnp.where(curvature > 0.0, 1.0 / jnp.where(curvature > 0.0, curvature, 1.0), 0.0)

    def backwards(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        q, weights = carry
        at = (state.remembered - 1 - i) % _PAIRS
        weight = scale[at] * jnp.sum(state.steps[at] * q)
        return q - weight * state.changes[at], weights.at[at].set(weight)

    nothing = jnp.zeros(_PAIRS)
    q, weights = jax.lax.fori_loop(0, pairs, backwards, (state.gradient, nothing))

    def forwards(i: jax.Array, r: jax.Array) -> jax.Array:
        at = (state.remembered - pairs + i) % _PAIRS
        weight = scale[at] * jnp.sum(state.changes[at] * r)
        return r + state.steps[at] * (weights[at] - weight)

    return -jax.lax.fori_loop(0, pairs, forwards, metric.solve(q))
