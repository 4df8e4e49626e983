"""How the kernels are compiled and found: once, safely, and never in the way."""

import os
import pathlib
import subprocess
import sys

import pytest

from jaxlin.kernels import building

HAS_COMPILER = building.why_not() is None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler on this machine")


def answer(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str | None:
    """What a process in this environment says that has not asked before."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return building.why_not.__wrapped__()


def answer_of_a_process(**environment: str) -> str:
    """The same of another process, for what is loaded and registered for good."""
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


def test_they_can_be_turned_off(tmp_path, monkeypatch):
    found = answer(monkeypatch, JAXLIN_KERNELS="off", XDG_CACHE_HOME=str(tmp_path))
    assert found == "JAXLIN_KERNELS is off"
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_reason_is_told(tmp_path, monkeypatch):
    found = answer(monkeypatch, PATH=str(tmp_path), CXX="", XDG_CACHE_HOME=str(tmp_path / "c"))
    assert found == "the kernels cannot be had: there is no C++ compiler"


@pytest.mark.skipif(os.name == "nt", reason="the compiler here is a shell script")
def test_a_compiler_that_fails_leaves_nothing(tmp_path, monkeypatch, capfd):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no such flag >&2\nexit 1\n", encoding="utf-8")
    broken.chmod(0o700)
    cache = tmp_path / "cache"
    found = answer(monkeypatch, CXX=str(broken), XDG_CACHE_HOME=str(cache))
    assert "failed: no such flag" in str(found)
    assert list((cache / "jaxlin").iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_unwritable_cache_is_told(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    found = answer(monkeypatch, XDG_CACHE_HOME=str(blocked))
    assert str(found).startswith("the kernels cannot be had: ")


@needs_compiler
def test_they_are_compiled_once_and_only_ours_are_loaded(tmp_path, monkeypatch):
    environment = {"XDG_CACHE_HOME": str(tmp_path), "JAXLIN_KERNELS": ""}
    assert answer_of_a_process(**environment) == "None"
    (library,) = (tmp_path / "jaxlin").iterdir()
    assert library.stat().st_mode & 0o077 == 0
    made = library.stat().st_mtime_ns
    assert answer_of_a_process(**environment) == "None"
    assert library.stat().st_mtime_ns == made
    library.chmod(0o722)  # anybody may have written to it
    assert "somebody else" in str(answer(monkeypatch, **environment))
    library.chmod(0o700)
    library.write_bytes(b"not a library")
    found = answer(monkeypatch, **environment)
    assert str(found).startswith("the kernels cannot be had: ")


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert building.cache_folder() == tmp_path / "jaxlin"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    assert building.cache_folder() == tmp_path / ".cache" / "jaxlin"
