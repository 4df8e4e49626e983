"""What a run ran on, for its record."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

import jax

_PACKAGES = (
    "jaxlin", "jax", "jaxlib", "optax", "numpy", "scipy", "scikit-learn", "torch", "cyanure",
)  # fmt: skip


def _after_colon(path: str, key: str) -> str | None:
    """The value of the first line `key: value` of a file, or None."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), None)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_bytes() -> int:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load() -> float | None:
    """Processes that wanted a core over the last minute, this one included."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def machine() -> dict[str, Any]:
    """The machine, as its system describes it."""
    memory = _after_colon("/proc/meminfo", "MemTotal")
    return {
        "processor": _after_colon("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": cores(),
        "memory_gib": None if memory is None else round(int(memory.split()[0]) / 2**20, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "load_before": load(),
        "day": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def versions() -> dict[str, str]:
    """The versions of what takes part."""
    found = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
