"""Sweeps: a grid of models trained at once, and which of them is best.

A grid is read into settings (`settings`), and settings that can share a compiled program make a
group (`programs`); a group that memory cannot hold is cut into chunks (`memory`). The engine that
`fit` uses trains each chunk (`running`), folds being rows of a table of weights (`folding`). Then
the models are scored, with what chance may have to do with it (`scoring`), and one is chosen
(`choosing`). `subsets` fits small subsets of the rows, each for all of the l2.
"""

from jaxlin.sweeps.progress import SweepReport
from jaxlin.sweeps.result import Sweep
from jaxlin.sweeps.subsets import SubsetSweep, sweep_subsets
from jaxlin.sweeps.sweeping import sweep

__all__ = ["SubsetSweep", "Sweep", "SweepReport", "sweep", "sweep_subsets"]
