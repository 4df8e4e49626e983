"""`sweep`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.certificates.certificate import Certificate
from jaxlin.data.scaling import Scaling
from jaxlin.errors import DivergedError, InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.objective import Objective, Penalty
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Examples
from jaxlin.solvers.history import History
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.sweeps.choosing import best_row, check_select_by, edges_of, outcome_sentence
from jaxlin.sweeps.folding import fold_numbers, fold_weights
from jaxlin.sweeps.path import certified_rows, run_paths
from jaxlin.sweeps.programs import groups_of
from jaxlin.sweeps.progress import Progress, SweepReport
from jaxlin.sweeps.result import Sweep
from jaxlin.sweeps.running import Plan, Trained, Work, planned, run_groups
from jaxlin.sweeps.settings import Setting, columns_of, settings_of
from jaxlin.training.arguments import (
    check_choices,
    check_l2_fits,
    check_params,
    check_remembered,
    dtype_to_compute_in,
    starting_params,
    training_data,
)
from jaxlin.training.proving import LateCertificate

# Scores of weighted rows are sums that rounding reaches: what differs by less than this ties.
_ROUNDING_STEPS = 8


def sweep(
    x: Any,
    labels: Any,
    *,
    loss: Loss | None = None,
    grid: Any,
    solver: Any = None,
    penalty: Penalty | None = None,
    folds: Any = None,
    validation: tuple[Any, Any] | None = None,
    key: Any = None,
    init: LinearParams | None = None,
    bias: bool = True,
    sample_weight: Any = None,
    tol: float | None = None,
    patience: int | None = None,
    scaling: Scaling | None = None,
    dtype: Any = None,
    on_epoch: Callable[[SweepReport], Any] | None = None,
    select_by: str = "accuracy",
) -> Sweep:
    """Trains a model for every setting of a grid, as many as can at once, and finds the best.

    Each is the model that `fit` would give alone with the same key. They share the order of the
    data and one pass over it, so that a grid costs a fraction of its models one by one. A model
    that diverges or stops early disturbs no other.

    With `folds` every setting is trained k times without one fold, to be scored on it, and once on
    all rows. With `patience` besides, each fold's model stops on the fold that it leaves out, and
    the one on all rows trains for as many epochs as their best ones, in the median.

    Args:
      x: features (N, D), as for `fit`.
      labels: integers 0..C-1, (N,).
      loss: one of `jaxlin.losses` or a function, unless `grid` has it.
      grid: names with lists, `{"l2": [0.1, 1.0], "learning_rate": [...]}`, whose product is taken,
        the last list fastest; or a list of dicts with the same names. `l2`, `loss` and `init` are
        jaxlin's own; every other name is an argument of the solver. l2 is 0 where it is not given.
      solver: None goes to the certified optimum where `fit` would and the grid has jaxlin's own
        names alone: each l2 starts from the one before. Else it is SGD, whose arguments are
        `learning_rate` (at the schedule's start), `momentum`, `batch_size` and `epochs`. Or a
        function of the grid's other names that makes a solver: numbers that it can be traced with
        share a program, settings that differ in anything else run one group after another. Or a
        solver: then only jaxlin's own names can vary.
      penalty: any function of W, added as it is.
      folds: how many, at least 2, stratified by class and drawn by the key; or the fold of each
        example, 0..k-1, (N,).
      validation: `(x, labels)` to score every setting on; not together with `folds`.
      key: a `jax.random` key, or a seed. None is seed 0.
      init: where all start, unless `grid` has it; None is zero.
      bias: whether there is a b.
      sample_weight: (N,), not negative.
      tol: as for `fit`.
      patience: epochs without a better validation loss after which a model stops.
      scaling: a `jaxlin.data.Scaling`, or None.
      dtype: float32 or float64; as for `fit`.
      on_epoch: called with a `SweepReport` after each epoch; True stops everything.
      select_by: `"accuracy"` or `"loss"`, of the validation rows. Ties go to the larger l2.

    Returns:
      A `Sweep`.

    Raises:
      InputError: an argument is not what it has to be; the message names it.
      DivergedError: every setting diverged. It carries the last finite parameters of the first.

    >>> from jaxlin import losses
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
    >>> found = sweep(x, [0, 1, 0, 1], loss=losses.softmax_cross_entropy,
    ...               grid={"l2": [1e-3, 1e-2], "learning_rate": [0.1, 1.0]}, folds=2)
    >>> found.table["validation_accuracy"].tolist(), found.best
    ([1.0, 1.0, 1.0, 1.0], 2)
    """
    started = time.monotonic()
    settings = settings_of(grid)
    losses = _by_setting("loss", loss, settings)
    inits = _by_setting("init", init, settings)
    objectives = [
        Objective(of_one, setting.get("l2", 0.0), penalty)
        for of_one, setting in zip(losses, settings, strict=True)
    ]
    for objective in objectives:
        check_remembered(objective)
    check_select_by(select_by, len(set(losses)) > 1)
    if folds is not None and validation is not None:
        raise InputError(
            "folds and validation exclude each other: each gives the rows to score on."
        )
    if patience is not None and validation is None and folds is None:
        raise InputError(
            "patience needs validation=(x, labels) or folds: there is no loss to watch."
        )
    certified = certified_rows(solver, settings, objectives, patience)
    others = sorted({*range(len(settings))} - {*certified})
    dtype = dtype_to_compute_in(x, dtype)
    users_x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    with float64_scope(dtype == jnp.float64):
        check_choices(None, patience, tol, on_epoch, folds if validation is None else validation)
        key = checks.as_key(key)
        first = next((one for one in inits if one is not None), None)
        examples, held_out, shape, order = training_data(
            x, labels, dtype, init=first, sample_weight=sample_weight, validation=validation,
            scaling=scaling, key=key if others else None,
        )  # fmt: skip
        for setting in settings:
            check_l2_fits(setting.get("l2", 0.0), dtype)
        table = None
        if folds is not None:
            examples, held_out, table = _folded(examples, order, folds, sample_weight, key, dtype)
        work = Work(
            examples=examples,
            held_out=held_out,
            fold_table=table,
            is_weighted=sample_weight is not None,
            starts=_starts(inits, bias, shape, dtype),
            l2=np.array([setting.get("l2", 0.0) for setting in settings], np.float64),
            key=key,
            penalty=penalty,
            scaling=scaling,
            is_mixed=order is not None,
            patience=patience,
            tol=None if tol is None else float(tol),
            on_epoch=_as_user(on_epoch, users_x64),
            started=started,
        )
        plan = Plan([], 0)
        if others:
            groups = groups_of(settings, solver, losses, examples, shape, bias, scaling, dtype)
            plan = planned([part for group in groups for part in group.of_rows(others)], work)
        progress = Progress(work.on_epoch, len(certified) + plan.loops, started)
        lbfgs = solver if isinstance(solver, LBFGS) else None
        found = run_paths(certified, losses, work, lbfgs, progress, users_x64)
        by_steps = run_groups(plan, work, progress)
        found = [b if a is None else a for a, b in zip(found, by_steps, strict=True)]
        return _result(settings, objectives, found, progress.stopped, work, select_by)


def _by_setting(name: str, given: Any, settings: list[Setting]) -> list[Any]:
    """The loss or the init of each setting: the grid's, or the one that was given."""
    if name not in settings[0]:
        if given is None and name == "loss":
            raise InputError("loss must be given, as an argument or as a list in grid.")
        return [given] * len(settings)
    if given is not None:
        raise InputError(f"{name} is an argument and in grid as well: leave one out.")
    return [setting[name] for setting in settings]


def _starts(inits: list[Any], bias: bool, shape: tuple[int, int], dtype: Any) -> LinearParams:
    """Where each setting starts, NumPy, leading axis S."""
    same = all(init is inits[0] for init in inits)
    different = []
    for init in inits[:1] if same else inits:
        if init is not None:
            check_params(init, "init")
        params = starting_params(init, bias, shape, dtype)
        different.append(jax.tree.map(np.asarray, params))
    if same:  # however many they are, it exists once
        size = len(inits)
        return jax.tree.map(
            lambda leaf: np.broadcast_to(leaf, (size, *leaf.shape[1:])), different[0]
        )
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *different)


