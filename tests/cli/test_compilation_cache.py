"""What the command keeps of its compilations: where, how much, and that nothing breaks by it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jaxlin.cli.compilation_cache import cache_folder, discard_oldest

# A command that compiles little: one program, called once.
PROGRAM = """
import sys
from jaxlin.cli.compilation_cache import keep_compiled_programs
keep_compiled_programs()
import jax
compiled = []
jax.monitoring.register_event_listener(
    lambda event, **_: compiled.append(1) if event.endswith("/cache_misses") else None)
def show():
    compiled.clear()
    print(float(jax.jit(lambda x: x * 2.0 + 1.0)(3.0)), len(compiled))
show()
"""
# The same again after each kind of damage to its entry, all in one process.
DAMAGE = """
import pathlib, zlib
entry = pathlib.Path(ENTRY)
whole = entry.read_bytes()
for broken in (b"", whole[: len(whole) // 2], zlib.compress(b"abcd" * 300), b"text"):
    entry.write_bytes(broken)
    jax.clear_caches()
    show()
    assert len(entry.read_bytes()) > len(whole) // 2
"""


def command(home: Path | None, program: str = PROGRAM, **environment: str) -> tuple[str, str]:
    """What a fresh process prints on its two streams, in a home of its own."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(
            ("XDG", "HOME", "LOCALAPPDATA", "JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE")
        )
    }
    home_set = {} if home is None else {"HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
        env={**kept, **home_set, **environment}, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr


def entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.skipif(sys.platform == "win32", reason="HOME says where the cache is, elsewhere")
def test_a_second_run_compiles_nothing_and_a_broken_entry_is_replaced_in_silence(
    tmp_path: Path,
) -> None:
    assert command(tmp_path) == ("7.0 1\n", "")
    (entry,) = entries(tmp_path)
    folder = cache_folder({"HOME": str(tmp_path)}, sys.platform)
    assert folder == entry.parent.parent
    assert entry.parent.stat().st_mode & 0o077 == 0
    damage = PROGRAM + DAMAGE.replace("ENTRY", repr(str(entry)))
    assert command(tmp_path, damage) == ("7.0 0\n" + 4 * "7.0 1\n", "")
    assert entries(tmp_path) == [entry]
    assert command(tmp_path) == ("7.0 0\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="there is no umask")
def test_a_umask_that_lets_the_group_write_does_not_lose_the_cache(tmp_path: Path) -> None:
    out, err = command(tmp_path, "import os\nos.umask(0o002)\n" + PROGRAM)
    assert (out.split()[0], err) == ("7.0", "")
    (entry,) = entries(tmp_path)
    assert all(folder.stat().st_mode & 0o077 == 0 for folder in list(entry.parents)[:3])


def test_the_users_own_word_comes_first(tmp_path: Path) -> None:
    home, own = tmp_path / "home", tmp_path / "own"
    home.mkdir()
    for environment in (
        {"JAX_COMPILATION_CACHE_DIR": str(own)},
        {"JAX_COMPILATION_CACHE_DIR": ""},
        {"JAX_ENABLE_COMPILATION_CACHE": "0"},
        {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "100"},
    ):
        out, err = command(home, **environment)
        assert (out.split()[0], err) == ("7.0", "")
        assert entries(home) == []
    out, err = command(
        home, JAX_COMPILATION_CACHE_DIR=str(own), JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0"
    )
    assert len(entries(own)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="HOME says where the cache is, elsewhere")
def test_without_a_home_that_can_be_written_to_there_is_no_cache(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    for home in (None, tmp_path / "nowhere", file):
        out, err = command(home)
        assert (out.split()[0], err) == ("7.0", "")
    assert entries(tmp_path) == [file]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions are of another kind here")
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    folder = cache_folder({"HOME": str(tmp_path)}, sys.platform)
    assert folder is not None
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    out, err = command(tmp_path)
    assert (out.split()[0], err) == ("7.0", "")
    assert entries(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="HOME says where the cache is, elsewhere")
def test_two_runs_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    # A pipe for each: what three processes write to one can come interleaved.
    program = f"import subprocess, sys\nprogram = {PROGRAM!r}\n" + (
        "runs = [subprocess.Popen([sys.executable, '-c', program], stdout=subprocess.PIPE)\n"
        "        for _ in range(3)]\n"
        "for run in runs:\n"
        "    print(run.communicate()[0].decode().split()[0])\n"
        "sys.exit(max(run.returncode for run in runs))"
    )
    out, err = command(tmp_path, program)
    assert out.splitlines() == ["7.0"] * 3
    assert err == ""


@pytest.mark.parametrize(
    ("environment", "system", "folder"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/"}, "linux", "/cache/jaxlin/compilation"),
        ({"XDG_CACHE_HOME": "", "HOME": "/"}, "linux", "/.cache/jaxlin/compilation"),
        ({"XDG_CACHE_HOME": "cache", "HOME": "/"}, "linux", None),
        ({"HOME": "/no/such/home"}, "linux", None),
        ({"HOME": ""}, "linux", None),
        ({}, "linux", None),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/jaxlin/compilation"),
        ({}, "darwin", None),
        ({"LOCALAPPDATA": "/local", "HOME": "/"}, "win32", "/local/jaxlin/compilation"),
        ({"HOME": "/"}, "win32", None),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="these paths are not absolute on Windows")
def test_each_system_has_its_place(
    environment: dict[str, str], system: str, folder: str | None
) -> None:
    found = cache_folder(environment, system)
    assert found == (None if folder is None else Path(folder))


def test_the_oldest_entries_go_when_the_cache_is_full(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / f"jit_{i}-cache" for i in range(6)]
    paths.append(tmp_path / "b" / "other")
    for age, path in enumerate(paths):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 100)
        os.utime(path, (1e9 + age, 1e9 + age))
    discard_oldest(tmp_path, 600)
    assert entries(tmp_path) == sorted(paths)
    discard_oldest(tmp_path, 599)
    assert entries(tmp_path) == sorted(paths[4:])  # half of it stays, and what is not the cache's
