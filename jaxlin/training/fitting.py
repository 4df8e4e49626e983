"""`fit` and `evaluate`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.certificates.certificate import Certificate
from jaxlin.data.scaling import Scaling
from jaxlin.errors import DivergedError
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.objective import Objective, Penalty
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Evaluation, Solver
from jaxlin.solvers.grid import Grid, evaluate_models
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.learning_rate import largest_stable_rate
from jaxlin.solvers.loop import minimise
from jaxlin.training.account import (
    divergence_sentence,
    has_moved,
    have_grown,
    history_of,
    outcome_of,
    reporter,
)
from jaxlin.training.arguments import (
    as_examples,
    as_shares,
    check_choices,
    check_l2_fits,
    check_no_patience,
    check_params,
    check_remembered,
    check_scaling,
    dtype_to_compute_in,
    starting_params,
    training_data,
)
from jaxlin.training.default_solver import default_numbers, default_solver, with_penalty
from jaxlin.training.optimum import check_certifiable, fit_to_optimum, why_no_certificate
from jaxlin.training.proving import LateCertificate


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` found, and how.

    Attributes:
      params: W (C, D) and b (C,) or None, for features as the objective saw them (scaled, if a
        scaling was given).
      history: objective and accuracy by epoch (to the optimum, by rounds of passes), and of the
        validation data where there was any.
      outcome: a sentence that says what happened and what to do; its `kind` is for programs.
      objective: what was minimised.
      scaling: what each batch went through first, or None.
      seconds: the whole fit took, compilation included.
      proof: what `certificate` is, or will be made from.
    """

    params: LinearParams
    history: History
    outcome: Outcome
    objective: Objective
    scaling: Scaling | None
    seconds: float
    proof: Certificate | LateCertificate | None = dataclasses.field(repr=False)

    @property
    def certificate(self) -> Certificate | None:
        """A proof of how far from the optimum the parameters are at most.

        None where there is none: l2 = 0, a loss or a penalty of your own. Where the fit did not go
        to the optimum it is made when it is first asked for, and the fit keeps the examples till
        then.
        """
        proof = self.proof
        return proof.certificate() if isinstance(proof, LateCertificate) else proof

    @property
    def raw_params(self) -> LinearParams:
        """The parameters for raw features: the scaling is folded into W and b."""
        return self.params if self.scaling is None else self.scaling.fold(self.params)


def the_solver(numbers: Solver) -> Solver:
    """A solver is the numbers that it is made of."""
    return numbers


