"""The probe with few examples a class: seeded draws, each with a sweep of its own.

The validation rows choose the l2 of each draw, and are not trained on. How the features are scaled
is what the sweep on all training rows has chosen; a scaling is made of all their features, without
a label.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxlin.data import few_shot_rows
from jaxlin.data.labels import shortened
from jaxlin.probe.problem import Block, Problem
from jaxlin.probe.selecting import Selection, Tell, edge_of, l2_values, make_scaling
from jaxlin.probe.settings import Settings
from jaxlin.sweeps import SubsetSweep, sweep_subsets
from jaxlin.training import evaluate

_MOST_BYTES = 1 << 30


class Draw(NamedTuple):
    """Some rows.

    Attributes:
      per_class: how many of each class.
      repeat: which draw of that size, from 0.
      seed: of the draw.
      rows: of the training rows.
    """

    per_class: int
    repeat: int
    seed: int
    rows: np.ndarray


def draws_of(problem: Problem, settings: Settings) -> tuple[list[Draw], list[dict[str, Any]]]:
    """All draws, and the sizes that a class has too few examples for."""
    labels = problem.train.labels
    counts = np.bincount(labels, minlength=len(problem.classes))
    rarest = int(np.argmin(counts))
    draws, skipped = [], []
    for size in settings.few_shot:
        if size > counts[rarest]:
            label = shortened(problem.classes[rarest])
            reason = f"class {label} has {counts[rarest]} training examples"
            skipped.append({"per_class": size, "reason": reason})
            continue
        for repeat in range(settings.repeats):
            # One seed for all sizes: a draw has the smaller ones in it.
            words = np.random.SeedSequence([settings.seed, repeat]).generate_state(1)
            seed = int(words[0])
            draws.append(Draw(size, repeat, seed, few_shot_rows(labels, size, seed)))
    return draws, skipped


def few_shot(
    block: Block, problem: Problem, settings: Settings, chosen: Selection, tell: Tell
) -> dict[str, Any]:
    """The record of all draws of a block."""
    started = time.monotonic()
    draws, skipped = draws_of(problem, settings)
    told = _judged(draws, block, problem, settings, chosen, tell)
    name = "validation_accuracy" if problem.test is None else "test_accuracy"
    return {
        "per_class": list(settings.few_shot),
        "repeats": settings.repeats,
        # One of the two, in the scale that the settings state; C is another l2 for each size.
        "l2": None if settings.l2 is None else sorted(settings.l2, reverse=True),
        "C": None if settings.C is None else sorted(settings.C),
        "scaling": chosen.value("scaling"),
        "normalize": chosen.value("normalize"),
        "draws": told,
        "summary": _summary(told, name),
        "skipped": skipped,
        "seconds": time.monotonic() - started,
    }


def _judged(
    draws: Sequence[Draw],
    block: Block,
    problem: Problem,
    settings: Settings,
    chosen: Selection,
    tell: Tell,
) -> list[dict[str, Any]]:
    """Each draw with the l2 that the validation rows choose, on the test rows."""
    normalize, test = chosen.value("normalize"), problem.test
    gather = functools.partial(block.gather, dtype=settings.dtype, normalize=normalize)
    x, held_out = gather(problem.train), gather(problem.validation)
    judged_x = None if test is None else gather(test)
    scaling = make_scaling(chosen.value("scaling"), x)
    loss, told = settings.loss_function, []
    for some, l2s in _calls(draws, block, problem, settings):
        done = len(told)
        tell(f"draws {done + 1} to {done + len(some)} of {len(draws)} with few examples")
        found = sweep_subsets(
            x, problem.train.labels, [draw.rows for draw in some], loss=loss, l2=l2s,
            validation=(held_out, problem.validation.labels), bias=settings.bias,
            tol=settings.tol, passes=[settings.passes_for(value) for value in l2s],
            scaling=scaling, dtype=settings.dtype,
        )  # fmt: skip
        for place, draw in enumerate(some):
            best = _best(found, place, settings)
            accuracy = None
            if test is not None:
                params = jax.tree.map(lambda leaf, at=(place, best): leaf[at], found.params)
                seen = evaluate(params, judged_x, test.labels, loss=loss, scaling=scaling)
                accuracy = round(float(seen.accuracy) * len(test)) / len(test)
            told.append(
                {
                    "per_class": draw.per_class,
                    "repeat": draw.repeat,
                    "seed": draw.seed,
                    "examples": len(draw.rows),
                    "l2": l2s[best],
                    "validation_accuracy": _validation(found, "accuracy")[place, best].item(),
                    "test_accuracy": accuracy,
                    "edge": edge_of(best, len(l2s)),
                    "largest_gap": float(found.relative_gap[place].max()),
                }
            )
    return told


def _calls(
    draws: Sequence[Draw], block: Block, problem: Problem, settings: Settings
) -> Iterator[tuple[Sequence[Draw], list[float]]]:
    """The draws that are fitted together, with their l2: the same C is less of it on more rows."""
    for l2s, some in itertools.groupby(
        draws, key=lambda draw: l2_values(settings, len(draw.rows), len(problem.classes))
    ):
        of_l2 = list(some)
        # All models of a call are kept until their best is known.
        of_a_draw = 4 * len(l2s) * len(problem.classes) * block.num_features
        at_once = max(1, _MOST_BYTES // of_a_draw)
        for start in range(0, len(of_l2), at_once):
            yield of_l2[start : start + at_once], l2s


def _validation(found: SubsetSweep, name: str) -> np.ndarray:
    values = getattr(found, f"validation_{name}")
    assert values is not None  # there are validation rows
    return values


def _best(found: SubsetSweep, place: int, settings: Settings) -> int:
    """The place of the best l2 of a draw: l2 falls, so that the first of equals is the largest."""
    if settings.select_by == "accuracy":
        return int(np.argmax(_validation(found, "accuracy")[place]))
    loss = _validation(found, "loss")[place]
    return int(np.argmin(np.where(np.isnan(loss), np.inf, loss)))


def _summary(told: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Mean and spread over the draws of each size."""
    rows = []
    for size in dict.fromkeys(draw["per_class"] for draw in told):
        values = np.array([draw[name] for draw in told if draw["per_class"] == size])
        rows.append(
            {
                "per_class": size,
                "draws": len(values),
                "mean": float(values.mean()),
                "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                "lowest": float(values.min()),
                "highest": float(values.max()),
                "judged_on": name.removesuffix("_accuracy"),
            }
        )
    return rows
