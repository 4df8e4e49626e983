"""Compiled kernels for what XLA is slow at; each has XLA's own path beside it, the default.

A kernel is C++ behind XLA's foreign function interface. It is compiled when it is first wanted, by
the machine's own compiler, for the machine's own processor, and kept in the user's cache folder.
Where there is no compiler, or no cache folder, XLA's path runs.
"""

from jaxlin.kernels.rows import may_pay, row_gradient, row_scores

__all__ = ["may_pay", "row_gradient", "row_scores"]
