"""What a gradient costs: the work of the compiled programs, and their times side by side.

The compiler counts the floating-point operations and the bytes of every program it makes, and knows
how much memory it needs for intermediate results. For the library's losses the gradient by hand and
`jax.grad` are the same work: the compiler gets to about the same program on both ways. The
numerical gradient needs two values for every coordinate.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxlin.checks import as_features
from jaxlin.errors import InputError
from jaxlin.gradients.finite_differences import largest_steps
from jaxlin.gradients.moves import moved_values, suggested_batch_size
from jaxlin.gradients.printing import as_text, plain_table
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.precision import class_indices, compute_dtype, float64_scope

# Coordinates in a run of the numerical programs: enough that starting one does not count.
_SAMPLE = 64
_ROUNDS, _SHORTEST_ROUND = 25, 1e-3


@dataclasses.dataclass(frozen=True)
class ProgramCost:
    """What a compiled program costs.

    Attributes:
      flops: floating-point operations, as the compiler counts them.
      bytes_accessed: by all of its operations, read and written.
      temporary_bytes: the most memory that intermediate results take at a time.
      seconds: median of the times measured.

    >>> ProgramCost(flops=2e6, bytes_accessed=8e5, temporary_bytes=4096, seconds=1e-3).flops
    2000000.0
    """

    flops: float
    bytes_accessed: float
    temporary_bytes: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class GradientCost:
    """What the gradients of an objective cost, measured in one run, in turns.

    Attributes:
      by_hand: `Objective.gradient_by_hand`; None for a loss that has none.
      autodiff: `jax.grad`.
      numerical: one coordinate of the numerical gradient (central differences), taken in batches.
        Its memory is that of a batch.
      one_at_a_time: the same one evaluation at a time, as in the lecture.
      num_coordinates: of the parameters.
      batch_size: how many evaluations a batch of `numerical` has.
      device: what it was compiled for and measured on.

    >>> from jaxlin import losses
    >>> objective = Objective(losses.softmax_cross_entropy, l2=0.1)
    >>> params = LinearParams(jnp.zeros((3, 4)), jnp.zeros(3))
    >>> cost = gradient_cost(objective, params, np.ones((20, 4), np.float32), np.arange(20) % 3)
    >>> cost.num_coordinates, cost.autodiff.flops > 0
    (15, True)
    """

    by_hand: ProgramCost | None
    autodiff: ProgramCost
    numerical: ProgramCost
    one_at_a_time: ProgramCost
    num_coordinates: int
    batch_size: int
    device: str

    @property
    def numerical_factor(self) -> float:
        """How many times as long as `jax.grad` all coordinates take, in batches."""
        return self.num_coordinates * self.numerical.seconds / self.autodiff.seconds

    @property
    def one_at_a_time_factor(self) -> float:
        """How many times as long as `jax.grad` all coordinates take, one evaluation at a time."""
        return self.num_coordinates * self.one_at_a_time.seconds / self.autodiff.seconds

    def __str__(self) -> str:
        """A table for a terminal of 100 columns."""
        return as_text(self.renderables())

    def renderables(self) -> list[object]:
        """The table as objects that rich can print."""
        from rich.text import Text

        table = plain_table("", "operations", "bytes", "temporary", "microseconds")
        rows = {
            "by hand": self.by_hand,
            "jax.grad": self.autodiff,
            "numerical, each": self.numerical,
            "one at a time, each": self.one_at_a_time,
        }
        for name, cost in rows.items():
            if cost is not None:
                table.add_row(
                    name,
                    f"{cost.flops:,.0f}",
                    f"{cost.bytes_accessed:,.0f}",
                    f"{cost.temporary_bytes:,}",
                    f"{1e6 * cost.seconds:,.3g}",
                )
        words = (
            f"All {self.num_coordinates:,} numerical coordinates take {self.numerical_factor:,.0f} "
            f"times as long as jax.grad, {self.one_at_a_time_factor:,.0f} times as long one at a "
            f"time. In batches of {self.batch_size}, on {self.device}."
        )
        return [table, Text(words)]


def gradient_cost(objective: Objective, params: LinearParams, x: Any, labels: Any) -> GradientCost:
    """What the gradients of an objective cost: compiled work, memory and time.

    Operations, bytes and memory are the compiler's own figures for this device. Times are medians
    of runs of the programs in turns, so that other work on the machine meets all of them alike; of
    the numerical gradient a few dozen coordinates are run.

    Args:
      objective: the objective.
      params: W (C, D) and b (C,) or None; their dtype is what is computed in.
      x: features (N, D).
      labels: integers 0..C-1, (N,).

    Returns:
      `GradientCost`; printing it gives a table.

    Raises:
      InputError: arguments of the wrong shape or dtype.

    >>> from jaxlin import losses
    >>> objective = Objective(losses.softmax_cross_entropy, l2=0.1)
    >>> params = LinearParams(np.zeros((3, 4), np.float32), np.zeros(3, np.float32))
    >>> cost = gradient_cost(objective, params, np.ones((20, 4)), np.arange(20) % 3)
    >>> cost.num_coordinates, 0.5 < cost.by_hand.flops / cost.autodiff.flops < 2.0
    (15, True)
    """
    num_classes, num_features = np.shape(params.W)
    dtype = compute_dtype(np.asarray(params.W).dtype)
    x = as_features(x, dtype, name="x", num_features=num_features)
    labels = class_indices(labels, num_classes)
    if labels.shape != x.shape[:1]:
        raise InputError(
            f"labels must have one entry for each of the {x.shape[0]} rows of x, got shape "
            f"{labels.shape}."
        )
    with float64_scope(dtype == np.float64):
        params = jax.tree.map(jnp.asarray, params)
        arguments = (objective, params, jnp.asarray(x), labels)
        flat, _ = ravel_pytree(params)
        sample = min(_SAMPLE, flat.size)
        batch_size = suggested_batch_size(lambda p: objective(p, arguments[2], labels), params)
        batch_size = min(batch_size, 2 * sample)
        programs = {"autodiff": _compiled(_autodiff, *arguments)}
        if hasattr(objective.loss, "score_gradient"):
            programs = {"by_hand": _compiled(Objective.gradient_by_hand, *arguments), **programs}
        which = jnp.arange(sample, dtype=jnp.int32)
        steps = largest_steps(params, which, None, None, "central")
        moves = (jnp.tile(which, 2), jnp.concatenate([steps, -steps]))
        for name, size in (("numerical", batch_size), ("one_at_a_time", 1)):
            programs[name] = _compiled(_moved(size), *arguments, *moves)
        seconds = _median_seconds([program.run for program in programs.values()])
    costs = {}
    for (name, program), elapsed in zip(programs.items(), seconds, strict=True):
        # The compiler counts the body of a loop once: a batch of evaluations, two a coordinate.
        evaluations = {"numerical": batch_size, "one_at_a_time": 1}.get(name)
        share = 1.0 if evaluations is None else 2.0 / evaluations
        costs[name] = ProgramCost(
            flops=share * program.flops,
            bytes_accessed=share * program.bytes_accessed,
            temporary_bytes=program.temporary_bytes,
            seconds=elapsed / (1 if evaluations is None else sample),
        )
    return GradientCost(
        by_hand=costs.get("by_hand"),
        autodiff=costs["autodiff"],
        numerical=costs["numerical"],
        one_at_a_time=costs["one_at_a_time"],
        num_coordinates=int(flat.size),
        batch_size=batch_size,
        device=jax.devices()[0].device_kind,
    )


def _autodiff(objective: Objective, params: LinearParams, x: Any, labels: Any) -> LinearParams:
    return jax.grad(lambda p: objective(p, x, labels))(params)


def _moved(batch_size: int) -> Callable[..., Any]:
    """A program for the values after moves of the parameters, so many at a time."""

    def values(
        objective: Objective, params: LinearParams, x: Any, labels: Any, which: Any, steps: Any
    ) -> Any:
        return moved_values(
            lambda p: objective(p, x, labels), params, which, steps, batch_size=batch_size
        ).values

    return values


@dataclasses.dataclass(frozen=True, eq=False)
class _Program:
    """A compiled program with its arguments, and the compiler's figures for it."""

    run: Callable[[], Any]
    flops: float
    bytes_accessed: float
    temporary_bytes: int


