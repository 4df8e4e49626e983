"""Which solver an estimator's problem gets, and what it came to."""

from __future__ import annotations

import dataclasses
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
from jaxlin.sklearn.small import Found, fit_small
from jaxlin.sklearn.training_rows import Training
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.newton import LARGEST_SIZE, Newton
from jaxlin.solvers.optimum.reduced import padded, padded_rows, padded_size
from jaxlin.training.fitting import Fit, fit
from jaxlin.training.optimum import usual_tol
from jaxlin.training.proof_sentences import newton_words, proof_sentence
from jaxlin.training.small_fits import takes_small

# Of rows, times the square of the weights: what Newton's second derivative may cost.
_NEWTON_WORK = 2e10
# Without a certificate: the largest |gradient| over its value at zero.
_FLAT = 1e-6


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
    num_rows = len(data.codes)
    if l2 == 0.0:
        return _without_penalty(
            data, loss, bias=bias, solver=solver, tol=tol, max_iter=max_iter, seed=seed, start=start
        )
    if solver != "lbfgs" and takes_small(loss, num_rows, num_features, num_classes):
        return fit_small(data, loss, l2, bias=bias, tol=tol, max_iter=max_iter, start=start)
    if solver == "newton":
        chosen = Newton() if max_iter is None else Newton(steps=max_iter)
        found = _by_newton(data, loss, l2, bias, chosen, None, seed, start)
        return _with_proof(found, data, loss, l2, tol)
    chosen = None
    if solver == "lbfgs" or max_iter is not None:
        chosen = LBFGS() if max_iter is None else LBFGS(passes=max_iter)
    with float64_scope(data.dtype == np.float64):
        found = fit(
            data.x, data.codes, loss=loss, l2=l2, solver=chosen, key=seed,
            init=_params(start, data.shape, bias, data.dtype), bias=bias,
            sample_weight=data.weight, tol=tol, dtype=data.dtype,
        )  # fmt: skip
    return _account(found, data.dtype)


def _without_penalty(
    data: Training,
    loss: Known,
    *,
    bias: bool,
    solver: str,
    tol: float | None,
    max_iter: int | None,
    seed: int,
    start: LinearParams | None,
) -> Found:
    """With l2 = 0 nothing is proved: Newton's method where it can, else the epochs of `fit`."""
    if solver == "lbfgs":
        raise InputError(
            "solver='lbfgs' goes on until the optimum is proved, and with l2 = 0 nothing can be: "
            "pass l2 above 0, or solver='auto'."
        )
    if solver == "newton" or _suits_newton(loss, data, bias):
        chosen = Newton() if max_iter is None else Newton(steps=max_iter)
        tol = _FLAT if tol is None else tol
        found = _by_newton(data, loss, 0.0, bias, chosen, tol, seed, start)
        account = _account(found, data.dtype)
        # A shift of all classes alike changes no loss, and nothing else says which it is.
        b = None if account.b is None else account.b - account.b.mean()
        account = account._replace(W=account.W - account.W.mean(axis=0), b=b)
    else:
        if max_iter is not None:
            raise InputError(
                f"max_iter={max_iter} cannot be kept to: with l2 = 0 this problem is trained by "
                "epochs of minibatch SGD. Pass l2 above 0; or max_iter=None; or take "
                "MinibatchClassifier(epochs=...)."
            )
        with float64_scope(data.dtype == np.float64):
            found = fit(
                data.x, data.codes, loss=loss, l2=0.0, key=seed, bias=bias, tol=tol,
                init=_params(start, data.shape, bias, data.dtype), sample_weight=data.weight,
                dtype=data.dtype,
            )  # fmt: skip
        account = _account(found, data.dtype)
    words = f"{account.outcome} l2 is 0: there is no certificate, and there need not be an optimum."
    return account._replace(outcome=Outcome(words, kind=account.outcome.kind))


def _suits_newton(loss: Known, data: Training, bias: bool) -> bool:
    size = len(data.classes) * (data.shape[1] + bias)
    is_small = size <= LARGEST_SIZE and len(data.codes) * size * size <= _NEWTON_WORK
    return not conjugates.is_hinge(loss) and is_small


def _by_newton(
    data: Training,
    loss: Known,
    l2: float,
    bias: bool,
    solver: Newton,
    tol: float | None,
    seed: int,
    start: LinearParams | None,
) -> Fit:
    """In float64; filled up with rows and features of nothing, so that few programs do for many."""
    num_rows, num_features = data.x.shape
    rows, wide = num_rows, num_features
    if not conjugates.is_hinge(loss):  # whose method has a place for every row
        rows, wide = padded_rows(num_rows), padded_size(num_features)
    if len(data.classes) * (wide + bias) > LARGEST_SIZE:
        wide = num_features
    weight = np.ones(num_rows) if data.weight is None else data.weight
    with float64_scope(True):
        begin = _params(start, data.shape, bias, np.float64)
        W = padded(np.asarray(begin.W), len(data.classes), wide)
        found = fit(
            padded(data.x, rows, wide), padded(data.codes, rows), loss=loss, l2=l2, solver=solver,
            key=seed, init=LinearParams(jnp.asarray(W), begin.b), bias=bias,
            sample_weight=padded(weight, rows), tol=tol, dtype=jnp.float64,
        )  # fmt: skip
        cut = LinearParams(found.params.W[:, :num_features], found.params.b)
    return dataclasses.replace(found, params=cut)


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
