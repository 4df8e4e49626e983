"""Many small problems to their certified optima: for each l2 one program takes all of them there.

What is many are the rows that models are fitted on: folds, which are weights on the same rows, or
subsets, each with rows of its own; and the strengths of l2, which come one after another, from the
largest to the smallest, each from the line through the last two. Nothing waits for the host
between them: certificates are made from sums that come back in the end.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates.dual_points import Given, Sums
from jaxlin.certificates.many import certificates_of_many, sums_of_many
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.precision import product
from jaxlin.solvers.optimum.newton_cg import Found, Pace, Point, descend, first_pace
from jaxlin.solvers.optimum.reduced import Rows, padded
from jaxlin.solvers.optimum.standings import Standing, added, better, is_there

# What is asked of the promised gap, by tol; a proof that needs more gets more.
_SHARES = (0.5, 0.05, 0.005)
# Newton steps to an optimum.
MOST_STEPS = 200


class _Launched(NamedTuple):
    """One l2 on the device, perhaps still being computed; the point is not kept."""

    theta: jax.Array
    found: Found
    params: LinearParams
    sums: Sums | None


class SmallProblems:
    """M small problems with a smooth loss; to be used inside of a float64 scope."""

    def __init__(
        self, loss: Known, rows: Rows, weight: np.ndarray, shape: tuple[int, int],
        *, has_bias: bool, dtype: Any,
    ) -> None:  # fmt: skip
        """Nothing is computed yet.

        Args:
          loss: what is minimised.
          rows: of each, with a leading axis M, or without it of all (`reduced`).
          weight: (M, N), sum 1 each.
          shape: (C, D).
          has_bias: whether there is a b.
          dtype: of the parameters.
        """
        self.loss, self.has_bias, self.dtype, self.shape = loss, has_bias, jnp.dtype(dtype), shape
        self.rows = jax.tree.map(jnp.asarray, rows)
        num_rows = self.rows.x.shape[-2]
        self.weight = jnp.asarray(padded(weight, len(weight), num_rows))
        size = self.rows.features.shape[-1]
        self._zero = jnp.zeros((len(weight), shape[0], size), jnp.float64)
        scores = jnp.zeros((len(weight), shape[0], num_rows), jnp.float64)
        values = jnp.full(self.weight.shape, jnp.nan)
        self._nowhere = Point(self._zero, scores, values, scores)

    def start_at(self, params: LinearParams) -> jax.Array:
        """Parameters (C, D), float64, in the coordinates of all problems (M, C, K).

        What lies outside of the span of the rows is left out: the optimum has nothing there.
        """
        num_features = self.shape[1]
        wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)

        def one(rows: Rows) -> jax.Array:
            theta = product(wide.W, rows.back[:num_features], (1, 0))
            if wide.b is None:
                return theta
            return theta.at[:, -1].set(wide.b + wide.W @ rows.center[:num_features])

        if self.rows.labels.ndim == 1:
            return jnp.broadcast_to(one(self.rows)[None], self._zero.shape)
        return jax.vmap(one)(self.rows)

    def solve(
        self,
        l2: Sequence[float],
        tol: float,
        *,
        start: LinearParams | None = None,
        target: float | None = None,
        most_steps: int = MOST_STEPS,
        proves: bool = True,
        on_l2: Callable[[int, int], bool] | None = None,
    ) -> list[Standing]:
        """All problems at each l2.

        Args:
          l2: positive, falling.
          tol: relative gap to certify.
          start: where to start, of all; None is zero.
          target: the relative gap that the gradient has to promise; None is what should do for tol.
            Far below rounding it is reached where the steps end anyway.
          most_steps: of each.
          proves: whether there are to be certificates; if not, what the gradient promises will do.
          on_l2: told the place of each l2 once it is done, and the most products with the rows that
            a problem took; true ends it there.

        Returns:
          One a l2, unless `on_l2` ended it.
        """
        launched: list[_Launched] = []
        aim = _SHARES[0] * tol if target is None else target
        last, theta = self._begin(l2[0], start)
        for place, value in enumerate(l2):
            if launched:
                theta = _on_the_line(launched, l2[: place + 1])
            one, last = self._launch(value, last, theta, aim, most_steps, proves=proves)
            launched.append(one)
            if on_l2 is not None and on_l2(place, int(np.max(one.found.products))):
                break
        fetched = jax.device_get([one[1:] for one in launched])
        standing = [self._standing(one, value) for one, value in zip(fetched, l2, strict=False)]
        for place, one in enumerate(launched):
            theta = one.theta
            for share in _SHARES[1:]:
                found = standing[place].found
                left = most_steps - np.asarray(found.steps)
                # Where a gap is asked for that is below rounding, float32 has to have got there.
                crept = target is not None and bool(np.any(found.pace.crept))
                if not (left > 0).any() or (is_there(standing[place], tol) and not crept):
                    break
                # float32 has not done, or not enough: the rest in float64.
                again, _ = self._launch(
                    l2[place], self._nowhere, theta, min(aim, share * tol), left,
                    pace=_rested(found.pace), proves=proves, dtype="float64",
                )  # fmt: skip
                theta = again.theta
                found = self._standing(jax.device_get(again[1:]), l2[place])
                standing[place] = better(standing[place], found)
        return standing

    def rounds(
        self, l2: float, tol: float, start: LinearParams, hear: Callable[[Standing, float], bool]
    ) -> tuple[Standing, bool]:
        """One l2, a step at a time, for who wants to hear of each.

        Args:
          l2: positive.
          tol: certified relative gap.
          start: where to start.
          hear: told where the solver stands, and the seconds since the start; true ends it.

        Returns:
          The end, and whether it was `hear` who made it.
        """
        since, share, before = time.monotonic(), 0, None
        pace = first_pace(1)
        last, theta = self._begin(l2, start)
        while True:
            dtype = "float32" if share == 0 else "float64"
            one, _ = self._launch(l2, last, theta, _SHARES[share] * tol, 1, pace=pace, dtype=dtype)
            now = self._standing(jax.device_get(one[1:]), l2)
            pace = now.found.pace
            if before is not None:
                now = added(now, before)
            if hear(now, time.monotonic() - since):
                return now, True
            is_proved = all(proof.relative_gap <= tol for proof in now.certificates)
            if is_proved or np.max(now.found.steps) >= MOST_STEPS:
                return now, False
            if np.all((now.found.gap <= _SHARES[share] * tol) | now.found.is_stuck):
                share, pace = share + 1, _rested(pace)
                if share == len(_SHARES):
                    return now, False
            last, theta, before = self._nowhere, one.theta, now

    def _begin(self, l2: float, start: LinearParams | None) -> tuple[Point, jax.Array]:
        """Where to start from, and where else if that is better: zero."""
        if start is None or not any(np.any(np.asarray(leaf)) for leaf in jax.tree.leaves(start)):
            return self._nowhere, self._zero
        _, zero = self._launch(l2, self._nowhere, self._zero, np.inf, 0, proves=False)
        return zero, self.start_at(start)

    def _launch(
        self,
        l2: float,
        last: Point,
        theta: jax.Array,
        target: float,
        most_steps: int | np.ndarray,
        *,
        pace: Pace | None = None,
        proves: bool = True,
        dtype: str = "float32",
    ) -> tuple[_Launched, Point]:
        strength, count = jnp.asarray(l2, jnp.float64), len(self.weight)
        steps = jnp.asarray(np.broadcast_to(most_steps, count), jnp.int32)
        pace = first_pace(count) if pace is None else jax.tree.map(jnp.asarray, pace)
        found = descend(
            self.loss, self.rows, self.weight, jnp.asarray(self.has_bias), strength, last, theta,
            jnp.asarray(target, jnp.float64), steps, pace, dtype,
        )  # fmt: skip
        params = _params(self.dtype.name, self.has_bias, self.rows, found.at.theta)
        sums = None
        if proves:
            sums = _sums(self.loss, self.rows, self.weight, params, found.at.slopes)
        return _Launched(found.at.theta, found._replace(at=None), params, sums), found.at

    def _standing(self, fetched: tuple[Found, LinearParams, Sums | None], l2: float) -> Standing:
        found, params, sums = fetched
        cut = LinearParams(params.W[..., : self.shape[1]], params.b)
        if sums is None:
            return Standing(cut, [], found)
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), cut)
        num_rows = self.weight.shape[1]
        return Standing(cut, certificates_of_many(self.loss, wide, num_rows, sums, l2), found)


def _rested(pace: Pace) -> Pace:
    """What was learnt of the directions, for other products: those may move what idled."""
    return pace._replace(idle=np.zeros_like(pace.idle), crept=np.zeros_like(pace.crept))


def _on_the_line(launched: list[_Launched], l2: Sequence[float]) -> jax.Array:
    """A point on the line through the last two optima, in logarithms of l2."""
    last = launched[-1].theta
    if len(launched) < 2 or l2[-2] == l2[-3]:
        return last
    factor = float(np.clip(np.log(l2[-1] / l2[-2]) / np.log(l2[-2] / l2[-3]), -3.0, 3.0))
    return _beyond(last, launched[-2].theta, jnp.asarray(factor, jnp.float64))


@jax.jit
def _beyond(last: jax.Array, before: jax.Array, factor: jax.Array) -> jax.Array:
    return last + factor * (last - before)


@functools.partial(jax.jit, static_argnames=("dtype", "has_bias"))
def _params(dtype: str, has_bias: bool, rows: Rows, theta: jax.Array) -> LinearParams:
    """The parameters for the features themselves, as they are returned, leading axis M."""

    def of_one(rows: Rows, theta: jax.Array) -> LinearParams:
        W = product(theta, rows.back, (1, 1))
        if not has_bias:
            return LinearParams(W.astype(dtype))
        b = theta[:, -1] - W @ rows.center
        # Where a bias may be shifted, its mean is 0.
        return LinearParams(W.astype(dtype), (b - jnp.mean(b)).astype(dtype))

    return jax.vmap(of_one, in_axes=(None if rows.labels.ndim == 1 else 0, 0))(rows, theta)


@functools.partial(jax.jit, static_argnames="loss")
def _sums(
    loss: Known, rows: Rows, weight: jax.Array, params: LinearParams, slopes: jax.Array
) -> Sums:
    """What parameters prove, with the slopes (M, C, N) where they were found."""
    exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
    given = Given(exact, rows.x, rows.labels, weight, None)
    dual = jnp.swapaxes(slopes, -1, -2)
    return sums_of_many(loss, given, dual, shares_rows=rows.labels.ndim == 1)
