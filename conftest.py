"""The strict session, for the tests and for the examples in docstrings.

What would pass by luck fails here: warnings are errors (pyproject.toml); rank promotion, JAX's
silent broadcasting of arrays of different rank, raises; and no test may leave the global float64
switch other than it was: off.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jax
import pytest

# Here and in the commands that tests run. A GPU or TPU is used where it is asked for by name:
# JAX_PLATFORMS=cuda scripts/test
os.environ.setdefault("JAX_PLATFORMS", "cpu")
jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])
# What is traced anew is often the program of an earlier test, or of another process: a session
# compiles it once, however small it is: of the small ones there are thousands. Its folder is its
# own, so that every session compiles all that it tests; and so is that of each of its parallel
# workers, inside of it: an entry is not written at one go.
given, prefix = os.environ.get("JAX_COMPILATION_CACHE_DIR"), "jaxlin-tests-"
if given is None or os.path.basename(given).startswith(prefix):
    folder = tempfile.mkdtemp(prefix=prefix, dir=given)
    if given is None:
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.0"
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
os.environ["JAX_NUMPY_RANK_PROMOTION"] = "raise"
jax.config.update("jax_numpy_rank_promotion", "raise")

# Pictures need no display: let none be there.
for variable in ("DISPLAY", "WAYLAND_DISPLAY", "MPLBACKEND"):
    os.environ.pop(variable, None)

# The same examples in every run. A first call compiles, so that a slow example says nothing.
hypothesis.settings.register_profile("jaxlin", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jaxlin")


# Every compiled program takes several memory maps, of which Linux gives a process 65,530; without
# any left LLVM crashes.
_MOST_MAPS = 30_000


@pytest.fixture(scope="module", autouse=True)
def _few_programs_stay() -> Iterator[None]:
    """Programs of earlier modules are let go where a process holds too many."""
    yield
    try:
        with open("/proc/self/maps", "rb") as maps:
            count = sum(1 for _ in maps)
    except OSError:  # no Linux
        return
    if count > _MOST_MAPS:
        jax.clear_caches()


# These tests are of what goes on around the programs: files, commands, records, pages. Theirs are
# compiled without LLVM's optimisations, in two thirds of the time; XLA's own stay. All others,
# where numbers, rounding, solvers and kernels are tested, run the programs that users run.
_TESTS = Path(__file__).parent / "tests"
_AROUND = [_TESTS / name for name in ("bench", "cli", "data", "model_file", "probe", "report")]


def _is_around(path: Path) -> bool:
    return any(folder in path.parents for folder in _AROUND)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those come last, so that a process changes its way of compiling once."""
    items.sort(key=lambda item: _is_around(item.path))


@pytest.fixture(scope="module", autouse=True)
def _optimised_as_for_users(request: pytest.FixtureRequest) -> None:
    quickly = _is_around(request.path)
    was = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", quickly)
    if was and not quickly:
        jax.clear_caches()


@pytest.fixture(autouse=True)
def _float64_stays_off() -> Iterator[None]:
    """The library computes in float64 without touching the user's global setting."""
    yield
    left_on = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    jax.config.update("jax_enable_x64", False)  # for the tests that follow
    assert not left_on, "this test, or what it called, left JAX's float64 switch on"
