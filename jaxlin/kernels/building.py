"""Compiles the kernels once for this machine, and loads them.

The library is made by the first of `$CXX`, `c++`, `g++`, `clang++` that can, into the user's cache
folder (`$XDG_CACHE_HOME/jaxlin`, or `~/.cache/jaxlin`), under a name that changes with the source,
the compiler, the processor and jaxlib. `JAXLIN_KERNELS=off` leaves everything to XLA.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import pathlib
import platform
import shutil
import subprocess
import tempfile

import jax
import jaxlib.version

_SOURCE = pathlib.Path(__file__).with_name("rows.cc")
_TARGETS = ("jaxlin_row_scores", "jaxlin_row_gradient")
_FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-w")
_COMPILERS = ("c++", "g++", "clang++")
_SECONDS = 120


@functools.cache
def why_not() -> str | None:
    """None where the kernels are compiled, loaded and registered; else what stood in the way.

    >>> why = why_not()
    >>> why is None or isinstance(why, str)
    True
    """
    if os.environ.get("JAXLIN_KERNELS", "").lower() in ("off", "0", "false", "no"):
        return "JAXLIN_KERNELS is off"
    try:
        library = ctypes.CDLL(str(_library()))
        for name in _TARGETS:
            capsule = jax.ffi.pycapsule(getattr(library, name))
            jax.ffi.register_ffi_target(name, capsule, platform="cpu")
    except (OSError, AttributeError, ValueError, subprocess.SubprocessError) as problem:
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
    compiler = _compiler()
    path = cache_folder() / f"rows-{_digest(compiler)}.so"
    if not _is_ours(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _compile(compiler, path)
    return path


def _is_ours(path: pathlib.Path) -> bool:
    """Whether a file is there that nobody else could have put there."""
    try:
        seen = path.stat()
    except FileNotFoundError:
        return False
    if hasattr(os, "getuid") and (seen.st_uid != os.getuid() or seen.st_mode & 0o022):
        raise OSError(f"{path} belongs to, or can be written by, somebody else")
    return True


def _compiler() -> str:
    given = os.environ.get("CXX", "").split()
    for name in (*given[:1], *_COMPILERS):
        found = shutil.which(name)
        if found:
            return found
    raise OSError("there is no C++ compiler")


def _digest(compiler: str) -> str:
    """Changes with whatever the compiled library depends on."""
    about = os.stat(os.path.realpath(compiler))
    words = (compiler, about.st_size, about.st_mtime_ns, jaxlib.version.__version__, _FLAGS)
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


def _compile(compiler: str, path: pathlib.Path) -> None:
    """Writes the library, whole or not at all; several processes may do so at once."""
    handle, name = tempfile.mkstemp(suffix=".so", prefix="making-", dir=path.parent)
    os.close(handle)
    command = [compiler, *_FLAGS, "-isystem", jax.ffi.include_dir(), str(_SOURCE), "-o", name]
    try:
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=_SECONDS
        )
        if done.returncode != 0:
            last_words = " ".join(done.stderr.split())[-300:]
            raise OSError(f"{compiler} failed: {last_words}")
        os.chmod(name, 0o700)
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
