"""Names of a package, and its modules, that are imported when they are first asked for.

`import jaxlin` should not take time for what a program may never use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attributes_from(package: str, places: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """The `__getattr__` of a package whose names wait in its modules, as these do themselves.

    Args:
      package: its dotted name.
      places: the names by the module that they are in.

    >>> find = attributes_from("jaxlin", {"errors": ("InputError",)})
    >>> find("InputError").__name__
    'InputError'
    >>> find("errors").__name__
    'jaxlin.errors'
    """
    modules = {name: module for module, names in places.items() for name in names}

    def find(name: str) -> Any:
        if name in places:
            return importlib.import_module(f"{package}.{name}")
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return find
