"""Which widths to round a hinge's kinks off over: estimated without a product for each.

With a dual point made at W the bound is

    D = -sum_i w_i L*_i(a_i) + sum_i w_i <a_i, W x_i> + l2 ||W||^2 - ||V + 2 l2 W||^2 / (4 l2).

All but the last term is known from the scores. The last, which is small near the optimum, is
estimated from its products with a few random directions, themselves products of the features that
the pass for the scores can take along: `||M s||^2` is `||M||^2` in the mean for random signs s.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.certificates.balance import Bias, Scored, balanced, dual_rows
from jaxlin.certificates.repair import repair_of
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.precision import first_largest

# A solver that has minimised a rounded hinge has done so at one width, and the bound falls off fast
# on both sides of it: the best of the widths, a factor of 100 apart, is searched around.
_AROUND, _LOOKS, _INTO = 100.0, 12, 0.3819660112501051
# Around the best of the widths as well: at an exact optimum, whose margins lie on their kinks, what
# a width is worth hangs on the last bits of the bias, which are not looked at here.
_NEAR_IT = (0.1, 1.0, 10.0)
# So exactly is a bias known where one width is compared with another.
_STEPS, _ENOUGH = 3, 1e-5
# Directions that a residual is estimated in; so few features are directions themselves.
_DIRECTIONS, _FEW = 24, 64


class _Bracket(NamedTuple):
    """Where the best width may be, in logarithms, and the best so far.

    Attributes:
      low: the end on the left.
      high: the end on the right.
      best: between them.
      value: its bound.
      b: a bias near the best one's (C,).
    """

    low: jax.Array
    high: jax.Array
    best: jax.Array
    value: jax.Array
    b: jax.Array


def promising(
    loss: Known,
    scored: Scored,
    share: jax.Array,
    sketch: jax.Array,
    params: LinearParams,
    signs: jax.Array,
    widths: jax.Array,
    l2: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The widths (4,) that promise the best bound, or lie around it, and biases (4, C) near theirs.

    Args:
      loss: a hinge.
      scored: the scores.
      share: of the classes (C,).
      sketch: products of the features with the directions (M, R, B).
      params: W (C, D) and b.
      signs: the directions (R, D).
      widths: rising, (K,).
      l2: scalar.
    """
    num_classes = params.num_classes
    penalty_slope = 2.0 * l2 * (params.W @ signs.T)
    penalty = l2 * jnp.sum(params.W * params.W)
    no_shifts = jnp.zeros((0, num_classes))
    start = jnp.zeros(num_classes) if params.b is None else params.b

    is_label = conjugates.label_mask(scored.labels, num_classes, -2)

    def bound(width: jax.Array, b: jax.Array) -> jax.Array:
        a = dual_rows(
            loss, scored.products, scored.labels, width, Bias(b, no_shifts), scored.allowed
        )
        value = -scored.total(conjugates.conjugate(loss, a, scored.labels, -2))
        if params.b is not None:
            repair = repair_of(loss, scored, a, share)
            a, value = repair.rows(a, is_label), repair.value(value)
        aligned = scored.total(jnp.sum(a * scored.products, axis=1))
        weighted = a * scored.weight[:, None, :]
        V = jnp.sum(weighted @ jnp.swapaxes(sketch, -1, -2), axis=0)
        residual = jnp.sum((V + penalty_slope) ** 2) / (4.0 * l2)
        quadratic = residual - aligned - penalty
        # As `t A` for the best t in [0, 1].
        t = jnp.where(quadratic > 0.0, jnp.minimum(1.0, value / (2.0 * quadratic)), 1.0)
        return t * (value - t * quadratic)

    def attempt(b: jax.Array, width: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        if params.b is not None:
            b = balanced(loss, scored, width, b, _STEPS, _ENOUGH)
        return b, (bound(width, b), b)

    _, (bounds, biases) = jax.lax.scan(attempt, start, widths)
    best = first_largest(bounds)

    def narrowed(at: _Bracket, _: Any) -> tuple[_Bracket, None]:
        """Looks into the longer side: by golden sections, as far as the start allows."""
        is_left = at.best - at.low > at.high - at.best
        side = jnp.where(is_left, at.low, at.high)
        new = at.best + _INTO * (side - at.best)
        b, (value, _) = attempt(at.b, jnp.exp(new))
        is_better = value > at.value
        # The new one is the best, or else an end on its side.
        end = jnp.where(is_better, at.best, new)
        moves_low = is_left != is_better
        low, high = jnp.where(moves_low, end, at.low), jnp.where(moves_low, at.high, end)
        b = jnp.where(is_better, b, at.b)
        return _Bracket(
            low, high, jnp.where(is_better, new, at.best), jnp.maximum(value, at.value), b
        ), None

    middle, around = jnp.log(widths[best]), math.log(_AROUND)
    begin = _Bracket(middle - around, middle + around, middle, bounds[best], biases[best])
    found = jax.lax.scan(narrowed, begin, None, length=_LOOKS)[0]
    near = widths[best] * jnp.asarray(_NEAR_IT)
    chosen = jnp.concatenate([near, jnp.exp(found.best)[None]])
    of_near = jnp.broadcast_to(biases[best], (len(_NEAR_IT), num_classes))
    return chosen, jnp.concatenate([of_near, found.b[None]])


def directions(num_features: int) -> jax.Array:
    """What residuals are multiplied with, (R, D): random signs, or where D is small all there is.

    Scaled so that the squares of the products add up to the residual's square, in the mean.
    """
    if num_features <= _FEW:
        return jnp.eye(num_features, dtype=jnp.float64)
    shape = (_DIRECTIONS, num_features)
    return jax.random.rademacher(jax.random.key(0), shape, jnp.float64) / _DIRECTIONS**0.5
