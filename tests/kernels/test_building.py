"""How the kernels are compiled and found: once, safely, and never in the way."""

import concurrent.futures
import functools
import os
import pathlib
import subprocess
import sys
import time

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
    environment = {"CXX": str(broken), "XDG_CACHE_HOME": str(cache)}
    answer = why_not({**environment, "PATH": str(tmp_path)})
    assert "failed: no such flag" in answer
    assert list((cache / "jaxlin").iterdir()) == []
    other = tmp_path / "c++"  # the next one is asked
    other.write_text('#!/bin/sh\nfor last; do :; done\necho made > "$last"\n', encoding="utf-8")
    other.chmod(0o700)
    assert "no such flag" not in why_not({**environment, "PATH": str(tmp_path)})
    (library,) = (cache / "jaxlin").iterdir()
    assert library.read_bytes() == b"made\n"


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


@pytest.fixture
def fake_compiler(monkeypatch, tmp_path):
    """A command that takes note of its arguments; what it makes is no library."""
    if os.name == "nt":
        pytest.skip("the compiler here is a shell script")
    folder = tmp_path / "my tools"
    folder.mkdir()
    program = folder / "compiler"
    program.write_text(
        f"""#!/bin/sh
echo "$@" >> '{folder}/called'
for last; do :; done
echo made > "$last"
""",
        encoding="utf-8",
    )
    program.chmod(0o700)
    monkeypatch.setenv("CXX", str(program))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kernels kept"))
    return folder


@pytest.mark.parametrize("content", [b"other bytes", b"mad", b"", b"made\n\0"])
def test_a_damaged_library_is_made_again(fake_compiler, content):
    library = building._library()
    assert building._library() == library
    library.write_bytes(content)  # to load what was cut short can end the process
    assert building._library().read_bytes() == b"made\n"
    assert len((fake_compiler / "called").read_text(encoding="utf-8").splitlines()) == 2


def test_a_compiler_may_have_arguments_and_spaces(fake_compiler, monkeypatch):
    plain = building._library()
    monkeypatch.setenv("CXX", f"'{fake_compiler}/compiler' g++ -fsome")
    assert building._library() != plain
    first, second = (fake_compiler / "called").read_text(encoding="utf-8").splitlines()
    assert first.startswith("-O3")
    assert second.startswith("g++ -fsome -O3")


def test_threads_that_ask_at_once_load_once(monkeypatch):
    asked = []

    def library():
        asked.append(1)
        time.sleep(0.1)
        raise OSError("not today")

    monkeypatch.setenv("JAXLIN_KERNELS", "")
    monkeypatch.setattr(building, "_library", library)
    monkeypatch.setattr(building, "_load", functools.cache(building._load.__wrapped__))
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(lambda _: building.why_not(), range(4)))
    assert answers == {"the kernels cannot be had: not today"}
    assert len(asked) == 1


def test_the_cache_does_not_grow_for_ever(tmp_path):
    now = time.time()
    for age in range(40):
        for name in (f"rows-{age}.so", f"making-{age}.so"):
            (tmp_path / name).write_bytes(b"")
            os.utime(tmp_path / name, (now - 3600 * age, now - 3600 * age))
    (tmp_path / "other").write_bytes(b"")
    building._clean_up(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert "other" in left
    assert sorted(name for name in left if name.startswith("rows-")) == sorted(
        f"rows-{age}.so" for age in range(16)
    )
    assert "making-1.so" in left
    assert "making-30.so" not in left


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert building.cache_folder() == tmp_path / "jaxlin"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    monkeypatch.setattr(pathlib.Path, "home", lambda: tmp_path)
    assert building.cache_folder() == tmp_path / ".cache" / "jaxlin"
