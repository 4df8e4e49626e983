"""Sweeps over l2 to the certified optimum: each solution starts from the one before.

From the largest l2 to the smallest, as scikit-learn and glmnet do; each start lies on the line
through the last two solutions, and what was learnt of the curvature is kept as long as it serves
(`jaxlin.solvers.optimum.certifying.Descent`). With folds each of their models has a path of its
own; the features, and their main directions, exist once. Of a small problem with a smooth loss all
models go along their paths together (`jaxlin.training.small_fits`).
"""

from __future__ import annotations

import time
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
from jaxlin.sweeps import memory
from jaxlin.sweeps.progress import Progress
from jaxlin.sweeps.running import Trained, Work
from jaxlin.sweeps.scoring import Score, fold_scores, held_out_scores, share_of
from jaxlin.sweeps.settings import OWN_NAMES, Setting
from jaxlin.training.arguments import check_no_patience
from jaxlin.training.newton_rows import newton_rows, takes_newton
from jaxlin.training.optimum import (
    account_of,
    check_basis,
    check_certifiable,
    fit_to_optimum,
    usual_tol,
    why_no_certificate,
)
from jaxlin.training.proved import ToOptimum
from jaxlin.training.small_fits import SmallFits, takes_small

# Models that are scored at a time, where memory holds so many.
_SCORED_TOGETHER = 256


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
    progress: Progress,
    users_x64: bool,
) -> list[Trained | None]:
    """Some settings to their certified optima.

    Args:
      rows: which.
      losses: of each setting.
      work: of the sweep.
      solver: None takes the interior-point method where that suits.
      progress: of the sweep; each of the settings is a group of its own.
      users_x64: the user's own float64 setting.

    Returns:
      As `jaxlin.sweeps.running.run_groups`.
    """
    run = _Run(work, solver, progress, users_x64)
    for path in _paths(rows, losses, work):
        if not progress.stopped:
            run.follow(path)
    return run.found


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
        self, work: Work, solver: LBFGS | None, progress: Progress, users_x64: bool
    ) -> None:
        self.work, self.solver, self.progress = work, solver, progress
        self.users_x64 = users_x64
        self.found: list[Trained | None] = [None] * len(work.l2)
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
                if self.progress.stopped and not is_last:
                    return
        rows = path.rows[: len(ended[-1])]
        seconds = (time.monotonic() - since) / max(len(rows), 1)
        scores = self._scores(path.loss, rows, ended)
        for place, row in enumerate(rows):
            self.found[row] = _trained(ended[-1][place], scores[place], seconds, work)
        known = [score.accuracy for score in scores if score is not None]
        before = [] if self.progress.best is None else [self.progress.best]
        self.progress.best = max([*known, *before], default=None)

    def _together(self, path: _Path) -> list[list[ToOptimum]]:
        """The models of all masks at once, for small problems."""
        work = self.work
        start = jax.tree.map(lambda leaf: leaf[path.rows[0]], work.starts)

        def on_l2(place: int, products: int) -> bool:
            del place
            self.progress.group += 1
            return self._tell(products, LBFGS().passes)

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
            found = fits.at(l2, tol, None if self.progress.is_silent else on_l2)
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
        with float64_scope(True):
            has_bias = start.b is not None
            within = newton_rows(examples, work.scaling, has_bias) if by_newton else None
        for row in path.rows:
            l2 = float(work.l2[row])
            self.progress.group += tell
            tells = tell and not self.progress.is_silent
            if descent is None:
                one = fit_to_optimum(
                    Objective(path.loss, l2), examples, start, solver=None, scaling=work.scaling,
                    held_out=None, tol=tol, dtype=start.W.dtype, on_epoch=None, key=work.key,
                    users_x64=self.users_x64, rows=within,
                )  # fmt: skip
                if tells:
                    self._tell(len(one.history), passes)
            else:
                with float64_scope(True):
                    solved = descent.solve(
                        l2, tol, most_passes=passes,
                        on_round=(lambda r, _: self._tell(r.passes, passes)) if tells else None,
                    )  # fmt: skip
                    one = account_of(solved, tol, descent, passes, [])
            ended.append(one)
            if self.progress.stopped:
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

    def _tell(self, epoch: int, passes: int) -> bool:
        """Tells of a setting, after how many passes; gives whether it is to be the last."""
        most = max(passes, epoch)  # a way that counts products with the rows has no such limit
        return self.progress.tell(epoch, most, models=self.work.num_folds + 1, active=1)

    def _scores(
        self, loss: Loss, rows: list[int], ended: list[list[ToOptimum]]
    ) -> list[Score | None]:
        work = self.work
        if work.held_out is None or not rows:
            return [None] * len(rows)
        scores: list[Score | None] = []
        num_classes, own_rows = work.starts.W.shape[1], 2 * len(work.held_out.labels)
        start = jax.tree.map(lambda leaf: leaf[0], work.starts)
        each = memory.model_bytes((), start, num_classes, None, own_rows)
        at_once = max(1, min(_SCORED_TOGETHER, memory.most_models(each)) // len(ended))
        for first in range(0, len(rows), at_once):
            places = range(first, min(first + at_once, len(rows)))
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
