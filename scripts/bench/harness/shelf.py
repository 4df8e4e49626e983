"""The data sets by their labels, made when they are asked for."""

from __future__ import annotations

from typing import Any

from bench.harness.parts import BaseDataset, Data, discover


class Shelf:
    """All data sets; the last one that was asked for is kept.

    Attributes:
      kinds: their classes by name.
    """

    def __init__(self) -> None:
        self.kinds: dict[str, Any] = discover("bench.datasets", "Dataset")
        self._kept: Data | None = None

    def find(self, label: str) -> BaseDataset:
        """The data set of a label; what a label leaves out has its first choice.

        Raises:
          ValueError: there is none of this name, or it has no such parameter.
        """
        name, _, rest = label.removesuffix("]").partition("[")
        if name not in self.kinds:
            raise ValueError(f"No data set {name!r}: there are {', '.join(self.kinds)}.")
        kind, values = self.kinds[name], {}
        for part in filter(None, rest.split(",")):
            key, _, text = part.partition("=")
            first = kind.parameters.get(key, ("",))[0]
            values[key] = type(first)(text)  # a size need not be among the choices
        return kind(**values)

    def get(self, label: str) -> Data:
        """The data of a label."""
        dataset = self.find(label)
        if self._kept is None or self._kept.name != dataset.label:
            self._kept = None  # before the next one takes its room
            self._kept = dataset.get_data()
        return self._kept
