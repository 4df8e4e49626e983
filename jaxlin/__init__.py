"""jaxlin: linear classifiers in JAX, from the lecture to the machine's limit.

>>> import jaxlin, numpy as np
>>> x = np.array([[0.0, 1.0], [1.0, 0.0], [0.1, 0.9], [0.9, 0.2]])
>>> fit = jaxlin.fit(x, [0, 1, 0, 1], loss=jaxlin.losses.softmax_cross_entropy)
>>> jaxlin.predict(fit.params, x).tolist()
[0, 1, 0, 1]
"""

from typing import TYPE_CHECKING

from jaxlin import certificates, data, gradients, losses, metrics, penalties, scales, solvers
from jaxlin.errors import DataFormatError, DivergedError, InputError
from jaxlin.later import attributes_from
from jaxlin.linear import LinearParams, init_params, predict, scores
from jaxlin.objective import Objective
from jaxlin.outcomes import Outcome
from jaxlin.solvers.history import EpochReport, History

if TYPE_CHECKING:
    from jaxlin.model_file import Model, load_model, save_model
    from jaxlin.sweeps import Sweep, SweepReport, sweep
    from jaxlin.training import Fit, evaluate, fit

__version__ = "0.1.0"

__all__ = [
    "DataFormatError",
    "DivergedError",
    "EpochReport",
    "Fit",
    "History",
    "InputError",
    "LinearParams",
    "Model",
    "Objective",
    "Outcome",
    "Sweep",
    "SweepReport",
    "certificates",
    "data",
    "evaluate",
    "fit",
    "gradients",
    "init_params",
    "load_model",
    "losses",
    "metrics",
    "penalties",
    "predict",
    "save_model",
    "scales",
    "scores",
    "solvers",
    "sweep",
]

__getattr__ = attributes_from(
    "jaxlin",
    {
        "model_file": ("Model", "load_model", "save_model"),
        "sweeps": ("Sweep", "SweepReport", "sweep"),
        "training": ("Fit", "evaluate", "fit"),
    },
)


def __dir__() -> list[str]:
    """All names, those that nobody has asked for yet as well."""
    return sorted({*globals(), *__all__})
