"""What certificates are computed from: two half passes over the data, in float64.

The first gives the scores, which are kept. The dual points are made of them, without the features;
the second half adds up what the bounds need of the features, for a few dual points in one product.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.certificates.balance import Bias, Scored, balanced, dual_rows, with_shifts
from jaxlin.certificates.repair import Repair, repair_of
from jaxlin.certificates.widths import directions, promising
from jaxlin.conjugates import Known
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import product
from jaxlin.row_blocks import stack_blocks, sum_over_blocks

# Few enough rows that their float64 copy stays in the cache between its uses.
BLOCK_ROWS = 512
_BIAS_STEPS = 30
# A mean of a_i so far from zero costs the bound about as much: nothing.
_BALANCED = 1e-14
# The same for a hinge, for which shifts follow, that are exact while no margin crosses a kink.
_ALMOST = 1e-9


class Given(NamedTuple):
    """Checked arguments: params and weight (sum 1) in float64, x as it came, labels int32."""

    params: LinearParams
    x: jax.Array
    labels: jax.Array
    weight: jax.Array
    scaling: Scaling | None


class Sums(NamedTuple):
    """What the bounds are made of, for each of K dual points.

    Attributes:
      primal: `sum w L`, scalar.
      width: that a hinge's kink is rounded off over (K,).
      value: `-sum w L*`, or less where the point was repaired (K,).
      V: `sum w a x^T` of the repaired points (K, C, D).
      theta: how much was mixed in to repair them (K,).
      gain: `-sum w L*` of what was mixed in (K,).
      size: the largest `sum w |a|` of a class by its share (K,).
      steepness: `sqrt(sum w ||a||^2)` of the repaired points (K,).
      length: `sqrt(sum w ||x||^2)`, scalar.
      noise: what the rounding of the scores is measured by, scalar.
    """

    primal: Any
    width: Any
    value: Any
    V: Any
    theta: Any
    gain: Any
    size: Any
    steepness: Any
    length: Any
    noise: Any


def wide(x: jax.Array, scaling: Scaling | None) -> jax.Array:
    """A block of features in float64, scaled."""
    x = x.astype(jnp.float64)
    return x if scaling is None else scaling(x)


@functools.partial(jax.jit, static_argnames=("loss", "is_search"))
def measure(
    loss: Known,
    given: Given,
    l2: jax.Array,
    widths: jax.Array,
    dual: jax.Array | None,
    is_search: bool,
    around: jax.Array | None = None,
) -> Sums:
    """The sums of some dual points.

    Args:
      loss: static.
      given: the arguments.
      l2: scalar; only a search needs it.
      widths: (K,), each of which makes a dual point; one of any value for a smooth loss.
      dual: rows (N, C) to take instead, or None.
      is_search: whether `widths` (rising) are only what to choose from: a few around the best.
      around: slopes (N, C) that the hinge is rounded around, or None for zeros.
    """
    params, x, labels, weight, scaling = given
    num_classes, is_free = params.num_classes, params.b is not None
    bias = jnp.zeros(num_classes) if params.b is None else params.b
    signs = directions(params.num_features) if is_search else params.W[:0]

    def score(rows: Any, is_new: jax.Array) -> Any:
        features, y, w, points, center = rows
        features, w = wide(features, scaling), jnp.where(is_new, w, 0.0)
        products = product(jnp.concatenate([params.W, signs]), features, (1, 1))
        squares = _column_squares(rows[0], features, w, scaling)
        points, center = (None if leaf is None else leaf.T for leaf in (points, center))
        kept = products[:num_classes], products[num_classes:], y, w, points, center
        return *kept, jnp.sum(squares)

    products, sketch, labels, weight, points, center, squares = stack_blocks(
        score, (x, labels, weight, dual, around), BLOCK_ROWS
    )
    share = jnp.zeros(num_classes).at[labels].add(weight)
    allowed = share > 0.0 if is_free else jnp.ones(num_classes, bool)
    scored = Scored(products, labels, weight, allowed)
    starts = jnp.broadcast_to(bias, (len(widths), num_classes))
    if is_search:
        widths, starts = promising(loss, scored, share, sketch, params, signs, widths, l2)

    def shifted(products: jax.Array, center: jax.Array | None, width: jax.Array) -> jax.Array:
        return products if center is None else products + width * center

    def rows_at(
        products: jax.Array, y: jax.Array, points: Any, width: jax.Array, bias: Bias
    ) -> jax.Array:
        if points is not None:
            return conjugates.feasible(loss, points, y, allowed, -2)
        return dual_rows(loss, products, y, width, bias, allowed)

    def prepared(at: tuple[jax.Array, jax.Array]) -> Any:
        width, b = at
        if is_free and dual is None:
            enough = _ALMOST if conjugates.is_hinge(loss) else _BALANCED
            here = scored._replace(products=shifted(products, center, width))
            b = balanced(loss, here, width, b, _BIAS_STEPS, enough)
            found = with_shifts(loss, here, width, b)
        else:
            found = Bias(b if is_free else jnp.zeros_like(b), jnp.zeros((0, num_classes)))
        a = rows_at(shifted(products, center, width), labels, points, width, found)
        value = -scored.total(conjugates.conjugate(loss, a, labels, -2))
        repair, size = Repair(jnp.zeros(()), share, jnp.zeros(())), jnp.zeros(())
        if is_free:
            repair = repair_of(loss, scored, a, share)
            sizes = scored.class_totals(jnp.abs(a)) / jnp.where(share > 0.0, share, 1.0)
            size = jnp.max(jnp.where(share > 0.0, sizes, 0.0))
        return found, repair, repair.value(value), size

    biases, repairs, value, size = jax.lax.map(prepared, (widths, starts))

    def add(rows: Any, is_new: jax.Array, stored: Any) -> Any:
        features, (products, y, w, points, center) = wide(rows, scaling), stored
        del is_new  # their weight is 0
        is_label = conjugates.label_mask(y, num_classes, -2)

        def at(width: jax.Array, bias: Bias, repair: Repair) -> tuple[jax.Array, jax.Array]:
            a = rows_at(shifted(products, center, width), y, points, width, bias)
            if is_free:
                a = repair.rows(a, is_label)
            return a * w[None, :], jnp.sum(jnp.sum(a * a, axis=0) * w)

        wa, steep = jax.vmap(at)(widths, biases, repairs)
        columns = wa.reshape(-1, wa.shape[-1])  # all dual points in one product
        return product(columns, features, (1, 0)), steep

    V, steep = sum_over_blocks(add, x, BLOCK_ROWS, (products, labels, weight, points, center))
    primal, noise = _at_the_parameters(loss, scored, params, bias, jnp.sum(squares))
    return Sums(
        primal=primal,
        width=widths,
        value=value,
        V=V.reshape(len(widths), num_classes, -1),
        theta=repairs.theta,
        gain=repairs.gain,
        size=size,
        steepness=jnp.sqrt(steep),
        length=jnp.sqrt(jnp.sum(squares)),
        noise=noise,
    )


def _column_squares(
    x: jax.Array, features: jax.Array, weight: jax.Array, scaling: Scaling | None
) -> jax.Array:
    """`sum w x^2` of every column, and a little more: it only bounds rounding errors.

    Half as wide where x is: it is as much work as a product.
    """
    if x.dtype != jnp.float64:
        features, weight = x.astype(jnp.float32), weight.astype(jnp.float32)
        features = features if scaling is None else scaling(features)
    squares = jnp.sum(features * features * weight[:, None], axis=0)
    return squares.astype(jnp.float64) * 1.001


def _at_the_parameters(
    loss: Known,
    scored: Scored,
    params: LinearParams,
    bias: jax.Array,
    squares: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The mean loss, and how much it would change if every score moved by one rounding unit."""
    s = scored.products + conjugates.along(bias, scored.products, -2)
    values = jax.vmap(loss.by_class)(s, scored.labels)
    # The loss changes by at most its slope times the error of the scores: its slope where every
    # margin is larger by more than any error.
    is_label = conjugates.label_mask(scored.labels, s.shape[1], -2)
    every, width = jnp.ones(s.shape[1], bool), jnp.asarray(1.0)
    if not isinstance(loss, SoftmaxCrossEntropy):
        width = width * conjugates.FINEST_WIDTH * loss.margin
    larger = s + jnp.where(is_label, 0.0, 1e-6)
    slope = conjugates.dual_point(loss, larger, scored.labels, width, every, -2)
    steepest = jnp.sum(jnp.abs(slope), axis=1)
    # sum w steepest ||x|| is at most this, by Cauchy and Schwarz.
    reach = jnp.sqrt(scored.total(steepest * steepest) * squares)
    template = jnp.sqrt(jnp.max(jnp.sum(params.W * params.W, axis=1)))
    from_bias = scored.total(steepest) * jnp.max(jnp.abs(bias))
    return scored.total(values), params.num_features * reach * template + from_bias
