"""Sweeps over l2 on many subsets of the rows at once: what few-shot probes need.

A few examples a class, drawn again and again, and for each draw all of the l2: hundreds of fits,
each of which is nothing. One program takes all subsets to their certified optima at one l2, and
goes on from there to the next (`jaxlin.solvers.optimum.small`).
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks, conjugates
from jaxlin.arrays import as_numpy
from jaxlin.certificates.certificate import Certificate
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, init_params
from jaxlin.losses import Loss
from jaxlin.objective import Objective
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.solvers.grid import Grid, evaluate_models
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.optimum.at_once import equal_parts, models_at_once
from jaxlin.solvers.optimum.passes import Data
from jaxlin.solvers.optimum.reduced import padded, reduced, seen_by_model, together
from jaxlin.solvers.optimum.small import SmallProblems
from jaxlin.sweeps.scoring import share_of
from jaxlin.sweeps.sweeping import sweep
from jaxlin.training.arguments import (
    check_choices,
    check_l2_fits,
    dtype_to_compute_in,
    training_data,
)
from jaxlin.training.optimum import usual_tol
from jaxlin.training.proved import ToOptimum
from jaxlin.training.small_fits import ended_of, round_of, takes_small


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class SubsetSweep:
    """What `sweep_subsets` found: R subsets, L strengths of l2.

    Attributes:
      l2: as they were given, float64 (L,).
      params: W (R, L, C, D) and b (R, L, C) or None.
      objective: at the end (R, L).
      accuracy: on the rows of the subset (R, L).
      relative_gap: that is certified (R, L).
      validation_loss: mean loss on the validation rows, without penalty (R, L); None without any.
      validation_accuracy: likewise.
      best: of each subset, the place of the l2 with the highest validation accuracy (R,), the
        larger l2 where some are equal; None without validation rows.
      certificates: of every model, R lists of L.
      outcomes: of every model, as a fit gives it.
      scaling: what the features went through first, or None.
      seconds: it all took, compilation included.
    """

    l2: np.ndarray
    params: LinearParams
    objective: np.ndarray
    accuracy: np.ndarray
    relative_gap: np.ndarray
    validation_loss: np.ndarray | None
    validation_accuracy: np.ndarray | None
    best: np.ndarray | None
    certificates: list[list[Certificate]]
    outcomes: list[list[Outcome]]
    scaling: Scaling | None
    seconds: float

    def __repr__(self) -> str:
        count, strengths = self.relative_gap.shape
        return (
            f"SubsetSweep({count} subsets x {strengths} l2, largest certified relative gap "
            f"{self.relative_gap.max():.2g})"
        )


def sweep_subsets(
    x: Any,
    labels: Any,
    rows: Sequence[Any],
    *,
    loss: Loss,
    l2: Sequence[float],
    validation: tuple[Any, Any] | None = None,
    bias: bool = True,
    tol: float | None = None,
    passes: int | Sequence[int] | None = None,
    scaling: Scaling | None = None,
    dtype: Any = None,
) -> SubsetSweep:
    """The certified optimum on each of some subsets of the rows, for each l2.

    Each model is the one that `fit` finds on these rows alone. Classes are those of all labels: one
    that a subset lacks is never predicted there, if there is a bias.

    Args:
      x: features (N, D), as for `fit`.
      labels: integers 0..C-1, (N,).
      rows: of each subset, the indices of its rows (n,); one that is there twice counts twice. They
        may differ in size: all are filled up to the largest.
      loss: one of `jaxlin.losses`. Softmax and the squared hinge are solved all at once; for the
        other hinges, and where the subsets are large, `sweep` runs once a subset.
      l2: all positive, (L,), in any order.
      validation: `(x, labels)` to score every model on.
      bias: whether there is a b.
      tol: the certified relative gap to stop at; None is 1e-4 for softmax and 1e-3 for the others.
      passes: over the data, at most, of each fit where `sweep` does them: for all l2, or one number
        for each. What is solved all at once needs no such limit. None is the solver's own.
      scaling: a `jaxlin.data.Scaling` that all features go through first, or None.
      dtype: of the parameters, float32 or float64, as for `fit`.

    Returns:
      A `SubsetSweep`.

    Raises:
      InputError: an argument is not what it has to be; the message names it.

    >>> from jaxlin import losses
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
    >>> found = sweep_subsets(
    ...     x, [0, 1, 0, 1], [[0, 1], [2, 3]], loss=losses.softmax_cross_entropy,
    ...     l2=[1e-3, 1e-2], validation=(x, [0, 1, 0, 1]))
    >>> found.params.W.shape, found.validation_accuracy.tolist(), found.best.tolist()
    ((2, 2, 2, 2), [[1.0, 1.0], [1.0, 1.0]], [1, 1])
    >>> bool(found.relative_gap.max() <= 1e-4)
    True
    """
    started = time.monotonic()
    dtype = dtype_to_compute_in(x, dtype)
    known = conjugates.known_conjugate(loss)
    with float64_scope(dtype == jnp.float64):
        check_choices(None, None, tol, None, validation)
        strengths = _strengths(l2, dtype)
        limits = _limits(passes, len(strengths))
        examples, held_out, shape, _ = training_data(
            x, labels, dtype, init=None, sample_weight=None, validation=validation,
            scaling=scaling, key=None,
        )  # fmt: skip
        subsets = _subsets(rows, np.asarray(examples.labels))
        tol = usual_tol(loss) if tol is None else float(tol)
        most = max(len(subset) for subset in subsets)
        falling = np.argsort(-strengths, kind="stable")
        if takes_small(loss, most, shape[1], shape[0]):
            with float64_scope(True):
                ended = _together(
                    known, examples, subsets, strengths[falling].tolist(), tol, shape, bias,
                    scaling, dtype,
                )  # fmt: skip
        else:
            told = [(float(strengths[k]), limits[k]) for k in falling]
            ended = [
                _alone(loss, examples, subset, told, tol, shape, bias, scaling, dtype)
                for subset in subsets
            ]
        place = np.argsort(falling)
        ended = [[of_one[k] for k in place] for of_one in ended]
        params = jax.tree.map(
            lambda *leaves: np.stack(leaves).reshape(len(subsets), len(place), *leaves[0].shape),
            *(one.params for of_one in ended for one in of_one),
        )
        scored = None if held_out is None else _scores(loss, params, held_out, scaling)
        proofs = [[one.certificate for one in of_one] for of_one in ended]
        return SubsetSweep(
            l2=strengths,
            params=jax.tree.map(jnp.asarray, params),
            objective=np.array([[proof.primal for proof in of_one] for of_one in proofs]),
            accuracy=np.array([[one.history.accuracy[-1] for one in of_one] for of_one in ended]),
            relative_gap=np.array([[p.relative_gap for p in of_one] for of_one in proofs]),
            validation_loss=None if scored is None else scored[0],
            validation_accuracy=None if scored is None else scored[1],
            best=None if scored is None else _best(scored[1], strengths),
            certificates=proofs,
            outcomes=[[one.outcome for one in of_one] for of_one in ended],
            scaling=scaling,
            seconds=time.monotonic() - started,
        )


def _strengths(l2: Any, dtype: Any) -> np.ndarray:
    """Checked, float64 (L,)."""
    given = as_numpy(l2, "l2")
    if given.ndim != 1 or not len(given):
        raise InputError(f"l2 must be a list of positive numbers, got {l2!r:.80}.")
    for value in given.tolist():
        check_l2_fits(checks.check_positive("l2", value), dtype)
    return given.astype(np.float64)


def _limits(passes: Any, count: int) -> list[int | None]:
    """The most passes of each of so many fits, checked."""
    if passes is None:
        return [None] * count
    given = as_numpy(passes, "passes")
    if given.shape not in ((), (count,)):
        raise InputError(
            f"passes must be a whole number, or one for each of {count} l2, got {passes!r:.80}."
        )
    limits = np.broadcast_to(given, count).tolist()
    return [checks.check_count("passes", value) for value in limits]


def _subsets(rows: Any, labels: np.ndarray) -> list[np.ndarray]:
    """Checked indices, one array a subset."""
    try:
        given = [as_numpy(subset, f"rows[{k}]") for k, subset in enumerate(rows)]
    except TypeError:
        given = []
    if not given:
        raise InputError(f"rows must be a list of arrays of row numbers, got {rows!r:.80}.")
    for k, subset in enumerate(given):
        if subset.ndim != 1 or not len(subset) or subset.dtype.kind not in "iu":
            raise InputError(
                f"rows[{k}] must be row numbers, whole and of shape (n,), got {subset!r:.80}."
            )
        outside = (subset < 0) | (subset >= len(labels))
        if outside.any():
            raise InputError(
                f"rows[{k}] must lie in 0..{len(labels) - 1}, got {subset[outside][0]}."
            )
        present = np.unique(labels[subset])
        if len(present) < 2:
            raise InputError(
                f"rows[{k}] needs samples of at least 2 classes, and has only class {present[0]}."
            )
    return given


def _together(
    loss: conjugates.Known,
    examples: Examples,
    subsets: list[np.ndarray],
    l2: list[float],
    tol: float,
    shape: tuple[int, int],
    bias: bool,
    scaling: Scaling | None,
    dtype: Any,
) -> list[list[ToOptimum]]:
    """All models, by subset and falling l2."""
    all_x, labels = np.asarray(examples.x), np.asarray(examples.labels)
    most = max(len(subset) for subset in subsets)
    at_once = models_at_once(most, shape[1], shape[0], len(l2), own_rows=True)
    ended: list[list[ToOptimum]] = []
    for places in equal_parts(len(subsets), at_once):
        problems, weights, fitted = [], [], []
        for subset in (subsets[place] for place in places):
            share = np.full(len(subset), 1.0 / len(subset))
            data: Any = Data(all_x[subset], labels[subset], share, scaling)  # pyright: ignore
            of_one = reduced(
                seen_by_model(data.x, scaling), labels[subset], share, shape[0], bias, most
            )
            problems.append(of_one)
            weights.append(padded(share, most))
            fitted.append(data)
        small = SmallProblems(
            loss, together(problems), np.stack(weights), shape, has_bias=bias, dtype=dtype
        )
        since = time.monotonic()
        found = small.solve(l2, tol)
        seconds = (time.monotonic() - since) / len(found)
        ended += [
            [
                ended_of(one, place, tol, fitted[place], [round_of(one, place, seconds)], [], "")
                for one in found
            ]
            for place in range(len(places))
        ]
    return ended[: len(subsets)]


def _alone(
    loss: Loss,
    examples: Examples,
    subset: np.ndarray,
    told: list[tuple[float, int | None]],
    tol: float,
    shape: tuple[int, int],
    bias: bool,
    scaling: Scaling | None,
    dtype: Any,
) -> list[ToOptimum]:
    """The models of one subset, by falling l2, each with the most passes that it may take."""
    x, labels = np.asarray(examples.x)[subset], np.asarray(examples.labels)[subset]
    init = init_params(shape[1], shape[0], bias=bias, dtype=dtype)
    ended = []
    for limit, some in itertools.groupby(told, key=lambda one: one[1]):
        is_usual = limit in (None, LBFGS().passes)
        found = sweep(
            x, labels, loss=loss, grid={"l2": [l2 for l2, _ in some]}, init=init,
            solver=None if is_usual else LBFGS(limit), bias=bias, tol=tol, scaling=scaling,
            dtype=dtype,
        )  # fmt: skip
        for row in range(len(found)):
            one = found.fit(row)
            assert one.certificate is not None
            init = one.params
            params = jax.tree.map(np.asarray, init)
            ended.append(ToOptimum(params, one.history, one.outcome, one.certificate))
    return ended


def _scores(
    loss: Loss, params: LinearParams, held_out: Examples, scaling: Scaling | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean loss and accuracy on the validation rows (R, L), a subset at a time."""
    seen = []
    for place in range(len(params.W)):
        own = jax.tree.map(lambda leaf, place=place: jnp.asarray(leaf[place]), params)
        objective = Objective(loss, jnp.zeros(len(own.W), own.W.dtype))
        seen.append(evaluate_models(Grid((), objective, own), held_out, scaling))
    losses, accuracies = (np.array(values, np.float64) for values in zip(*seen, strict=True))
    return losses, share_of(accuracies, len(held_out.labels))


def _best(accuracy: np.ndarray, l2: np.ndarray) -> np.ndarray:
    """The place of the best l2 of each subset, the larger one of equals."""
    falling = np.argsort(-l2, kind="stable")
    return falling[np.argmax(accuracy[:, falling], axis=1)]
