"""Which widths to round a hinge's kinks off over: estimated without a product for each.

With a dual point made at W the bound is

    D = -sum_i w_i L*_i(a_i) + sum_i w_i <a_i, W x_i> + l2 ||W||^2 - ||V + 2 l2 W||^2 / (4 l2).

All but the last term is known from the scores. The last, which is small near the optimum, is
estimated from its products with a few random directions, themselves products of the features that
the pass for the scores can take along: `||M s||^2` is `||M||^2` in the mean for random signs s.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.certificates.balance import Bias, Scored, balanced, dual_rows
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.precision import first_largest

# How far from the best of the widths, which lie a factor of 100 apart, the other one is.
_BESIDE = 10.0
# So exactly is a bias known where one width is compared with another.
_STEPS, _ENOUGH = 3, 1e-5


class _Tried(NamedTuple):
    b: jax.Array
    best: jax.Array
    is_past: jax.Array


def promising(
    loss: Known,
    scored: Scored,
    sketch: jax.Array,
    params: LinearParams,
    signs: jax.Array,
    widths: jax.Array,
    l2: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The width that promises the best bound and one beside it (2,), and biases (2, C) near theirs.

    The bound has one peak: a width after that is not tried, and the other width is on the better
    side of the first.

    Args:
      loss: a hinge.
      scored: the scores.
      sketch: products of the features with random signs (M, R, B).
      params: W (C, D) and b.
      signs: (R, D).
      widths: falling by a factor of 100, (K,).
      l2: scalar.
    """
    num_classes = params.num_classes
    penalty_slope = 2.0 * l2 * (params.W @ signs.T)
    penalty = l2 * jnp.sum(params.W * params.W)
    no_shifts = jnp.zeros((0, num_classes))
    start = jnp.zeros(num_classes) if params.b is None else params.b

    def bound(width: jax.Array, b: jax.Array) -> jax.Array:
        a = dual_rows(
            loss, scored.products, scored.labels, width, Bias(b, no_shifts), scored.allowed
        )
        value = -scored.total(conjugates.conjugate(loss, a, scored.labels, -2))
        aligned = scored.total(jnp.sum(a * scored.products, axis=1))
        weighted = a * scored.weight[:, None, :]
        V = jnp.sum(weighted @ jnp.swapaxes(sketch, -1, -2), axis=0)
        residual = jnp.sum((V + penalty_slope) ** 2) / (4.0 * l2 * len(signs))
        quadratic = residual - aligned - penalty
        # As `t A` for the best t in [0, 1].
        t = jnp.where(quadratic > 0.0, jnp.minimum(1.0, value / (2.0 * quadratic)), 1.0)
        return t * (value - t * quadratic)

    def attempt(tried: _Tried, width: jax.Array) -> tuple[_Tried, tuple[jax.Array, jax.Array]]:
        b = tried.b
        if params.b is not None:
            b = balanced(loss, scored, width, b, _STEPS, _ENOUGH)
        found = bound(width, b)
        return _Tried(b, jnp.maximum(found, tried.best), found < tried.best), (found, b)

    def skip(tried: _Tried, width: jax.Array) -> tuple[_Tried, tuple[jax.Array, jax.Array]]:
        del width
        return tried, (jnp.asarray(-jnp.inf), tried.b)

    def try_one(tried: _Tried, width: jax.Array) -> tuple[_Tried, tuple[jax.Array, jax.Array]]:
        return jax.lax.cond(tried.is_past, skip, attempt, tried, width)

    first = _Tried(start, jnp.asarray(-jnp.inf), jnp.asarray(False))
    _, (bounds, biases) = jax.lax.scan(try_one, first, widths)
    best = first_largest(bounds)
    # At either end there is more to gain beyond it.
    ends = jnp.asarray([jnp.inf])
    wider, finer = jnp.concatenate([ends, bounds, ends])[jnp.stack([best, best + 2])]
    beside = jnp.where(wider > finer, _BESIDE, 1.0 / _BESIDE)
    chosen = jnp.stack([widths[best], widths[best] * beside])
    return chosen, jnp.broadcast_to(biases[best], (2, num_classes))
