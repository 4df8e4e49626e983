"""A PyTorch loop that gathers its batches from one tensor by a random permutation."""

from __future__ import annotations

from typing import Any

from bench.sgd.task import minibatches
from bench.sgd.torch_common import TorchSolver


class Solver(TorchSolver):
    """`x[permutation[i : i + B]]`: the fast way to write it."""

    name = "torch-index"

    def run(self, budget: int) -> None:
        """So many epochs."""
        self.start()

        def one_step(rows: Any) -> None:
            self.step(self.x[rows], self.labels[rows])

        for _ in range(budget):
            permutation = self.torch.randperm(len(self.x), device=self.device)
            minibatches(permutation, self.task.batch_size, one_step)
        self.finish()
