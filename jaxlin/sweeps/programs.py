"""Which settings can share a compiled program.

What differs between the models of one program are numbers that JAX can trace (`tracing`). A batch
size, text, optimisers and losses are fixed in a program: settings that differ in them make groups.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxlin import checks
from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.losses import Loss
from jaxlin.solvers.base import Examples
from jaxlin.solvers.grid import MakeSolver
from jaxlin.sweeps.settings import OWN_NAMES, Setting, check_hashable, is_number
from jaxlin.sweeps.tracing import SolverOf, is_traceable, number_types, traced_types
from jaxlin.training.default_solver import (
    MOMENTUM,
    DefaultNumbers,
    default_numbers,
    default_solver,
    with_penalty,
)
from jaxlin.training.fitting import the_solver

_DEFAULT_NAMES = ("learning_rate", "momentum", "batch_size", "epochs")


@dataclasses.dataclass(frozen=True)
class Group:
    """Settings that share a program.

    Attributes:
      make_solver: makes a model's solver of its numbers.
      numbers: of each setting, leaves without an axis.
      loss: of all.
      settings: their row numbers.
    """

    make_solver: MakeSolver
    numbers: list[Any]
    loss: Loss
    settings: list[int]

    def of_rows(self, rows: list[int]) -> list[Group]:
        """The part of it that some row numbers make: one group, or none."""
        kept = [place for place, row in enumerate(self.settings) if row in rows]
        numbers = [self.numbers[place] for place in kept]
        settings = [self.settings[place] for place in kept]
        return [dataclasses.replace(self, numbers=numbers, settings=settings)] if kept else []

    def stacked_numbers(self, chosen: list[int], dtype: Any) -> Any:
        """The numbers of some of the group's settings, NumPy, leading axis len(chosen)."""

        def stack(*leaves: Any) -> np.ndarray:
            # Whole numbers of a user's function stay whole; a solver's own leaves are as in `fit`.
            whole = self.make_solver is not the_solver and type(leaves[0]) is np.int32
            with np.errstate(over="ignore"):  # such a model diverges, and its row says so
                return np.array(leaves).astype(np.int32 if whole else dtype)

        return jax.tree.map(stack, *(self.numbers[index] for index in chosen))


def is_solver(value: Any) -> bool:
    """Whether a value is a solver, and not the class of one."""
    parts = ("init", "step", "epochs")
    return not isinstance(value, type) and all(hasattr(value, name) for name in parts)


def groups_of(
    settings: list[Setting],
    solver: Any,
    losses: list[Loss],
    examples: Examples,
    shape: tuple[int, int],
    bias: bool,
    scaling: Scaling | None,
    dtype: Any,
) -> list[Group]:
    """The groups of a grid, in the order of their first settings.

    Args:
      settings: of the grid.
      solver: as `sweep` takes it.
      losses: of each setting.
      examples: what is trained on.
      shape: (C, D).
      bias: whether the models have a b.
      scaling: of the features, or None.
      dtype: that is computed in.

    Raises:
      InputError: a name or a value that the solver does not take. An error of the user's function
        is raised as it is.
    """
    names = [name for name in settings[0] if name not in OWN_NAMES]
    if is_solver(solver):
        if names:
            raise InputError(
                f"grid has {names[0]!r}, but solver is a finished solver: only l2, loss and init "
                f"can vary. Pass a function that makes one, solver=lambda {', '.join(names)}: ..."
            )
        parts: list[tuple[MakeSolver, Any]] = [(the_solver, solver)] * len(settings)
    elif solver is None:
        _check_default_names(names, settings)
        parts = _default_parts(settings, losses, examples.x, shape[0], scaling, dtype)
    elif callable(solver):
        _check_arguments(solver, names)
        parts = _users_parts(settings, names, solver, losses, shape, bias, dtype)
    else:
        raise InputError(
            "solver must be None, one of jaxlin.solvers, or a function that makes one, for example "
            f"lambda learning_rate: SGD(optax.sgd(learning_rate)), got {solver!r:.80}."
        )
    groups: dict[Any, Group] = {}
    for index, ((make_solver, numbers), loss) in enumerate(zip(parts, losses, strict=True)):
        key = make_solver, jax.tree.structure(numbers), loss
        group = groups.setdefault(key, Group(make_solver, [], loss, []))
        group.numbers.append(numbers)
        group.settings.append(index)
    return list(groups.values())


