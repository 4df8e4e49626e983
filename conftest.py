"""The strict session, for the tests and for the examples in docstrings.

What would pass by luck fails here: warnings are errors (pyproject.toml); rank promotion, JAX's
silent broadcasting of arrays of different rank, raises; and no test may leave the global float64
switch other than it was: off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import jax
import pytest

# Here and in the commands that tests run. A GPU or TPU is used where it is asked for by name:
# JAX_PLATFORMS=cuda scripts/test
os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
# The commands keep what they compile where the user says, in tests nowhere.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", "")
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
jax.config.update("jax_numpy_rank_promotion", "raise")

# Pictures need no display: let none be there.
for variable in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
    os.environ.pop(variable, None)

# The same examples in every run. A first call compiles, so that a slow example says nothing.
hypothesis.settings.register_profile("jaxlin", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jaxlin")


@pytest.fixture(autouse=True)
def _float64_stays_off() -> Iterator[None]:
    """The library computes in float64 without touching the user's global setting."""
    yield
    left_on = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_enable_x64", False)  # for the tests that follow
    assert not left_on, "this test, or what it called, left JAX's float64 switch on"
