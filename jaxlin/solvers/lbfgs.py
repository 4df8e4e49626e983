"""The solver that goes on until a certificate says that it is there."""

from __future__ import annotations

import dataclasses

from jaxlin.checks import check_count


@dataclasses.dataclass(frozen=True)
class LBFGS:
    """L-BFGS in a sampled metric that couples the classes, down to a certified gap.

    For the losses of `jaxlin.losses` with `l2 > 0` and no penalty of your own. It ends when the
    certificate's relative gap is at most the `tol` of `fit`; how it works and what it was measured
    against is in `jaxlin.solvers.optimum` and in docs/optimum.md.

    Attributes:
      passes: over the data, forwards and backwards, after which it ends anyhow, and says so.

    >>> import numpy as np
    >>> from jaxlin import losses, training
    >>> x, labels = np.array([[0.0], [1.0], [3.0], [2.0]]), [0, 1, 1, 0]
    >>> fit = training.fit(x, labels, loss=losses.softmax_cross_entropy, l2=0.1, solver=LBFGS())
    >>> fit.certificate.relative_gap <= 1e-4
    True
    """

    passes: int = 600

    def __post_init__(self) -> None:
        check_count("passes", self.passes)
