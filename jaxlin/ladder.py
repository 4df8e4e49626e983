"""The lecture's ways to find W on equal terms: same data, same objective, same time for each.

Random search looks at values alone. The numerical gradient finds the slope out of values, two for
every parameter. The analytic gradient, by hand or by `jax.grad`, costs about one value more than
the value itself. A minibatch gets a step out of a part of that. Each gets the same seconds
(compilation apart), and one judge, the objective over all of the training examples, looks at what
each has found.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax

from jaxlin.checks import as_key, check_positive
from jaxlin.data.dataset import Dataset, Split
from jaxlin.data.scaling import Scaling
from jaxlin.data.splitting import split_rows
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.objective import Objective, loss_name
from jaxlin.solvers.base import Solver
from jaxlin.solvers.gradient_descent import GradientDescent
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.learning_rate import (
    mean_square_norm,
    sample_rows,
    suggested_learning_rate,
)
from jaxlin.solvers.random_search import RandomSearch
from jaxlin.solvers.sgd import SGD
from jaxlin.training import evaluate, fit

_MOMENTUM = 0.9
_BATCH_SIZE = 256
_UNLIMITED = 1_000_000  # steps: what ends a run is the time

# One step along a numerical gradient is one compiled program, which nothing can interrupt. Its
# length is foreseen with this many operations a second, a slow machine's skinny products.
_OPERATIONS_PER_SECOND = 1e10
_LONGEST_STEP = 20.0
_FEWEST_EXAMPLES = 100


@dataclasses.dataclass(frozen=True, eq=False)
class Rung:
    """One method's run.

    Attributes:
      name: of the method.
      params: where it was when its time was over, for scaled features.
      objective: there, over all of the ladder's training examples.
      accuracy: there, on the test examples (on the training examples where there are none).
      steps: how many it took.
      seconds_per_step: compilation apart.
      objectives: as it went (E + 1,) after each of E epochs (a step, where a step sees all of the
        data), the last being `objective`. SGD's are means over an epoch as it passed.
      evaluations: passes over the data until each of these (E + 1,): 1 for a value, 1 more for its
        analytic gradient, 2 for each parameter of a numerical one.
      seconds: until each of these (E + 1,).
    """

    name: str
    params: LinearParams
    objective: float
    accuracy: float
    steps: int
    seconds_per_step: float
    objectives: np.ndarray
    evaluations: np.ndarray
    seconds: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Ladder:
    """What each of the lecture's methods found in the same time.

    Attributes:
      data: name of the data.
      loss: name of the loss.
      l2: lambda.
      num_examples: the training examples used.
      num_parameters: C * D + C.
      budget: seconds that each method had.
      rungs: one a method, from the worst idea to the best.
    """

    data: str
    loss: str
    l2: float
    num_examples: int
    num_parameters: int
    budget: float
    rungs: tuple[Rung, ...]

    @property
    def numerical_factor(self) -> float:
        """How many times longer a step takes with the numerical gradient than with `jax.grad`'s."""
        seconds = {rung.name: rung.seconds_per_step for rung in self.rungs}
        return seconds[NUMERICAL] / seconds[AUTODIFF]


RANDOM_SEARCH = "random search"
NUMERICAL = "gradient descent, numerical"
BY_HAND = "gradient descent, by hand"
AUTODIFF = "gradient descent, jax.grad"
MINIBATCH = "minibatch SGD"


def examples_affordable(num_features: int, num_classes: int) -> int:
    """Of how many examples one numerical gradient can be taken in reasonable time.

    Args:
      num_features: D.
      num_classes: C.

    >>> examples_affordable(784, 10)
    812
    """
    num_parameters = num_classes * (num_features + 1)
    operations = 2 * num_parameters * 2 * num_features * num_classes
    return int(_LONGEST_STEP * _OPERATIONS_PER_SECOND / operations)


