"""How many models fit into memory at once.

An estimate, from above: what a model keeps, what its step makes, and the scores of the rows that
are looked at together. Models may take half of what is free; the rest is for the compiler's own
choices and for everybody else.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import jax

from jaxlin.row_blocks import BLOCK_ROWS

_SHARE = 0.5
_UNKNOWN = 4 << 30

# Copies that live at the same time: the old state, the new one and the choice between them; of the
# params where the model starts, its gradient and update, its best and where it ended.
_STATES, _PARAMS, _SCORES = 3, 5, 4


def available_bytes() -> int:
    """Free memory of the device, or of the machine where the device does not say."""
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next((line for line in lines if line.startswith("MemAvailable")), "")
        return min(int(free.split()[1]) << 10, _container_bytes())
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return _UNKNOWN


def _container_bytes() -> int:
    """What a container may still take; without one, more than there is."""
    folder = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        limit, used = ((folder / f"memory.{name}").read_text() for name in ("max", "current"))
        return int(limit) - int(used)
    return 1 << 62


def model_bytes(
    state: Any,
    params: Any,
    num_classes: int,
    batch_size: int | None,
    rows_of_its_own: int,
) -> int:
    """What one model takes while it trains.

    Args:
      state: of its solver, arrays or their shapes.
      params: likewise.
      num_classes: C.
      batch_size: B, or None where a step sees all rows.
      rows_of_its_own: numbers by row that are the model's own: its weights, its losses.
    """

    def size(tree: Any) -> int:
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))

    itemsize = jax.tree.leaves(params)[0].dtype.itemsize
    rows = max(batch_size or 0, BLOCK_ROWS)
    numbers = _SCORES * rows * num_classes + rows_of_its_own
    return _STATES * size(state) + _PARAMS * size(params) + numbers * itemsize


def most_models(bytes_each: int) -> int:
    """How many models of so many bytes fit.

    >>> most_models(1 << 60)
    1
    """
    return max(1, int(_SHARE * available_bytes()) // bytes_each)
