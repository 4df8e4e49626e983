"""The best certified lower bound of an optimum: what every answer is measured against."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxlin
from bench.optimum.task import Task
from jaxlin.precision import float64_scope

_PROJECT = Path(__file__).resolve().parents[3]
# A certificate may exceed the judge's objective by this much, relatively: both round.
_ROUNDING = 1e-11
# A new best objective is worth a certificate from here on.
_BETTER = 1e-8


def lower_bound(
    task: Task, W: np.ndarray, b: np.ndarray | None, dual: np.ndarray | None = None
) -> float:
    """What the optimum is at least, by the certificate at some parameters.

    Args:
      task: of which loss, l2 and data.
      W: (C, D).
      b: (C,); not looked at where the task has no bias.
      dual: rows a_i (N, C) to build it from; None: from the scores.
    """
    objective = jaxlin.Objective(task.jaxlin_loss, task.l2)
    with float64_scope(True):
        bias = None
        if task.bias:
            bias = jnp.zeros(len(W)) if b is None else jnp.asarray(b, jnp.float64)
        params = jaxlin.LinearParams(jnp.asarray(W, jnp.float64), bias)
        data = task.data
        found = jaxlin.certificates.duality_gap(
            objective, params, data.x, data.labels, dual=dual, scaling=task.scaling
        )
    return found.dual


def earlier_bounds(bench: str, folders: Iterable[Path] | None = None) -> dict[str, float]:
    """The bounds of the records that earlier runs of a bench left, by `key_of`."""
    if folders is None:
        folders = (_PROJECT / "docs" / "benchmarks", _PROJECT / ".bench" / "benchmarks")
    found: dict[str, float] = {}
    for folder in folders:
        path = folder / f"{bench}.json"
        if not path.is_file():
            continue
        for case in json.loads(path.read_text(encoding="utf-8")).get("curves", ()):
            key = key_of(case)
            found[key] = max(found.get(key, 0.0), float(case["bound"]))
    return found


def key_of(case: Mapping[str, Any]) -> str:
    """Names a problem: the same data, loss, l2 and bias, and so the same optimum."""
    names = ("dataset", "fingerprint", "loss", "l2", "bias")
    return json.dumps([case[name] for name in names])


class Bounds:
    """The lower bounds of one problem, and the lowest objective that anybody reached.

    Attributes:
      best: that objective.
      offers: all bounds, with who gave them.
    """

    def __init__(self, task: Task, earlier: float = 0.0) -> None:
        self._task = task
        self.best = math.inf
        # No loss is negative, so that zero bounds the optimum too.
        self.offers: list[tuple[float, str]] = [(0.0, "zero"), (earlier, "an earlier run")]

    def see(
        self, label: str, W: np.ndarray, b: np.ndarray | None, objective: float,
        certificate: Any = None, dual: np.ndarray | None = None,
    ) -> float | None:  # fmt: skip
        """Takes an answer in: its objective by the judge, and what proof came with it.

        Returns:
          The lower bound of that proof; None where none came.
        """
        own = None if certificate is None else float(certificate.dual)
        if dual is not None and math.isfinite(objective):
            own = lower_bound(self._task, W, b, dual)
        if own is not None:
            self.offers.append((own, label))
        is_first = math.isfinite(objective) and not math.isfinite(self.best)
        if is_first or objective < self.best * (1 - _BETTER):
            self.offers.append((lower_bound(self._task, W, b), f"a point of {label}"))
        self.best = min(self.best, objective)
        return own

    def is_sound(self, bound: float) -> bool:
        """Whether nobody got below a bound."""
        return bound <= self.best * (1 + _ROUNDING)

    @property
    def value(self) -> float:
        """The best of them that nobody has refuted."""
        return self._best_offer()[0]

    @property
    def by(self) -> str:
        """Whose that is."""
        return self._best_offer()[1]

    def refuted(self) -> list[str]:
        """Who gave bounds above an objective that somebody reached: they prove nothing."""
        return sorted({by for bound, by in self.offers if not self.is_sound(bound)})

    def suboptimality(self, objective: float, bound: float | None = None) -> float:
        """How far an objective is above the bound at most, as a share of the objective."""
        bound = self.value if bound is None else bound
        if not math.isfinite(objective):
            return math.inf
        return max(objective - bound, 0.0) / objective if objective > 0.0 else 0.0

    def _best_offer(self) -> tuple[float, str]:
        return max(offer for offer in self.offers if self.is_sound(offer[0]))
