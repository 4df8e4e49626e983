"""Fits that end with a certificate: which, by what solver, and how they ended in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import conjugates
from jaxlin.certificates.bounds import certified
from jaxlin.certificates.certificate import Certificate
from jaxlin.certificates.dual_points import Given
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss, SoftmaxCrossEntropy
from jaxlin.objective import Objective
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.grid import Grid
from jaxlin.solvers.history import EpochReport
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.loop import minimise
from jaxlin.solvers.newton import Newton
from jaxlin.solvers.optimum.certifying import Descent, Ending, Solved
from jaxlin.solvers.optimum.metric import Basis
from jaxlin.solvers.optimum.passes import Data
from jaxlin.training.account import history_of, reporter
from jaxlin.training.listening import Listener
from jaxlin.training.proof_sentences import (
    Shortfall,
    newton_words,
    proof_sentence,
    why_short,
)
from jaxlin.training.proved import ToOptimum, history_of_rounds
from jaxlin.training.small_fits import SmallFits, takes_small

# A hinge of so few numbers has a second derivative that is cheap to add up and to factor.
_SMALL, _SMALL_WORK = 3000, 2e10
# Of the largest weight.
_LEAST_WEIGHT = 0.1
# Relative gaps where none was asked for.
_TOL_SOFTMAX, _TOL = 1e-4, 1e-3


def why_no_certificate(objective: Objective) -> str | None:
    """What stands in the way of a certificate, or None."""
    try:
        conjugates.known_conjugate(objective.loss)
    except InputError:
        return "the convex conjugate of the loss is not known"
    if objective.penalty is not None:
        return "there is a penalty of your own"
    if not float(np.asarray(objective.l2)) > 0.0:
        return "l2 is 0"
    return None


def check_certifiable(objective: Objective) -> None:
    """Raises `InputError` where `LBFGS` was asked for and cannot prove anything."""
    why = why_no_certificate(objective)
    if why is not None:
        raise InputError(
            f"solvers.LBFGS goes on until a certificate says that it is there, and {why}: use "
            "solvers.SGD, solvers.Newton or solvers.GradientDescent(optax.lbfgs())."
        )


def usual_tol(loss: Loss) -> float:
    """The relative gap to stop at where none was asked for."""
    return _TOL_SOFTMAX if isinstance(loss, SoftmaxCrossEntropy) else _TOL


def takes_newton(
    loss: Loss, num_rows: int, params: LinearParams, weight: np.ndarray | None = None
) -> bool:
    """Whether to take the steps of an interior-point method: for small problems with a hinge.

    Args:
      loss: which.
      num_rows: N.
      params: that are to be found.
      weight: (N,), or None. Rows that hardly count have their place in the method all the same, and
        keep it from the end.
    """
    if weight is not None and weight.min() < _LEAST_WEIGHT * weight.max():
        return False
    size = params.num_classes * (params.num_features + (params.b is not None))
    is_small = size <= _SMALL and num_rows * size * size <= _SMALL_WORK
    return conjugates.is_hinge(loss) and is_small


def fit_to_optimum(
    objective: Objective,
    examples: Examples,
    start: LinearParams,
    *,
    solver: LBFGS | None,
    scaling: Scaling | None,
    held_out: Examples | None,
    tol: float | None,
    dtype: Any,
    on_epoch: Callable[[EpochReport], Any] | None,
    key: jax.Array,
    users_x64: bool,
) -> ToOptimum:
    """The certified optimum of a checked problem.

    Args:
      objective: with a known loss, l2 > 0 and no penalty.
      examples: all rows, weights in float64.
      start: W (C, D) and b (C,) or None.
      solver: None takes Newton's ways where they suit.
      scaling: of the features, or None.
      held_out: rows to validate on, or None.
      tol: relative gap; None is what is usual.
      dtype: of the products while it is enough, and of the parameters.
      on_epoch: as for `fit`.
      key: as for `fit`.
      users_x64: the user's own float64 setting.
    """
    tol = usual_tol(objective.loss) if tol is None else float(tol)
    with float64_scope(True):
        most_passes = (LBFGS() if solver is None else solver).passes
        listener = Listener(
            objective, held_out, scaling, on_epoch, num_examples=len(examples.labels),
            most_passes=most_passes, users_x64=users_x64,
        )  # fmt: skip
        ended, weight = None, np.asarray(examples.weight)
        num_rows, l2 = len(weight), float(np.asarray(objective.l2))
        if solver is None and takes_newton(objective.loss, num_rows, start, weight):
            ended, start = _by_newton(
                objective, examples, start, scaling=scaling, held_out=held_out, tol=tol,
                dtype=dtype, on_epoch=on_epoch, key=key, users_x64=users_x64,
            )  # fmt: skip
        elif solver is None and takes_small(
            objective.loss, num_rows, start.num_features, start.num_classes
        ):
            fits = SmallFits(
                objective.loss, examples, weight[None], start, scaling=scaling, dtype=dtype
            )
            ended = fits.one(l2, tol, listener)
            ended = ended._replace(params=jax.tree.map(jnp.asarray, ended.params))
            start = ended.params
        if ended is not None and ended.outcome.kind != "out_of_steps":
            return ended
        if ended is not None:
            listener.go_on_from(ended.history)
        data = Data(examples.x, examples.labels, examples.weight, scaling)
        loss = conjugates.known_conjugate(objective.loss)
        descent = Descent(loss, data, start, dtype=dtype)
        if ended is not None and not is_held(descent.basis):
            return ended
        check_basis(descent.basis)
        # Where another way has no proof, its bound is a bound all the same.
        dual = -np.inf if ended is None else ended.certificate.dual
        solved = descent.solve(l2, tol, most_passes=most_passes, on_round=listener, dual=dual)
        found = account_of(solved, tol, descent, most_passes, listener.seen)
        found = found._replace(history=listener.counted_on(found.history))
        if ended is None or found.outcome.kind == "stopped_by_callback":
            return found
        is_better = ended.certificate.relative_gap < found.certificate.relative_gap
        return ended if is_better else found


def is_held(basis: Basis) -> bool:
    """Whether float32 can hold the squares of the features."""
    return bool(np.isfinite(np.asarray(basis.variances)).all())


def check_basis(basis: Basis) -> None:
    """Raises `InputError` for features whose squares float32 cannot hold."""
    if not is_held(basis):
        raise InputError(
            "X is so large that float32 cannot hold its squares. Scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)), or give them in another unit."
        )


def _the_solver(numbers: Newton) -> Newton:
    """A solver is what it is made of; a function of the module, so that its program is found."""
    return numbers


def _by_newton(
    objective: Objective,
    examples: Examples,
    start: LinearParams,
    *,
    scaling: Scaling | None,
    held_out: Examples | None,
    tol: float,
    dtype: Any,
    on_epoch: Callable[[EpochReport], Any] | None,
    key: jax.Array,
    users_x64: bool,
) -> tuple[ToOptimum, LinearParams]:
    """Newton steps in float64 from zero, then the certificate; and the parameters in float64."""
    wide = jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape), jnp.float64), start)
    l2 = float(np.asarray(objective.l2))
    one = Grid(Newton(), Objective(objective.loss, jnp.asarray([l2])), wide)
    result = minimise(
        _the_solver, one, examples, key, scaling=scaling, is_mixed=False,
        validation=held_out, patience=None, tol=None,
        on_epoch=reporter(on_epoch, len(examples.labels), users_x64),
    )  # fmt: skip
    params = jax.tree.map(lambda leaf: leaf[0].astype(dtype), result.params)
    loss = conjugates.known_conjugate(objective.loss)

    def certificate_of(found: LinearParams) -> Certificate:
        exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), found)
        return certified(
            loss, Given(exact, examples.x, examples.labels, examples.weight, scaling), l2
        )

    exact_params = jax.tree.map(lambda leaf: leaf[0], result.params)
    certificate = certificate_of(exact_params)
    exact_primal = certificate.primal
    if dtype != jnp.float64:
        # At a hinge's kinks the last bits of W decide what the dual point is; but a bound of the
        # optimum holds whatever parameters it was found at.
        rounded = certificate_of(params)
        dual = max(certificate.dual, rounded.dual)
        certificate = dataclasses.replace(rounded, dual=dual, how=certificate.how)
    history, why = history_of(result).until_settled(), ""
    ending: Ending = "certified" if certificate.relative_gap <= tol else "stuck"
    if result.stopped_by_callback:
        ending = "stopped"
    if ending == "stuck":
        data = Data(examples.x, examples.labels, examples.weight, scaling)
        accuracy = float(history.accuracy[-1]) if len(history) else 0.0
        short = Shortfall(ending, certificate, params, accuracy, certificate.primal - exact_primal)
        why = why_short(short, tol, data, "")
    outcome = proof_sentence(ending, certificate, tol, newton_words(len(history)), why)
    return ToOptimum(params, history, outcome, certificate), exact_params


def account_of(
    solved: Solved, tol: float, descent: Descent, most_passes: int, seen: list[Evaluation]
) -> ToOptimum:
    """What a descent came to, and in words how; where it fell short also why and what to do.

    Args:
      solved: the descent's own account.
      tol: that it was to reach.
      descent: which it was.
      most_passes: that it had.
      seen: the validation rows, after each of its rounds.
    """
    words = f"{solved.passes} passes over the data"
    why = ""
    if solved.ending in ("out_of_steps", "stuck"):
        accuracy = solved.rounds[-1].accuracy if solved.rounds else 0.0
        short = Shortfall(
            solved.ending, solved.certificate, solved.params, accuracy, solved.rounding
        )
        more = f"Allow more than {most_passes} passes (solver=solvers.LBFGS(passes=...))"
        why = why_short(short, tol, descent.data, more)
    outcome = proof_sentence(solved.ending, solved.certificate, tol, words, why)
    return ToOptimum(
        solved.params, history_of_rounds(solved.rounds, seen), outcome, solved.certificate
    )
