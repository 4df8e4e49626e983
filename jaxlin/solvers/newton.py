"""Newton's method: the whole second derivative, for problems where it is small.

With C * (D + 1) numbers in W and b the second derivative has their square, and a step costs one
pass that adds it up (of every example the C x C second derivative by its scores, times x x^T), and
one factorisation. A few dozen steps then reach the optimum to rounding.

A smooth loss is minimised by damped Newton steps with a backtracking line search. The hinges have
no second derivative where it matters; `jaxlin.solvers.interior_point` minimises them.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxlin import conjugates
from jaxlin.checks import check_count
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.solvers.base import Evaluation, Examples, Problem
from jaxlin.solvers.dense import (
    add_penalty,
    curvature_sum,
    damped_solve,
    flat,
    unflat,
    with_bias_feature,
)
from jaxlin.solvers.interior_point import minimise_hinge

LARGEST_SIZE = 3000
_HALVINGS = 40


class NewtonState(NamedTuple):
    """Where the solver stands.

    Attributes:
      params: the best yet.
      seen: the objective there, once `is_judged`.
      is_done: no step is left that would change anything.
      is_judged: nothing is left to do at all: a step costs nothing.
    """

    params: LinearParams
    seen: Evaluation
    is_done: jax.Array
    is_judged: jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Newton:
    """Newton steps to the optimum, for up to about 3,000 weights.

    For softmax, the squared hinge and any smooth loss of your own (its second derivatives are
    JAX's) each step is one Newton step. For the Weston-Watkins and the Crammer-Singer hinge the
    first step runs a whole interior-point method, with at most `steps` iterations. In float64 the
    result is good enough for a certificate (`jaxlin.certificates.duality_gap`) of 1e-8 and less
    for smooth losses, and of about 1e-6 for hinges; in float32 rounding ends it earlier.

    Directions without curvature (a shift of all of b, or of W where l2 = 0) are damped by a ridge
    of a few rounding units of the mean curvature, which grows only where the factorisation fails.

    Attributes:
      steps: how many at most; those after the last useful one cost nothing.

    >>> import numpy as np
    >>> from jaxlin import losses, training
    >>> x, labels = np.array([[0.0], [1.0], [3.0], [2.0]]), [0, 1, 1, 0]
    >>> fit = training.fit(x, labels, loss=losses.softmax_cross_entropy, l2=0.1, solver=Newton())
    >>> round(float(fit.history.objective[-1]), 4)
    0.6155
    """

    steps: int = dataclasses.field(default=60, metadata={"static": True})

    def __post_init__(self) -> None:
        check_count("steps", self.steps)

    @property
    def batch_size(self) -> None:
        """None: a step sees all of the data."""
        return None

    @property
    def epochs(self) -> int:
        """Counted as one a step."""
        return self.steps

    def init(self, params: LinearParams, key: jax.Array) -> NewtonState:
        """Nothing is known yet."""
        del key  # nothing here is random
        _check_size(params)
        unknown = jnp.asarray(jnp.inf, params.W.dtype)
        no = jnp.asarray(False)
        return NewtonState(params, Evaluation(unknown, jnp.zeros_like(unknown)), no, no)

    def step(self, problem: Problem, state: NewtonState) -> tuple[NewtonState, Evaluation]:
        """A Newton step, or for a hinge all of them."""

        def take(state: NewtonState) -> NewtonState:
            seen = problem.evaluate(state.params)
            if conjugates.is_hinge(problem.objective.loss):
                # No cond: under vmap it would run both of its branches.
                params = minimise_hinge(problem, state.params, self.steps, state.is_done)
                value = problem.evaluate(params).objective
                is_better = value < seen.objective
                is_done = jnp.asarray(True)
            else:
                start, value = _better_start(problem, state, seen)
                params, is_better, is_done = _smooth_step(problem, start, value)
                is_better |= value < seen.objective
                is_done = is_done | state.is_done
            moves = is_better & ~state.is_done
            params = jax.tree.map(lambda n, o: jnp.where(moves, n, o), params, state.params)
            return NewtonState(params, seen, is_done, state.is_done)

        # A loop that runs once or not at all: under vmap a cond would always do the work.
        def once(carry: tuple[NewtonState, jax.Array]) -> tuple[NewtonState, jax.Array]:
            return take(carry[0]), jnp.asarray(False)

        state, _ = jax.lax.while_loop(lambda carry: carry[1], once, (state, ~state.is_judged))
        return state, state.seen


def _better_start(
    problem: Problem, state: NewtonState, seen: Evaluation
) -> tuple[LinearParams, jax.Array]:
    """Where the first step starts: at zero, if that is better than where it was told to.

    Far out a loss is straight, and Newton's steps there are many and short.
    """
    zero = jax.tree.map(jnp.zeros_like, state.params)
    at_zero = problem.evaluate(zero).objective
    takes_zero = jnp.isinf(state.seen.objective) & ~(seen.objective <= at_zero)
    params = jax.tree.map(lambda z, p: jnp.where(takes_zero, z, p), zero, state.params)
    return params, jnp.where(takes_zero, at_zero, seen.objective)


def _check_size(params: LinearParams) -> None:
    size = params.num_classes * (params.num_features + (params.b is not None))
    if size > LARGEST_SIZE:
        raise InputError(
            f"Newton builds a matrix of {size:,} x {size:,} numbers for {params.num_classes} "
            f"classes and {params.num_features} features; it is meant for up to {LARGEST_SIZE:,}. "
            "Use solvers.GradientDescent(optax.lbfgs()) or solvers.SGD instead."
        )


def _smooth_step(
    problem: Problem, params: LinearParams, value: jax.Array
) -> tuple[LinearParams, jax.Array, jax.Array]:
    """A damped Newton step; whether it is to be taken, and whether it is the last."""
    objective, dtype = problem.objective, params.W.dtype
    eps = float(jnp.finfo(dtype).eps)

    def slope(s: jax.Array, label: jax.Array) -> jax.Array:
        return jax.grad(lambda v: jnp.asarray(objective.loss(v[None], label[None]))[0])(s)

    def block(params: LinearParams, rows: Examples) -> Any:
        features = with_bias_feature(problem.prepared(params, rows.x), params)
        s = features @ flat(params).T
        s = jnp.where((rows.weight == 0.0)[:, None], 0.0, s)
        gradient = jax.vmap(slope)(s, rows.labels) * rows.weight[:, None]
        hessians = jax.vmap(jax.jacfwd(slope))(s, rows.labels) * rows.weight[:, None, None]
        return gradient.T @ features, curvature_sum(features, hessians)

    gradient, hessian = problem.sum_over_blocks(params, block)
    gradient, hessian = add_penalty(objective, params, gradient, hessian)
    direction = damped_solve(hessian, -gradient)
    slope_along = jnp.sum(direction * gradient)
    slack = 8.0 * eps * jnp.abs(value)

    def at(t: jax.Array) -> LinearParams:
        return unflat(flat(params) + t * direction, params)

    def too_high(t: jax.Array) -> jax.Array:
        there = problem.evaluate(at(t)).objective
        return ~(there <= value + 1e-4 * t * slope_along + slack)

    def goes_on(carry: tuple[jax.Array, jax.Array]) -> jax.Array:
        t, high = carry
        return high & (t > 0.5**_HALVINGS)

    def halve(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        t = 0.5 * carry[0]
        return t, too_high(t)

    one = jnp.ones((), dtype)
    t, high = jax.lax.while_loop(goes_on, halve, (one, too_high(one)))
    # The last step is still taken: near the optimum each squares the distance to it.
    return at(t), ~high, high | ~(-slope_along > eps * jnp.abs(value))
