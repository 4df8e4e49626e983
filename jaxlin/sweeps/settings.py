"""A grid of settings, read and checked: names and lists in, one dict a setting out."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxlin.errors import InputError
from jaxlin.objective import check_l2, loss_name

Setting = dict[str, Any]

# What jaxlin itself takes of a grid; every other name is an argument of the solver.
OWN_NAMES = ("l2", "loss", "init")

# What the table says of every setting, besides what it is.
_RESULTS = ("objective", "accuracy", "epochs_run", "outcome", "seconds")


def settings_of(grid: Any) -> list[Setting]:
    """The settings of a grid: the product of its lists, the last one fastest, or its own dicts.

    Args:
      grid: names with lists of values, or a list of dicts with the same names.

    Raises:
      InputError: empty, repeated, mixed or impossible values; the message names them.

    >>> settings_of({"l2": [0.1, 1.0], "momentum": [0.9]})
    [{'l2': 0.1, 'momentum': 0.9}, {'l2': 1.0, 'momentum': 0.9}]
    """
    if isinstance(grid, Mapping):
        lists = {_name(name): _values(name, values) for name, values in grid.items()}
        if not lists:
            raise InputError('grid is empty: give a list of values by name, {"l2": [0.1, 1.0]}.')
        settings = [
            dict(zip(lists, chosen, strict=True)) for chosen in itertools.product(*lists.values())
        ]
    elif isinstance(grid, Sequence) and not isinstance(grid, str | bytes):
        settings = _listed(grid)
        lists = {name: [setting[name] for setting in settings] for name in settings[0]}
    else:
        raise InputError(
            f"grid must be a dict of lists or a list of dicts, got {grid!r:.80}: for example "
            '{"l2": [0.1, 1.0]}.'
        )
    for name, values in lists.items():
        _check_values(name, values)
    return settings


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise InputError(f"the names in grid must be text, got {name!r}.")
    if name.startswith("validation_") or name in _RESULTS:
        raise InputError(
            f"grid has {name!r}, which is a column of results in the table: give the argument of "
            "the solver function another name."
        )
    return name


def _values(name: str, values: Any) -> list[Any]:
    """A grid's list as plain values, without repetitions."""
    if isinstance(values, np.ndarray | jax.Array):
        if values.ndim != 1:
            raise InputError(f"grid[{name!r}] must be a list, got an array of {values.shape}.")
        values = np.asarray(values).tolist()
    if not isinstance(values, Sequence | range) or isinstance(values, str | bytes):
        raise InputError(f"grid[{name!r}] must be a list of values, got {values!r:.80}.")
    if not len(values):
        raise InputError(f"grid[{name!r}] is empty: give at least one value, or leave it out.")
    plain = [_plain(value) for value in values]
    _refuse_repetitions(plain, f"grid[{name!r}]")
    return plain


def _listed(grid: Sequence[Any]) -> list[Setting]:
    """The settings of a list of dicts."""
    if not grid:
        raise InputError("grid is an empty list: give at least one dict of settings.")
    for index, setting in enumerate(grid):
        if not isinstance(setting, Mapping) or not setting:
            raise InputError(f"grid[{index}] must be a dict of settings, got {setting!r:.80}.")
        if set(setting) != set(grid[0]):
            raise InputError(
                f"grid[{index}] has the names {sorted(map(str, setting))}, but grid[0] has "
                f"{sorted(map(str, grid[0]))}: all must have the same."
            )
    names = [_name(name) for name in grid[0]]
    settings = [{name: _plain(setting[name]) for name in names} for setting in grid]
    _refuse_repetitions([tuple(map(_identity, s.values())) for s in settings], "grid")
    return settings


def _plain(value: Any) -> Any:
    """A NumPy or JAX scalar as Python's own."""
    if isinstance(value, np.generic | np.ndarray | jax.Array) and np.shape(value) == ():
        return np.asarray(value).item()
    return value


def _identity(value: Any) -> Any:
    """What two values that are the same have in common; True is not 1."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return isinstance(value, bool), value


def _refuse_repetitions(values: list[Any], place: str) -> None:
    seen: dict[Any, int] = {}
    for index, value in enumerate(values):
        first = seen.setdefault(_identity(value), index)
        if first != index:
            raise InputError(f"{place} repeats itself: entries {first} and {index} are the same.")


def is_number(value: Any) -> bool:
    """Whether a value is a whole or real number, and not True or False."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_hashable(name: str, value: Any) -> None:
    """Raises `InputError` for a value that no compiled program can be remembered by."""
    try:
        hash(value)
    except TypeError:
        raise InputError(
            f"grid[{name!r}] holds {value!r:.80}: values must be numbers, text, functions or "
            "anything else that can be hashed (a tuple in place of a list)."
        ) from None


def _check_values(name: str, values: list[Any]) -> None:
    """Raises `InputError` for values that a name cannot have, whatever the solver."""
    if name == "init":
        return  # `starting_params` looks at them
    for value in values:
        check_hashable(name, value)
        if name == "l2":
            if not is_number(value):
                raise InputError(f"grid['l2'] must hold numbers, got {value!r:.80}.")
            check_l2(value)
        if is_number(value) and not abs(value) <= sys.float_info.max:
            raise InputError(f"grid[{name!r}] holds {value!r:.20}: every number must be finite.")
        if isinstance(value, complex):
            raise InputError(f"grid[{name!r}] holds {value}, which is no real number.")
    texts = [value for value in values if isinstance(value, str | bytes)]
    if texts and any(is_number(value) for value in values):
        raise InputError(f"grid[{name!r}] holds the text {texts[0]!r} among numbers.")


def columns_of(settings: list[Setting]) -> dict[str, np.ndarray]:
    """The settings as columns of a table: numbers and text as they are, the rest by name."""
    columns = {}
    for name in settings[0]:
        values = [setting[name] for setting in settings]
        plain = all(is_number(value) for value in values)
        shown = values if plain else _labels(values)
        columns[name] = np.array(shown, dtype=None if plain else object)
    return columns


def _labels(values: list[Any]) -> list[Any]:
    """What to call values that are no numbers; two that differ are not called the same."""
    shown: dict[Any, Any] = {}
    for value in values:
        if isinstance(value, str | bool | int | float | None):
            label: Any = value
        elif isinstance(value, tuple) and not hasattr(value, "_fields"):
            label = repr(value)
        else:
            label = loss_name(value) if callable(value) else type(value).__name__
        if _identity(value) not in shown:
            others = [other for other in shown.values() if str(other).split(" #")[0] == str(label)]
            shown[_identity(value)] = f"{label} #{len(others)}" if others else label
    return [shown[_identity(value)] for value in values]
