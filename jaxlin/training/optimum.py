"""Fits that end with a certificate: which, by what solver, and how they ended in words."""

from __future__ import annotations

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
from jaxlin.training.newton_rows import NewtonRows, newton_rows, takes_newton
from jaxlin.training.proof_sentences import (
    Shortfall,
    newton_words,
    proof_sentence,
    why_short,
)
from jaxlin.training.proved import ToOptimum, history_of_rounds
from jaxlin.training.rounded_params import in_dtype
from jaxlin.training.small_fits import SmallFits, takes_small

# Relative gaps where none was asked for.
_TOL_SOFTMAX, _TOL = 1e-4, 1e-3
# So small a gap is left by a method that has not broken down.
_NEAR = 0.1


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
    rows: NewtonRows | None = None,
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
      rows: the same as Newton's method takes them, of who has asked for them already.
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
            rows = newton_rows(examples, scaling, start.b is not None) if rows is None else rows
            ended, start = _by_newton(
                objective, examples, start, rows=rows, scaling=scaling, held_out=held_out, tol=tol,
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
            in_span = rows is not None and rows.span is not None
            if in_span and ended.certificate.relative_gap <= _NEAR:
                return ended  # what is left is what a proof allows for rounding
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
    rows: NewtonRows,
    scaling: Scaling | None,
    held_out: Examples | None,
    tol: float,
    dtype: Any,
    on_epoch: Callable[[EpochReport], Any] | None,
    key: jax.Array,
    users_x64: bool,
) -> tuple[ToOptimum, LinearParams]:
    """Newton steps in float64 from zero, then the certificate; and the parameters in float64."""
    l2 = float(np.asarray(objective.l2))
    one = Grid(Newton(), Objective(objective.loss, jnp.asarray([l2])), rows.zero(start))
    result = minimise(
        _the_solver, one, rows.examples, key, scaling=rows.scaling, is_mixed=False,
        validation=rows.others(held_out), patience=None, tol=None,
        on_epoch=rows.told(reporter(on_epoch, len(examples.labels), users_x64)),
    )  # fmt: skip
    within = jax.tree.map(lambda leaf: leaf[0], result.params)
    exact_params = rows.back(within)
    loss = conjugates.known_conjugate(objective.loss)

    def certificate_of(found: LinearParams, dual: jax.Array | None = None) -> Certificate:
        exact = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), found)
        given = Given(exact, examples.x, examples.labels, examples.weight, scaling)
        return certified(loss, given, l2, dual=dual)

    proof = certificate_of(exact_params)
    if proof.relative_gap > tol and rows.span is not None:
        proof = max(
            proof, certificate_of(exact_params, rows.dual(within, l2)), key=lambda one: one.dual
        )
    exact_primal = proof.primal
    params, certificate = in_dtype(exact_params, proof, tol, dtype, certificate_of)
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
