"""Which arguments of a user's function can differ between the models of one program.

Those that are numbers, and numbers that JAX can trace. That is found out by tracing the function
with them, down to a step of the solver that it makes: a batch size fails there, and so does a
number that Python code branches on.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.objective import Objective
from jaxlin.solvers.base import Examples, Problem, Solver
from jaxlin.sweeps.settings import Setting, is_number

# Float32 holds every whole number up to here, and int32 up to there.
_LARGEST_EXACT, _LARGEST_INT = 2**24, 2**31 - 1


@dataclasses.dataclass(frozen=True)
class SolverOf:
    """Calls a user's function with its fixed arguments, and with numbers that may be traced.

    Equal ones share compiled programs: the same function, and the same fixed values of the same
    types.
    """

    function: Callable[..., Solver]
    fixed: tuple[tuple[str, type, Any], ...]

    def __call__(self, numbers: dict[str, Any]) -> Solver:
        """The solver of one setting."""
        return self.function(**{name: value for name, _, value in self.fixed}, **numbers)


def number_types(names: list[str], settings: list[Setting]) -> dict[str, tuple[type, ...]]:
    """Of the names whose values are all numbers, how they can be traced, the first choice first.

    Whole numbers as `float` where it holds them: `10**-k` and `k * 1_000_000` are then what they
    are in Python, and int32 would make them 0 and an overflow. As `np.int32` where a float does not
    do, for an index.

    >>> number_types(["a", "b", "c"], [{"a": 1, "b": 1, "c": "x"}, {"a": 2, "b": 0.5, "c": "y"}])
    {'a': (<class 'float'>, <class 'numpy.int32'>), 'b': (<class 'float'>,)}
    """
    types: dict[str, tuple[type, ...]] = {}
    for name in names:
        values = [setting[name] for setting in settings]
        if all(map(is_number, values)):
            whole = all(isinstance(value, int) for value in values)
            largest = max(map(abs, values))
            types[name] = (
                *((float,) if not whole or not _LARGEST_EXACT < largest <= _LARGEST_INT else ()),
                *((np.int32,) if whole and largest <= _LARGEST_INT else ()),
            )
    return types


def traced_types(
    types: dict[str, tuple[type, ...]], passes: Callable[[dict[str, type]], bool]
) -> dict[str, type]:
    """How the names are traced that can be, together.

    Args:
      types: of `number_types`.
      passes: whether some names can be traced so.

    >>> traced_types({"a": (float, np.int32), "b": (float,)}, lambda types: types != {"b": float})
    {'a': <class 'float'>, 'b': <class 'float'>}
    """
    chosen: dict[str, type] = {}
    for kind in (float, np.int32):
        left = [name for name, kinds in types.items() if kind in kinds and name not in chosen]
        names = traceable_names(left, functools.partial(_pass_as, kind, chosen, passes))
        chosen = chosen | dict.fromkeys(names, kind)
    return chosen


def _pass_as(
    kind: type,
    chosen: dict[str, type],
    passes: Callable[[dict[str, type]], bool],
    names: list[str],
) -> bool:
    return passes(chosen | dict.fromkeys(names, kind))


def traceable_names(candidates: list[str], passes: Callable[[list[str]], bool]) -> list[str]:
    """Which of the candidates can be traced at once.

    >>> traceable_names(["a", "b", "c"], lambda names: "b" not in names)
    ['a', 'c']
    """
    if not candidates or passes(candidates):
        return candidates
    alone = [name for name in candidates if passes([name])]
    return alone if len(alone) < 2 or passes(alone) else []


def is_traceable(
    function: Callable[..., Solver],
    arguments: dict[str, Any],
    loss: Loss,
    shape: tuple[int, int],
    bias: bool,
    dtype: Any,
    types: dict[str, type],
) -> bool:
    """Whether a step can be traced with some of the arguments traced.

    Args:
      function: makes a solver of the arguments.
      arguments: of one setting.
      loss: of that setting.
      shape: (C, D).
      bias: whether there is a b.
      dtype: that is computed in.
      types: of the arguments that are traced, how.
    """
    fixed = {name: value for name, value in arguments.items() if name not in types}

    def one_step(
        numbers: dict[str, Any], params: LinearParams, examples: Examples, key: jax.Array
    ) -> Any:
        solver = function(**fixed, **numbers)
        operator.index(solver.epochs)
        if solver.batch_size is not None:
            operator.index(solver.batch_size)
        l2 = jnp.zeros((), dtype)
        problem = Problem(Objective(loss, l2), examples, None)
        return solver.step(problem, solver.init(params, key))

    numbers = {
        name: jax.ShapeDtypeStruct((), dtype if kind is float else kind)
        for name, kind in types.items()
    }
    weights = jax.ShapeDtypeStruct(shape, dtype)
    params = LinearParams(weights, jax.ShapeDtypeStruct(shape[:1], dtype) if bias else None)  # pyright: ignore[reportArgumentType]
    rows = 2
    examples = Examples(
        jax.ShapeDtypeStruct((rows, shape[1]), dtype),  # pyright: ignore[reportArgumentType]
        jax.ShapeDtypeStruct((rows,), jnp.int32),  # pyright: ignore[reportArgumentType]
        jax.ShapeDtypeStruct((rows,), dtype),  # pyright: ignore[reportArgumentType]
    )
    try:
        jax.eval_shape(one_step, numbers, params, examples, jax.random.key(0))
    except Exception:  # whatever it is: with the values themselves the function works
        return False
    return True
