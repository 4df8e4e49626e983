"""PyTorch's L-BFGS with a strong Wolfe search, on all of the data; on a GPU where it finds one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.harness.packages import load
from bench.optimum.competitor import Competitor, Stopwatch
from bench.optimum.task import Task


class Solver(Competitor):
    """One run, looked at after more and more iterations with the clock stopped."""

    name = "torch-lbfgs"

    def skip(self, task: Task) -> str | None:
        """Without PyTorch there is nothing to run."""
        del task
        return "PyTorch is not installed" if load("torch") is None else None

    def set_objective(self, task: Task) -> None:
        """The data as tensors; on the device, where there is one."""
        super().set_objective(task)
        self.torch = torch = load("torch")
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.x = torch.from_numpy(task.data.as_floats()).to(self.device)
        self.labels = torch.from_numpy(task.data.labels.astype(np.int64)).to(self.device)

    def _start(self) -> None:
        torch, data = self.torch, self.task.data
        sizes = ((data.num_classes, data.x.shape[1]), (data.num_classes,))
        self.W, self.b = (
            torch.zeros(size, device=self.device, requires_grad=True) for size in sizes
        )
        params = [self.W, self.b] if self.task.bias else [self.W]
        self.optimizer: Any = torch.optim.LBFGS(
            params, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
        )
        self.ended = False

    def _closure(self) -> Any:
        self.optimizer.zero_grad()
        scores = self.torch.nn.functional.linear(self.x, self.W, self.b)
        loss = self.torch.nn.functional.cross_entropy(scores, self.labels)
        loss = loss + self.task.l2 * (self.W**2).sum()
        loss.backward()
        return loss

    def _iterate(self, more: int) -> None:
        """So many iterations more: each call costs one evaluation besides.

        Of evaluations it may have its default number, and those of one search that finds nothing.
        """
        before = self.W.detach().clone()
        self.optimizer.param_groups[0].update(max_iter=more, max_eval=more + more // 4 + 25)
        self.optimizer.step(self._closure)
        if self.device == "cuda":
            self.torch.cuda.synchronize()
        self.ended = bool(self.torch.equal(before, self.W.detach()))

    def run(self, budget: int) -> None:
        """So many iterations from zero."""
        self._start()
        self._iterate(budget)

    def snapshots(self) -> Iterator[tuple[int, float]]:
        """After a quarter more iterations each time."""
        clock, done = Stopwatch(), 0
        with clock.running():
            self._start()
        while True:
            more = max(1, done // 4)
            with clock.running():
                self._iterate(more)
            done += more
            yield done, clock.seconds

    def has_ended(self) -> bool:
        """Whether an iteration moved nothing."""
        return self.ended

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W and b."""
        b = self.b.detach().cpu().numpy().copy() if self.task.bias else None
        return self.W.detach().cpu().numpy().copy(), b
