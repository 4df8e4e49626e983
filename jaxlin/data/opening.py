"""Opening files of unknown origin: regular files only, never waited for, never larger than said."""

from __future__ import annotations

import io
import os
import stat
import zlib

from jaxlin.errors import DataFormatError

_GZIP = b"\x1f\x8b"
MAX_BYTES = 1 << 36

# DEFLATE cannot do better than about 1032 to 1: more output than that is never one file's own.
_MAX_RATIO = 1040
_CHUNK = 1 << 20


def read_start(path: str | os.PathLike[str], count: int) -> bytes:
    """The first bytes of a regular file, decompressed where it is gzipped.

    Raises:
      DataFormatError: there is no such file, it cannot be read, or is not a regular one.
    """
    return _read(path, count, whole=False)


def read_bytes(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> bytes:
    """All bytes of a regular file, decompressed where it is gzipped.

    Args:
      path: the file.
      max_bytes: the most there may be, after decompression.

    Raises:
      DataFormatError: there is no such file, it cannot be read, is empty, is not a regular one,
        is larger than that, or is a damaged gzip file.
    """
    return _read(path, max_bytes, whole=True)


def _read(path: str | os.PathLike[str], limit: int, *, whole: bool) -> bytes:
    name = os.fsdecode(os.fspath(path))
    try:
        # A pipe that nobody writes to is not waited for.
        descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DataFormatError("is not a regular file", path=name)
            size = os.fstat(descriptor).st_size
            if size == 0:
                raise DataFormatError("is empty", path=name)
            if file.read(2) == _GZIP:
                file.seek(0)
                return _gunzip(file, name, min(limit, size * _MAX_RATIO + _CHUNK), whole)
            if whole and size > limit:
                raise DataFormatError(
                    f"has {size:,} bytes; at most {limit:,} can be read", path=name
                )
            file.seek(0)
            return file.read(min(limit, size))
    except OSError as error:
        raise DataFormatError(f"cannot be read: {error.strerror or error}", path=name) from error
    except MemoryError:
        raise DataFormatError("does not fit into memory", path=name) from None
    except ValueError as error:
        if isinstance(error, DataFormatError):
            raise
        raise DataFormatError(f"cannot be read: {error}", path=name) from None


def _gunzip(file: io.BufferedReader, name: str, limit: int, whole: bool) -> bytes:
    """The content of a gzip file of any number of members, up to `limit` bytes of it."""
    parts: list[bytes] = []
    total = 0
    rest = b""
    try:
        while True:
            member = zlib.decompressobj(wbits=31)
            while not member.eof:
                chunk = rest or file.read(_CHUNK)
                if not chunk:
                    if not whole:
                        return b"".join(parts)
                    raise DataFormatError("is a gzip file that was cut off", path=name)
                part = member.decompress(chunk, limit - total + 1)
                rest = member.unconsumed_tail
                total += len(part)
                parts.append(part)
                if total > limit:
                    if not whole:
                        return b"".join(parts)[:limit]
                    raise DataFormatError(
                        f"unpacks to more than {limit:,} bytes, which is not read", path=name
                    )
            rest = member.unused_data or file.read(_CHUNK)
            if not rest.strip(b"\0"):
                return b"".join(parts)
    except zlib.error as error:
        raise DataFormatError(f"is a damaged gzip file: {error}", path=name) from None
