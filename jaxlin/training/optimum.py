"""Fits that end with a certificate: which, by what solver, and how they ended in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

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
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Evaluation, Examples
from jaxlin.solvers.grid import Grid, evaluate_models
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.loop import minimise
from jaxlin.solvers.newton import Newton
from jaxlin.solvers.optimum.certifying import Descent, Ending, Round, Solved
from jaxlin.solvers.optimum.metric import Basis
from jaxlin.solvers.optimum.passes import Data
from jaxlin.training.account import history_of, reporter

# A hinge of so few numbers has a second derivative that is cheap to add up and to factor.
_SMALL, _SMALL_WORK = 3000, 2e10
# Relative gaps where none was asked for.
_TOL_SOFTMAX, _TOL = 1e-4, 1e-3


class ToOptimum(NamedTuple):
    """What is known at the end."""

    params: LinearParams
    history: History
    outcome: Outcome
    certificate: Certificate


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


def takes_newton(loss: Loss, num_rows: int, params: LinearParams) -> bool:
    """Whether to take the steps of an interior-point method: for small problems with a hinge."""
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
      solver: None takes Newton's where that suits.
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
        if solver is None and takes_newton(objective.loss, len(examples.labels), start):
            return _by_newton(
                objective, examples, start, scaling=scaling, held_out=held_out, tol=tol,
                dtype=dtype, on_epoch=on_epoch, key=key, users_x64=users_x64,
            )  # fmt: skip
        solver = LBFGS() if solver is None else solver
        data = Data(examples.x, examples.labels, examples.weight, scaling)
        loss = conjugates.known_conjugate(objective.loss)
        descent = Descent(loss, data, start, dtype=dtype)
        check_basis(descent.basis)
        seen: list[Evaluation] = []

        def hear(row: Round, read: Callable[[], LinearParams]) -> Any:
            def read_params() -> LinearParams:
                with float64_scope(True):  # the user's callback runs under the user's setting
                    return read()

            validation = (
                None if held_out is None else _validated(objective, read(), held_out, scaling)
            )
            if validation is not None:
                seen.append(validation)
            if on_epoch is None:
                return False
            told = EpochReport(
                epoch=row.passes,
                epochs=solver.passes,
                objective=row.objective,
                accuracy=row.accuracy,
                validation_loss=None if validation is None else float(validation.objective),
                validation_accuracy=None if validation is None else float(validation.accuracy),
                seconds=row.seconds,
                examples=row.passes * len(examples.labels),
                read_params=read_params,
            )
            with jax.enable_x64(users_x64):
                return on_epoch(told)

        solved = descent.solve(
            float(np.asarray(objective.l2)), tol, most_passes=solver.passes, on_round=hear
        )
        return account_of(solved, tol, descent, solver.passes, seen)


def check_basis(basis: Basis) -> None:
    """Raises `InputError` for features whose squares float32 cannot hold."""
    if not np.isfinite(np.asarray(basis.variances)).all():
        raise InputError(
            "X is so large that float32 cannot hold its squares. Scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)), or give them in another unit."
        )


def _validated(
    objective: Objective, params: LinearParams, held_out: Examples, scaling: Scaling | None
) -> Evaluation:
    leading = jax.tree.map(lambda leaf: leaf[None], params)
    of_data = Objective(objective.loss, jnp.zeros(1, params.W.dtype))
    seen = evaluate_models(Grid((), of_data, leading), held_out, scaling)
    return Evaluation(seen.objective[0], seen.accuracy[0])


def _history(solved: Solved, seen: list[Evaluation]) -> History:
    rows = solved.rounds
    return History(
        objective=np.array([row.objective for row in rows]),
        accuracy=np.array([row.accuracy for row in rows]),
        seconds=np.array([row.seconds for row in rows]),
        passes=np.array([row.passes for row in rows]),
        validation_loss=np.array([float(one.objective) for one in seen]) if seen else None,
        validation_accuracy=np.array([float(one.accuracy) for one in seen]) if seen else None,
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
) -> ToOptimum:
    """Newton steps in float64, then the certificate."""
    wide = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64)[None], start)
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

    certificate = certificate_of(jax.tree.map(lambda leaf: leaf[0], result.params))
    if dtype != jnp.float64:
        # At a hinge's kinks the last bits of W decide what the dual point is; but a bound of the
        # optimum holds whatever parameters it was found at.
        rounded = certificate_of(params)
        dual = max(certificate.dual, rounded.dual)
        certificate = dataclasses.replace(rounded, dual=dual, how=certificate.how)
    history = history_of(result).until_settled()
    ending: Ending = "certified" if certificate.relative_gap <= tol else "stuck"
    if result.stopped_by_callback:
        ending = "stopped"
    outcome = proof_sentence(ending, certificate, tol, newton_words(history), "")
    return ToOptimum(params, history, outcome, certificate)


def newton_words(history: History) -> str:
    """What was done, for `proof_sentence`; the history of Newton's steps until they settled."""
    count = len(history)
    return f"Newton's method, {count} step{'' if count == 1 else 's'}"


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
        why = _why_short(solved, tol, descent, most_passes)
    outcome = proof_sentence(solved.ending, solved.certificate, tol, words, why)
    return ToOptimum(solved.params, _history(solved, seen), outcome, solved.certificate)