def _folded(
    examples: Examples,
    order: np.ndarray | None,
    folds: Any,
    sample_weight: Any,
    key: jax.Array,
    dtype: Any,
) -> tuple[Examples, Examples, jax.Array]:
    """The examples, the same with weights of the rows left out, and the table of those kept."""
    labels = np.asarray(examples.labels)
    place = np.arange(len(labels)) if order is None else order
    as_given = np.empty_like(labels)
    as_given[place] = labels
    numbers = fold_numbers(folds, as_given, key)
    weight = checks.as_sample_weight(sample_weight, len(numbers))
    kept, left_out = fold_weights(numbers[place], weight[place], dtype)
    return examples, examples._replace(weight=jnp.asarray(left_out)), jnp.asarray(kept)


def _as_user(
    on_epoch: Callable[[SweepReport], Any] | None, users_x64: bool
) -> Callable[[SweepReport], Any] | None:
    """The user's function, under the user's own float64 setting."""
    if on_epoch is None:
        return None

    def report(told: SweepReport) -> Any:
        with jax.enable_x64(users_x64):
            return on_epoch(told)

    return report


def _result(
    settings: list[Setting],
    objectives: list[Objective],
    found: list[Trained | None],
    stopped: bool,
    work: Work,
    select_by: str,
) -> Sweep:
    """The account of a sweep."""
    trained = [_not_run(work, row) if one is None else one for row, one in enumerate(found)]
    kinds = ["not_run" if one.outcome is None else one.outcome.kind for one in trained]
    params = jax.tree.map(lambda *rows: jnp.asarray(np.stack(rows)), *(t.params for t in trained))
    histories = [one.history for one in trained]
    if all(kind == "diverged" for kind in kinds):
        raise DivergedError(
            "Every setting diverged: the objective left the finite numbers or grew a millionfold. "
            "Lower the learning rates, or scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)). The error's params are the last finite "
            "ones of the first setting.",
            params=jax.tree.map(lambda leaf: leaf[0], params),
            history=histories[0],
        )
    table = columns_of(settings)
    table |= _columns(trained, "epochs_run" if "epochs" in table else "epochs")
    if any(one.certificate is not None for one in trained):
        table["relative_gap"] = np.array(
            [np.nan if c is None else c.relative_gap for c in (one.certificate for one in trained)]
        )
    table["outcome"] = np.array(kinds, object)
    table["seconds"] = np.array([one.seconds for one in trained])
    eps = float(jnp.finfo(work.starts.W.dtype).eps)
    exact = not (work.is_weighted and work.num_folds) and select_by == "accuracy"
    best = best_row(table, settings, select_by, 0.0 if exact else _ROUNDING_STEPS * eps)
    edges = edges_of(settings, best)
    return Sweep(
        table=table,
        best=best,
        params=params,
        histories=histories,
        outcome=outcome_sentence(table, settings, best, edges, select_by, stopped),
        edges=edges,
        fold_scores=_fold_scores(trained),
        settings=settings,
        seconds=time.monotonic() - work.started,
        outcomes=[one.outcome for one in trained],
        objectives=objectives,
        scaling=work.scaling,
        proofs=[
            _proof(one, objective, work) for one, objective in zip(trained, objectives, strict=True)
        ],
    )


