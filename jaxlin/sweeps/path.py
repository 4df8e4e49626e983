"""Sweeps over l2 to the certified optimum: each solution starts from the one before.

From the largest l2 to the smallest, as scikit-learn and glmnet do; each start lies on the line
through the last two solutions, and what was learnt of the curvature is kept as long as it serves
(`jaxlin.solvers.optimum.certifying.Descent`). With folds each of their models has a path of its
own; the features, and their main directions, exist once. Of a small problem with a smooth loss all
models go along their paths together (`jaxlin.training.small_fits`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.solvers.grid import Grid
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.optimum.certifying import Descent
from jaxlin.solvers.optimum.metric import Basis, basis_of
from jaxlin.solvers.optimum.passes import Data
from jaxlin.sweeps.progress import SweepReport
from jaxlin.sweeps.running import Trained, Work
from jaxlin.sweeps.scoring import Score, fold_scores, held_out_scores, share_of
from jaxlin.sweeps.settings import OWN_NAMES, Setting
from jaxlin.training.arguments import check_no_patience
from jaxlin.training.optimum import (
    account_of,
    check_basis,
    check_certifiable,
    fit_to_optimum,
    takes_newton,
    usual_tol,
    why_no_certificate,
)
from jaxlin.training.proved import ToOptimum
from jaxlin.training.small_fits import SmallFits, takes_small

# Models that are scored at a time.
_SCORED_TOGETHER = 64


class _Path(NamedTuple):
    """Settings that share a loss and a start, the largest l2 first."""

    loss: Loss
    rows: list[int]


def certified_rows(
    solver: Any, settings: list[Setting], objectives: list[Objective], patience: Any
) -> list[int]:
    """Which settings go to their certified optima.

    Raises:
      InputError: all were told to, and cannot.
    """
    is_told = isinstance(solver, LBFGS)
    other = [name for name in settings[0] if name not in OWN_NAMES]
    if is_told:
        check_no_patience(patience)
        for objective in objectives:
            check_certifiable(objective)
        if other:
            raise InputError(
                f"grid has {other[0]!r}, which solvers.LBFGS does not take: with it only "
                f"{', '.join(OWN_NAMES)} can vary."
            )
    elif solver is not None or other or patience is not None:
        return []
    return [row for row, one in enumerate(objectives) if why_no_certificate(one) is None]


def run_paths(
    rows: list[int],
    losses: list[Loss],
    work: Work,
    solver: LBFGS | None,
    key: jax.Array,
    users_x64: bool,
) -> tuple[list[Trained | None], bool]:
    """Some settings to their certified optima.

    Args:
      rows: which.
      losses: of each setting.
      work: of the sweep.
      solver: None takes the interior-point method where that suits.
      key: of the sweep.
      users_x64: the user's own float64 setting.

    Returns:
      As `jaxlin.sweeps.running.run_groups`.
    """
    paths = _paths(rows, losses, work)
    run = _Run(work, solver, key, users_x64, sum(len(path.rows) for path in paths))
    for path in paths:
        if not run.stopped:
            run.follow(path)
    return run.found, run.stopped


def _paths(rows: list[int], losses: list[Loss], work: Work) -> list[_Path]:
    paths: dict[Any, list[int]] = {}
    for row in rows:
        start = tuple(leaf[row].tobytes() for leaf in jax.tree.leaves(work.starts))
        paths.setdefault((losses[row], start), []).append(row)
    return [
        _Path(loss, sorted(together, key=lambda row: -work.l2[row]))
        for (loss, _), together in paths.items()
    ]


class _Run:
    """The paths of a sweep, one after the other."""

    def __init__(
        self, work: Work, solver: LBFGS | None, key: jax.Array, users_x64: bool, count: int
    ) -> None:
        self.work, self.solver, self.count = work, solver, count
        self.key, self.users_x64 = key, users_x64
        self.found: list[Trained | None] = [None] * len(work.l2)
        self.stopped = False
        self._done = 0
        self._best: float | None = None
        self._basis: Basis | None = None

    def follow(self, path: _Path) -> None:
        """All models of a path: those that leave a fold out first."""
        work = self.work
        ended: list[list[ToOptimum]] = []  # by mask, then by setting
        since = time.monotonic()
        shape = work.starts.W.shape
        if self.solver is None and takes_small(
            path.loss, len(work.examples.labels), shape[2], shape[1]
        ):
            ended = self._together(path)
        else:
            for mask in work.masks:
                is_last = mask is None or mask == work.num_folds
                ended.append(self._models(path, mask, tell=is_last))
                if self.stopped and not is_last:
                    return
        rows = path.rows[: len(ended[-1])]
        seconds = (time.monotonic() - since) / max(len(rows), 1)
        scores = self._scores(path.loss, rows, ended)
        for place, row in enumerate(rows):
            self.found[row] = _trained(ended[-1][place], scores[place], seconds, work)
        known = [score.accuracy for score in scores if score is not None]
        self._best = max([*known, *([] if self._best is None else [self._best])], default=None)

    def _together(self, path: _Path) -> list[list[ToOptimum]]:
        """The models of all masks at once, for small problems."""
        work = self.work
        start = jax.tree.map(lambda leaf: leaf[path.rows[0]], work.starts)
        passes = LBFGS().passes
        hear = self._hearer(passes)

        def on_l2(place: int, products: int) -> bool:
            del place
            self.stopped |= hear is not None and hear(products)
            self._done += 1
            return self.stopped

        with float64_scope(True):
            weight = [
                np.asarray(_weighted(work.examples, work.fold_table, mask).weight)
                for mask in work.masks
            ]
            fits = SmallFits(
                path.loss, work.examples, np.stack(weight), start, scaling=work.scaling,
                dtype=start.W.dtype,
            )  # fmt: skip
            tol = usual_tol(path.loss) if work.tol is None else work.tol
            l2 = [float(work.l2[row]) for row in path.rows]
            found = fits.at(l2, tol, None if hear is None else on_l2)
        return [list(of_mask) for of_mask in zip(*found, strict=True)]

    def _models(self, path: _Path, mask: int | None, *, tell: bool) -> list[ToOptimum]:
        """One model a setting, of the rows that a mask leaves."""
        work, ended = self.work, []
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf[path.rows[0]]), work.starts)
        examples = _weighted(work.examples, work.fold_table, mask)
        tol = usual_tol(path.loss) if work.tol is None else work.tol
        passes = (LBFGS() if self.solver is None else self.solver).passes
        weight = np.asarray(examples.weight)
        by_newton = self.solver is None and takes_newton(path.loss, len(weight), start, weight)
        descent = None if by_newton else self._descent(path.loss, examples, start)
        for row in path.rows:
            l2 = float(work.l2[row])
            hear = self._hearer(passes) if tell else None
            if descent is None:
                one = fit_to_optimum(
                    Objective(path.loss, l2), examples, start, solver=None, scaling=work.scaling,
                    held_out=None, tol=tol, dtype=start.W.dtype, on_epoch=None, key=self.key,
                    users_x64=self.users_x64,
                )  # fmt: skip
                self.stopped = hear is not None and bool(hear(len(one.history)))
            else:
                with float64_scope(True):
                    solved = descent.solve(
                        l2, tol, most_passes=passes,
                        on_round=None if hear is None else (lambda r, _, hear=hear: hear(r.passes)),
                    )  # fmt: skip
                    one = account_of(solved, tol, descent, passes, [])
                self.stopped |= solved.ending == "stopped"
            ended.append(one)
            self._done += tell
            if self.stopped:
                break
        return ended

    def _descent(self, loss: Loss, examples: Examples, start: LinearParams) -> Descent:
        with float64_scope(True):
            scaling = self.work.scaling
            data = Data(examples.x, examples.labels, examples.weight, scaling)
            basis = basis_of(data, start.b is not None) if self._basis is None else self._basis
            check_basis(basis)
            self._basis = basis
            known = conjugates.known_conjugate(loss)
            return Descent(known, data, start, dtype=start.W.dtype, basis=basis)

    def _hearer(self, passes: int) -> Callable[[int], bool] | None:
        """What the user's callback is told of a setting: after how many passes."""
        on_epoch, work = self.work.on_epoch, self.work
        if on_epoch is None:
            return None

        def hear(epoch: int) -> bool:
            told = SweepReport(
                group=self._done + 1, groups=self.count, epoch=epoch, epochs=passes,
                models=work.num_folds + 1, active=1, best_validation_accuracy=self._best,
                seconds=time.monotonic() - work.started,
            )  # fmt: skip
            answer = on_epoch(told)
            return isinstance(answer, bool | np.bool_) and bool(answer)

        return hear

    def _scores(
        self, loss: Loss, rows: list[int], ended: list[list[ToOptimum]]
    ) -> list[Score | None]:
        work = self.work
        if work.held_out is None or not rows:
            return [None] * len(rows)
        scores: list[Score | None] = []
        for first in range(0, len(rows), _SCORED_TOGETHER):
            places = range(first, min(first + _SCORED_TOGETHER, len(rows)))
            models = [of_mask[place] for place in places for of_mask in ended]
            params = jax.tree.map(
                lambda *leaves: jnp.stack(leaves), *(model.params for model in models)
            )
            l2 = np.repeat(work.l2[rows][list(places)], len(ended))
            objective = Objective(loss, jnp.asarray(l2, params.W.dtype))
            fold: Any = None
            if work.num_folds:
                fold = jnp.asarray(np.tile(np.arange(len(ended), dtype=np.int32), len(places)))
            end = Grid((), objective, params, fold)
            if work.num_folds:
                scores += fold_scores(end, work.held_out, work.scaling, work.is_weighted)
            else:
                scores += held_out_scores(end, work.held_out, work.scaling, work.key)
        return scores


def _weighted(examples: Examples, table: jax.Array | None, mask: int | None) -> Examples:
    """The examples, with float64 weights that sum to 1."""
    with float64_scope(True):
        weight = examples.weight if table is None or mask is None else table[mask]
        weight = weight.astype(jnp.float64)
        return examples._replace(weight=weight / jnp.sum(weight))


def _trained(ended: ToOptimum, score: Score | None, seconds: float, work: Work) -> Trained:
    history, certificate = ended.history, ended.certificate
    accuracy = float(history.accuracy[-1])
    if not work.is_weighted:
        accuracy = float(share_of(accuracy, len(work.examples.labels)))
    params = jax.tree.map(np.asarray, ended.params)
    return Trained(
        params, history, ended.outcome, certificate.primal, accuracy, score, seconds, certificate
    )
