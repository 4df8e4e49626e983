"""Scores of values of l2 on rows that were held out: folds and values together.

A small problem with a smooth loss is one program for all of them; else it is one `jaxlin.sweep`,
with the folds where every row is held out once, and with a validation set for each split where not.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning

from jaxlin.conjugates import Known
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import float64_scope
from jaxlin.sklearn.small import FINEST_TOL, small_fits
from jaxlin.sklearn.training_rows import Training
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.optimum.small import MOST_STEPS
from jaxlin.solvers.optimum.standings import is_there
from jaxlin.sweeps.result import Sweep
from jaxlin.sweeps.sweeping import sweep
from jaxlin.training.optimum import usual_tol
from jaxlin.training.small_fits import takes_small

# Scores are sums that rounding reaches: what differs by less ties.
_ROUNDING = 1e-12


class Split(NamedTuple):
    """Rows to fit to, and rows to score on; each (n,) of row numbers."""

    train: np.ndarray
    test: np.ndarray


class _Scored(NamedTuple):
    """What the splits say of the values of l2.

    Attributes:
      scores: (splits, L).
      is_short: whether a fit ended before it was as near the optimum as was asked for (L,).
    """

    scores: np.ndarray
    is_short: np.ndarray


def among_kept(splits: Sequence[Any], data: Training) -> list[Split]:
    """Splits of the user's rows as splits of those that count.

    Args:
      splits: pairs of row numbers, as scikit-learn's splitters give them.
      data: what to train on and to score; rows of a class that weighs 0 are for scores alone.

    Raises:
      InputError: one has no rows that count to fit to, or to score on.
    """
    num_rows = len(data.all_codes)
    place = np.arange(num_rows)
    if data.kept is not None:
        place = np.full(num_rows, -1)
        place[data.kept] = np.arange(len(data.kept))
    found = []
    for number, (train, test) in enumerate(splits):
        parts = [
            place[np.asarray(rows) if len(rows) else np.empty(0, np.int64)]
            for rows in (train, test)
        ]
        parts = [rows[rows >= 0] for rows in parts]
        if data.weight is not None:
            parts[0] = parts[0][data.weight[parts[0]] > 0.0]
        for rows, what in zip(parts, ("fit to", "score on"), strict=True):
            if not len(rows):
                raise InputError(f"Split {number} of cv has no rows with a weight to {what}.")
        found.append(Split(*parts))
    if not found:
        raise InputError("cv has no splits.")
    return found


def held_out_scores(
    data: Training,
    loss: Known,
    l2s: np.ndarray,
    splits: Sequence[Split],
    *,
    bias: bool,
    solver: str,
    tol: float | None,
    max_iter: int | None,
    select_by: str,
    seed: int,
) -> np.ndarray:
    """The score of every value of l2 on the rows that each split holds out, (splits, L).

    Accuracies, or losses where those are selected by. Where fits ended short of `tol`, one
    `ConvergenceWarning` says for how many values.

    Args:
      data: what to train on.
      loss: which.
      l2s: positive, in any order (L,).
      splits: of the rows.
      bias: whether there is a b.
      solver: `"lbfgs"`, or else what suits the problem; `"newton"` is for the winner alone.
      tol: as for `jaxlin.sklearn.solving.solve`.
      max_iter: likewise, at least 1.
      select_by: `"accuracy"` or `"loss"`.
      seed: of whatever is drawn.
    """
    is_softmax = isinstance(loss, SoftmaxCrossEntropy)
    can_score = is_softmax or select_by == "accuracy"
    takes = takes_small(loss, len(data.codes), data.shape[1], data.shape[0])
    if solver != "lbfgs" and can_score and takes:
        found = _together(data, loss, l2s, splits, bias, tol, max_iter, select_by)
    else:
        found = _swept(data, loss, l2s, splits, bias, solver, tol, max_iter, select_by, seed)
    if found.is_short.any():
        warnings.warn(
            f"For {found.is_short.sum()} of {len(l2s)} values of l2 the fits that cv scores ended "
            "before they were within tol of their optima: another l2 may be the best. Allow more "
            "steps (max_iter), pass a larger tol, or scale the features.",
            ConvergenceWarning,
            stacklevel=3,
        )
    return found.scores


def _swept(
    data: Training,
    loss: Known,
    l2s: np.ndarray,
    splits: Sequence[Split],
    bias: bool,
    solver: str,
    tol: float | None,
    max_iter: int | None,
    select_by: str,
    seed: int,
) -> _Scored:
    """All values of l2 by sweeps."""
    lbfgs: Any = None
    if solver == "lbfgs" or max_iter is not None:
        lbfgs = LBFGS() if max_iter is None else LBFGS(passes=max_iter)
    num_classes, num_features = data.shape
    with float64_scope(data.dtype == np.float64):
        init = LinearParams(
            jnp.zeros((num_classes, num_features), data.dtype),
            jnp.zeros(num_classes, data.dtype) if bias else None,
        )
        shared: dict[str, Any] = {
            "loss": loss, "grid": {"l2": l2s.tolist()}, "solver": lbfgs, "init": init, "bias": bias,
            "tol": tol, "key": seed, "dtype": data.dtype, "select_by": select_by,
        }  # fmt: skip
        numbers = fold_numbers_of(splits, len(data.codes))
        # A sweep scores with the weights that it fits with; class weights are not for scores.
        if numbers is not None and can_score_alike(data):
            found = sweep(data.x, data.codes, folds=numbers, sample_weight=data.weight, **shared)
            assert found.fold_scores is not None
            # Of the folds themselves it does not say; they have as many passes as all rows.
            return _Scored(found.fold_scores[select_by].T, _is_short(found))
        parts = [_of_split(data, loss, split, shared, select_by) for split in splits]
        return _Scored(
            np.stack([part.scores for part in parts]),
            np.any([part.is_short for part in parts], axis=0),
        )


def fold_numbers_of(splits: Sequence[Split], num_rows: int) -> np.ndarray | None:
    """The fold of each row (N,), where each is held out once and fitted to in all other splits.

    >>> rows = np.arange(4)
    >>> fold_numbers_of([Split(rows[:2], rows[2:]), Split(rows[2:], rows[:2])], 4).tolist()
    [1, 1, 0, 0]
    >>> fold_numbers_of([Split(rows[:2], rows[2:])], 4) is None
    True
    """
    numbers = np.full(num_rows, -1)
    for number, (train, test) in enumerate(splits):
        whole = np.zeros(num_rows, int)
        np.add.at(whole, train, 1)
        np.add.at(whole, test, 1)
        if (whole != 1).any() or (numbers[test] >= 0).any():
            return None
        numbers[test] = number
    return numbers if len(splits) > 1 and (numbers >= 0).all() else None


def best_of(scores: np.ndarray, l2s: np.ndarray, select_by: str) -> int:
    """The column whose mean score is best; ties go to the larger l2.

    >>> best_of(np.array([[0.5, 0.75, 0.75]]), np.array([1e-3, 1e-2, 1e-1]), "accuracy")
    2
    """
    means = scores.mean(axis=0)
    worse = -means if select_by == "accuracy" else means
    tied = np.flatnonzero(worse <= worse.min() + _ROUNDING * np.abs(worse.min()))
    return int(max(tied, key=lambda column: l2s[column]))


def can_score_alike(data: Training) -> bool:
    """Whether rows count in the scores as they do in the fits."""
    if data.weight is None or data.score_weight is None:
        return data.weight is data.score_weight
    return bool(np.array_equal(data.weight, data.score_weight))


def _of_split(
    data: Training, loss: Known, split: Split, shared: dict[str, Any], select_by: str
) -> _Scored:
    """One split by a sweep with a validation set; scores (L,)."""
    train, test = split
    weight = None if data.weight is None else data.weight[train]
    found = sweep(data.x[train], data.codes[train], sample_weight=weight,
                  validation=(data.x[test], data.codes[test]), **shared)  # fmt: skip
    if data.score_weight is None:
        return _Scored(found.table[f"validation_{select_by}"], _is_short(found))
    # A sweep's validation rows all count the same.
    W = np.asarray(found.params.W, np.float64)
    b = None if found.params.b is None else np.asarray(found.params.b, np.float64)
    return _Scored(_scores(data, loss, test, W, b, select_by), _is_short(found))


def _is_short(found: Sweep) -> np.ndarray:
    """Whether a setting's own model ended short of the optimum (S,)."""
    return found.table["outcome"] != "converged"


