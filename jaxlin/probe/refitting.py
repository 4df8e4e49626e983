"""The winner trained again, on the validation rows as well, and what is proved of it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxlin.certificates.words import certificate_words
from jaxlin.model_file import Model
from jaxlin.model_file.loss_names import name_and_margin
from jaxlin.probe.problem import Block, Problem
from jaxlin.probe.selecting import C_value, Selection, Tell, make_scaling
from jaxlin.probe.settings import Settings
from jaxlin.solvers.history import History
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.training import Fit, fit

_MOST_POINTS = 500
# How close the winner is brought where that takes no more passes than these.
_CLOSE, _CLOSING_PASSES = 1e-6, 60
_SCALING_WORDS = {"none": "none", "unit": "unit range", "standardize": "standardised"}


def refit(block: Block, problem: Problem, settings: Settings, chosen: Selection, tell: Tell) -> Fit:
    """The winner's setting on training and validation rows together, from where it ended.

    Args:
      block: features.
      problem: which rows are for what.
      settings: of the probe.
      chosen: by the validation rows.
      tell: told of the progress, in words.
    """
    tell("the winner on training and validation rows")
    parts = problem.train, problem.validation
    x = block.gather(*parts, dtype=settings.dtype, normalize=chosen.value("normalize"))
    labels = np.concatenate([part.labels for part in parts])
    l2 = chosen.value("l2")
    if settings.keeps == "C":
        l2 *= len(problem.train) / len(labels)  # C weighs a sum over rows
    passes = settings.passes_for(l2)
    shared: dict[str, Any] = {
        "loss": settings.loss_function,
        "l2": l2,
        "key": settings.seed,
        "bias": settings.bias,
        "scaling": make_scaling(chosen.value("scaling"), x),
        "dtype": settings.dtype,
    }
    solver = None if passes == LBFGS().passes else LBFGS(passes)
    found = fit(x, labels, solver=solver, init=chosen.fit.params, tol=settings.tol, **shared)
    if settings.loss != "softmax" or found.outcome.kind != "converged" or settings.tol <= _CLOSE:
        return found
    # The last digits of a smooth loss cost few passes, and most predictions are certain with them.
    solver = LBFGS(min(passes, _CLOSING_PASSES))
    closer = fit(x, labels, solver=solver, init=found.params, tol=_CLOSE, **shared)
    if closer.outcome.kind != "converged":
        return found
    seconds = found.seconds + closer.seconds
    history = _joined(found.history, closer.history)
    return dataclasses.replace(closer, history=history, seconds=seconds)


def _joined(first: History, second: History) -> History:
    """One after the other, as of one fit."""
    passes = None
    if first.passes is not None and second.passes is not None:
        passes = np.concatenate([first.passes, first.passes[-1] + second.passes])
    return History(
        objective=np.concatenate([first.objective, second.objective]),
        accuracy=np.concatenate([first.accuracy, second.accuracy]),
        seconds=np.concatenate([first.seconds, first.seconds[-1] + second.seconds]),
        passes=passes,
    )


def model_of(block: Block, problem: Problem, chosen: Selection, found: Fit) -> Model:
    """The refit classifier for raw features."""
    return Model(
        found.raw_params,
        problem.classes,
        *name_and_margin(found.objective.loss),
        float(np.asarray(found.objective.l2)),
        _SCALING_WORDS[chosen.value("scaling")],
        block.image_shape,
        block.feature_names,
        normalize_rows=chosen.value("normalize"),
    )


def account(found: Fit, problem: Problem, settings: Settings, chosen: Selection) -> dict[str, Any]:
    """The refit in a record."""
    history, count = found.history, len(problem.train) + len(problem.validation)
    kept = np.unique(np.linspace(0, len(history) - 1, _MOST_POINTS).round().astype(int))
    passes = history.passes
    l2 = float(np.asarray(found.objective.l2))
    certificate = found.certificate
    return {
        "on": "train+validation",
        "examples": count,
        "l2": l2,
        "C": C_value(l2, settings, count, len(problem.classes)),
        "scaling": chosen.value("scaling"),
        "normalize": chosen.value("normalize"),
        "objective": None if certificate is None else certificate.primal,
        "train_accuracy": float(history.accuracy[-1]),
        "outcome": str(found.outcome),
        "outcome_kind": found.outcome.kind,
        "certificate": None
        if certificate is None
        else {
            name: float(getattr(certificate, name))
            for name in ("primal", "dual", "gap", "relative_gap")
        },
        "certificate_sentence": "none: nothing is proved"
        if certificate is None
        else certificate_words(certificate),
        "passes": len(history) if passes is None else int(passes[-1]),
        "seconds": float(found.seconds),
        "history": {
            "passes": None if passes is None else passes[kept].tolist(),
            "seconds": history.seconds[kept].tolist(),
            "objective": history.objective[kept].tolist(),
            "accuracy": history.accuracy[kept].tolist(),
        },
    }
