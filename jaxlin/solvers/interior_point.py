"""The hinges to their optimum: a primal-dual interior-point method.

A hinge objective is a quadratic program. With `m_ij = s_ij - s_iy + margin` and a slack `xi_ij` for
every wrong class (Weston-Watkins) or one `xi_i` for all of them (Crammer-Singer),

    minimise  sum_i w_i sum xi_i + l2 ||W||^2   with  xi >= 0, xi >= m,

and beta, the multipliers of `xi >= m`, are the dual point of `jaxlin.conjugates`. The method keeps
`beta z = mu` and `v xi = mu`, where `z = xi - m + width beta` and `v = 1 - sum beta`, while mu goes
to zero; each iteration solves for W alone, with a second derivative of the same form as a smooth
loss's. `width` rounds the kink off by so little that it is not seen, and makes beta a function of
the scores at the end: a certificate can then be made from W and b, by whoever has just these.

The iteration is Mehrotra's predictor-corrector ("On the implementation of a primal-dual interior
point method", SIAM J. Optimization 1992): two right hand sides, one factorisation. It takes 20 to
40 iterations whatever l2 is, where Newton steps on the rounded hinge itself take thousands.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.conjugates import Curvature, Hinge
from jaxlin.linear import LinearParams
from jaxlin.losses import CrammerSingerHinge
from jaxlin.row_blocks import map_blocks, sum_over_blocks
from jaxlin.solvers.base import Problem
from jaxlin.solvers.dense import (
    add_penalty,
    curvature_sum,
    damped_factor,
    flat,
    solve,
    unflat,
    with_bias_feature,
)

_SHORTEST_STEP = 1e-7


class _Point(NamedTuple):
    """Primal and dual variables, or a direction.

    Attributes:
      matrix: W and b (C, K).
      beta: (N, C); 0 for the label.
      z: (N, C); 1 for the label.
      v: (N, C), or (N, 1) for Crammer-Singer.
      xi: like v.
    """

    matrix: jax.Array
    beta: jax.Array
    z: jax.Array
    v: jax.Array
    xi: jax.Array

    def moved(self, step: jax.Array, direction: _Point) -> _Point:
        return _Point(*(a + step * d for a, d in zip(self, direction, strict=True)))


class _Residuals(NamedTuple):
    """What the equations are linearised with."""

    beta_z: jax.Array
    v_xi: jax.Array


def minimise_hinge(
    problem: Problem, params: LinearParams, iterations: int, is_done: jax.Array
) -> LinearParams:
    """The minimum of a hinge objective.

    Args:
      problem: with one of the hinges of `jaxlin.conjugates`.
      params: whose W and b to start from.
      iterations: how many at most.
      is_done: where this is true already, none.

    Returns:
      The parameters after the last iteration with finite numbers.
    """
    loss: Any = problem.objective.loss
    program = _Program(problem, loss, params)
    # Far below all that counts, in float64: where beta is almost 0 or 1, mu / beta is still felt
    # in the scores, and who makes beta of these anew sees it.
    floor = program.width * (1e-16 if params.W.dtype == jnp.float64 else 1e-3)

    def goes_on(carry: tuple[_Point, jax.Array, jax.Array]) -> jax.Array:
        point, step, count = carry
        progresses = (step > _SHORTEST_STEP) & (program.complementarity(point) > floor)
        return ~is_done & (count < iterations) & progresses

    def iterate(
        carry: tuple[_Point, jax.Array, jax.Array],
    ) -> tuple[_Point, jax.Array, jax.Array]:
        point, _, count = carry
        moved, step = program.iteration(point)
        finite = jnp.all(jnp.asarray([jnp.isfinite(leaf).all() for leaf in moved]))
        point = _Point(*(jnp.where(finite, n, o) for n, o in zip(moved, point, strict=True)))
        return point, jnp.where(finite, step, 0.0), count + 1

    start = (program.start(), jnp.ones((), params.W.dtype), jnp.zeros((), jnp.int32))
    return unflat(jax.lax.while_loop(goes_on, iterate, start)[0].matrix, params)


class _Program:
    """The equations, for one model."""

    def __init__(self, problem: Problem, loss: Hinge, params: LinearParams) -> None:
        self.problem, self.loss, self.params = problem, loss, params
        dtype, num_classes = params.W.dtype, params.num_classes
        finest = conjugates.FINEST_WIDTH if dtype == jnp.float64 else 1e-3
        self.width = loss.margin * finest
        self.is_label = conjugates.label_mask(problem.examples.labels, num_classes)
        self.shares_slack = isinstance(loss, CrammerSingerHinge)
        # Rows of weight 0 have a place in the arrays, and none in the sums.
        self.num_products = self.is_label.size - len(self.is_label)
        self.num_slacks = len(self.is_label) if self.shares_slack else self.num_products

    def wrong(self, values: jax.Array, label: float = 0.0) -> jax.Array:
        """With a constant in the label's place."""
        return jnp.where(self.is_label, jnp.asarray(label, values.dtype), values)

    def of_slack(self, values: jax.Array, label: float = 0.0) -> jax.Array:
        """The same for what has the shape of xi."""
        return values if self.shares_slack else self.wrong(values, label)

    def gathered(self, values: jax.Array) -> jax.Array:
        """Summed over the wrong classes that share a slack."""
        values = self.wrong(values)
        return jnp.sum(values, axis=1, keepdims=True) if self.shares_slack else values

    def scores(self, matrix: jax.Array) -> jax.Array:
        """`x W^T + b` (N, C)."""
        return map_blocks(lambda x: self.features(x) @ matrix.T, self.problem.examples.x)

    def features(self, x: jax.Array) -> jax.Array:
        return with_bias_feature(self.problem.prepared(self.params, x), self.params)

    def relative(self, scores: jax.Array) -> jax.Array:
        """`s_j - s_y` (N, C)."""
        label_score = jnp.sum(jnp.where(self.is_label, scores, 0.0), axis=1, keepdims=True)
        return self.wrong(scores - label_score)

    def start(self) -> _Point:
        """Inside all constraints, at the given W and b."""
        matrix = flat(self.params)
        m = conjugates.margins(self.loss, self.scores(matrix), self.is_label)
        share = 0.5 / max(self.params.num_classes - 1, 1) if self.shares_slack else 0.5
        beta = self.wrong(jnp.full_like(m, share))
        top = jnp.max(m, axis=1, keepdims=True) if self.shares_slack else m
        xi = self.of_slack(jnp.maximum(top, 0.0) + self.loss.margin, 1.0)
        v = self.of_slack(1.0 - self.gathered(beta), 1.0)
        return _Point(matrix, beta, self.wrong(xi - m + self.width * beta, 1.0), v, xi)

    def complementarity(self, point: _Point) -> jax.Array:
        """The mean of what has to become zero: mu."""
        total = jnp.sum(self.wrong(point.beta * point.z))
        total = total + jnp.sum(self.of_slack(point.v * point.xi))
        return total / max(self.num_products + self.num_slacks, 1)

    def iteration(self, point: _Point) -> tuple[_Point, jax.Array]:
        """The next point, and the step that was taken to it."""
        m = conjugates.margins(self.loss, self.scores(point.matrix), self.is_label)
        residual = self.wrong(point.xi - m + self.width * point.beta - point.z)
        slopes = self.wrong(point.beta / (point.z + self.width * point.beta))
        slack_slope = self.of_slack(point.v / point.xi, 1.0)
        total = slack_slope + self.gathered(slopes)
        if self.shares_slack:
            curve = Curvature(slopes, 1.0 / total)
        else:
            curve = Curvature(slopes * slack_slope / total, jnp.zeros_like(slopes[:, :1]))
        factor = damped_factor(self._hessian(curve))

        def direction(wanted: _Residuals) -> _Point:
            constant = self.wrong(
                (wanted.beta_z - point.beta * residual) / (point.z + self.width * point.beta)
            )
            shift = (wanted.v_xi / point.xi + self.gathered(constant)) / total
            fixed = self.wrong(constant - slopes * shift)
            change = solve(factor, -self._gradient(point.beta + fixed, point.matrix))
            dm = self.relative(self.scores(change))
            common = self.gathered(slopes * dm) / total
            beta = fixed + self.wrong(slopes * (dm - common))
            xi = self.of_slack(shift + common)
            z = self.wrong(xi - dm + self.width * beta + residual)
            return _Point(change, beta, z, -self.gathered(beta), xi)

        mu = self.complementarity(point)
        predicted = direction(_Residuals(-point.beta * point.z, -point.v * point.xi))
        reached = point.moved(self._longest(point, predicted), predicted)
        target = mu * jnp.clip(self.complementarity(reached) / mu, 0.0, 1.0) ** 3
        corrected = direction(
            _Residuals(
                target - point.beta * point.z - predicted.beta * predicted.z,
                target - point.v * point.xi - predicted.v * predicted.xi,
            )
        )
        keep = jnp.clip(1.0 - mu, 0.9, 1.0 - 1e-5)
        step = jnp.minimum(1.0, keep * self._longest(point, corrected, jnp.inf))
        return point.moved(step, corrected), step

    def _longest(self, point: _Point, direction: _Point, most: float = 1.0) -> jax.Array:
        """The longest step that leaves nothing negative."""
        steps = [
            jnp.min(jnp.where(d < 0.0, -a / jnp.where(d < 0.0, d, -1.0), most))
            for a, d in zip(point[1:], direction[1:], strict=True)
        ]
        return jnp.minimum(jnp.min(jnp.asarray(steps)), most)

    def _hessian(self, curve: Curvature) -> jax.Array:
        examples = self.problem.examples

        def block(rows: Any, is_new: jax.Array) -> jax.Array:
            x, weight, is_label, part = rows
            hessians = conjugates.score_hessians(part, is_label)
            weight = jnp.where(is_new, weight, 0.0)
            return curvature_sum(self.features(x), hessians * weight[:, None, None])

        rows = (examples.x, examples.weight, self.is_label, curve)
        hessian = sum_over_blocks(block, rows)
        nothing = jnp.zeros_like(flat(self.params))
        return add_penalty(self.problem.objective, self.params, nothing, hessian)[1]

    def _gradient(self, beta: jax.Array, matrix: jax.Array) -> jax.Array:
        examples = self.problem.examples
        a = conjugates.rows_of(beta, self.is_label) * examples.weight[:, None]

        def block(rows: Any, is_new: jax.Array) -> jax.Array:
            x, part = rows
            return jnp.where(is_new[:, None], part, 0.0).T @ self.features(x)

        gradient = sum_over_blocks(block, (examples.x, a))
        slope = jax.grad(self.problem.objective.penalty_term)(unflat(matrix, self.params)).W
        return gradient.at[:, : slope.shape[1]].add(slope)
