"""A fit to the optimum: metrics, roundings, and when its certificate is good enough.

The descent (`steps`) runs for a few steps at a time, each time in a metric made anew where it
stands. When the gradient promises a gap that is small enough, the certificate is computed
(`jaxlin.certificates`), of the parameters as they will be returned; it alone decides.

A hinge is minimised with its kinks rounded off (`roundings`), ever finer, until what the rounding
adds to the gap is small as well. Products are float32 where that was asked for, and float64 once
float32 brings the gap no further.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.certificates.bounds import certified
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.solvers.optimum.metric import (
    Basis,
    Metric,
    along_directions,
    basis_of,
    coupled_rank,
    may_keep,
    mean_bend,
    metric_at,
    rows_of_pair,
)
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.roundings import (
    Costs,
    Last,
    cost_of_rounding,
    finer,
    first_terms,
    is_around_slopes,
)
from jaxlin.solvers.optimum.steps import (
    Point,
    State,
    Terms,
    continued,
    correct_rows,
    descend,
    exact_loss,
    relative_gap,
    renewed,
    scores_at,
    shifted_scores,
    start,
)

# Steps in one metric: few while the curvature still changes, and at most so many.
_STEPS_IN_A_METRIC = (8, 8, 24, 40)
# A metric serves for another l2 that is within this factor.
_NEAR = 2.0
# Steps in a metric that bring the gap down by less than this have met the rounding of float32.
_NO_PROGRESS = 0.7
# Slopes are worth rounding a hinge around where the gap is at most this share of the objective.
_MOST_GAP = 0.1
# No gradient promises less: a smaller tol ends where rounding lets nothing improve.
_LEAST = 1e-16
# A power of two, so that the slopes stay what they are.
_VERY_WIDE = 2.0**20
Ending = Literal["certified", "out_of_steps", "stuck", "stopped"]


@dataclasses.dataclass(frozen=True)
class Round:
    """What is known after some steps.

    Attributes:
      passes: over the data, so far.
      objective: with the rounding that it had.
      accuracy: on the rows of the fit.
      relative_gap: as the gradient promises it; no proof.
      seconds: since the start.
    """

    passes: int
    objective: float
    accuracy: float
    relative_gap: float
    seconds: float


@dataclasses.dataclass(frozen=True)
class Solved:
    """Where the descent ended.

    Attributes:
      params: in the dtype that was asked for.
      certificate: of them.
      passes: over the data.
      rounds: the way there.
      ending: why it ended.
      rounding: what the objective is above that of the parameters before they were rounded to
        their dtype.
    """

    params: LinearParams
    certificate: Certificate
    passes: int
    rounds: list[Round]
    ending: Ending
    rounding: float


@jax.jit
def _weighted(weight: jax.Array, values: jax.Array) -> jax.Array:
    return weight @ values


def _afresh(state: State) -> State:
    """For a new metric: what is remembered was measured in another."""
    return state._replace(remembered=jnp.zeros_like(state.remembered), is_stuck=jnp.asarray(False))


class Descent:
    """A problem whose l2 may change: a later solution starts where the one before has ended.

    To be used inside of a float64 scope.
    """

    def __init__(
        self,
        loss: Known,
        data: Data,
        params: LinearParams,
        *,
        dtype: Any,
        basis: Basis | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is computed yet but the features' main directions.

        Args:
          loss: what is minimised.
          data: the rows.
          params: where to start; whether they have a b decides whether the model has one.
          dtype: of the products while it is enough, and of the parameters.
          basis: of the same features, where it is known already.
          say: told what happens.
        """
        self.loss, self.data, self.dtype = loss, data, jnp.dtype(dtype)
        self.has_bias = params.b is not None
        self.basis = basis_of(data, self.has_bias) if basis is None else basis
        self._variances = np.asarray(self.basis.variances)
        self._say = say
        self._products = self.dtype.name
        self._is_hinge = conjugates.is_hinge(loss)
        self._offsets = np.random.default_rng(0)
        self._state: State | None = None
        self._metric_: Metric | None = None
        self._kept: jax.Array | None = None
        self._found: list[tuple[float, float, Point]] = []  # l2, width and where, the last two
        self._start = params
        self._best_dual, self._how, self._rounding = -np.inf, "", 0.0

    def solve(
        self,
        l2: float,
        tol: float,
        *,
        most_passes: int,
        on_round: Callable[[Round, Callable[[], LinearParams]], Any] | None = None,
        dual: float = -np.inf,
    ) -> Solved:
        """Descends until the certified relative gap is at most `tol`.

        Args:
          l2: positive.
          tol: positive.
          most_passes: over the data, after which it ends anyhow.
          on_round: told after some steps each; true ends it.
          dual: a bound of the optimum that is known already.
        """
        started, aim = time.monotonic(), max(tol, _LEAST)
        self._products = self.dtype.name
        terms = self._first_terms(l2)
        state, metric = self._begin(terms)
        self._best_dual, self._how = dual, ""
        before, rounds, steps, share = int(state.passes), [], 0, 0.5
        last_cost = np.inf
        certificate = None
        ending: Ending = "out_of_steps"
        while True:
            cost = self._cost(state, terms)
            value = max(float(state.value), 1e-300)
            is_last = cost <= 0.5 * aim * value
            # Where the rounding is still wide its own optimum is worth no more than its cost.
            most_gap = _MOST_GAP if is_around_slopes(terms) else np.inf
            target = share * aim if is_last else min(0.5 * cost / value, most_gap)
            terms = terms._replace(bend=self._bend(state, terms))
            is_fresh = metric is None
            if metric is None:
                state, metric = _afresh(state), self._metric(state, terms)
            gap_before, passes_before = self._gap(state, terms), int(state.passes) - before
            most = _STEPS_IN_A_METRIC[min(steps, len(_STEPS_IN_A_METRIC) - 1)]
            left = most_passes - (int(state.passes) - before)
            state = descend(
                self.loss, self._products, state,
                self.data, metric, terms, jnp.asarray(target, jnp.float64),
                jnp.asarray(min(most, left), jnp.int32),
            )  # fmt: skip
            steps, last_metric, metric, products = steps + 1, metric, None, self._products
            gap, passes = self._gap(state, terms), int(state.passes) - before
            rounds.append(self._round(state, passes, gap, time.monotonic() - started))
            if self._say is not None:
                self._say(f"{rounds[-1]} width {float(terms.width):.2g} cost {cost / value:.2e}")
            if on_round is not None and on_round(rounds[-1], lambda s=state: self._params(s)):
                ending = "stopped"
                break
            # Stuck is who does not move in a metric of this very place.
            is_there = gap <= target
            is_stuck = is_fresh and bool(state.is_stuck) and passes <= passes_before + 1
            cost, value = self._cost(state, terms), max(float(state.value), 1e-300)
            is_last = is_last and cost <= 0.5 * aim * value
            if is_there and is_last:
                certificate = self._certificate(state, terms)
                if certificate.relative_gap <= tol:
                    ending = "certified"
                    break
                share *= 0.3
            if passes >= most_passes:
                break
            slow = steps >= len(_STEPS_IN_A_METRIC) and gap > _NO_PROGRESS * gap_before
            if (is_stuck or slow or share < 1e-3) and not (is_there and not is_last):
                if self._products == "float64" and (is_stuck or share < 1e-3):
                    ending = "stuck"
                    break
                if self._products != "float64":
                    self._products, share = "float64", max(share, 0.1)
                    state = self._restart(state, terms)
            if is_there and (not is_last or share < 0.5) and self._is_hinge:
                if passes + 1 >= most_passes:
                    break  # a finer rounding takes a pass, and would have none to use it
                width, old = float(terms.width), Costs(cost / value, last_cost / value)
                terms = finer(self.loss, state.scores, self.data, terms, share * aim, old)
                # As wide as before, the second derivative is about what it was.
                is_alike = float(terms.width) == width and self._products == products
                last_cost = cost
                metric = last_metric if is_alike else None
                state = self._renewed(state, terms, remembers=is_alike)
                steps = 0
        self._state, self._metric_ = state, last_metric
        self._found = [
            *self._found[-1:], (l2, float(terms.width), Point(state.theta, state.scores))
        ]  # fmt: skip
        if certificate is None or ending != "certified":
            certificate = self._certificate(state, terms)
            if certificate.relative_gap <= tol and ending != "stopped":
                ending = "certified"
        params = self._params(state)
        return Solved(
            params, certificate, int(state.passes) - before, rounds, ending, self._rounding
        )

    def _first_terms(self, l2: float) -> Terms:
        """The rounding to start with: from the last optimum the way may be short."""
        if self._state is None or not self._is_hinge:
            return first_terms(self.loss, self._start.W.shape[0], self.data, l2)
        old_l2, last_width, _ = self._found[-1]
        last = Last(self._state.scores, float(self._state.value), old_l2, last_width)
        return first_terms(self.loss, self._start.W.shape[0], self.data, l2, last)

    def _begin(self, terms: Terms) -> tuple[State, Metric | None]:
        """The state to start from, and a metric that will still do."""
        center = self.basis.center
        if self._state is not None:
            return self._continue(self._state, terms)
        W = jnp.asarray(self._start.W, jnp.float64)
        theta = W
        if self._start.b is not None:
            b = jnp.asarray(self._start.b, jnp.float64) + W @ center
            theta = jnp.concatenate([W, b[:, None]], axis=1)
        if np.any(np.asarray(theta)):
            scores = scores_at(theta, self.data, center)
        else:
            scores = jnp.zeros((theta.shape[0], self.data.x.shape[0]), jnp.float64)
        return start(self.loss, self._products, theta, scores, self.data, center, terms), None

    def _continue(self, state: State, terms: Terms) -> tuple[State, Metric | None]:
        """From the last solution, on the line through the last two, in logarithms of l2."""
        l2, old_l2 = float(terms.l2), self._found[-1][0]
        factor, previous = 0.0, self._found[-1][2]
        if len(self._found) == 2 and self._found[0][0] != old_l2:
            factor = np.log(l2 / old_l2) / np.log(old_l2 / self._found[0][0])
            previous = self._found[0][2]
        state = continued(
            self.loss, self._products, state, previous,
            jnp.asarray(np.clip(factor, -3.0, 3.0), jnp.float64),
            jnp.asarray(old_l2, jnp.float64), self.data, self.basis.center, terms,
        )  # fmt: skip
        metric = self._metric_
        is_near = 1.0 / _NEAR < l2 / old_l2 < _NEAR
        if self._is_hinge or not is_near or metric is None or metric.dtype != self._products:
            return state, None
        return state, metric

    def _restart(self, state: State, terms: Terms) -> State:
        """The same point, its scores computed anew in float64."""
        scores = scores_at(state.theta, self.data, self.basis.center)
        state = state._replace(scores=scores)
        return self._renewed(state, terms, remembers=False)

    def _renewed(self, state: State, terms: Terms, *, remembers: bool) -> State:
        return renewed(
            self.loss, self._products, state, self.data, self.basis.center, terms,
            jnp.asarray(remembers),
        )  # fmt: skip

    def _cost(self, state: State, terms: Terms) -> float:
        return cost_of_rounding(self.loss, state.scores, self.data, terms)

    def _metric(self, state: State, terms: Terms) -> Metric:
        bend, l2 = float(terms.bend), float(terms.l2)
        rank = coupled_rank(self._variances, bend, l2, state.theta.shape[0])
        return metric_at(
            self.loss,
            self.has_bias,
            rank,
            rows_of_pair(state.theta.shape[0], self.data.x.shape[0]),
            self._products,
            data=self.data,
            basis=self.basis,
            kept=self._rows_along(rank) if self._products == "float32" else None,
            scores=shifted_scores(state.scores, terms),
            width=terms.width,
            l2=terms.l2,
            offset=jnp.asarray(self._offsets.uniform(), jnp.float32),
        )

    def _rows_along(self, rank: int) -> jax.Array | None:
        """The rows along so many directions or more, kept from one metric to the next."""
        if not may_keep(self.data.x.shape[0], rank):
            return None
        if self._kept is None or self._kept.shape[1] < rank:
            self._kept = along_directions(self.data, self.basis, rank)
        return self._kept

    def _gap(self, state: State, terms: Terms) -> float:
        num_features = self.data.x.shape[1]
        return float(relative_gap(state.gradient, state.value, num_features, terms))

    def _bend(self, state: State, terms: Terms) -> jax.Array:
        return mean_bend(self.loss, shifted_scores(state.scores, terms), self.data, terms.width)

    def _round(self, state: State, passes: int, gap: float, seconds: float) -> Round:
        accuracy = float(correct_rows(state.scores, self.data))
        return Round(passes, float(state.value), accuracy, gap, seconds)

    def _params(self, state: State) -> LinearParams:
        """As they are returned: where a bias may be shifted, its mean is 0."""
        return jax.tree.map(lambda leaf: leaf.astype(self.dtype), self._exact_params(state))

    def _exact_params(self, state: State) -> LinearParams:
        W = state.theta[:, : self.data.x.shape[1]]
        if not self.has_bias:
            return LinearParams(W)
        b = state.theta[:, -1] - W @ self.basis.center
        return LinearParams(W, b - jnp.mean(b))

    def _certificate(self, state: State, terms: Terms) -> Certificate:
        """Of the parameters as they are returned.

        The bound is made from them as they are before they are rounded: at a hinge's kinks the last
        bits decide. It holds whatever point it was made at.
        """
        exact, data = self._exact_params(state), self.data
        given = Given(exact, data.x, data.labels, data.weight, data.scaling)
        l2, width = float(terms.l2), float(terms.width)
        widths, around = [0.5 * width, width] if self._is_hinge else None, None
        if terms.around is not None and is_around_slopes(terms):
            # Rounded over much more, the slopes are those that it is rounded around.
            widths, around = [width, _VERY_WIDE * width], terms.around.beta.T
        found = certified(self.loss, given, l2, widths=widths, around=around)
        if found.dual > self._best_dual:
            self._best_dual, self._how = found.dual, found.how
        primal = found.primal
        if self.dtype != jnp.float64:
            rounded = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), self._params(state))
            square = l2 * float(jnp.sum(rounded.W * rounded.W))
            primal = float(exact_loss(self.loss, rounded, data)) + square
        how, self._rounding = self._how or found.how, primal - found.primal
        return dataclasses.replace(found, primal=primal, dual=self._best_dual, how=how)
