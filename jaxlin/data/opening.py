"""Opening files of unknown origin: regular files only, never waited for, never larger than said."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import zlib
from collections.abc import Iterator
from typing import Any

from jaxlin.errors import DataFormatError

_GZIP = b"\x1f\x8b"
MAX_BYTES = 1 << 36

# DEFLATE cannot do better than about 1032 to 1: more output than that is never one file's own.
_MAX_RATIO = 1040
_CHUNK = 1 << 20
_MAX_LINE = 1 << 28


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """A regular file that is not empty; what goes wrong while it is open is said of it.

    Raises:
      DataFormatError: there is no such file, it cannot be read, is empty or is not a regular one.
    """
    name = os.fsdecode(os.fspath(path))
    try:
        # A pipe that nobody writes to is not waited for.
        descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataFormatError("is not a regular file", path=name)
            if os.fstat(descriptor).st_size == 0:
                raise DataFormatError("is empty", path=name)
            yield file
    except OSError as error:
        raise DataFormatError(f"cannot be read: {error.strerror or error}", path=name) from error
    except MemoryError:
        raise DataFormatError("does not fit into memory", path=name) from None
    except ValueError as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(f"cannot be read: {error}", path=name) from None


def size_of(file: io.BufferedReader) -> int:
    """The bytes of an open file."""
    return os.fstat(file.fileno()).st_size


def is_gzipped(file: io.BufferedReader) -> bool:
    """Whether an open file begins as a gzip file does; it then stands at its start."""
    file.seek(0)
    start = file.read(len(_GZIP))
    file.seek(0)
    return start == _GZIP


def read_start(path: str | os.PathLike[str], count: int) -> bytes:
    """The first bytes of a regular file, decompressed where it is gzipped.

    Raises:
      DataFormatError: there is no such file, it cannot be read, or is not a regular one.
    """
    with opened(path) as file:
        if not is_gzipped(file):
            return file.read(count)
        start = b""
        for part in _unpacked(file, os.fsdecode(os.fspath(path)), count, whole=False):
            start += part
        return start[:count]


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """All bytes of a regular file, decompressed where it is gzipped.

    Args:
      path: the file.
      max_bytes: the most there may be, after decompression.

    Raises:
      DataFormatError: there is no such file, it cannot be read, is empty, is not a regular one,
        is larger than that, or is a damaged gzip file.
    """
    name = os.fsdecode(os.fspath(path))
    with opened(path) as file:
        if is_gzipped(file):
            limit = min(max_bytes, size_of(file) * _MAX_RATIO + _CHUNK)
            return b"".join(_unpacked(file, name, limit, whole=True))
        size = size_of(file)
        if size > max_bytes:
            raise DataFormatError(
                f"has {size:,} bytes; at most {max_bytes:,} can be read", path=name
            )
        return file.read(size)


def byte_lines(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The lines of a regular file, one at a time, decompressed where it is gzipped.

    Raises:
      DataFormatError: as for `read_bytes`; or a line has no end.
    """
    with _unzipped(path) as file:
        yield from _lines(file, path)


def text_lines(path: str | os.PathLike[str]) -> Iterator[str]:
    """The lines of a text file in UTF-8, with their ends; bytes of another kind are kept.

    Raises:
      DataFormatError: as for `read_bytes`; a line has no end, or there are NULs.
    """
    with _unzipped(path) as file:
        text = io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
        for line in _lines(text, path):
            if "\0" in line:
                raise DataFormatError("has NUL characters: is it a text file?", path=path)
            yield line


def _lines(file: Any, path: str | os.PathLike[str]) -> Iterator[Any]:
    while line := file.readline(_MAX_LINE):
        if len(line) == _MAX_LINE:
            raise DataFormatError(
                f"has a line of more than {_MAX_LINE:,} characters: is it a text file?", path=path
            )
        yield line


@contextlib.contextmanager
def _unzipped(path: str | os.PathLike[str]) -> Iterator[io.BufferedReader]:
    """The content of a regular file as a stream."""
    with opened(path) as file:
        if not is_gzipped(file):
            yield file
            return
        name = os.fsdecode(os.fspath(path))
        limit = min(MAX_BYTES, size_of(file) * _MAX_RATIO + _CHUNK)
        yield io.BufferedReader(_Parts(_unpacked(file, name, limit, whole=True)), _CHUNK)


class _Parts(io.RawIOBase):
    """Pieces of a file as a stream."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        super().__init__()
        self._parts, self._rest = parts, memoryview(b"")

    def readable(self) -> bool:
        """It is for reading."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills as much of the buffer as one piece does; 0 at the end."""
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _unpacked(file: io.BufferedReader, name: str, limit: int, *, whole: bool) -> Iterator[bytes]:
    """The content of a gzip file of any number of members, piece by piece, up to `limit` bytes."""
    total = 0
    rest = b""
    try:
        while True:
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                chunk = rest or file.read(_CHUNK)
                if not chunk:
                    if not whole:
                        return
                    raise DataFormatError("is a gzip file that was cut off", path=name)
                part = member.decompress(chunk, min(_CHUNK, limit - total + 1))
                rest = member.unconsumed_tail
                total += len(part)
                if total > limit and whole:
                    raise DataFormatError(
                        f"unpacks to more than {limit:,} bytes, which is not read", path=name
                    )
                yield part
                if total >= limit and not whole:
                    return
            rest = member.unused_data or file.read(_CHUNK)
            if not rest.strip(b"\0"):
                return
    except zlib.error as error:
        raise DataFormatError(f"is a damaged gzip file: {error}", path=name) from None
