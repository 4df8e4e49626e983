"""What the words of the command line stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optax

from jaxlin import losses
from jaxlin.data.dataset import Dataset
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.losses import Loss
from jaxlin.solvers.learning_rate import (
    cosine_decay,
    limited_by_penalty,
    suggested_epochs,
    suggested_learning_rate,
)
from jaxlin.solvers.sgd import SGD

LOSSES: dict[str, Loss] = {
    "svm": losses.weston_watkins_hinge,
    "squared-svm": losses.squared_weston_watkins_hinge,
    "crammer-singer": losses.crammer_singer_hinge,
    "softmax": losses.softmax_cross_entropy,
}

_MOMENTUM = 0.9

# What serves features of size 1, for those whose steps do not follow the gradient's length: ten
# times what deep networks are given, because the loss is convex and the schedule goes down to 0.
_USUAL_RATE = {"adam": 1e-2, "adamw": 1e-2, "adagrad": 1e-1, "rmsprop": 1e-2, "lion": 1e-2}

_OPTIMIZERS: dict[str, Callable[..., optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate, momentum: optax.sgd(rate, momentum=momentum),
    "nesterov": lambda rate, momentum: optax.sgd(rate, momentum=momentum, nesterov=True),
    "adam": optax.adam,
    "adamw": optax.adamw,
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
}
_HAS_MOMENTUM = {name: name in ("momentum", "nesterov") for name in _OPTIMIZERS}
OPTIMIZERS = tuple(_OPTIMIZERS)
SOLVERS = ("auto", "lbfgs", "newton", "sgd")
SCALINGS = ("auto", "none", "unit", "standardize")
SCALING_WORDS = {"none": "none", "unit": "unit range", "standardize": "standardised"}


def make_scaling(name: str, dataset: Dataset) -> tuple[str, Scaling | None]:
    """The scaling of that name, made from the training examples, and what to call it.

    "auto" divides images and other integers by their largest value and standardises the rest.
    """
    x = dataset.train.x
    if name == "auto":
        is_image = dataset.image_shape is not None or np.issubdtype(x.dtype, np.integer)
        name = "unit" if is_image else "standardize"
    if name == "none":
        return SCALING_WORDS[name], None
    make = Scaling.unit_range if name == "unit" else Scaling.standardize
    with np.errstate(over="ignore"):  # an error says it, in words
        return SCALING_WORDS[name], make(x)


def make_sgd(
    dataset: Dataset,
    scaling: Scaling | None,
    *,
    loss: Loss,
    l2: float,
    optimizer: str,
    learning_rate: float | None,
    batch_size: int,
    epochs: int | None,
) -> tuple[SGD, float]:
    """SGD with the optimiser of that name and a cosine schedule, and its first learning rate."""
    if learning_rate is None:
        learning_rate = usual_learning_rate(
            dataset, scaling, loss=loss, optimizer=optimizer, batch_size=batch_size
        )
        learning_rate = rate_with_penalty(learning_rate, l2, optimizer=optimizer)
    solver = sgd(
        len(dataset.train),
        optimizer=optimizer,
        learning_rate=learning_rate,
        batch_size=batch_size,
        epochs=epochs,
    )
    return solver, learning_rate


def sgd(
    num_examples: int,
    *,
    optimizer: str,
    learning_rate: Any,
    batch_size: int,
    epochs: int | None,
    momentum: Any = _MOMENTUM,
) -> SGD:
    """SGD with the optimiser of that name; the learning rate goes down along a cosine.

    The learning rate and the momentum, which only some optimisers have, may be traced.
    """
    batch_size = min(batch_size, num_examples)
    epochs = suggested_epochs(num_examples, batch_size) if epochs is None else epochs
    schedule = cosine_decay(learning_rate, epochs * -(-num_examples // batch_size))
    make = _OPTIMIZERS[optimizer]
    made = make(schedule, momentum) if _HAS_MOMENTUM[optimizer] else make(schedule)
    return SGD(made, batch_size, epochs)


def has_momentum(optimizer: str) -> bool:
    """Whether an optimiser has a momentum that can be given."""
    return _HAS_MOMENTUM[optimizer]


def usual_learning_rate(
    dataset: Dataset,
    scaling: Scaling | None,
    *,
    loss: Loss,
    optimizer: str,
    batch_size: int,
    momentum: float = _MOMENTUM,
) -> float:
    """The learning rate that an optimiser starts with where none is given, without a penalty."""
    if optimizer in _USUAL_RATE:
        return _USUAL_RATE[optimizer]
    with np.errstate(over="ignore", invalid="ignore"):
        learning_rate = suggested_learning_rate(
            dataset.train.x,
            loss=loss,
            num_classes=dataset.num_classes,
            momentum=momentum if _HAS_MOMENTUM[optimizer] else 0.0,
            batch_size=min(batch_size, len(dataset.train)),
            scaling=scaling,
        )
    if not learning_rate > 0.0:
        raise InputError(
            f"the features of {dataset.name} are so large that no learning rate is small "
            "enough: divide them, or scale them (--scaling standardize)."
        )
    # Without momentum nothing averages the steps: a tenth, as with momentum's 1 - 0.9.
    return learning_rate if _HAS_MOMENTUM[optimizer] else learning_rate * (1.0 - _MOMENTUM)


def rate_with_penalty(
    learning_rate: float, l2: float, *, optimizer: str, momentum: float = _MOMENTUM
) -> float:
    """A usual learning rate, or less where that would diverge on the penalty."""
    if optimizer in _USUAL_RATE:  # whose steps are no longer where the slope is steeper
        return learning_rate
    return limited_by_penalty(learning_rate, l2, momentum if _HAS_MOMENTUM[optimizer] else 0.0)
