"""Compiles the kernels once for this machine, and loads them.

The library is made by the first of `$CXX`, `c++`, `g++`, `clang++` that can, into the user's cache
folder (`$XDG_CACHE_HOME/jaxlin`, or `~/.cache/jaxlin`), under a name that changes with the source,
the compiler, the processor and jaxlib, and tells what the file holds: a damaged one is made again.
The libraries that were used last are kept. `JAXLIN_KERNELS=off` leaves everything to XLA.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import time

import jax
import jaxlib.version

_SOURCE = pathlib.Path(__file__).with_name("rows.cc")
_TARGETS = ("jaxlin_row_scores", "jaxlin_row_gradient")
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-w")
_COMPILERS = ("c++", "g++", "clang++")
_SECONDS = 120

# A home folder may serve machines with different processors, and several versions.
_MOST_KEPT = 16
_DAY = 86_400.0

_lock = threading.Lock()


def why_not() -> str | None:
    """None where the kernels are compiled, loaded and registered; else what stood in the way.

    >>> why = why_not()
    >>> why is None or isinstance(why, str)
    True
    """
    with _lock:  # a target can be registered once
        return _load()


@functools.cache
def _load() -> str | None:
    if os.environ.get("JAXLIN_KERNELS", "").lower() in ("off", "0", "false", "no"):
        return "JAXLIN_KERNELS is off"
    try:
        library = ctypes.CDLL(str(_library()))
        for name in _TARGETS:
            capsule = jax.ffi.pycapsule(getattr(library, name))
            jax.ffi.register_ffi_target(name, capsule, platform="cpu")
    except (OSError, AttributeError, ValueError, RuntimeError) as problem:
        return f"the kernels cannot be had: {problem}"
    return None


def cache_folder() -> pathlib.Path:
    """Where compiled kernels are kept; it need not be there yet.

    Raises:
      OSError: nobody knows where the user's home is.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return pathlib.Path(given) / "jaxlin"
    try:
        return pathlib.Path.home() / ".cache" / "jaxlin"
    except RuntimeError as problem:
        raise OSError(str(problem)) from None


def _library() -> pathlib.Path:
    """The compiled library's path; compiled if it is not there."""
    folder, problem = cache_folder(), OSError("there is no C++ compiler")
    for compiler in _compilers():
        key = _key(compiler)
        path = _ready(folder, key)
        if path is not None:
            return path
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            path = _compile(compiler, folder, key)
        except (OSError, subprocess.SubprocessError) as why:
            problem = OSError(str(why))
            continue
        _clean_up(folder)
        return path
    raise problem


def _ready(folder: pathlib.Path, key: str) -> pathlib.Path | None:
    """A whole library of this key that nobody else could have put there."""
    for path in sorted(folder.glob(f"rows-{key}-*.so")):
        try:
            seen, content = path.stat(), path.read_bytes()
        except FileNotFoundError:  # another process has tidied up
            continue
        if hasattr(os, "getuid") and (seen.st_uid != os.getuid() or seen.st_mode & 0o022):
            raise OSError(f"{path} belongs to, or can be written by, somebody else")
        if path.name != _name(key, content):  # loading it could end the process
            continue
        if time.time() - seen.st_mtime > _DAY:
            with contextlib.suppress(OSError):
                os.utime(path)  # it is in use
        return path
    return None


def _name(key: str, content: bytes) -> str:
    return f"rows-{key}-{hashlib.sha256(content).hexdigest()[:16]}.so"


def _clean_up(folder: pathlib.Path) -> None:
    """Removes libraries that were not used for long, and what was left half made."""

    def age(path: pathlib.Path) -> float:
        try:
            return time.time() - path.stat().st_mtime
        except OSError:
            return 0.0

    old = sorted(folder.glob("rows-*.so"), key=age)[_MOST_KEPT:]
    old += [path for path in folder.glob("making-*.so") if age(path) > _DAY]
    for path in old:
        with contextlib.suppress(OSError):
            path.unlink()


def _compilers() -> list[tuple[str, ...]]:
    """The commands of all that are there: a program and what comes before the flags."""
    given = os.environ.get("CXX", "").strip()
    commands = [[given] if shutil.which(given) else shlex.split(given)]
    commands += [[name] for name in _COMPILERS]
    found = [(shutil.which(words[0]), *words[1:]) for words in commands if words]
    return [(program, *rest) for program, *rest in found if program]


def _key(compiler: tuple[str, ...]) -> str:
    """Changes with whatever the compiled library depends on."""
    programs = [os.stat(os.path.realpath(found)) for found in map(shutil.which, compiler) if found]
    about = [(program.st_size, program.st_mtime_ns) for program in programs]
    words = (compiler, about, jaxlib.version.__version__, _FLAGS)
    digest = hashlib.sha256(repr((*words, platform.machine(), _processor())).encode())
    digest.update(_SOURCE.read_bytes())
    return digest.hexdigest()[:32]


def _processor() -> str:
    """What the processor can do: a home folder may be shared by machines that differ."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()


def _compile(compiler: tuple[str, ...], folder: pathlib.Path, key: str) -> pathlib.Path:
    """Writes the library, whole or not at all; several processes may do so at once."""
    handle, made = tempfile.mkstemp(suffix=".so", prefix="making-", dir=folder)
    os.close(handle)
    command = [*compiler, *_FLAGS, "-isystem", jax.ffi.include_dir(), str(_SOURCE), "-o", made]
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=_SECONDS
        )
        if done.returncode != 0:
            last_words = " ".join(done.stderr.split())[-300:]
            raise OSError(f"{shlex.join(compiler)} failed: {last_words}")
        os.chmod(made, 0o700)
        path = folder / _name(key, pathlib.Path(made).read_bytes())
        os.replace(made, path)
        return path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)