def fit(
    x: Any,
    labels: Any,
    *,
    loss: Loss,
    l2: float = 0.0,
    penalty: Penalty | None = None,
    solver: Solver | LBFGS | None = None,
    key: Any = None,
    init: LinearParams | None = None,
    bias: bool = True,
    validation: tuple[Any, Any] | None = None,
    sample_weight: Any = None,
    tol: float | None = None,
    dtype: Any = None,
    on_epoch: Callable[[EpochReport], Any] | None = None,
    patience: int | None = None,
    scaling: Scaling | None = None,
) -> Fit:
    """Trains a linear classifier: minimises mean loss + `l2 * sum(W^2)` (+ `penalty(W)`).

    Features are taken as they are; a `scaling` is applied batch by batch inside the compiled
    program. Integer and half-width features stay so in memory and are converted a batch at a time.

    Args:
      x: features (N, D): NumPy, JAX, or anything `np.asarray` takes.
      labels: integers 0..C-1, (N,); for others see `jaxlin.data.encode_labels`.
      loss: one of `jaxlin.losses`, or a function `(scores (N, C), labels (N,)) -> (N,)`.
      l2: lambda, not negative.
      penalty: any function of W, added as it is.
      solver: how to minimise. None goes to the certified optimum: `solvers.Newton` for a hinge
        where the problem is small, else `solvers.LBFGS`. Where nothing can be certified (a loss or
        a penalty of your own, l2 = 0), and with `patience`, None is SGD with momentum and a cosine
        schedule, its learning rate from the size of the rows, for 20 to 200 epochs (about 2,000
        steps where the data are few).
      key: a `jax.random` key, or a seed from 0 to 2**32 - 1. None is seed 0.
      init: where to start; None is zero. Its W fixes C.
      bias: whether there is a b.
      validation: `(x, labels)` to evaluate on after each epoch.
      sample_weight: (N,), not negative; integer weights act as so many copies of a row.
      tol: to the optimum: the certified relative gap to stop at, None is 1e-4 for softmax and 1e-3
        for the SVM losses. Else stop once the largest |gradient| is at most `tol` times its value
        at zero parameters (looked at after each epoch, which costs a pass); None runs all epochs.
      dtype: what to compute in, float32 or float64. None is float32, unless x is a float64 JAX
        array. float64 needs no global setting.
      on_epoch: called with an `EpochReport` after each epoch, to the optimum after some passes; a
        return value of True stops.
      patience: epochs without a better validation loss after which to stop; the parameters are
        then those of the best epoch.
      scaling: a `jaxlin.data.Scaling`, or None.

    Returns:
      A `Fit`.

    Raises:
      InputError: an argument is not what it has to be; the message names it.
      DivergedError: the fit left the finite numbers. It carries the last finite parameters.

    >>> import numpy as np
    >>> from jaxlin import losses
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
    >>> found = fit(x, [0, 1, 0, 1], loss=losses.softmax_cross_entropy, l2=1e-3)
    >>> float(found.history.accuracy[-1])
    1.0
    """
    objective = Objective(loss, l2, penalty)
    check_remembered(objective)
    dtype = dtype_to_compute_in(x, dtype)
    users_x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    with float64_scope(dtype == jnp.float64):
        check_choices(solver, patience, tol, on_epoch, validation)
        check_l2_fits(l2, dtype)
        key = checks.as_key(key)
        lbfgs = None
        if isinstance(solver, LBFGS):
            check_certifiable(objective)
            check_no_patience(patience)
            lbfgs, solver = solver, None
        to_optimum = lbfgs is not None or (
            solver is None and patience is None and why_no_certificate(objective) is None
        )
        in_batches = not to_optimum and (solver is None or solver.batch_size is not None)
        examples, held_out, shape, order = training_data(
            x, labels, dtype, init=init, sample_weight=sample_weight, validation=validation,
            scaling=scaling, key=key if in_batches else None,
        )  # fmt: skip
        params = starting_params(init, bias, shape, dtype)
        weight = checks.as_sample_weight(sample_weight, len(examples.labels))
        exact: Any = as_shares(weight if order is None else weight[order], np.float64)
        if to_optimum:
            started = time.monotonic()
            with float64_scope(True):
                exact = jnp.asarray(exact)
            ended = fit_to_optimum(
                objective, examples._replace(weight=exact),
                jax.tree.map(lambda leaf: leaf[0], params),
                solver=lbfgs, scaling=scaling, held_out=held_out, tol=tol, dtype=dtype,
                on_epoch=on_epoch, key=key, users_x64=users_x64,
            )  # fmt: skip
            seconds = time.monotonic() - started
            return Fit(
                ended.params, ended.history, ended.outcome, objective, scaling, seconds,
                ended.certificate,
            )  # fmt: skip
        if solver is None:
            suited = default_numbers(examples.x, loss, shape[0], scaling, dtype)
            numbers: Any = with_penalty(suited, float(l2))
            make_solver: Any = default_solver
        else:
            numbers, make_solver = solver, the_solver
        one = Grid(
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype)[None], numbers),
            dataclasses.replace(objective, l2=jnp.asarray(l2, dtype)[None]),
            params,
        )
        result = minimise(
            make_solver,
            one,
            examples,
            key,
            scaling=scaling,
            is_mixed=order is not None,
            validation=held_out,
            patience=patience,
            tol=None if tol is None else float(tol),
            on_epoch=reporter(on_epoch, len(examples.labels), users_x64),
        )
        found = jax.tree.map(lambda leaf: leaf[0], result.params)
        history = history_of(result)
        seen = evaluate_models(one._replace(params=result.params), examples, scaling)
        if result.diverged[0] or have_grown(result, seen.objective)[0]:
            limit = largest_stable_rate(
                examples.x, loss=loss, num_classes=shape[0], l2=float(l2), scaling=scaling
            )
            sentence = divergence_sentence(history, limit=limit)
            raise DivergedError(sentence, params=found, history=history)
        moved = has_moved(result.params, params)
        seconds = float(history.seconds[-1])
        outcome = outcome_of(result, history, tol, patience, moved)
        proof = LateCertificate(objective, found, examples._replace(weight=exact), scaling)
        return Fit(found, history, outcome, objective, scaling, seconds, proof)


def evaluate(
    params: LinearParams,
    x: Any,
    labels: Any,
    *,
    loss: Loss,
    sample_weight: Any = None,
    scaling: Scaling | None = None,
) -> Evaluation:
    """Mean loss and accuracy of a model on some data, a block of rows at a time.

    Args:
      params: W (C, D) and b (C,) or None.
      x: features (N, D), of any real dtype.
      labels: integers 0..C-1, (N,).
      loss: as for `fit`.
      sample_weight: (N,), not negative.
      scaling: what the features go through first, or None.

    Returns:
      `Evaluation(objective, accuracy)`, scalars; the objective is the mean loss alone.

    >>> import numpy as np
    >>> from jaxlin import losses
    >>> params = LinearParams(jnp.array([[1.0], [-1.0]]))
    >>> x = np.array([[2], [-3], [1]], np.int8)
    >>> seen = evaluate(params, x, [0, 1, 1], loss=losses.weston_watkins_hinge)
    >>> round(float(seen.objective), 3), round(float(seen.accuracy), 3)
    (1.0, 0.667)
    """
    check_params(params, "params")
    dtype = jnp.float64 if params.W.dtype == jnp.float64 else jnp.float32
    with float64_scope(dtype == jnp.float64):
        examples = as_examples(
            x,
            labels,
            dtype,
            sample_weight=sample_weight,
            num_classes=params.num_classes,
            num_features=params.num_features,
        )
        check_scaling(scaling, params.num_features, dtype)
        leading = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype)[None], params)
        objective = Objective(loss, jnp.zeros(1, dtype))
        seen = evaluate_models(Grid((), objective, leading), examples, scaling)
        return Evaluation(seen.objective[0], seen.accuracy[0])
