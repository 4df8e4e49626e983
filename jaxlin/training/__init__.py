"""Training: data and a loss in, parameters and an account of how they were found out.

`fit` checks what it is given (`arguments`), makes the one private copy of the data that the engine
reads, runs the loop (`jaxlin.solvers.loop`) for a grid of one model, and says in a sentence how it
ended (`account`).
"""

from jaxlin.training.fitting import Fit, evaluate, fit

__all__ = ["Fit", "evaluate", "fit"]
