"""Protocols: which values others try, on what features, and what they train on in the end.

Their regularisation is stated in scikit-learn's C, where the loss is a sum: training on more rows
with the same C is training with a smaller l2. `jaxlin.scales` converts.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxlin.errors import InputError
from jaxlin.probe.settings import Settings


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a probe is done.

    Attributes:
      name: on the command line.
      title: for people.
      source: where it is from.
      sentences: what it does, and where jaxlin departs from it.
      validation_share: of the training rows, where no validation rows are given.
      values: its settings where they are not the usual ones.

    >>> PROTOCOLS["dinov2"].settings(seed=1).C[0]
    1e-06
    """

    name: str
    title: str
    source: str
    sentences: tuple[str, ...]
    validation_share: float
    values: dict[str, Any]

    def settings(self, **given: Any) -> Settings:
        """Its settings, with those that are given in place of its own.

        Args:
          given: names and values of `Settings`; None is as not given. Values of l2 or C of your own
            are all tried, whatever the protocol's way to search its own, and what they are values
            of stays in the refit.
        """
        told = {name: value for name, value in given.items() if value is not None}
        values = {"protocol": self.name, **self.values}
        if "l2" in told or "C" in told:
            keeps = "C" if "C" in told else "l2"
            values |= {"l2": None, "C": None, "search": "grid", "keeps": keeps}
        return Settings(**{**values, **told})

    def sentences_of(self, settings: Settings) -> list[str]:
        """What it does, and before that which settings were others."""
        usual, told = self.settings().as_json(), settings.as_json()
        differs = [name for name in _SAID if told[name] != usual[name]]
        if not differs:
            return list(self.sentences)
        words = "; ".join(_said(name, told[name]) for name in differs)
        return [f"This probe departs from the protocol that follows, in: {words}.", *self.sentences]


# Settings that a protocol's sentences speak of.
_SAID = ("loss", "l2", "C", "search", "scaling", "normalize", "select_by", "keeps")


def _said(name: str, value: Any) -> str:
    """A setting in words."""
    word = name.replace("_", " ")
    if value is None:
        return f"no {word} of the protocol's"
    if name in ("l2", "C"):
        return f"{len(value)} {word}, {min(value):g} to {max(value):g}"
    return f"{word} {', '.join(map(str, value)) if isinstance(value, list) else value}"


def _powers(start: float, stop: float, count: int) -> tuple[float, ...]:
    """10 to equally spaced powers; numbers that can be typed again."""
    return tuple(float(f"{10.0**power:.6g}") for power in np.linspace(start, stop, count))


_JAXLIN = Protocol(
    name="jaxlin",
    title="jaxlin's own",
    source="jaxlin, docs/probe.md",
    sentences=(
        "45 values of l2 from 1e-6 to 10, each to its proved optimum, on the features as they are "
        "(images and other integers divided by their largest value) and on standardised features.",
        "The validation accuracy chooses; ties go to the larger l2.",
        "The winner is trained again on training and validation rows with the same l2.",
    ),
    validation_share=0.2,
    values={"l2": _powers(-6.0, 1.0, 45), "scaling": ("plain", "standardize")},
)

_CLIP = Protocol(
    name="clip",
    title="CLIP's linear probe",
    source="Radford et al., Learning Transferable Visual Models From Natural Language Supervision, "
    "2021, appendix A.3, https://arxiv.org/abs/2103.00020",
    sentences=(
        "Logistic regression on the features as they are (here images and other integers divided "
        "by their largest value), scikit-learn's L-BFGS with at most 1,000 iterations there; here "
        "to a proved optimum.",
        "Its lambda = 1/C lies between 1e-6 and 1e6 in 96 steps, 8 a decade, and is found by a "
        "search: 7 values two decades apart, then twice the resolution around the best one, "
        "four times.",
        "The validation rows choose, and are trained on as well in the end, with the same lambda.",
    ),
    validation_share=0.2,
    values={"C": _powers(-6.0, 6.0, 97), "search": "binary", "keeps": "C"},
)

_DINO_SENTENCES = (
    "45 values of C from 1e-6 to 1e5, all of them, on the features as they are (here images and "
    "other integers divided by their largest value): rows are normalised for its k nearest "
    "neighbours alone.",
    "Without validation rows of its own a tenth of the training rows is drawn (here stratified).",
    "The validation accuracy chooses; the first, smallest C wins a tie.",
    "The winner is trained again on training and validation rows with the same C.",
)

_DINOV2 = Protocol(
    name="dinov2",
    title="DINOv2's logistic regression",
    source="https://github.com/facebookresearch/dinov2, dinov2/eval/log_regression.py",
    sentences=(
        *_DINO_SENTENCES,
        "There by cuML in float64, at most 1,000 iterations a value; here to a proved optimum.",
    ),
    validation_share=0.1,
    values={"C": _powers(-6.0, 5.0, 45), "keeps": "C"},
)

_DINOV3 = dataclasses.replace(
    _DINOV2,
    name="dinov3",
    title="DINOv3's logistic regression",
    source="https://github.com/facebookresearch/dinov3, dinov3/eval/log_regression.py",
    sentences=(
        *_DINO_SENTENCES,
        "There by scikit-learn on CPU in float64, at most 1,000 iterations a value; here to a "
        "proved optimum.",
        "With few examples a class the validation rows are not trained on, here as there.",
    ),
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol for protocol in (_JAXLIN, _CLIP, _DINOV2, _DINOV3)
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
      InputError: there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(f"protocol must be one of {', '.join(PROTOCOLS)}, got {name!r:.40}.")
    return PROTOCOLS[name]
