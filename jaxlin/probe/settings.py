"""What a probe is to do: everything but the data."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from jaxlin import losses
from jaxlin.errors import InputError
from jaxlin.losses import Loss

LOSSES: dict[str, Loss] = {
    "softmax": losses.softmax_cross_entropy,
    "svm": losses.weston_watkins_hinge,
    "squared-svm": losses.squared_weston_watkins_hinge,
    "crammer-singer": losses.crammer_singer_hinge,
}
SCALINGS = ("plain", "none", "unit", "standardize")
_MOST_VALUES = 1000


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a probe; a protocol has its own (`Protocol.settings`).

    Attributes:
      protocol: whose they are.
      loss: `"softmax"`, `"svm"`, `"squared-svm"` or `"crammer-singer"`.
      l2: values to try, or None where `C` has them.
      C: the same in scikit-learn's scale, where the loss is summed: l2 then depends on the number
        of rows.
      search: `"grid"` tries all values; `"binary"` every sixteenth, then halves the way between
        neighbours around the best one until there is nothing between.
      scaling: of the features, each tried: `"none"`; `"unit"` divides all by the largest absolute
        value; `"standardize"` gives each mean 0 and variance 1; `"plain"` is `"unit"` for images
        and other integers, else `"none"`.
      normalize: whether rows are divided by their l2 norm first, each tried.
      select_by: `"accuracy"` or `"loss"` of the validation rows.
      keeps: what stays when the winner is trained on the validation rows as well: `"l2"` or `"C"`.
      tol: the relative gap to prove of each fit.
      certified_from: l2 below which a fit ends after `passes_below`, proved or not: on the way
        there the optimum moves off to infinity.
      passes: over the data, at most, of a fit.
      passes_below: the same below `certified_from`.
      bias: whether there is a b.
      dtype: `"float32"` or `"float64"`.
      seed: of all that is drawn.
      few_shot: examples a class to train on besides; empty for none.
      repeats: draws of each of these.
      mistakes: the most confident ones to keep, at most.

    Raises:
      InputError: a value is not what it has to be; the message names it.

    >>> Settings(l2=(1e-3, 1e-2)).tol
    0.001
    """

    protocol: str = "jaxlin"
    loss: str = "softmax"
    l2: tuple[float, ...] | None = None
    C: tuple[float, ...] | None = None
    search: Literal["grid", "binary"] = "grid"
    scaling: tuple[str, ...] = ("plain",)
    normalize: tuple[bool, ...] = (False,)
    select_by: Literal["accuracy", "loss"] = "accuracy"
    keeps: Literal["l2", "C"] = "l2"
    tol: float = 1e-3
    certified_from: float = 1e-6
    passes: int = 600
    passes_below: int = 60
    bias: bool = True
    dtype: Literal["float32", "float64"] = "float32"
    seed: int = 0
    few_shot: tuple[int, ...] = ()
    repeats: int = 5
    mistakes: int = 24

    def __post_init__(self) -> None:
        for name in ("l2", "C", "scaling", "normalize", "few_shot"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _as_tuple(name, value))
        if (self.l2 is None) == (self.C is None):
            raise InputError("one of l2 and C must be given, and not both.")
        for name in ("l2", "C"):
            _check_values(name, getattr(self, name))
        _check_among("loss", self.loss, tuple(LOSSES))
        _check_among("search", self.search, ("grid", "binary"))
        for word in self.scaling:
            _check_among("scaling", word, SCALINGS)
        for flag in self.normalize:
            if not isinstance(flag, bool):
                raise InputError(f"normalize must be True or False, or both, got {flag!r}.")
        for name in ("scaling", "normalize"):
            if not getattr(self, name):
                raise InputError(f"{name} must have at least one value.")
        _check_among("select_by", self.select_by, ("accuracy", "loss"))
        _check_among("keeps", self.keeps, ("l2", "C"))
        _check_among("dtype", self.dtype, ("float32", "float64"))
        for name, low in (("tol", 0.0), ("certified_from", -1.0)):
            value = getattr(self, name)
            if not (_is_number(value) and low < value < math.inf):
                raise InputError(f"{name} must be a finite number above {low:g}, got {value!r}.")
        for name in ("passes", "passes_below", "repeats"):
            _check_whole(name, getattr(self, name), 1)
        _check_whole("mistakes", self.mistakes, 0)
        _check_whole("seed", self.seed, 0)
        if self.seed >= 2**32:
            raise InputError(f"seed must be a whole number from 0 to 2**32 - 1, got {self.seed}.")
        if not isinstance(self.bias, bool):
            raise InputError(f"bias must be True or False, got {self.bias!r}.")
        for size in self.few_shot:
            _check_whole("few_shot", size, 1)

    @property
    def loss_function(self) -> Loss:
        """The loss of that name."""
        return LOSSES[self.loss]

    def passes_for(self, l2: float) -> int:
        """The most passes over the data of a fit with that l2.

        >>> asked = Settings(l2=(1e-3,), certified_from=1e-6)
        >>> asked.passes_for(1e-6), asked.passes_for(1e-7)
        (600, 60)
        """
        is_below = l2 < self.certified_from * (1.0 - 1e-9)  # 1e-6 may be the C of a protocol
        return min(self.passes, self.passes_below) if is_below else self.passes

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON has them, for `from_json`."""
        return {
            field.name: list(value) if isinstance(value, tuple) else value
            for field in dataclasses.fields(self)
            for value in (getattr(self, field.name),)
        }

    @staticmethod
    def from_json(values: dict[str, Any]) -> Settings:
        """The settings that `as_json` gave; other names are left alone.

        Raises:
          InputError: one is missing, or is not what it has to be.
        """
        names = [field.name for field in dataclasses.fields(Settings)]
        missing = [name for name in names if name not in values]
        if missing:
            raise InputError(f"settings lack {missing[0]}.")
        return Settings(**{name: values[name] for name in names})


def _as_tuple(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        raise InputError(f"{name} must be a list of values, got {value!r}.")
    values = tuple(value)
    if len(values) > _MOST_VALUES:
        raise InputError(f"{name} has {len(values):,} values; at most {_MOST_VALUES:,} are tried.")
    return values


def _check_values(name: str, values: tuple[Any, ...] | None) -> None:
    if values is None:
        return
    for value in values:
        if not (_is_number(value) and 0.0 < value < 1e38):
            raise InputError(f"{name} must be positive and below 1e38, got {value!r}.")
    if not values:
        raise InputError(f"{name} must have at least one value.")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise InputError(f"{name} has {twice:g} twice.")


def _check_among(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(allowed)}, got {value!r:.80}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_whole(name: str, value: Any, low: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise InputError(f"{name} must be a whole number from {low} on, got {value!r}.")
