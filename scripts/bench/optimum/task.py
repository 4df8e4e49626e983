"""The task that every competitor gets: a loss and l2 on some data, from zero to the optimum."""

from __future__ import annotations

import dataclasses
import functools
import zlib
from typing import Any

import numpy as np

import jaxlin
from bench.harness.parts import Data
from bench.objective import Verdict, judge
from jaxlin import scales

_LOSSES = {
    "softmax": jaxlin.losses.softmax_cross_entropy,
    "weston-watkins": jaxlin.losses.weston_watkins_hinge,
    "crammer-singer": jaxlin.losses.crammer_singer_hinge,
}


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The minimum of `mean_i L_i + l2 * sum W^2`, over W and, where there is one, a free bias.

    Attributes:
      data: what to train on.
      loss: its name in `bench.objective`.
      l2: lambda.
      bias: whether there is a b, which is not penalised.
    """

    data: Data
    loss: str = "softmax"
    l2: float = 1e-4
    bias: bool = True

    @property
    def jaxlin_loss(self) -> Any:
        """The loss as jaxlin has it."""
        return _LOSSES[self.loss]

    @property
    def scaling(self) -> jaxlin.data.Scaling | None:
        """The data's scale, applied inside of the compiled program."""
        scale = self.data.scale
        return None if scale is None else jaxlin.data.Scaling(0.0, np.float32(scale))

    @property
    def liblinear_C(self) -> float:
        """C of scikit-learn and LIBLINEAR."""
        return scales.C_of_l2(
            self.l2,
            loss=self.jaxlin_loss,
            num_examples=len(self.data.labels),
            num_classes=self.data.num_classes,
        )

    @property
    def cyanure_lambda(self) -> float:
        """Cyanure's `lambda_1`."""
        classes = self.data.num_classes
        return scales.cyanure_of_l2(self.l2, loss=self.jaxlin_loss, num_classes=classes)

    def judge(self, W: np.ndarray, b: np.ndarray | None) -> Verdict:
        """What parameters are worth, in float64, outside of whoever found them."""
        return judge(W, b, self.data, l2=self.l2, loss=self.loss)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Tells these examples from others under the same name, so that bounds are not mixed up."""
        x = np.ascontiguousarray(self.data.x)
        return f"{zlib.crc32(self.data.labels.tobytes(), zlib.crc32(x.data)):08x}"