def run_ladder(
    dataset: Dataset,
    *,
    loss: Loss,
    l2: float = 0.0,
    scaling: Scaling | None = None,
    budget: float = 5.0,
    num_examples: int | None = None,
    key: Any = None,
    on_rung: Callable[[str], Any] | None = None,
) -> Ladder:
    """Lets every method of the lecture minimise the same objective for the same time.

    Args:
      dataset: what to train on; its test examples judge.
      loss: as for `fit`.
      l2: lambda.
      scaling: of the features, or None.
      budget: seconds for each method, compilation apart. The numerical gradient takes a step at
        least, however long that takes.
      num_examples: how many training examples to use, a stratified draw; None uses all, or as
        many as let one numerical gradient end in reasonable time.
      key: of all that is random.
      on_rung: called with the name of each method before it starts.

    Returns:
      A `Ladder`.

    Raises:
      InputError: an argument is not what it has to be, or even a hundred examples are too many for
        a numerical gradient of so many parameters.

    >>> from jaxlin import data, losses
    >>> digits = data.load("digits")
    >>> ladder = run_ladder(digits, loss=losses.softmax_cross_entropy, budget=0.1,
    ...                     num_examples=100, scaling=data.Scaling.unit_range(digits.train.x))
    >>> ladder.rungs[0].name, ladder.numerical_factor > 10
    ('random search', True)
    """
    check_positive("budget", budget)
    key = as_key(key)
    train = _some(dataset, num_examples)
    test = dataset.test or train
    num_classes, num_features = dataset.num_classes, dataset.num_features
    num_parameters = num_classes * (num_features + 1)
    # One optimiser for all that follow a slope: what differs is where the slope comes from.
    batch_size = min(_BATCH_SIZE, len(train))
    rate = suggested_learning_rate(
        train.x,
        loss=loss,
        num_classes=num_classes,
        momentum=_MOMENTUM,
        batch_size=batch_size,
        scaling=scaling,
        l2=l2,
    )
    optimizer = optax.sgd(rate, momentum=_MOMENTUM)
    descent = functools.partial(GradientDescent, optimizer, _UNLIMITED)
    scale = 1.0 / math.sqrt(mean_square_norm(sample_rows(train.x, scaling)))
    methods: tuple[tuple[str, Solver, float], ...] = (
        (RANDOM_SEARCH, RandomSearch(_UNLIMITED, scale), 1.0),
        (NUMERICAL, descent("numerical"), 2.0 * num_parameters + 1.0),
        (BY_HAND, descent("by_hand"), 2.0),
        (AUTODIFF, descent("autodiff"), 2.0),
        (MINIBATCH, SGD(optimizer, batch_size, _UNLIMITED), 2.0),
    )
    objective = Objective(loss, l2)
    zero = LinearParams(
        jnp.zeros((num_classes, num_features), jnp.float32), jnp.zeros(num_classes, jnp.float32)
    )
    rungs = []
    for name, solver, cost in methods:
        if on_rung is not None:
            on_rung(name)
        run = functools.partial(
            fit, train.x, train.labels, loss=loss, l2=l2, solver=solver, key=key, init=zero,
            scaling=scaling,
        )  # fmt: skip
        run(on_epoch=lambda _: True)  # compiles
        found = run(on_epoch=_stop_after(budget))
        seen = evaluate(found.params, train.x, train.labels, loss=loss, scaling=scaling)
        final = float(seen.objective + objective.penalty_term(found.params))
        judged = evaluate(found.params, test.x, test.labels, loss=loss, scaling=scaling)
        per_epoch = -(-len(train) // (solver.batch_size or len(train)))
        rungs.append(
            _rung(
                name,
                found.params,
                found.history,
                steps_per_epoch=per_epoch,
                cost=cost,
                objective=final,
                accuracy=float(judged.accuracy),
            )
        )
    return Ladder(
        data=dataset.name,
        loss=loss_name(loss),
        l2=float(l2),
        num_examples=len(train),
        num_parameters=num_parameters,
        budget=budget,
        rungs=tuple(rungs),
    )


def _stop_after(budget: float) -> Callable[[EpochReport], bool]:
    return lambda report: report.seconds >= budget


def _rung(
    name: str,
    params: LinearParams,
    history: History,
    *,
    steps_per_epoch: int,
    cost: float,
    objective: float,
    accuracy: float,
) -> Rung:
    epochs = len(history)
    before = np.concatenate([[0.0], history.seconds[:-1]])
    return Rung(
        name=name,
        params=params,
        objective=objective,
        accuracy=accuracy,
        steps=epochs * steps_per_epoch,
        # The median: a step that another program on the machine held up does not count.
        seconds_per_step=float(np.median(history.seconds - before)) / steps_per_epoch,
        objectives=np.append(history.objective, objective),
        evaluations=cost * np.append(np.arange(1, epochs + 1), epochs),
        seconds=np.append(history.seconds, history.seconds[-1]),
    )


def _some(dataset: Dataset, num_examples: int | None) -> Split:
    """The training examples to use."""
    train, num_classes = dataset.train, dataset.num_classes
    affordable = examples_affordable(dataset.num_features, num_classes)
    if num_examples is None:
        num_examples = min(len(train), affordable)
        if num_examples < min(len(train), max(_FEWEST_EXAMPLES, num_classes)):
            raise InputError(
                f"{dataset.name} has {num_classes * (dataset.num_features + 1):,} parameters to "
                "find: one numerical gradient, two passes over the data for each, would take far "
                "too long. The ladder needs data with fewer features or classes, or a "
                "num_examples that you can wait for."
            )
    if not num_classes <= num_examples <= len(train):
        raise InputError(
            f"num_examples must be from {num_classes} (one a class) to {len(train)}, got "
            f"{num_examples}."
        )
    if num_examples == len(train):
        return train
    _, rows = split_rows(train.labels, num_examples)
    return train.take(rows)
