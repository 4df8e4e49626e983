"""The strict session: what would pass by luck fails here.

Warnings are errors (pyproject.toml); a rank promotion, JAX's silent broadcasting of arrays of
different rank, raises; and no test may leave the global float64 switch other than it was: off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

# Before JAX is imported, and inherited by the commands that tests run. A GPU or TPU is used where
# asked for by name: JAX_PLATFORMS=cuda scripts/test.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
# Pictures are drawn without a display: show that none is used.
for variable in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
    os.environ.pop(variable, None)

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples in every run. A first call compiles, so a slow example says nothing.
hypothesis.settings.register_profile("jaxlin", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jaxlin")


@pytest.fixture(autouse=True)
def _float64_stays_off() -> Iterator[None]:
    """The library computes in float64 without touching the user's global setting."""
    assert not jax.config.jax_enable_x64
    yield
    left_on = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)  # for the tests that follow
    assert not left_on, "this test, or what it called, left JAX's float64 switch on"
