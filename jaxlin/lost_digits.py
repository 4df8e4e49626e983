"""Features whose values float32 cannot tell apart, as times in seconds since 1970."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.errors import InputError

# Rows that are looked at; and what rounding may be of a feature's standard deviation.
_ROWS, _MOST_ROUNDING = 4096, 1e-3


def refuse_lost_digits(array: np.ndarray, kept: np.dtype, name: str) -> None:
    """Refuses features that rounding to `kept` makes others.

    Args:
      array: (N, D), finite.
      kept: the dtype that it is to be rounded to.
      name: what to call it in messages.

    Raises:
      InputError: a feature varies by less than a thousandfold of its rounding.
    """
    if array.dtype.itemsize < 8 or kept.itemsize >= 8:
        return
    rows = array[:: max(1, len(array) // _ROWS)]
    wide: Any = rows.astype(np.float64)
    lost = np.abs(wide - wide.astype(kept)).max(axis=0)
    if not lost.any():
        return
    deviation = wide.std(axis=0)
    columns = np.flatnonzero((deviation > 0.0) & (lost > _MOST_ROUNDING * deviation))
    if len(columns):
        column = columns[0]
        raise InputError(
            f"Column {column} of {name} is about {np.abs(wide[:, column]).mean():.3g} with a "
            f"standard deviation of {deviation[column]:.2g}, and {kept.name} rounds it by up to "
            f"{lost[column]:.2g}. Pass dtype=jnp.float64, or subtract its mean first."
        )
