"""Ways to find W: random search, gradient descent, minibatch SGD, Newton's method, L-BFGS.

Each is a frozen dataclass with the same protocol (`jaxlin.solvers.base`), driven by the same loop
(`jaxlin.solvers.loop`).
"""

from jaxlin.solvers.base import Evaluation, Problem, Solver
from jaxlin.solvers.gradient_descent import GradientDescent
from jaxlin.solvers.history import EpochReport, History
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.learning_rate import (
    cosine_decay,
    suggested_epochs,
    suggested_learning_rate,
)
from jaxlin.solvers.newton import Newton
from jaxlin.solvers.random_search import RandomSearch
from jaxlin.solvers.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "EpochReport",
    "Evaluation",
    "GradientDescent",
    "History",
    "Newton",
    "Problem",
    "RandomSearch",
    "Solver",
    "cosine_decay",
    "suggested_epochs",
    "suggested_learning_rate",
]
