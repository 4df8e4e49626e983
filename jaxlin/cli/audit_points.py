"""The points that the library's gradients are audited at: from the start to the optimum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxlin.certificates import duality_gap
from jaxlin.errors import DivergedError
from jaxlin.linear import LinearParams
from jaxlin.losses import CrammerSingerHinge, SoftmaxCrossEntropy, WestonWatkinsHinge
from jaxlin.objective import Objective
from jaxlin.solvers.learning_rate import cosine_decay, suggested_learning_rate
from jaxlin.solvers.newton import LARGEST_SIZE, Newton
from jaxlin.solvers.sgd import SGD
from jaxlin.training import fit

_MOMENTUM, _BATCH_SIZE = 0.9, 256
_FEW_STEPS, _MANY_STEPS = 20, 2000
# What is certified to so much of the objective counts as the optimum.
CERTIFIED = 1e-4


class Point(NamedTuple):
    """Parameters to look at.

    Attributes:
      name: where that is.
      params: NumPy arrays.
      note: what more is known of them.
      relative_gap: certified distance from the minimum, over the objective; None where there is no
        certificate.
    """

    name: str
    params: LinearParams
    note: str = ""
    relative_gap: float | None = None


class Problem(NamedTuple):
    """What the points belong to.

    Attributes:
      objective: loss and l2.
      x: features (N, D), in the dtype that is judged.
      labels: (N,).
      num_classes: C.
      seed: of all that is random.
    """

    objective: Objective
    x: np.ndarray
    labels: np.ndarray
    num_classes: int
    seed: int

    @property
    def l2(self) -> float:
        """Lambda."""
        return float(np.asarray(self.objective.l2))


def random_point(problem: Problem) -> Point:
    """W and b at random, so that scores are of size 1."""
    rng = np.random.default_rng(problem.seed)
    num_features = problem.x.shape[1]
    norm = math.sqrt(float(np.mean(np.sum(np.square(problem.x, dtype=np.float64), axis=1)))) or 1.0
    W = rng.normal(size=(problem.num_classes, num_features)) / norm
    return Point("random W", _params(problem, W, rng.normal(size=problem.num_classes)))


def zero_point(problem: Problem) -> Point:
    """W = 0 and b = 0."""
    shape = (problem.num_classes, problem.x.shape[1])
    return Point("W = 0", _params(problem, np.zeros(shape), np.zeros(shape[0])))


def points(problem: Problem) -> Iterator[Point]:
    """From the start to the optimum, one after the other as they are found."""
    loss = problem.objective.loss
    zero = zero_point(problem)
    yield zero
    if isinstance(loss, WestonWatkinsHinge | CrammerSingerHinge):
        # The bias alone puts each example of the class exactly at its margins.
        most = int(np.argmax(np.bincount(problem.labels, minlength=problem.num_classes)))
        b = np.zeros(problem.num_classes)
        b[most] = loss.margin
        tied = _params(problem, np.asarray(zero.params.W), b)
        yield Point(
            f"b one-hot, class {most}",
            tied,
            f"W = 0, and b is {loss.margin:g} for class {most} alone.",
        )
    yield random_point(problem)
    found = _by_sgd(problem, _FEW_STEPS)
    if found is not None:
        yield Point("on the way", found, "After a few epochs of SGD.")
    yield optimum(problem)


def is_saturated(problem: Problem, params: LinearParams) -> bool:
    """Whether some probability of softmax is so near 1 that the dtype cannot tell it from 1."""
    if not isinstance(problem.objective.loss, SoftmaxCrossEntropy):
        return False
    W, b = (np.asarray(leaf, np.float64) for leaf in (params.W, params.b))
    scores = np.sort(problem.x.astype(np.float64) @ W.T + b, axis=1)
    others = np.sum(np.exp(scores[:, :-1] - scores[:, -1:]), axis=1)
    return bool((others < np.finfo(problem.x.dtype).eps).any())


def _params(problem: Problem, W: Any, b: Any) -> LinearParams:
    dtype = problem.x.dtype
    arrays = (np.asarray(leaf).astype(dtype) for leaf in (W, b))
    return LinearParams(*arrays)  # pyright: ignore[reportArgumentType]


def _by_sgd(problem: Problem, steps: int) -> LinearParams | None:
    """Where SGD is after about so many steps; None where it diverges."""
    x, labels, loss = problem.x, problem.labels, problem.objective.loss
    batch_size = min(_BATCH_SIZE, len(x))
    rate = suggested_learning_rate(
        x, loss=loss, num_classes=problem.num_classes, momentum=_MOMENTUM, batch_size=batch_size,
        l2=problem.l2,
    )  # fmt: skip
    epochs = max(2, steps * batch_size // len(x))
    schedule = cosine_decay(rate, epochs * -(-len(x) // batch_size))
    solver = SGD(optax.sgd(schedule, momentum=_MOMENTUM), batch_size, epochs)
    try:
        found = fit(
            x, labels, loss=loss, l2=problem.l2, solver=solver, key=problem.seed,
            init=jax.tree.map(np.asarray, zero_point(problem).params), dtype=x.dtype.name,
        )  # fmt: skip
    except DivergedError:
        return None
    return _params(problem, found.params.W, found.params.b)


def optimum(problem: Problem) -> Point:
    """The optimum, with its certificate, where the problem is small; else what SGD comes to."""
    objective, x = problem.objective, problem.x
    num_weights = problem.num_classes * (x.shape[1] + 1)
    params, how = None, "A longer run of SGD"
    if num_weights <= LARGEST_SIZE:
        zero = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), zero_point(problem).params)
        found = fit(
            x.astype(np.float64), problem.labels, loss=objective.loss, l2=problem.l2,
            solver=Newton(), init=zero, dtype="float64",
        )  # fmt: skip
        params, how = found.params, "Newton's method"
    if params is None:
        params = _by_sgd(problem, _MANY_STEPS)
    if params is None:
        return zero_point(problem)._replace(name="W = 0 again", note="SGD diverged.")
    rounded = _params(problem, params.W, params.b)
    if not problem.l2 > 0.0:
        return Point("longer SGD", rounded, f"{how}; with l2 = 0 there is no certificate.")
    certificate = duality_gap(objective, params, x, problem.labels)
    gap = certificate.relative_gap
    said = f"{how}; at most {gap:.1e} of its value above the minimum"
    if gap <= CERTIFIED:
        return Point("optimum", rounded, f"{said}, certified.", gap)
    return Point("longer SGD", rounded, f"{said}: not the optimum.", gap)
