"""A plain optax loop, as its tutorial has it: one jitted step a batch, a loop on the host."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from bench.harness.parts import BaseSolver
from bench.sgd.task import Task, minibatches


class Solver(BaseSolver):
    """Batches are gathered by NumPy; a new permutation each epoch."""

    name = "optax-loop"
    compiles = True

    def set_objective(self, task: Task) -> None:
        """Makes the step."""
        self.task = task
        optimizer = optax.sgd(task.learning_rate, momentum=task.momentum)
        self.optimizer, scale, l2 = optimizer, task.data.scale, task.l2

        def objective(params: Any, x: jax.Array, labels: jax.Array) -> jax.Array:
            x = x.astype(jnp.float32)
            if scale is not None:
                x = x * scale
            scores = x @ params["W"].T + params["b"][None, :]
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
            return jnp.mean(losses) + l2 * jnp.sum(params["W"] ** 2)

        @jax.jit
        def step(params: Any, state: Any, x: jax.Array, labels: jax.Array) -> Any:
            loss, gradient = jax.value_and_grad(objective)(params, x, labels)
            updates, state = optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state, loss

        self.step = step

    def run(self, budget: int) -> None:
        """So many epochs."""
        data, rng = self.task.data, np.random.default_rng(self.task.seed)
        self.params: Any = {
            "W": jnp.zeros((data.num_classes, data.x.shape[1])),
            "b": jnp.zeros(data.num_classes),
        }
        state: Any = self.optimizer.init(self.params)

        def one_step(rows: np.ndarray) -> None:
            nonlocal state
            self.params, state, _ = self.step(self.params, state, data.x[rows], data.labels[rows])

        for _ in range(budget):
            minibatches(rng.permutation(len(data.x)), self.task.batch_size, one_step)
        jax.block_until_ready(self.params)

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b."""
        return np.asarray(self.params["W"]), np.asarray(self.params["b"])