def _together(
    data: Training,
    loss: Known,
    l2s: np.ndarray,
    splits: Sequence[Split],
    bias: bool,
    tol: float | None,
    max_iter: int | None,
    select_by: str,
) -> _Scored:
    """All fits of a small problem at once."""
    weight = np.ones(len(data.codes)) if data.weight is None else data.weight
    weights = np.zeros((len(splits), len(weight)))
    for number, (train, _) in enumerate(splits):
        np.add.at(weights[number], train, weight[train])  # a row may be drawn twice
    order = np.argsort(-l2s, kind="stable")
    tol = usual_tol(loss) if tol is None else max(float(tol), FINEST_TOL)
    with float64_scope(True):
        fits = small_fits(data, loss, weights, bias)
        found = fits.standings(
            l2s[order].tolist(), tol, most_steps=max_iter or MOST_STEPS, proves=False
        )
    scores = np.empty((len(splits), len(l2s)))
    for number, (_, test) in enumerate(splits):
        W = np.stack([one.params.W[number] for one in found])
        b = np.stack([np.asarray(one.params.b)[number] for one in found]) if bias else None
        scores[number, order] = _scores(data, loss, test, W, b, select_by)
    is_short = np.empty(len(l2s), bool)
    is_short[order] = [not is_there(one, tol) for one in found]
    return _Scored(scores, is_short)


def _scores(
    data: Training, loss: Known, test: np.ndarray, W: np.ndarray, b: np.ndarray | None,
    select_by: str,
) -> np.ndarray:  # fmt: skip
    """Accuracy, or mean loss, of models W (L, C, D) on some rows, (L,)."""
    codes = data.codes[test]
    weight = np.ones(len(test)) if data.score_weight is None else data.score_weight[test]
    W = W.astype(np.float64)
    scores = data.x[test].astype(np.float64) @ np.swapaxes(W, 1, 2)
    scores = scores if b is None else scores + b[:, None, :]
    if select_by == "accuracy":
        values = scores.argmax(axis=2) == codes
    elif isinstance(loss, SoftmaxCrossEntropy):
        values = -log_softmax(scores, axis=2)[:, np.arange(len(test)), codes]
    else:
        with float64_scope(True):
            values = np.stack([np.asarray(loss(one, jnp.asarray(codes))) for one in scores])
    return values @ weight / weight.sum()