def _check_default_names(names: list[str], settings: list[Setting]) -> None:
    for name in names:
        if name not in _DEFAULT_NAMES:
            raise InputError(
                f"grid has {name!r}, which nothing takes: without a solver the names are "
                f"{', '.join((*OWN_NAMES, *_DEFAULT_NAMES))}. For others pass a function, "
                f"solver=lambda {name}: ..."
            )
        for setting in settings:
            value = setting[name]
            if name in ("batch_size", "epochs"):
                checks.check_count(f"grid[{name!r}]", value)
            elif name == "learning_rate":
                checks.check_positive(f"grid[{name!r}]", value)
            elif not is_number(value) or not 0.0 <= value < 1.0:
                raise InputError(f"grid['momentum'] must hold numbers in [0, 1), got {value!r}.")


def _default_parts(
    settings: list[Setting],
    losses: list[Loss],
    x: jax.Array,
    num_classes: int,
    scaling: Scaling | None,
    dtype: Any,
) -> list[tuple[MakeSolver, Any]]:
    """The default solver's numbers by setting; what the grid does not say is as in `fit`."""

    @functools.cache
    def numbers_for(loss: Loss, **given: Any) -> DefaultNumbers:
        return default_numbers(x, loss, num_classes, scaling, dtype, **given)

    parts: list[tuple[MakeSolver, Any]] = []
    for setting, loss in zip(settings, losses, strict=True):
        given = {name: setting[name] for name in _DEFAULT_NAMES if name in setting}
        given["momentum"] = float(given.get("momentum", MOMENTUM))
        numbers = numbers_for(loss, **given)
        if "learning_rate" not in given:
            numbers = with_penalty(numbers, float(setting.get("l2", 0.0)))
        parts.append((default_solver, numbers))
    return parts


def _check_arguments(function: Callable[..., Any], names: list[str]) -> None:
    """Raises `InputError` where the grid's names are not the function's arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin: it says itself what it misses
        return
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    takes_all = any(p.kind == p.VAR_KEYWORD for p in parameters)
    for name in names:
        if name not in named and not takes_all:
            raise InputError(
                f"grid has {name!r}, which the solver function does not take: it takes "
                f"{', '.join(named) or 'no arguments'}; jaxlin itself takes "
                f"{', '.join(OWN_NAMES)}."
            )
    for name, parameter in named.items():
        if name not in names and parameter.default is parameter.empty:
            hint = f" {name!r} in grid is jaxlin's own." if name in OWN_NAMES else ""
            raise InputError(
                f"the solver function takes {name!r}, which grid does not have: add it, or give it "
                f"a default.{hint}"
            )


def _users_parts(
    settings: list[Setting],
    names: list[str],
    function: Callable[..., Any],
    losses: list[Loss],
    shape: tuple[int, int],
    bias: bool,
    dtype: Any,
) -> list[tuple[MakeSolver, Any]]:
    """For each setting the user's function with what is fixed in it, and the numbers that vary."""
    for index, setting in enumerate(settings):
        _check_made(function, {name: setting[name] for name in names}, index)
    types = number_types(names, settings)
    found: dict[Any, dict[str, type]] = {}
    parts: list[tuple[MakeSolver, Any]] = []
    for setting, loss in zip(settings, losses, strict=True):
        arguments = {name: setting[name] for name in names}
        others = tuple((name, arguments[name]) for name in names if name not in types)
        if others not in found:
            passes = functools.partial(is_traceable, function, arguments, loss, shape, bias, dtype)
            found[others] = traced_types(types, passes)
        traced = found[others]
        fixed = {name: value for name, value in arguments.items() if name not in traced}
        make_solver = SolverOf(function, tuple((n, type(v), v) for n, v in fixed.items()))
        parts.append((make_solver, {name: kind(arguments[name]) for name, kind in traced.items()}))
    return parts


def _check_made(function: Callable[..., Any], arguments: dict[str, Any], index: int) -> None:
    """Raises what the user's function raises, and `InputError` where it makes no solver."""
    for name, value in arguments.items():
        check_hashable(name, value)
    try:
        made = function(**arguments)
    except Exception as error:
        error.add_note(f"Raised by the solver function, for grid setting {index}: {arguments}.")
        raise
    if not is_solver(made):
        raise InputError(
            f"the solver function must return one of jaxlin.solvers, got {made!r:.80} for "
            f"{arguments}."
        )
