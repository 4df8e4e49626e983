"""What `fit` and `evaluate` are given: checked, and in the form that the engine takes."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxlin import checks
from jaxlin.arrays import check_two_dimensional, numeric_array
from jaxlin.data.order import memory_order
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, init_params
from jaxlin.objective import Objective, check_l2
from jaxlin.solvers.base import Examples
from jaxlin.solvers.lbfgs import LBFGS

_MANY_CLASSES = 1000


def dtype_to_compute_in(x: Any, dtype: Any) -> Any:
    """float32 or float64: what was asked for, or else what suits x."""
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


def as_examples(
    x: Any,
    labels: Any,
    dtype: Any,
    *,
    sample_weight: Any = None,
    num_classes: int | None = None,
    num_features: int | None = None,
    prefix: str = "",
    order: np.ndarray | None = None,
) -> Examples:
    """Checked rows on the device, in an order if one is given, weights with sum 1."""
    features = checks.as_features(
        x, dtype, name=f"{prefix}X", num_features=num_features, order=order
    )
    codes = checks.as_labels(labels, len(features), num_classes=num_classes, name=f"{prefix}labels")
    weight = checks.as_sample_weight(sample_weight, len(features))
    if order is not None:
        codes, weight = codes[order], weight[order]
    return Examples(features, jnp.asarray(codes), jnp.asarray(as_shares(weight, dtype)))


def as_shares(weight: np.ndarray, dtype: Any) -> np.ndarray:
    """Checked float64 weights (N,) with sum 1, in the dtype that is computed in."""
    weight = weight / weight.max()
    return (weight / weight.sum()).astype(dtype)


def check_scaling(scaling: Any, num_features: int, dtype: Any) -> None:
    """Raises `InputError` for a scaling that does not fit the features, or the dtype."""
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
    with np.errstate(over="ignore"):
        scale = np.asarray(scaling.scale, np.float64)
        held = scale.astype(dtype)
    lost = ~np.isfinite(held) | ((scale != 0.0) & (held == 0.0))
    if lost.any():
        raise InputError(
            f"scaling.scale holds {scale[lost].flat[0]:.4g}, which {jnp.dtype(dtype)} cannot hold: "
            "pass dtype=jnp.float64, or give the features in another unit."
        )


def check_params(params: Any, name: str) -> None:
    """Raises `InputError` for what is no `LinearParams` of a matrix W and a vector b of numbers."""
    if not isinstance(params, LinearParams):
        raise InputError(f"{name} must be LinearParams(W, b), got {params!r:.80}.")
    for leaf, rank in (("W", 2), ("b", 1)):
        value: Any = getattr(params, leaf)
        if value is None and leaf == "b":
            continue
        dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", ())
        if dtype is None or len(shape) != rank or not jnp.issubdtype(dtype, jnp.number):
            raise InputError(
                f"{name}.{leaf} must be an array of numbers with {rank} dimensions, got "
                f"{value!r:.80}."
            )
        if not np.isfinite(np.asarray(value).astype(np.float64)).all():
            raise InputError(f"{name} holds NaN or infinity.")


def starting_params(init: Any, bias: bool, shape: tuple[int, int], dtype: Any) -> LinearParams:
    """Where the fit starts: a grid of one, checked."""
    if init is None:
        params = init_params(shape[1], shape[0], bias=bias, dtype=dtype)
    else:
        check_params(init, "init")
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


def check_remembered(objective: Objective) -> None:
    """Raises `InputError` for a loss or a penalty that compiled programs cannot be found by."""
    for name in ("loss", "penalty"):
        function = getattr(objective, name)
        try:
            hash(function)
        except TypeError:
            raise InputError(
                f"{name} must be hashable, so that compiled programs are found again; this "
                f"{type(function).__name__} is not. Of a dataclass that holds no arrays or lists: "
                "@dataclass(frozen=True)."
            ) from None


def check_l2_fits(l2: Any, dtype: Any) -> None:
    """Raises `InputError` for an l2 that is no single number, or that the dtype cannot hold."""
    if isinstance(l2, Tracer):
        raise InputError("l2 is being traced by JAX: fit runs on numbers, outside of jit and vmap.")
    if np.shape(l2) != ():
        raise InputError(f"l2 must be one number, got an array of shape {np.shape(l2)}.")
    check_l2(np.asarray(l2))  # a JAX scalar's value is looked at as well
    if not float(l2) <= float(jnp.finfo(dtype).max):
        raise InputError(
            f"l2 is {float(l2):.4g}, which is too large for {jnp.dtype(dtype)}: it must be finite."
        )


def count_classes(labels: np.ndarray) -> int:
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


def as_validation(
    validation: Any, dtype: Any, num_classes: int, num_features: int
) -> Examples | None:
    """Checked rows of a pair (x, labels); None for None."""
    if validation is None:
        return None
    if not isinstance(validation, tuple | list) or len(validation) != 2:
        raise InputError("validation must be a pair (x, labels).")
    x, labels = validation
    return as_examples(
        x,
        labels,
        dtype,
        num_classes=num_classes,
        num_features=num_features,
        prefix="validation ",
    )


class TrainingData(NamedTuple):
    """What to train on.

    Attributes:
      examples: all rows.
      held_out: those to validate on, or None.
      shape: (C, D).
      order: in which the examples lie in memory, a permutation of the user's rows (N,); None
        where they lie as they came.
    """

    examples: Examples
    held_out: Examples | None
    shape: tuple[int, int]
    order: np.ndarray | None


def training_data(
    x: Any,
    labels: Any,
    dtype: Any,
    *,
    init: Any,
    sample_weight: Any,
    validation: Any,
    scaling: Any,
    key: jax.Array | None,
) -> TrainingData:
    """The rows to train on, checked; a first `init` fixes C.

    Args:
      x: features (N, D).
      labels: (N,).
      dtype: that is computed in.
      init: `LinearParams`, or None.
      sample_weight: (N,), or None.
      validation: a pair (x, labels), or None.
      scaling: of the features, or None.
      key: of the order in which large data are laid out; None leaves them as they come.

    Raises:
      InputError: any of them is not what it has to be.
    """
    if init is not None:
        check_params(init, "init")
    num_classes = None if init is None else init.num_classes
    order = None
    if key is not None and not isinstance(x, Tracer):
        x = numeric_array(x, "X")
        check_two_dimensional(x, "X")
        if not _is_elsewhere(x):
            order = memory_order(key, *x.shape)
    examples = as_examples(
        x, labels, dtype, sample_weight=sample_weight, num_classes=num_classes, order=order
    )
    if num_classes is None:
        num_classes = count_classes(np.asarray(examples.labels))
    num_features = examples.x.shape[1]
    held_out = as_validation(validation, dtype, num_classes, num_features)
    check_scaling(scaling, num_features, dtype)
    return TrainingData(examples, held_out, (num_classes, num_features), order)


def _is_elsewhere(x: np.ndarray | jax.Array) -> bool:
    """Whether an array lies on an accelerator: it stays there as it is."""
    return isinstance(x, jax.Array) and any(device.platform != "cpu" for device in x.devices())


def check_no_patience(patience: Any) -> None:
    """Raises `InputError` where a solver that goes to the optimum is to stop early."""
    if patience is not None:
        raise InputError(
            "patience stops a fit before its optimum, and solvers.LBFGS goes to it: leave patience "
            "out, or use solvers.SGD."
        )


def check_choices(solver: Any, patience: Any, tol: Any, on_epoch: Any, validation: Any) -> None:
    """Raises `InputError` for what `fit` was told to do and cannot."""
    known = isinstance(solver, LBFGS) or all(
        hasattr(solver, name) for name in ("init", "step", "epochs")
    )
    if solver is not None and not known:
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
