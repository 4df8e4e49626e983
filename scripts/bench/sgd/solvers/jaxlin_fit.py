"""jaxlin: `fit` with `solvers.SGD`; bytes go in as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax

import jaxlin
from bench.harness.parts import BaseSolver
from bench.sgd.task import Task
from jaxlin.data import Scaling


def scaling_of(task: Task) -> Scaling | None:
    """The data's scale, applied inside of the compiled program."""
    scale = task.data.scale
    return None if scale is None else Scaling(0.0, np.float32(scale))


class Solver(BaseSolver):
    """A whole call of `fit`, from the user's NumPy arrays on."""

    name = "jaxlin"
    compiles = True

    def set_objective(self, task: Task) -> None:
        """Keeps one optimiser: a fresh one would compile anew in each call."""
        self.task = task
        self.optimizer = optax.sgd(task.learning_rate, momentum=task.momentum)
        self.fit: Any = None

    def run(self, budget: int) -> None:
        """So many epochs."""
        task = self.task
        self.fit = jaxlin.fit(
            task.data.x,
            task.data.labels,
            loss=jaxlin.losses.softmax_cross_entropy,
            l2=task.l2,
            solver=jaxlin.solvers.SGD(self.optimizer, task.batch_size, budget),
            key=task.seed,
            scaling=scaling_of(task),
        )
        np.asarray(self.fit.params.W)  # there, and not only promised

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b for scaled features."""
        params = self.fit.params
        return np.asarray(params.W), np.asarray(params.b)
