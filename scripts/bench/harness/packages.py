"""Peers that the project does not depend on: loaded by name, and missing is a reason."""

from __future__ import annotations

import importlib
from typing import Any


def load(name: str) -> Any:
    """A module, or None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
