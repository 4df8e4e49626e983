"""`run`: the whole protocol, from features to a record."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.certificates import certain_predictions
from jaxlin.certificates.bias_shift import MOST_CLASSES
from jaxlin.model_file import Model
from jaxlin.precision import float64_scope
from jaxlin.probe import baselines, leaks, refitting
from jaxlin.probe.few_shot import few_shot
from jaxlin.probe.finite import finite
from jaxlin.probe.judging import blocks_of_rows, judged
from jaxlin.probe.measures import certain, measure
from jaxlin.probe.mistakes import confident_mistakes
from jaxlin.probe.pixels import templates
from jaxlin.probe.problem import Block, Problem
from jaxlin.probe.protocols import protocol_named
from jaxlin.probe.selecting import Selection, Tell, score, select
from jaxlin.probe.settings import Settings
from jaxlin.training import Fit

FORMAT, FORMAT_VERSION = "jaxlin.probe", 1


@dataclasses.dataclass(frozen=True, eq=False)
class Probed:
    """What a probe found.

    Attributes:
      record: all of it, as JSON has it (docs/probe.md).
      model: the best block's classifier.
    """

    record: dict[str, Any]
    model: Model


def run(problem: Problem, settings: Settings, *, tell: Tell | None = None) -> Probed:
    """Probes every block of features, and chooses the best by its validation score.

    Args:
      problem: the features, and which rows are for what.
      settings: what to try; `PROTOCOLS["jaxlin"].settings()`, say.
      tell: told of the progress, in words.

    Returns:
      A `Probed`.

    Raises:
      InputError: the features cannot be computed with.

    >>> x = np.random.default_rng(0).normal(size=(60, 3)) + np.arange(60)[:, None] % 2
    >>> problem = Problem.from_arrays(x, np.arange(60) % 2)
    >>> probed = run(problem, Settings(l2=(1e-3, 1e-2)))
    >>> probed.record["blocks"][0]["best"]["l2"] in (1e-3, 1e-2)
    True
    """
    started, created = time.monotonic(), datetime.now(UTC)
    protocol = protocol_named(settings.protocol)
    tell = (lambda words: None) if tell is None else tell
    blocks, models, scores = [], [], []
    warnings = leaks.of_the_split(problem, bias=settings.bias)
    for index, block in enumerate(problem.blocks):
        name = f"{block.name}: " if len(problem.blocks) > 1 else ""
        told, model, chosen = _block(
            block, problem, settings, lambda words, name=name: tell(name + words)
        )
        blocks.append(told)
        models.append(model)
        scores.append(score({k: v[chosen.best] for k, v in chosen.table.items()}, settings))
        warnings += leaks.duplicates(problem, block, index)
        warnings += leaks.of_the_choice(chosen, told, settings, index)
    best = int(np.argmax(scores))
    record = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "command": None,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": time.monotonic() - started,
        "device": jax.devices()[0].device_kind,
        "versions": _versions(),
        "settings": settings.as_json(),
        "protocol": {
            "name": protocol.name,
            "title": protocol.title,
            "source": protocol.source,
            "sentences": protocol.sentences_of(settings),
        },
        "data": _data(problem),
        "warnings": sorted(warnings, key=lambda told: _WEIGHT[told["kind"]]),
        "blocks": blocks,
        "best_block": best,
        "model": None,
        "replay": None,
    }
    return Probed(finite(record), models[best])


# The gravest first.
_WEIGHT = {
    kind: place
    for place, kind in enumerate(
        (
            "differs", "test_chooses", "duplicates", "no_test", "worse_than_baseline",
            "uncertified", "edge", "missing_class", "one_example",
        )
    )
}  # fmt: skip


def _block(
    block: Block, problem: Problem, settings: Settings, tell: Tell
) -> tuple[dict[str, Any], Model, Selection]:
    """The record of a block, its classifier, and what was chosen."""
    started = time.monotonic()
    chosen = select(block, problem, settings, tell)
    found = refitting.refit(block, problem, settings, chosen, tell)
    model = refitting.model_of(block, problem, chosen, found)
    tell("baselines and the test")
    word, normalize = chosen.value("scaling"), chosen.value("normalize")
    told: dict[str, Any] = {
        "name": block.name,
        "path": block.path,
        "num_features": block.num_features,
        "dtype": str(block.first.dtype),
        "image_shape": None if block.image_shape is None else list(block.image_shape),
        "grid": chosen.table,
        "best": _best(chosen, settings),
        "outcomes": dict(Counter(chosen.table["outcome"])),
        "refit": refitting.account(found, problem, settings, chosen),
        "baselines": [
            baselines.majority(problem),
            baselines.nearest_mean(block, problem, word, chosen.fit.scaling, normalize),
        ],
        "test": None if problem.test is None else _test(block, problem, settings, found, model),
        "templates": None,
        "few_shot": None,
    }
    if block.image_shape is not None:
        told["templates"] = templates(np.asarray(model.params.W), block.image_shape)
    if settings.few_shot:
        told["few_shot"] = few_shot(block, problem, settings, chosen, tell)
    return {**told, "seconds": time.monotonic() - started}, model, chosen


def _best(chosen: Selection, settings: Settings) -> dict[str, Any]:
    names = ("l2", "C", "scaling", "normalize", "validation_accuracy", "validation_accuracy_low",
             "validation_accuracy_high", "validation_loss", "relative_gap")  # fmt: skip
    told = {"row": chosen.best, **{name: chosen.value(name) for name in names}}
    ties = chosen.ties(settings.select_by)
    low, high = told["validation_accuracy_low"], told["validation_accuracy_high"]
    how = {"none": "features as they are", "unit": "features over their largest value",
           "standardize": "standardised features"}[told["scaling"]]  # fmt: skip
    rows = ", rows normalised" if told["normalize"] else ""
    also_C = "" if told["C"] is None else f" (C {told['C']:.4g})"
    sentence = (
        f"Of {len(chosen)} settings l2 {told['l2']:.4g}{also_C} on {how}{rows} is "
        f"best: validation accuracy {100 * told['validation_accuracy']:.2f} % (95 % interval "
        f"{100 * low:.2f} to {100 * high:.2f} %)"
    )
    also = f"; {ties - 1} other{'s are' if ties > 2 else ' is'} as good." if ties > 1 else "."
    return {**told, "edge": chosen.edge, "ties": ties, "sentence": sentence + also}


def _test(
    block: Block, problem: Problem, settings: Settings, found: Fit, model: Model
) -> dict[str, Any]:
    """The one look at the test rows."""
    part = problem.test
    assert part is not None
    x = block.gather(part, dtype=settings.dtype)
    scores = model.scores(x)
    seen = judged(scores, part.labels)
    loss = _mean_loss(scores, part.labels, settings)
    del scores
    sure, certificate = None, found.certificate
    can_hold = settings.loss == "softmax" and len(problem.classes) <= MOST_CLASSES
    if certificate is not None and (not certificate.has_bias or can_hold):
        normalize = model.normalize_rows
        if normalize:
            x = block.gather(part, dtype=settings.dtype, normalize=True)
        fitted_on = None
        if certificate.has_bias:  # what holds it are the rows that it was fitted on
            parts = problem.train, problem.validation
            fitted_on = block.rows(*parts, dtype=settings.dtype, normalize=normalize)
        sure = certain_predictions(certificate, found.params, x, found.scaling, examples=fitted_on)
    softmax = "softmax of the scores"
    uncalibrated = f"{softmax}, which the {settings.loss} loss does not calibrate"
    return {
        **measure(seen),
        "loss": loss,
        "probabilities": softmax if settings.loss == "softmax" else uncalibrated,
        "num_mistakes": int(np.sum(seen.predicted != part.labels)),
        "mistakes": confident_mistakes(seen, block, part, settings.mistakes),
        "certain": certain(certificate, len(part), sure),
    }


def _mean_loss(scores: np.ndarray, labels: np.ndarray, settings: Settings) -> float:
    """The mean loss of scores (N, C), without penalty."""
    total = 0.0
    with float64_scope(scores.dtype == np.float64):
        for rows in blocks_of_rows(*scores.shape):
            some = settings.loss_function(jnp.asarray(scores[rows]), jnp.asarray(labels[rows]))
            total += float(np.sum(np.asarray(some), dtype=np.float64))
    return total / len(labels)


def _data(problem: Problem) -> dict[str, Any]:
    groups = problem.num_groups
    return {
        "files": [],
        "classes": list(problem.classes),
        "num_examples": sum(len(part) for part in problem.parts.values() if part is not None),
        "splits": {
            name: None
            if part is None
            else {
                "examples": len(part),
                "class_counts": np.bincount(part.labels, minlength=len(problem.classes)).tolist(),
                "from": part.came,
            }
            for name, part in problem.parts.items()
        },
        "groups": None if groups is None else {"count": groups, "path": None},
    }


def _versions() -> dict[str, str]:
    return {
        "jaxlin": getattr(sys.modules["jaxlin"], "__version__", "unknown"),
        **{name: version(name) for name in ("jax", "jaxlib", "numpy", "scikit-learn")},
        "python": ".".join(map(str, sys.version_info[:3])),
    }