def _compiled(function: Callable[..., Any], *arguments: Any) -> _Program:
    compiled = jax.jit(function).lower(*arguments).compile()
    # Some devices have no figures: they are then not known.
    analysis = compiled.cost_analysis() or {}
    memory: Any = compiled.memory_analysis()
    return _Program(
        run=lambda: jax.block_until_ready(compiled(*arguments)),
        flops=float(analysis.get("flops", np.nan)),
        bytes_accessed=float(analysis.get("bytes accessed", np.nan)),
        temporary_bytes=0 if memory is None else int(memory.temp_size_in_bytes),
    )


def _median_seconds(runs: list[Callable[[], Any]]) -> list[float]:
    """Seconds of each, all of them run in turns, a short one several times a turn."""
    repeats = []
    for run in runs:
        run()
        begun = time.perf_counter()
        run()
        once = time.perf_counter() - begun
        repeats.append(max(1, int(_SHORTEST_ROUND / max(once, 1e-7))))
    times = np.empty((_ROUNDS, len(runs)))
    for turn in times:
        for index, (run, count) in enumerate(zip(runs, repeats, strict=True)):
            begun = time.perf_counter()
            for _ in range(count):
                run()
            turn[index] = (time.perf_counter() - begun) / count
    return np.median(times, axis=0).tolist()
