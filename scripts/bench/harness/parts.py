"""Data sets and solvers: what one is, and how it is found.

Each is a file with one class, found by its folder: nothing else has to know of a new one. A class
has a name and parameters, and each choice of these is a part with a label of its own, such as
`synthetic[n=100000,d=784,c=10,dtype=uint8]`.
"""

from __future__ import annotations

import abc
import dataclasses
import fnmatch
import importlib
import itertools
import pkgutil
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """Examples to train on, and to judge by.

    Attributes:
      name: the label of the data set.
      x: features (N, D) as they lie in memory, float32 or uint8.
      labels: int32 (N,), 0..C-1.
      num_classes: C.
      scale: what a feature is multiplied by, in training and by the judge; None: nothing.
      test: features and labels to take the accuracy of, or None.
    """

    name: str
    x: np.ndarray
    labels: np.ndarray
    num_classes: int
    scale: float | None = None
    test: tuple[np.ndarray, np.ndarray] | None = None

    def as_floats(self) -> np.ndarray:
        """The features as float32, scaled: for who cannot take others."""
        if self.scale is None:
            return self.x.astype(np.float32, copy=False)
        return self.x.astype(np.float32) * np.float32(self.scale)


class Part:
    """What data sets and solvers have in common: a name, parameters and a label."""

    name: ClassVar[str]
    parameters: ClassVar[dict[str, Sequence[Any]]] = {}

    def __init__(self, **values: Any) -> None:
        unknown = set(values) - set(self.parameters)
        if unknown:
            raise ValueError(f"{self.name} has no parameter {', '.join(sorted(unknown))}.")
        self.values = {
            name: values.get(name, choices[0]) for name, choices in self.parameters.items()
        }

    @property
    def label(self) -> str:
        """The name and the values of the parameters."""
        if not self.values:
            return self.name
        return f"{self.name}[{','.join(f'{key}={value}' for key, value in self.values.items())}]"


class BaseDataset(Part, abc.ABC):
    """A data set."""

    @abc.abstractmethod
    def get_data(self) -> Data:
        """The data; the same in every run."""

    def size(self) -> int | None:
        """Bytes of the features, where they are known before they are made."""
        return None


class BaseSolver(Part, abc.ABC):
    """A competitor.

    `set_objective` takes the task and prepares what is not timed; `run` trains from the start, to
    the end of what it is given (epochs, or a tolerance: the bench says which), and returns when the
    answer is there; `get_result` gives that answer to the judge.

    Attributes:
      compiles: whether a first call compiles, for each budget: it is called before it is timed.
    """

    compiles: ClassVar[bool] = False

    def skip(self, task: Any) -> str | None:
        """Why this competitor has no part in a task; None: it has."""
        del task
        return None

    @abc.abstractmethod
    def set_objective(self, task: Any) -> None:
        """Takes a task."""

    @abc.abstractmethod
    def run(self, budget: Any) -> None:
        """Trains from the start."""

    @abc.abstractmethod
    def get_result(self) -> tuple[np.ndarray, np.ndarray | None]:
        """W (C, D) and b (C,) or None of the last run, for scaled features."""

    def close(self) -> None:
        """Lets go of what `set_objective` started."""


def discover(package: str, class_name: str) -> dict[str, type[Part]]:
    """The classes of a package's files, by their name."""
    found: dict[str, type[Part]] = {}
    folder = importlib.import_module(package)
    for module in pkgutil.iter_modules(folder.__path__):
        one = getattr(importlib.import_module(f"{package}.{module.name}"), class_name, None)
        if one is None:
            raise ValueError(f"{package}.{module.name} has no class {class_name}.")
        if one.name in found:
            raise ValueError(f"{package} has two parts of the name {one.name!r}.")
        found[one.name] = one
    return found


def every(kind: type[Part]) -> list[Any]:
    """A part for each choice of the parameters."""
    names, choices = list(kind.parameters), list(kind.parameters.values())
    return [kind(**dict(zip(names, values, strict=True))) for values in itertools.product(*choices)]


def is_selected(label: str, patterns: Iterable[str]) -> bool:
    """Whether a label is asked for: by its beginning or a pattern; no pattern asks for all."""
    patterns = list(patterns)
    plain = label.replace("[", "(").replace("]", ")")
    return not patterns or any(
        label.startswith(pattern)
        or fnmatch.fnmatchcase(plain, pattern.replace("[", "(").replace("]", ")"))
        for pattern in patterns
    )