def _proof(one: Trained, objective: Objective, work: Work) -> Certificate | LateCertificate | None:
    """The certificate of a setting, or what it can be made from; None where it has no model."""
    if one.certificate is not None or one.outcome is None or one.outcome.kind == "diverged":
        return one.certificate
    return LateCertificate(objective, one.params, work.examples, work.scaling)


def _not_run(work: Work, row: int) -> Trained:
    """A setting that the sweep was stopped before."""
    nothing = np.empty(0)
    start = jax.tree.map(lambda leaf: np.asarray(leaf[row]), work.starts)
    history = History(nothing, nothing, nothing)
    return Trained(start, history, None, np.nan, np.nan, None, 0.0)


def _columns(trained: list[Trained], epochs: str) -> dict[str, np.ndarray]:
    """The table's columns of numbers; NaN where a setting has none."""
    columns: dict[str, list[Any]] = {
        "objective": [one.objective for one in trained],
        "accuracy": [one.accuracy for one in trained],
    }
    scored = next((one.score for one in trained if one.score is not None), None)
    if scored is not None:
        known = [one.score for one in trained]
        columns["validation_loss"] = [np.nan if s is None else s.loss for s in known]
        columns["validation_accuracy"] = [np.nan if s is None else s.accuracy for s in known]
        for name in scored.spread:
            columns[name] = [np.nan if s is None else s.spread[name] for s in known]
    columns[epochs] = [len(one.history) for one in trained]
    return {name: np.array(values) for name, values in columns.items()}


def _fold_scores(trained: list[Trained]) -> dict[str, np.ndarray] | None:
    known = [None if one.score is None else one.score.folds for one in trained]
    folds = next((scores for scores in known if scores is not None), None)
    if folds is None:
        return None
    whole = np.stack([np.full_like(folds, np.nan) if s is None else s for s in known])
    return {"loss": whole[:, 0], "accuracy": whole[:, 1]}
