"""How the kernels are compiled and found: once, safely, and never in the way."""

import os
import pathlib
import subprocess
import sys

import pytest

from jaxlin.kernels import building

HAS_COMPILER = building.why_not() is None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler on this machine")


def why_not(environment: dict[str, str]) -> str:
    """What a fresh process says."""
    script = "from jaxlin.kernels import building; print(building.why_not())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_they_can_be_turned_off(tmp_path):
    answer = why_not({"JAXLIN_KERNELS": "off", "XDG_CACHE_HOME": str(tmp_path)})
    assert answer == "JAXLIN_KERNELS is off"
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_reason_is_told(tmp_path):
    answer = why_not({"PATH": str(tmp_path), "CXX": "", "XDG_CACHE_HOME": str(tmp_path / "c")})
    assert answer == "the kernels cannot be had: there is no C++ compiler"


@pytest.mark.skipif(os.name == "nt", reason="the compiler here is a shell script")
def test_a_compiler_that_fails_leaves_nothing(tmp_path):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o700)
    cache = tmp_path / "cache"
    answer = why_not({"CXX": str(broken), "XDG_CACHE_HOME": str(cache)})
    assert "failed: no such flag" in answer
    assert list((cache / "jaxlin").iterdir()) == []


def test_an_unwritable_cache_is_told(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    answer = why_not({"XDG_CACHE_HOME": str(blocked)})
    assert answer.startswith("the kernels cannot be had: ")


@needs_compiler
def test_they_are_compiled_once_and_only_ours_are_loaded(tmp_path):
    environment = {"XDG_CACHE_HOME": str(tmp_path), "JAXLIN_KERNELS": ""}
    assert why_not(environment) == "None"
    (library,) = (tmp_path / "jaxlin").iterdir()
    assert library.stat().st_mode & 0o077 == 0
    made = library.stat().st_mtime_ns
    assert why_not(environment) == "None"
    assert library.stat().st_mtime_ns == made
    library.chmod(0o722)  # anybody may have written to it
    assert "somebody else" in why_not(environment)
    library.chmod(0o700)
    library.write_bytes(b"not a library")
    assert why_not(environment).startswith("the kernels cannot be had: ")


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert building.cache_folder() == tmp_path / "jaxlin"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    assert building.cache_folder() == tmp_path / ".cache" / "jaxlin"
