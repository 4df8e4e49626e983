"""Compiled programs, kept between runs of the command: the second run compiles nothing.

They lie in the user's cache folder, `jaxlin/compilation`: compiling takes seconds, reading them
milliseconds. What the user told JAX about its cache comes first: with `JAX_COMPILATION_CACHE_DIR`
set, to a folder or to nothing, or with `JAX_ENABLE_COMPILATION_CACHE=0`, nothing is done here.
A cache is a convenience: without a folder to write to there is none, and nobody is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import stat
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

# All of them that `jaxlin train` needs take 0.6 megabytes.
MOST_BYTES = 200_000_000

_ENTRY = "*-cache"
_KEEP_ALL = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
_PROBLEM = re.compile(r"Error (reading|writing) persistent compilation cache entry for '([^']*)'")


def keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles, unless the user has said where, or that it should not."""
    told = "JAX_COMPILATION_CACHE_DIR" in os.environ
    if told or jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache:  # pyright: ignore[reportAttributeAccessIssue]
        return
    root = cache_folder(os.environ, sys.platform)
    folder = None if root is None else _prepared(root)
    if root is None or folder is None:
        return
    discard_oldest(root, MOST_BYTES)
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder))
    # JAX would leave out what compiles in under a second, which is everything here.
    for name, value in _KEEP_ALL.items():
        if name.upper() not in os.environ:
            jax.config.update(name, value)
    _mend(folder)


def cache_folder(environment: Mapping[str, str], system: str) -> Path | None:
    """Where the user's compiled programs belong, or None where there is no place.

    Args:
      environment: the environment variables.
      system: as `sys.platform`.

    >>> cache_folder({"XDG_CACHE_HOME": "relative"}, "linux") is None
    True
    """
    if system == "win32":
        base = environment.get("LOCALAPPDATA", "")
    elif system == "darwin":
        home = environment.get("HOME", "")
        base = os.path.join(home, "Library", "Caches") if home else ""
    elif environment.get("XDG_CACHE_HOME"):
        base = environment["XDG_CACHE_HOME"]
    else:
        home = environment.get("HOME", "")
        # A home that is not there is not made.
        base = os.path.join(home, ".cache") if home and os.path.isdir(home) else ""
    if not os.path.isabs(base):
        return None
    return Path(base, "jaxlin", "compilation")


def _prepared(root: Path) -> Path | None:
    """A folder of this processor's own that this user alone can write to, or None.

    What lies in it is run: nobody else may put anything there. And a home that several machines
    share must not bring one the instructions of another.
    """
    folder = root / _processor()
    try:
        # A mode holds for the last folder alone: of others the umask decides, and many a user's
        # lets the group write.
        for place in (root.parent, root, folder):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in (root, folder):
            about = place.stat()
            if hasattr(os, "getuid") and (
                about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            ):
                return None
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _processor() -> str:
    """A short name of the instructions that this processor has."""
    words = {platform.machine()}
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() in ("flags", "Features"):
                words.update(value.split())
                break
    return hashlib.sha256(" ".join(sorted(words)).encode()).hexdigest()[:12]


def discard_oldest(root: Path, most_bytes: int) -> None:
    """Where the cache has outgrown its bound, deletes its oldest entries down to half of it.

    Args:
      root: the folder; entries of all its subfolders count.
      most_bytes: the bound.
    """
    entries = []
    for path in root.rglob(_ENTRY):
        with contextlib.suppress(OSError):  # another process was quicker
            about = path.stat()
            entries.append((about.st_mtime, about.st_size, path))
    total = sum(size for _, size, _ in entries)
    if total <= most_bytes:
        return
    for _, size, path in sorted(entries):
        if total <= most_bytes // 2:
            return
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size


def _mend(folder: Path) -> None:
    """Deletes an entry that cannot be read, which JAX would find again and again.

    A run that was killed while it wrote leaves half of one, and one that is just being written by
    another process looks the same. JAX compiles what it cannot read, and warns: that says nothing
    that anyone would act on.
    """
    show = warnings.showwarning

    def mend_or_show(message: Warning | str, *rest: Any, **more: Any) -> None:
        problem = _PROBLEM.match(str(message))
        if problem is None:
            show(message, *rest, **more)
        elif re.fullmatch(r"\w+", problem[2]):
            for path in folder.glob(f"{problem[2]}-*"):
                with contextlib.suppress(OSError):
                    path.unlink()

    warnings.filterwarnings("always", message=_PROBLEM.pattern, category=UserWarning)
    warnings.showwarning = mend_or_show