def proof_sentence(
    ending: Ending, certificate: Certificate, tol: float, words: str, why: str
) -> Outcome:
    """How a fit ended that has a certificate.

    Args:
      ending: whether it got as far as it was to.
      certificate: of what it found.
      tol: the relative gap that was asked for.
      words: what was done, for the brackets.
      why: it fell short, and what to do.
    """
    gap = f"{certificate.relative_gap:.2g}"
    if ending == "certified":
        sentence = (
            f"Converged ({words}): the objective, {certificate.primal:.6g}, is proved to be within "
            f"{gap} of itself of the optimum (tol {tol:.3g})."
        )
        return Outcome(sentence, kind="converged")
    proved = f"the certified relative gap is {gap} (tol {tol:.3g})"
    if ending == "stopped":
        return Outcome(f"Stopped by on_epoch ({words}): {proved}.", kind="stopped_by_callback")
    start = "Ran out of steps" if ending == "out_of_steps" else "No step improves anything more"
    return Outcome(f"{start} ({words}): {proved}.{why}", kind="out_of_steps")


def _why_short(solved: Solved, tol: float, descent: Descent, most_passes: int) -> str:
    """The likeliest cause, with its numbers, and what to do."""
    data, certificate = descent.data, solved.certificate
    accuracy = solved.rounds[-1].accuracy if solved.rounds else 0.0
    data_loss = certificate.primal - certificate.l2 * float(
        np.sum(np.square(np.asarray(solved.params.W, np.float64)))
    )
    if accuracy == 1.0 and data_loss < 0.1 * certificate.primal + 1e-3:
        return (
            f" The classes are separable: every example is right, the loss is down to "
            f"{data_loss:.2g}, and only l2 = {certificate.l2:.3g} keeps the weights from growing. "
            "A larger l2 gives an optimum that can be reached."
        )
    spread = _feature_spread(data)
    if spread > _BADLY_SCALED:
        return (
            f" The features are badly scaled: their standard deviations differ {spread:.2g}-fold. "
            "Standardise them (scaling=jaxlin.data.Scaling.standardize(x)), which makes that 1."
        )
    if solved.ending == "stuck":
        floor = _float32_floor(solved, descent)
        return (
            f" Rounding is in the way: in {descent.dtype.name} the parameters alone leave a gap of "
            f"about {floor:.1g}. Pass dtype=jnp.float64, or a larger tol."
        )
    return (
        f" Allow more than {most_passes} passes (solver=solvers.LBFGS(passes=...)), or a larger "
        f"tol than {tol:.3g}, or more l2."
    )


# Standard deviations so many times apart make a fit slow.
_BADLY_SCALED = 1e3


def _feature_spread(data: Data) -> float:
    """The largest standard deviation of a feature over the smallest that is not 0."""
    rows = np.linspace(0, data.x.shape[0] - 1, min(data.x.shape[0], 4096)).astype(np.int64)
    x = np.asarray(data.prepared(data.x[rows], jnp.float32), np.float64)
    deviations = x.std(axis=0)
    seen = deviations[deviations > 1e-12 * deviations.max()] if deviations.any() else deviations
    return float(seen.max() / seen.min()) if len(seen) and seen.min() > 0.0 else 1.0


def _float32_floor(solved: Solved, descent: Descent) -> float:
    """The gap, over the objective, that rounding the parameters to their dtype makes."""
    eps = float(jnp.finfo(descent.dtype).eps)
    W = np.asarray(solved.params.W, np.float64)
    curvature = float(descent.basis.variances[0]) + 2.0 * solved.certificate.l2
    slope = 0.5 * eps * curvature * float(np.sqrt(np.sum(W * W)))
    return slope**2 / (4.0 * solved.certificate.l2 * max(solved.certificate.primal, 1e-300))
