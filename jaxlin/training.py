"""Training: data and a loss in, parameters and an account of how they were found out.

`fit` checks what it is given, makes the one private copy of the data that the engine reads, runs
the loop (`jaxlin.solvers.loop`) for a grid of one model, and says in a sentence how it ended.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlin import checks
from jaxlin.data.scaling import Scaling
from jaxlin.errors import DivergedError, InputError
from jaxlin.linear import LinearParams, init_params
from jaxlin.losses import Loss
from jaxlin.objective import Objective, Penalty
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.base import Evaluation, Examples, Solver
from jaxlin.solvers.block import Grid, evaluate_models
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.learning_rate import cosine_decay, suggested_epochs, suggested_learning_rate
from jaxlin.solvers.loop import LoopResult, LoopRow, OnEpoch, minimise
from jaxlin.solvers.sgd import SGD

_MOMENTUM = 0.9
_BATCH_SIZE = 256
_MANY_CLASSES = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class Fit:
    """What `fit` found, and how.

    Attributes:
      params: W (C, D) and b (C,) or None, for features as the objective saw them (scaled, if a
        scaling was given).
      history: objective and accuracy by epoch, and of the validation data where there was any.
      outcome: a sentence that says what happened and what to do; its `kind` is for programs.
      certificate: None: these solvers do not prove how far from the optimum they stopped.
      objective: what was minimised.
      scaling: what each batch went through first, or None.
      seconds: the whole fit took, compilation included.
    """

    params: LinearParams
    history: History
    outcome: Outcome
    certificate: None
    objective: Objective
    scaling: Scaling | None
    seconds: float

    @property
    def raw_params(self) -> LinearParams:
        """The parameters for raw features: the scaling is folded into W and b."""
        return self.params if self.scaling is None else self.scaling.fold(self.params)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class _DefaultNumbers:
    """What the default solver is made of; the learning rate is a leaf, so data do not retrace."""

    learning_rate: Any
    total_steps: Any
    batch_size: int = dataclasses.field(metadata={"static": True})
    epochs: int = dataclasses.field(metadata={"static": True})


def _default_solver(numbers: _DefaultNumbers) -> SGD:
    schedule = cosine_decay(numbers.learning_rate, numbers.total_steps)
    return SGD(optax.sgd(schedule, momentum=_MOMENTUM), numbers.batch_size, numbers.epochs)


def _default_numbers(
    x: jax.Array, loss: Loss, num_classes: int, scaling: Scaling | None, dtype: Any
) -> _DefaultNumbers:
    batch_size = min(_BATCH_SIZE, len(x))
    learning_rate = suggested_learning_rate(
        x,
        loss=loss,
        num_classes=num_classes,
        momentum=_MOMENTUM,
        batch_size=batch_size,
        scaling=scaling,
    )
    if not float(jnp.finfo(dtype).tiny) < learning_rate < float(jnp.finfo(dtype).max):
        raise InputError(
            f"X is so large that a learning rate of {learning_rate:.3g} would be needed, which "
            f"{jnp.dtype(dtype)} cannot hold. Scale the features "
            "(scaling=jaxlin.data.Scaling.standardize(x)), or pass dtype=jnp.float64."
        )
    steps = -(-len(x) // batch_size)
    epochs = suggested_epochs(len(x), batch_size)
    return _DefaultNumbers(learning_rate, float(steps * epochs), batch_size, epochs)


def _the_solver(numbers: Solver) -> Solver:
    """A solver is the numbers that it is made of."""
    return numbers


def _compute_dtype(x: Any, dtype: Any) -> Any:
    if dtype is None:
        is_float64 = isinstance(x, jax.Array) and x.dtype == jnp.float64
        return jnp.float64 if is_float64 else jnp.float32
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = None
    if wanted == np.float32:
        return jnp.float32
    if wanted == np.float64:
        return jnp.float64
    raise InputError(f"dtype must be float32 or float64 (what is computed in), got {dtype!r}.")


def _as_examples(
    x: Any,
    labels: Any,
    dtype: Any,
    *,
    sample_weight: Any = None,
    num_classes: int | None = None,
    num_features: int | None = None,
    prefix: str = "",
) -> Examples:
    """Checked rows on the device, weights with sum 1."""
    features = checks.as_features(x, dtype, name=f"{prefix}X", num_features=num_features)
    codes = checks.as_labels(labels, len(features), num_classes=num_classes, name=f"{prefix}labels")
    weight = checks.as_sample_weight(sample_weight, len(features))
    weight = weight / weight.max()
    return Examples(
        features, jnp.asarray(codes), jnp.asarray((weight / weight.sum()).astype(dtype))
    )


def _check_scaling(scaling: Any, num_features: int) -> None:
    if scaling is None:
        return
    if not isinstance(scaling, Scaling):
        raise InputError(f"scaling must be a jaxlin.data.Scaling or None, got {scaling!r}.")
    for name in ("shift", "scale"):
        value = np.asarray(getattr(scaling, name))
        if value.shape not in ((), (num_features,)) or not np.isfinite(value).all():
            raise InputError(
                f"scaling.{name} must be finite, a scalar or of shape ({num_features},), got "
                f"shape {value.shape}."
            )


def _start(init: Any, bias: bool, shape: tuple[int, int], dtype: Any) -> LinearParams:
    """Where the fit starts: a grid of one, checked."""
    if init is None:
        params = init_params(shape[1], shape[0], bias=bias, dtype=dtype)
    else:
        if not isinstance(init, LinearParams):
            raise InputError(f"init must be LinearParams(W, b), got {init!r}.")
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), init)
        if params.W.shape != shape:
            raise InputError(f"init.W must have shape {shape}, got {params.W.shape}.")
        if params.b is None and bias:
            params = LinearParams(params.W, jnp.zeros(shape[0], dtype))
        elif params.b is not None and not bias:
            raise InputError("init has a b, but bias=False: pass LinearParams(W) or bias=True.")
        if params.b is not None and params.b.shape != shape[:1]:
            raise InputError(f"init.b must have shape {shape[:1]}, got {params.b.shape}.")
        if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(params)):
            raise InputError("init holds NaN or infinity.")
    return jax.tree.map(lambda leaf: leaf[None], params)


def fit(
    x: Any,
    labels: Any,
    *,
    loss: Loss,
    l2: float = 0.0,
    penalty: Penalty | None = None,
    solver: Solver | None = None,
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
      solver: how to minimise; None is SGD with momentum and a cosine schedule, its learning rate
        from the size of the rows, for 20 to 200 epochs (about 2,000 steps where the data are few).
      key: a `jax.random` key, or a seed from 0 to 2**32 - 1. None is seed 0.
      init: where to start; None is zero. Its W fixes C.
      bias: whether there is a b.
      validation: `(x, labels)` to evaluate on after each epoch.
      sample_weight: (N,), not negative; integer weights act as so many copies of a row.
      tol: stop once the largest |gradient| is at most `tol` times its value at zero parameters
        (looked at after each epoch, which costs a pass); None runs all epochs.
      dtype: what to compute in, float32 or float64. None is float32, unless x is a float64 JAX
        array. float64 needs no global setting.
      on_epoch: called with an `EpochReport` after each epoch; a return value of True stops.
      patience: epochs without a better validation loss after which to stop; the parameters are
        then those of the best epoch.
      scaling: a `jaxlin.data.Scaling`, or None.

    Returns:
      A `Fit`.

    Raises:
      InputError: an argument is not what it has to be; the message names it.
      DivergedError: the fit left the finite numbers. It carries the last finite parameters.

    >>> from jaxlin import losses
    >>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
    >>> found = fit(x, [0, 1, 0, 1], loss=losses.softmax_cross_entropy, l2=1e-3)
    >>> float(found.history.accuracy[-1])
    1.0
    """
    objective = Objective(loss, l2, penalty)
    dtype = _compute_dtype(x, dtype)
    users_x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]
    with float64_scope(dtype == jnp.float64):
        num_classes = None if not isinstance(init, LinearParams) else init.num_classes
        examples = _as_examples(
            x, labels, dtype, sample_weight=sample_weight, num_classes=num_classes
        )
        if num_classes is None:
            num_classes = _count_classes(np.asarray(examples.labels))
        num_features = examples.x.shape[1]
        held_out = _as_validation(validation, dtype, num_classes, num_features)
        _check_scaling(scaling, num_features)
        _check_l2(l2, dtype)
        params = _start(init, bias, (num_classes, num_features), dtype)
        _check_choices(solver, patience, tol, on_epoch, validation)
        if solver is None:
            numbers: Any = _default_numbers(examples.x, loss, num_classes, scaling, dtype)
            make_solver: Any = _default_solver
        else:
            numbers, make_solver = solver, _the_solver
        one = Grid(
            jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype)[None], numbers),
            dataclasses.replace(objective, l2=jnp.asarray(l2, dtype)[None]),
            params,
        )
        result = minimise(
            make_solver,
            one,
            examples,
            checks.as_key(key),
            scaling=scaling,
            validation=held_out,
            patience=patience,
            tol=None if tol is None else float(tol),
            on_epoch=_reporter(on_epoch, len(examples.labels), users_x64),
        )
        found = jax.tree.map(lambda leaf: leaf[0], result.params)
        history = _history(result)
        if result.diverged[0]:
            raise DivergedError(_divergence(history), params=found, history=history)
        start = jax.tree.map(lambda leaf: leaf[0], params)
        moved = any(
            bool(jnp.any(new != old))
            for new, old in zip(jax.tree.leaves(found), jax.tree.leaves(start), strict=True)
        )
        seconds = float(history.seconds[-1])
        outcome = _outcome(result, history, tol, patience, moved)
        return Fit(found, history, outcome, None, objective, scaling, seconds)


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

    >>> from jaxlin import losses
    >>> params = LinearParams(jnp.array([[1.0], [-1.0]]))
    >>> x = np.array([[2], [-3], [1]], np.int8)
    >>> seen = evaluate(params, x, [0, 1, 1], loss=losses.weston_watkins_hinge)
    >>> round(float(seen.objective), 3), round(float(seen.accuracy), 3)
    (1.0, 0.667)
    """
    dtype = jnp.float64 if params.W.dtype == jnp.float64 else jnp.float32
    with float64_scope(dtype == jnp.float64):
        examples = _as_examples(
            x,
            labels,
            dtype,
            sample_weight=sample_weight,
            num_classes=params.num_classes,
            num_features=params.num_features,
        )
        _check_scaling(scaling, params.num_features)
        leading = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype)[None], params)
        objective = Objective(loss, jnp.zeros(1, dtype))
        seen = evaluate_models(Grid((), objective, leading), examples, scaling)
        return Evaluation(seen.objective[0], seen.accuracy[0])


def _check_l2(l2: Any, dtype: Any) -> None:
    if not float(l2) <= float(jnp.finfo(dtype).max):
        raise InputError(
            f"l2 is {float(l2):.4g}, which is too large for {jnp.dtype(dtype)}: it must be finite."
        )


def _count_classes(labels: np.ndarray) -> int:
    """C: one more than the largest label, if that can be meant."""
    present = np.unique(labels)
    if len(present) < 2:
        raise InputError(
            "fit needs samples of at least 2 classes in the data, but the data contains only one "
            f"class: {present[0]}. Declare the classes with init=jaxlin.init_params(D, C)."
        )
    num_classes = int(present[-1]) + 1
    # An identity number for a label would ask for a W of gigabytes.
    if num_classes > max(len(labels), _MANY_CLASSES):
        raise InputError(
            f"labels go up to {present[-1]}, but there are {len(labels)} examples. Encode labels "
            "of your own with classes, labels = jaxlin.data.encode_labels(labels); or declare so "
            "many classes with init=jaxlin.init_params(D, C)."
        )
    return num_classes


def _as_validation(
    validation: Any, dtype: Any, num_classes: int, num_features: int
) -> Examples | None:
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise InputError("validation must be a pair (x, labels).")
    x, labels = validation
    return _as_examples(
        x,
        labels,
        dtype,
        num_classes=num_classes,
        num_features=num_features,
        prefix="validation ",
    )


def _check_choices(solver: Any, patience: Any, tol: Any, on_epoch: Any, validation: Any) -> None:
    if solver is not None and not all(hasattr(solver, name) for name in ("init", "step", "epochs")):
        raise InputError(
            "solver must be one of jaxlin.solvers, for example solvers.SGD(optax.adam(1e-3)), or "
            f"None, got {solver!r}."
        )
    if patience is not None:
        checks.check_count("patience", patience)
        if validation is None:
            raise InputError("patience needs validation=(x, labels): there is no loss to watch.")
    if tol is not None:
        checks.check_positive("tol", tol)
    if on_epoch is not None and not callable(on_epoch):
        raise InputError(f"on_epoch must be a function of an EpochReport, got {on_epoch!r}.")


def _reporter(
    on_epoch: Callable[[EpochReport], Any] | None, num_examples: int, users_x64: bool
) -> OnEpoch | None:
    if on_epoch is None:
        return None

    fits_x64 = bool(jax.config.jax_enable_x64)  # pyright: ignore[reportAttributeAccessIssue]

    def report(epoch: int, epochs: int, row: LoopRow, read: Callable[[], LinearParams]) -> Any:
        seen = row.validation

        def read_params() -> LinearParams:
            with jax.enable_x64(fits_x64):
                return jax.tree.map(lambda leaf: leaf[0], read())

        told = EpochReport(
            epoch=epoch,
            epochs=epochs,
            objective=float(row.objective[0]),
            accuracy=float(row.accuracy[0]),
            validation_loss=None if seen is None else float(seen.objective[0]),
            validation_accuracy=None if seen is None else float(seen.accuracy[0]),
            seconds=row.seconds,
            examples=epoch * num_examples,
            read_params=read_params,
        )
        with jax.enable_x64(users_x64):  # the user's code runs under the user's setting
            return on_epoch(told)

    return report


def _history(result: LoopResult) -> History:
    rows = result.rows[: int(result.epochs[0])]
    seen = [row.validation for row in rows]
    validated = bool(seen) and seen[0] is not None
    return History(
        objective=np.array([row.objective[0] for row in rows], np.float64),
        accuracy=np.array([row.accuracy[0] for row in rows], np.float64),
        seconds=np.array([row.seconds for row in rows], np.float64),
        validation_loss=np.array([v.objective[0] for v in seen if v is not None], np.float64)
        if validated
        else None,
        validation_accuracy=np.array([v.accuracy[0] for v in seen if v is not None], np.float64)
        if validated
        else None,
    )


def _divergence(history: History) -> str:
    epoch = len(history) + 1
    return (
        f"The fit diverged in epoch {epoch}: the objective left the finite numbers or grew a "
        "millionfold. Lower the learning rate, or scale the features "
        "(scaling=jaxlin.data.Scaling.standardize(x)). The error's params are the last finite "
        "ones."
    )


def _outcome(result: LoopResult, history: History, tol: Any, patience: Any, moved: bool) -> Outcome:
    epochs, best = len(history), int(result.best_epoch[0])
    count = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    if result.stopped_by_callback:
        return Outcome(f"Stopped by on_epoch after {count}.", kind="stopped_by_callback")
    slope = "" if result.slope is None else f"{float(result.slope[0]):.3g}"
    if result.converged[0]:
        return Outcome(
            f"Converged after {count}: the largest |gradient| is {slope} of its value at zero "
            f"parameters (tol {float(tol):.3g}). This is no certificate of the distance from the "
            "optimum.",
            kind="converged",
        )
    if result.stopped_early[0]:
        return Outcome(
            f"Stopped early after {count}: the validation loss has not improved for {patience} "
            f"epochs. The parameters are those of epoch {best}.",
            kind="stopped_early",
        )
    sentence = f"Ran all {count}; there is no proof that this is the optimum."
    if slope:
        sentence += (
            f" The largest |gradient| is still {slope} of its value at zero parameters (tol "
            f"{float(tol):.3g}): allow more epochs, or lower the learning rate at their end."
        )
    if best and best < epochs:
        sentence += f" The parameters are those of epoch {best}, the best on the validation data."
    if not moved:
        sentence += (
            " The parameters never moved: is the learning rate 0, or too small for the dtype?"
        )
    elif epochs > 1 and history.objective[-1] > history.objective[0]:
        sentence += " The objective ended higher than it began: lower the learning rate."
    return Outcome(sentence, kind="out_of_steps")
