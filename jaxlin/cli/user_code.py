"""Functions in a user's file: loading them, and saying where they fail.

The file is run, as Python would run it; nothing else is. What it prints goes to standard error, and
what it raises becomes one line that names the file and the line.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import jax

from jaxlin.errors import InputError
from jaxlin.report.words import one_line

_FUNCTION = re.compile(r"(?P<path>.+\.py):(?P<name>[^\W\d]\w*)\Z", re.DOTALL)
_MOST_WORDS = 200


def names_function(text: str) -> bool:
    """Whether a text is `FILE.py:name`, or is meant to be.

    >>> names_function("mine.py:loss"), names_function("mine.py"), names_function("data.npz")
    (True, True, False)
    """
    return bool(re.search(r"\.py(:.*)?\Z", text, re.DOTALL))


@dataclasses.dataclass(frozen=True, eq=False)
class UserFunction:
    """A function of the user's.

    Attributes:
      call: the function.
      path: the file that it was loaded from.
      name: its name in that file.
    """

    call: Callable[..., Any]
    path: str
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


class UserFiles:
    """The user's files, each run once."""

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}

    def function(self, text: str) -> UserFunction:
        """The function that `FILE.py:name` names.

        Raises:
          InputError: there is none, or the file fails.
        """
        match = _FUNCTION.match(text)
        if match is None:
            raise InputError(f"{text!r} must name a function in a Python file: FILE.py:name.")
        path, name = match["path"], match["name"]
        module = self._module(path)
        if not hasattr(module, name):
            own = [
                key
                for key, value in vars(module).items()
                if inspect.isfunction(value) and value.__module__ == module.__name__
            ]
            raise InputError(
                f"{path} has no {name}; its functions are {', '.join(own[:8]) or 'none'}."
            )
        call = getattr(module, name)
        if not callable(call):
            raise InputError(f"{text} is no function, but {type(call).__name__}.")
        return UserFunction(call, path, name)

    def _module(self, path: str) -> ModuleType:
        full = os.path.realpath(path)
        if full in self._modules:
            return self._modules[full]
        if not os.path.isfile(full):
            raise InputError(f"{path}: there is no such file.")
        stem = os.path.splitext(os.path.basename(full))[0]
        spec = importlib.util.spec_from_file_location(f"_checked_{stem}", full)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # At the end: the file finds its neighbours, and nothing else finds them by mistake.
        sys.path.append(os.path.dirname(full))
        sys.modules[module.__name__] = module  # dataclasses look there
        with user_errors(path):
            spec.loader.exec_module(module)
        self._modules[full] = module
        return module


@contextlib.contextmanager
def user_errors(*paths: str) -> Iterator[None]:
    """Runs code of the user's: what it prints is no result, what it raises becomes an InputError.

    Args:
      *paths: the user's files.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except SyntaxError as error:
        raise InputError(f"{error.filename}:{error.lineno}: {error.msg}.") from None
    except (Exception, SystemExit) as error:
        place = place_of(error, paths)
        if place is None:
            raise
        raise InputError(f"{place}: {words_of(error)}") from None


def place_of(error: BaseException, paths: tuple[str, ...]) -> str | None:
    """Where in the user's files an error came from: the innermost line."""
    files = {os.path.realpath(path): path for path in paths}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = files.get(os.path.realpath(frame.filename))
        if path is not None:
            return f"{path}:{frame.lineno}"
    return None


def words_of(error: BaseException) -> str:
    """What an error of the user's code says, in one line."""
    if isinstance(error, SystemExit):
        return "the file ends the process."
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return (
            "a NumPy function was called on what JAX traces: the function itself has to be written "
            "with jax.numpy, for jax.grad to see through it (the gradient by hand need not be)."
        )
    if isinstance(error, jax.errors.ConcretizationTypeError):
        return (
            "what JAX traces has no value yet to branch on or to make a Python number of: use "
            "jnp.where, or jax.numpy's own functions."
        )
    lines = str(error).strip().splitlines() or [""]
    said = one_line(lines[0])
    cut = said if len(said) <= _MOST_WORDS else said[:_MOST_WORDS] + "..."
    return f"{type(error).__name__}: {cut}"
