"""Ctrl-C when some of the output is out already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class PartlyOutError(Exception):
    """Interrupted, and what has been written is not all that there was to write."""


@contextlib.contextmanager
def partly_out() -> Iterator[None]:
    """While output that belongs together is written piece by piece.

    Raises:
      PartlyOutError: where it is interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise PartlyOutError from None
