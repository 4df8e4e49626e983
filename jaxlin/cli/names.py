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
from jaxlin.solvers.learning_rate import cosine_decay, suggested_epochs, suggested_learning_rate
from jaxlin.solvers.sgd import SGD

LOSSES: dict[str, Loss] = {
    "svm": losses.weston_watkins_hinge,
    "squared-svm": losses.squared_weston_watkins_hinge,
    "crammer-singer": losses.crammer_singer_hinge,
    "softmax": losses.softmax_cross_entropy,
}

_MOMENTUM = 0.9

# Momentum, for those whose steps follow the gradient's length: the size of the rows tells their
# learning rate.
_FOLLOWS_LENGTH = {"sgd": 0.0, "momentum": _MOMENTUM, "nesterov": _MOMENTUM}

# For the others what serves features of size 1: ten times what deep networks are given, because
# the loss is convex and the schedule goes down to 0.
_USUAL_RATE = {"adam": 1e-2, "adamw": 1e-2, "adagrad": 1e-1, "rmsprop": 1e-2, "lion": 1e-2}

_OPTIMIZERS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=_MOMENTUM),
    "nesterov": lambda rate: optax.sgd(rate, momentum=_MOMENTUM, nesterov=True),
    "adam": optax.adam,
    "adamw": optax.adamw,
    "adagrad": optax.adagrad,
    "rmsprop": optax.rmsprop,
    "lion": optax.lion,
}
OPTIMIZERS = tuple(_OPTIMIZERS)
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


def make_solver(
    dataset: Dataset,
    scaling: Scaling | None,
    *,
    loss: Loss,
    optimizer: str,
    learning_rate: float | None,
    batch_size: int,
    epochs: int | None,
) -> tuple[SGD, float]:
    """SGD with the optimiser of that name and a cosine schedule, and its first learning rate."""
    num_examples = len(dataset.train)
    batch_size = min(batch_size, num_examples)
    epochs = suggested_epochs(num_examples, batch_size) if epochs is None else epochs
    if learning_rate is None:
        learning_rate = _USUAL_RATE.get(optimizer)
    if learning_rate is None:
        with np.errstate(over="ignore", invalid="ignore"):
            learning_rate = suggested_learning_rate(
                dataset.train.x,
                loss=loss,
                num_classes=dataset.num_classes,
                momentum=_FOLLOWS_LENGTH[optimizer],
                batch_size=batch_size,
                scaling=scaling,
            )
        if not learning_rate > 0.0:
            raise InputError(
                f"the features of {dataset.name} are so large that no learning rate is small "
                "enough: divide them, or scale them (--scaling standardize)."
            )
        # Without momentum nothing averages the steps: a tenth, as with momentum's 1 - 0.9.
        learning_rate *= 1.0 if _FOLLOWS_LENGTH[optimizer] else 1.0 - _MOMENTUM
    steps = epochs * -(-num_examples // batch_size)
    schedule = cosine_decay(learning_rate, steps)
    return SGD(_OPTIMIZERS[optimizer](schedule), batch_size, epochs), learning_rate
