"""A PyTorch loop over a `DataLoader` of a `TensorDataset`, as its tutorial has it."""

from __future__ import annotations

import importlib
from typing import Any

from bench.sgd.task import Task
from bench.sgd.torch_common import TorchSolver


class Solver(TorchSolver):
    """Rows are fetched one by one and put together, by this process or by others.

    The other processes are spawned, as this one has threads, and live on from run to run: their
    start is not in the time of an epoch.
    """

    name = "torch-dataloader"
    parameters = {"num_workers": (0, 2)}  # noqa: RUF012

    def skip(self, task: Task) -> str | None:
        """It is slow: one batch size of one data set tells all there is to say."""
        missing = super().skip(task)
        if missing is None and (task.batch_size != 256 or task.data.scale is not None):
            return "measured with floats at batch 256 alone"
        return missing

    def set_objective(self, task: Task) -> None:
        """Makes the loader, on whose CPU tensors the workers sit."""
        super().set_objective(task)
        utils: Any = importlib.import_module("torch.utils.data")
        workers = self.values["num_workers"]
        self.loader = utils.DataLoader(
            utils.TensorDataset(self.x.cpu(), self.labels.cpu()),
            batch_size=task.batch_size,
            shuffle=True,
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,
            persistent_workers=bool(workers),
        )

    def run(self, budget: int) -> None:
        """So many epochs."""
        self.start()
        for _ in range(budget):
            for x, labels in self.loader:
                self.step(x.to(self.device), labels.to(self.device))
        self.finish()

    def close(self) -> None:
        """The workers end with their loader."""
        del self.loader
