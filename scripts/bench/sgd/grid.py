"""Grids: many models in one pass, against the limit and against one scikit-learn fit a model."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import optax

import jaxlin
from bench.harness.options import Options
from bench.harness.parts import Data
from bench.harness.timing import Say, alternate, per_epoch, seconds, two_runs
from bench.objective import judge
from bench.sgd.limit import MatrixRate, square_size
from bench.sgd.sklearn_common import SklearnSolver
from bench.sgd.solvers.jaxlin_fit import scaling_of
from bench.sgd.task import Task

_RATES = (0.25, 0.5, 1.0, 2.0)  # times the task's own


def settings(task: Task, models: int) -> dict[str, list[float]]:
    """A grid of so many models: values of l2, by four learning rates."""
    rates = [task.learning_rate * factor for factor in _RATES]
    return {
        "l2": np.geomspace(1e-6, 1e-1, models // len(rates)).tolist(),
        "learning_rate": rates,
    }


class _Sweeps:
    """Sweeps of a task: whole calls, from the user's arrays to the parameters of every model.

    The function that makes a solver is one and the same, as it is in a program: it compiles once.
    """

    def __init__(self, task: Task, grid: dict[str, list[float]], epochs: int) -> None:
        self._task, self._grid = task, grid

        def solver(learning_rate: Any) -> jaxlin.solvers.SGD:
            optimizer = optax.sgd(learning_rate, task.momentum)
            return jaxlin.solvers.SGD(optimizer, task.batch_size, epochs)

        self._solver = solver

    def __call__(self) -> jaxlin.Sweep:
        task = self._task
        found = jaxlin.sweep(
            task.data.x,
            task.data.labels,
            loss=jaxlin.losses.softmax_cross_entropy,
            grid=self._grid,
            solver=self._solver,
            key=task.seed,
            scaling=scaling_of(task),
        )
        np.asarray(found.params.W)
        return found


def _fit(task: Task, l2: float, learning_rate: float, epochs: int) -> Any:
    """One model alone."""
    optimizer = optax.sgd(learning_rate, task.momentum)
    return jaxlin.fit(
        task.data.x,
        task.data.labels,
        loss=jaxlin.losses.softmax_cross_entropy,
        l2=l2,
        solver=jaxlin.solvers.SGD(optimizer, task.batch_size, epochs),
        key=task.seed,
        scaling=scaling_of(task),
    )


def _answers(task: Task, grid: dict[str, list[float]], epochs: int, found: Any) -> dict[str, Any]:
    """The first, a middle and the last model, by the judge, beside fits of them alone."""
    models = list(itertools.product(*grid.values()))
    chosen = sorted({0, len(models) // 2, len(models) - 1})
    of_sweep, alone = [], []
    for index in chosen:
        l2, rate = models[index]
        W, b = np.asarray(found.params.W[index]), np.asarray(found.params.b[index])
        of_sweep.append(judge(W, b, task.data, l2=l2).objective)
        params = _fit(task, l2, rate, epochs).params
        alone.append(judge(np.asarray(params.W), np.asarray(params.b), task.data, l2=l2).objective)
    off = max(abs(one / other - 1) for one, other in zip(of_sweep, alone, strict=True))
    return {
        "models": [models[index] for index in chosen],
        "objectives": of_sweep,
        "objectives_alone": alone,
        "largest_difference": off,
    }


def measure(
    data: Data, *, models: int, more_models: int, epochs: int, options: Options, say: Say
) -> dict[str, Any]:
    """Times `sweep`, whole calls from NumPy arrays on, in turns with the limit and scikit-learn.

    Args:
      data: float32 features.
      models: of the grid that is compared.
      more_models: of the grid that is timed by itself, its first call and its second.
      epochs: of each.
      options: rounds; each has another one of the models fitted by scikit-learn.
      say: called with a line about what is going on.

    Returns:
      A record.
    """
    task = Task(data)
    grid, larger = settings(task, models), settings(task, more_models)
    say(f"  {models} models, {epochs} epochs")
    sweep, larger_sweep = _Sweeps(task, grid, epochs), _Sweeps(task, larger, epochs)
    found = sweep()
    answers = _answers(task, grid, epochs, found)
    del found
    alone = list(itertools.product(*grid.values()))
    peers = iter(itertools.cycle(alone[:: max(1, len(alone) // max(1, options.repeats))]))

    class OneFit(SklearnSolver):
        """scikit-learn's classifier at one of the grid's settings."""

        name = "sklearn-sgd"

        def run(self, budget: int) -> None:
            l2, rate = next(peers)
            self.model = self.classifier(budget, l2, rate).fit(data.x, data.labels)

    peer = OneFit()
    peer.set_objective(task)
    runs = {1: _Sweeps(task, grid, 1), epochs: sweep}
    runs[1]()
    taken = alternate(
        {
            "matrix": MatrixRate(square_size(options.quick)),
            "sweep": functools.partial(two_runs, lambda budget: runs[budget](), 1, epochs),
            "sklearn": lambda: seconds(lambda: peer.run(epochs)),
        },
        options.repeats,
    )
    say(f"  {more_models} models, {epochs} epochs")
    twice = [seconds(larger_sweep) for _ in range(2)]
    return {
        "dataset": data.name,
        "models": models,
        "epochs": epochs,
        "batch_size": task.batch_size,
        "flops": task.flops * models * epochs,
        "matrix_flops": taken["matrix"],
        "sweep_seconds": [long for _, long in taken["sweep"]],
        "sweep_epoch_seconds": [per_epoch(of_runs, 1, epochs) for of_runs in taken["sweep"]],
        "sklearn_fit_seconds": taken["sklearn"],
        "answers": answers,
        "more_models": more_models,
        "more_models_seconds": twice,
    }
