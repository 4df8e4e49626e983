"""Memory of a fit, in a process of its own: `python -m bench.sgd.memory '{"dataset": ...}'`.

The data lie in memory; a fit of 1,000 rows brings in what any fit needs (libraries, compiler); then
all rows are fitted. What counts is the peak of that fit above the level before it.
"""

from __future__ import annotations

import contextlib
import gc
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.harness.parts import Data, discover

_FEW_ROWS = 1_000


def _status(key: str) -> int | None:
    """A line of /proc/self/status in bytes, where the system has it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(key + ":"):
                return 1024 * int(line.split()[1])
    return None


def _peak() -> int:
    """The most memory that this process has had, since `_forget_peak` where that works."""
    by_system = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = by_system if sys.platform == "darwin" else 1024 * by_system
    return _status("VmHWM") or own


def _forget_peak() -> None:
    """What was needed to make the data is not the fit's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def _device_peak() -> int | None:
    """The peak of a GPU's memory, where there is one that tells."""
    import jax

    statistics = jax.devices()[0].memory_stats()
    return None if not statistics else statistics.get("peak_bytes_in_use")


def _measure(dataset: str, values: dict[str, Any], batch_size: int, epochs: int) -> dict[str, Any]:
    from bench.sgd.solvers.jaxlin_fit import Solver
    from bench.sgd.task import Task

    kind: Any = discover("bench.datasets", "Dataset")[dataset]
    data: Data = kind(**values).get_data()
    few = Data(data.name, data.x[:_FEW_ROWS], data.labels[:_FEW_ROWS], data.num_classes, data.scale)
    solver = Solver()
    solver.set_objective(Task(few, batch_size))
    solver.run(epochs)
    gc.collect()
    _forget_peak()
    level = _status("VmRSS") or _peak()
    solver.set_objective(Task(data, batch_size))
    solver.run(epochs)
    return {
        "level_bytes": level,
        "peak_bytes": _peak(),
        "data_bytes": data.x.nbytes,
        "device_peak_bytes": _device_peak(),
    }


def measure(
    dataset: str, values: dict[str, Any], *, batch_size: int = 256, epochs: int = 3
) -> dict[str, Any]:
    """The peak of a fit above its level, in a fresh process.

    Args:
      dataset: the name of a data set.
      values: its parameters.
      batch_size: B.
      epochs: of the fit.

    Returns:
      `level_bytes`, `peak_bytes`, `data_bytes`, their `ratio`, `device_peak_bytes` (or None).
    """
    asked = {"dataset": dataset, "values": values, "batch_size": batch_size, "epochs": epochs}
    command = [sys.executable, "-m", "bench.sgd.memory", json.dumps(asked)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    ratio = (found["peak_bytes"] - found["level_bytes"]) / found["data_bytes"]
    return {**asked, **found, "ratio": ratio}


if __name__ == "__main__":
    print(json.dumps(_measure(**json.loads(sys.argv[1]))))
