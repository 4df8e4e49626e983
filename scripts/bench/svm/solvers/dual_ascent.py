"""Exact block coordinate ascent on the dual of the Weston-Watkins hinge, in plain C++, on one core.

Written for this comparison: what a patient programmer would have. The block step is Wang and
Scott's (An exact solver for the Weston-Watkins SVM subproblem, ICML 2021, arXiv:2102.05640).
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.optimum.competitor import Competitor, Stopwatch
from bench.optimum.task import Task

_SOURCE = Path(__file__).parents[1] / "dual_ascent.cpp"
_COMMAND = ("g++", "-O3", "-march=native", "-w", "-fopenmp-simd", "-shared", "-fPIC")


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Solver(Competitor):
    """One run, looked at after more and more epochs with the clock stopped; it proves its gap."""

    name = "dual-ascent"
    stamina = 4.0

    def skip(self, task: Task) -> str | None:
        """Its step knows one hinge and no free bias."""
        if task.loss != "weston-watkins" or task.bias:
            return "has the Weston-Watkins hinge alone, and no bias"
        return None if shutil.which("g++") else "g++ is not installed"

    def set_objective(self, task: Task) -> None:
        """Compiles, which is not timed."""
        super().set_objective(task)
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "dual_ascent.so"
            subprocess.run([*_COMMAND, str(_SOURCE), "-o", str(library)], check=True)
            self._epochs = ctypes.CDLL(str(library)).epochs
        self._epochs.restype = None
        self.x = np.ascontiguousarray(task.data.as_floats())
        self.labels = np.ascontiguousarray(task.data.labels, np.int32)
        self._start()

    def _start(self) -> None:
        classes, (examples, features) = self.task.data.num_classes, self.x.shape
        self.W = np.zeros((classes, features))
        self.beta = np.zeros((examples, classes))
        self.done = 0

    def _ascend(self, epochs: int) -> None:
        sizes = (*self.x.shape, self.task.data.num_classes, epochs, self.done)
        self._epochs(
            *(ctypes.c_int64(size) for size in sizes),
            ctypes.c_double(self.task.l2),
            *(_pointer(array) for array in (self.x, self.labels, self.W, self.beta)),
        )
        self.done += epochs

    def run(self, budget: int) -> None:
        """So many epochs from zero."""
        self._start()
        self._ascend(budget)

    def snapshots(self) -> Iterator[tuple[int, float]]:
        """After a quarter more epochs each time."""
        clock = Stopwatch()
        with clock.running():
            self._start()
        while True:
            more = max(1, self.done // 4)
            with clock.running():
                self._ascend(more)
            yield self.done, clock.seconds

    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W alone."""
        return self.W.copy(), None

    def dual(self) -> np.ndarray:
        """The rows: beta for the other classes, and less their sum for the label's."""
        rows = self.beta.copy()
        rows[np.arange(len(rows)), self.labels] = -self.beta.sum(axis=1)
        return rows
