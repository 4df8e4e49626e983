"""What the PyTorch loops share."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.harness.packages import load
from bench.harness.parts import BaseSolver
from bench.sgd.task import Task
from jaxlin import scales


class TorchSolver(BaseSolver):
    """A linear layer, its cross entropy and `torch.optim.SGD`; on a GPU where it finds one."""

    def skip(self, task: Task) -> str | None:
        """Without PyTorch there is nothing to run."""
        del task
        return "PyTorch is not installed" if load("torch") is None else None

    def set_objective(self, task: Task) -> None:
        """The data as tensors; on the device, where there is one."""
        self.task, self.torch = task, load("torch")
        self.device = "cuda" if self.torch.cuda.is_available() else "cpu"
        self.x = self.torch.from_numpy(task.data.x).to(self.device)
        self.labels = self.torch.from_numpy(task.data.labels.astype(np.int64)).to(self.device)

    def start(self) -> None:
        """Zero parameters and a fresh optimiser, whose weight decay is of W alone."""
        torch, task = self.torch, self.task
        torch.manual_seed(task.seed)
        self.layer = torch.nn.Linear(task.data.x.shape[1], task.data.num_classes).to(self.device)
        torch.nn.init.zeros_(self.layer.weight)
        torch.nn.init.zeros_(self.layer.bias)
        groups = [
            {"params": [self.layer.weight], "weight_decay": scales.weight_decay_of_l2(task.l2)},
            {"params": [self.layer.bias], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.SGD(groups, lr=task.learning_rate, momentum=task.momentum)

    def step(self, x: Any, labels: Any) -> None:
        """One step along a batch's gradient."""
        if self.task.data.scale is not None:
            x = x.float() * self.task.data.scale
        self.optimizer.zero_grad()
        self.torch.nn.functional.cross_entropy(self.layer(x), labels).backward()
        self.optimizer.step()

    def finish(self) -> None:
        """Waits for the device."""
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b."""
        layer = self.layer
        return layer.weight.detach().cpu().numpy(), layer.bias.detach().cpu().numpy()
