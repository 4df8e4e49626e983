"""Which solver an estimator's problem gets, and what it came to."""

from __future__ import annotations

import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from jaxlin import conjugates
from jaxlin.certificates import duality_gap
from jaxlin.conjugates import Known
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.sklearn.inputs import Training
from jaxlin.sklearn.small import Found, fit_small
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.newton import Newton
from jaxlin.training.fitting import Fit, fit
from jaxlin.training.optimum import usual_tol
from jaxlin.training.proof_sentences import newton_words, proof_sentence
from jaxlin.training.small_problems import is_small


def solve(
    data: Training,
    loss: Known,
    l2: float,
    *,
    bias: bool,
    solver: str = "auto",
    tol: float | None = None,
    max_iter: int | None = None,
    seed: int = 0,
    start: LinearParams | None = None,
) -> Found:
    """The optimum of what an estimator minimises, certified where that can be.

    Args:
      data: what to train on.
      loss: which.
      l2: not negative.
      bias: whether there is a b.
      solver: `"auto"`, `"lbfgs"` or `"newton"`.
      tol: as of `jaxlin.fit`.
      max_iter: the most steps or passes over the data; None is the solver's own.
      seed: of whatever is drawn.
      start: NumPy; None is zero.
    """
    num_classes, num_features = data.shape
    if max_iter == 0:
        return _as_it_starts(data, bias, start)
    can_newton = not conjugates.is_hinge(loss)
    if can_newton and solver != "lbfgs" and is_small(loss, len(data.codes), data.shape):
        return fit_small(data, loss, l2, bias=bias, tol=tol, max_iter=max_iter, start=start)
    chosen: Any = None
    if l2 == 0.0 and solver == "lbfgs":
        raise InputError(
            "solver='lbfgs' goes on until the optimum is proved, and with l2 = 0 nothing can be: "
            "pass l2 above 0, or solver='auto'."
        )
    if solver == "newton":
        chosen = Newton() if max_iter is None else Newton(steps=max_iter)
    elif l2 > 0.0 and (solver == "lbfgs" or max_iter is not None):
        chosen = LBFGS() if max_iter is None else LBFGS(passes=max_iter)
    with float64_scope(data.dtype == np.float64 or solver == "newton"):
        init = _params(start, (num_classes, num_features), bias, data.dtype)
        found = fit(
            data.x, data.codes, loss=loss, l2=l2, solver=chosen, key=seed, init=init, bias=bias,
            sample_weight=data.weight, tol=None if solver == "newton" else tol,
            dtype=jnp.float64 if solver == "newton" else data.dtype,
        )  # fmt: skip
    if solver == "newton" and l2 > 0.0:
        return _with_proof(found, data, loss, l2, tol)
    return _account(found, data.dtype)


def warn_unless_converged(outcome: Outcome) -> None:
    """scikit-learn's `ConvergenceWarning`, with the sentence of how the fit ended."""
    if outcome.kind != "converged":
        warnings.warn(str(outcome), ConvergenceWarning, stacklevel=3)


def _params(
    start: LinearParams | None, shape: tuple[int, int], bias: bool, dtype: Any
) -> LinearParams:
    W = np.zeros(shape, dtype) if start is None else np.asarray(start.W, dtype)
    b = np.zeros(shape[0], dtype) if bias else None
    if bias and start is not None and start.b is not None:
        b = np.asarray(start.b, dtype)
    return LinearParams(jnp.asarray(W), None if b is None else jnp.asarray(b))


def _as_it_starts(data: Training, bias: bool, start: LinearParams | None) -> Found:
    W = np.zeros(data.shape, data.dtype) if start is None else np.asarray(start.W, data.dtype)
    b = np.zeros(len(data.classes), data.dtype) if bias else None
    if bias and start is not None and start.b is not None:
        b = np.asarray(start.b, data.dtype)
    outcome = Outcome(
        "max_iter is 0: no step was taken, and the parameters are those to start from. Allow more.",
        kind="out_of_steps",
    )
    return Found(W, b, 0, None, outcome)


def _with_proof(found: Fit, data: Training, loss: Known, l2: float, tol: float | None) -> Found:
    """Newton's fit, the certificate of its rounded parameters, and how it ended by that."""
    account = _account(found, data.dtype)
    with float64_scope(True):
        b = None if account.b is None else jnp.asarray(account.b)
        certificate = duality_gap(
            Objective(loss, l2), LinearParams(jnp.asarray(account.W), b), data.x, data.codes,
            data.weight,
        )  # fmt: skip
    tol = usual_tol(loss) if tol is None else float(tol)
    ending = "certified" if certificate.relative_gap <= tol else "stuck"
    words = newton_words(len(found.history.until_settled()))
    why = " Take solver='lbfgs', or a larger tol."
    outcome = proof_sentence(ending, certificate, tol, words, why)
    return account._replace(certificate=certificate, outcome=outcome)


def _account(found: Fit, dtype: np.dtype) -> Found:
    history = found.history
    steps = len(history.until_settled()) if history.passes is None else int(history.passes[-1])
    W = np.array(found.params.W, dtype)
    b = None if found.params.b is None else np.array(found.params.b, dtype)
    return Found(W, b, steps, found.certificate, found.outcome)
