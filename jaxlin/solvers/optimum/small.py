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

from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given, Sums
from jaxlin.certificates.many import certificates_of_many, sums_of_many
from jaxlin.conjugates import Known
from jaxlin.linear import LinearParams
from jaxlin.precision import product
from jaxlin.solvers.optimum.newton_cg import Found, descend
from jaxlin.solvers.optimum.reduced import Rows, padded

# What is asked of the promised gap, by tol; a proof that needs more gets more.
_SHARES = (0.5, 0.05, 0.005)
# Newton steps to an optimum.
MOST_STEPS = 200


class Standing(NamedTuple):
    """Models at one l2, NumPy arrays with a leading axis M.

    Attributes:
      params: in the dtype that was asked for.
      certificates: of each.
      found: where the solver stands; without theta and slopes.
    """

    params: LinearParams
    certificates: list[Certificate]
    found: Found


class _Launched(NamedTuple):
    """One l2 on the device, perhaps still being computed."""

    theta: jax.Array
    found: Found
    params: LinearParams
    sums: Sums


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
        on_l2: Callable[[int, int], bool] | None = None,
    ) -> list[Standing]:
        """All problems at each l2.

        Args:
          l2: positive, falling.
          tol: certified relative gap.
          start: where to start, of all; None is zero.
          on_l2: told the place of each l2 once it is done, and the most products with the rows that
            a problem took; true ends it there.

        Returns:
          One a l2, unless `on_l2` ended it.
        """
        launched: list[_Launched] = []
        first = self._zero if start is None else self.start_at(start)
        for place, value in enumerate(l2):
            starts = (first, self._zero)
            if launched:
                starts = _on_the_line(launched, l2[: place + 1])
            launched.append(self._launch(value, starts, _SHARES[0] * tol, MOST_STEPS))
            if on_l2 is not None and on_l2(place, int(np.max(launched[-1].found.products))):
                break
        fetched = jax.device_get([one[1:] for one in launched])
        standing = [self._standing(one, value) for one, value in zip(fetched, l2, strict=False)]
        for place in range(len(standing)):
            for share in _SHARES[1:]:
                if all(proof.relative_gap <= tol for proof in standing[place].certificates):
                    break
                theta = launched[place].theta
                again = self._launch(l2[place], (theta, theta), share * tol, MOST_STEPS)
                launched[place] = again
                found = self._standing(jax.device_get(again[1:]), l2[place])
                standing[place] = _better(standing[place], found)
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
        since, share, idle, before = time.monotonic(), 0, 0, None
        starts = (self.start_at(start), self._zero)
        while True:
            one = self._launch(l2, starts, _SHARES[share] * tol, 1)
            now = self._standing(jax.device_get(one[1:]), l2)
            if before is not None:
                falls = now.found.value < before.found.value * (1.0 - 1e-13)
                idle = 0 if np.any(falls | (now.found.gap < 0.5 * before.found.gap)) else idle + 1
                now = _added(now, before)
            if hear(now, time.monotonic() - since):
                return now, True
            is_proved = all(proof.relative_gap <= tol for proof in now.certificates)
            if is_proved or np.max(now.found.steps) >= MOST_STEPS:
                return now, False
            if np.all((now.found.gap <= _SHARES[share] * tol) | now.found.is_stuck) or idle >= 3:
                share, idle = share + 1, 0
                if share == len(_SHARES):
                    return now, False
            starts, before = (one.theta, one.theta), now

    def _launch(
        self, l2: float, starts: tuple[jax.Array, jax.Array], target: float, most_steps: int
    ) -> _Launched:
        strength = jnp.asarray(l2, jnp.float64)
        found = descend(
            self.loss, self.rows, self.weight, jnp.asarray(self.has_bias), strength,
            starts, jnp.asarray(target, jnp.float64), jnp.asarray(most_steps, jnp.int32),
        )  # fmt: skip
        params, sums = _finished(
            self.loss, self.dtype.name, self.has_bias, self.rows, self.weight, found
        )
        return _Launched(found.theta, found._replace(theta=None, slopes=None), params, sums)

    def _standing(self, fetched: tuple[Found, LinearParams, Sums], l2: float) -> Standing:
        found, params, sums = fetched
        cut = LinearParams(params.W[..., : self.shape[1]], params.b)
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), cut)
        num_rows = self.weight.shape[1]
        return Standing(cut, certificates_of_many(self.loss, wide, num_rows, sums, l2), found)


def _on_the_line(launched: list[_Launched], l2: Sequence[float]) -> tuple[jax.Array, jax.Array]:
    """The last optimum, and a point on the line through the last two, in logarithms of l2."""
    last = launched[-1].theta
    if len(launched) < 2 or l2[-2] == l2[-3]:
        return last, last
    factor = float(np.clip(np.log(l2[-1] / l2[-2]) / np.log(l2[-2] / l2[-3]), -3.0, 3.0))
    return last, _beyond(last, launched[-2].theta, jnp.asarray(factor, jnp.float64))


@jax.jit
def _beyond(last: jax.Array, before: jax.Array, factor: jax.Array) -> jax.Array:
    return last + factor * (last - before)


def _better(one: Standing, other: Standing) -> Standing:
    """Of each model the one with the smaller gap."""
    pairs = zip(one.certificates, other.certificates, strict=True)
    better = np.array([b.relative_gap < a.relative_gap for a, b in pairs])

    def chosen(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(better.reshape((-1,) + (1,) * (a.ndim - 1)), b, a)

    params = jax.tree.map(chosen, one.params, other.params)
    found = jax.tree.map(chosen, one.found, other.found)
    proofs = [
        b if is_better else a
        for a, b, is_better in zip(one.certificates, other.certificates, better, strict=True)
    ]
    found = found._replace(steps=other.found.steps, products=other.found.products)
    return _added(Standing(params, proofs, found), one)


def _added(now: Standing, before: Standing) -> Standing:
    """With the steps that were taken before."""
    steps = now.found.steps + before.found.steps
    products = now.found.products + before.found.products
    return now._replace(found=now.found._replace(steps=steps, products=products))


@functools.partial(jax.jit, static_argnames=("loss", "dtype", "has_bias"))
def _finished(
    loss: Known, dtype: str, has_bias: bool, rows: Rows, weight: jax.Array, found: Found
) -> tuple[LinearParams, Sums]:
    """The parameters for the features themselves, as they are returned, and what they prove."""
    shares_rows = rows.labels.ndim == 1

    def of_one(rows: Rows, theta: jax.Array) -> LinearParams:
        W = product(theta, rows.back, (1, 1))
        if not has_bias:
            return LinearParams(W.astype(dtype))
        b = theta[:, -1] - W @ rows.center
        # Where a bias may be shifted, its mean is 0.
        return LinearParams(W.astype(dtype), (b - jnp.mean(b)).astype(dtype))

    params = jax.vmap(of_one, in_axes=(None if shares_rows else 0, 0))(rows, found.theta)
    exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), params)
    given = Given(exact, rows.x, rows.labels, weight, None)
    dual = jnp.swapaxes(found.slopes, -1, -2)
    return params, sums_of_many(loss, given, dual, shares_rows=shares_rows)
