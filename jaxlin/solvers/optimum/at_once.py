"""How many small problems are solved at once: what they take is limited, however many there are."""

from __future__ import annotations

import numpy as np

from jaxlin.solvers.optimum.reduced import padded_rows, padded_size

# Bytes that models which are solved at once may take, and the arrays of C x N numbers that each
# needs.
_BUDGET, _ARRAYS = 1 << 30, 24


def models_at_once(
    num_rows: int, num_features: int, num_classes: int, num_l2: int, *, own_rows: bool
) -> int:
    """How many models may be solved at once: what they take is limited, however many there are.

    Args:
      num_rows: N of each.
      num_features: D.
      num_classes: C.
      num_l2: L, of whose solutions all are kept.
      own_rows: whether each has rows of its own.

    >>> models_at_once(1800, 64, 10, 45, own_rows=False)
    255
    """
    rows, wide = padded_rows(num_rows + 1), padded_size(num_features)
    size = min(rows, padded_size(num_features + 1))
    numbers = _ARRAYS * num_classes * rows + num_l2 * num_classes * (size + wide)
    # Its rows and their coordinates, the way back, and copies of all while they are put together.
    numbers += 2 * ((wide + 3 * size) * rows + wide * size) if own_rows else 0
    return max(1, _BUDGET // (8 * numbers))


def equal_parts(count: int, most: int) -> list[np.ndarray]:
    """Places 0..count-1 in parts of one size, which share a program; the last place may come again.

    >>> [part.tolist() for part in equal_parts(5, 2)]
    [[0, 1], [2, 3], [4, 4]]
    """
    parts = -(-count // most)
    size = -(-count // parts)
    return [np.minimum(np.arange(k, k + size), count - 1) for k in range(0, count, size)]
