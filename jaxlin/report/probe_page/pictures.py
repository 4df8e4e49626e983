"""Pixels of a record as pictures inside the page: PNG files in data addresses."""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxlin.errors import InputError
from jaxlin.report.probe_page.markup import Safe, element

_GREY, _RGB, _PALETTE = 0, 2, 3
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1}
# For a class and against it. Both are seen on a light page and on a dark one.
_FOR, _AGAINST = (226, 110, 20), (38, 120, 190)


def pixels(image: Mapping[str, Any], what: str) -> tuple[Sequence[int], bytes]:
    """The shape and the bytes of an image of a record.

    Args:
      image: `shape` and `pixels`, base64 of H*W or H*W*3 bytes.
      what: its name, for the error.

    Raises:
      InputError: not as many bytes as the shape says, or no base64.
    """
    shape = [int(size) for size in image["shape"]]
    try:
        data = base64.b64decode(image["pixels"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{what}: its pixels are no base64: {error}") from error
    if len(data) != math.prod(shape) or len(shape) not in (2, 3) or shape[2:] not in ([], [3]):
        raise InputError(f"{what}: {len(data)} bytes of pixels, shape {shape}")
    return shape, data


def photograph(image: Mapping[str, Any], what: str, alt: str) -> Safe:
    """An image, grey or in colours.

    Args:
      image: `shape` and `pixels`, as in `pixels`.
      what: its name, for errors.
      alt: what is to be seen.
    """
    shape, data = pixels(image, what)
    return _img(shape, data, _RGB if len(shape) == 3 else _GREY, alt)


def template(image: Mapping[str, Any], what: str, alt: str) -> Safe:
    """Weights as an image: 127.5 is nothing, more is for the class, less against it.

    Grey ones get two hues, the stronger the larger the weight, and nothing where it is 0, so that
    they look right on any page; weights of three channels are shown as colours.
    """
    shape, data = pixels(image, what)
    if len(shape) == 3:
        return _img(shape, data, _RGB, alt)
    colors = [_FOR if value > 127 else _AGAINST for value in range(256)]
    opacity = [round(abs(2 * value - 255)) for value in range(256)]
    return _img(shape, data, _PALETTE, alt, (colors, opacity))


def matrix(counts: Sequence[Sequence[int]], alt: str) -> Safe:
    """A confusion matrix, a pixel a cell, stronger for a larger share of its row.

    The square root lets small shares be told apart, and a single mistake is seen.

    Args:
      counts: rows true, columns predicted.
      alt: what is to be seen.
    """
    colors = [_FOR] * 128 + [_AGAINST] * 128
    opacity = [2 * (value % 128) + (value % 128 > 0) for value in range(256)]
    data = bytearray()
    for index, row in enumerate(counts):
        total = sum(row) or 1
        levels = [round(24 + 103 * math.sqrt(cell / total)) if cell else 0 for cell in row]
        levels[index] += 128
        data += bytes(levels)
    size = len(counts)
    return _img((size, size), bytes(data), _PALETTE, alt, (colors, opacity), "matrix")


def _img(
    shape: Sequence[int],
    data: bytes,
    kind: int,
    alt: str,
    palette: tuple[list[tuple[int, int, int]], list[int]] | None = None,
    class_: str = "pixels",
) -> Safe:
    file = base64.b64encode(png(shape, data, kind, palette)).decode("ascii")
    height, width = shape[:2]
    address = f"data:image/png;base64,{file}"
    return element("img", class_=class_, alt=alt, width=width, height=height, src=address)


def png(
    shape: Sequence[int],
    data: bytes,
    kind: int,
    palette: tuple[list[tuple[int, int, int]], list[int]] | None = None,
) -> bytes:
    """A PNG file of eight bits a channel.

    Args:
      shape: (H, W) or (H, W, 3).
      data: H*W*channels bytes, row by row.
      kind: its colour type: 0 grey, 2 RGB, 3 palette.
      palette: for the last, 256 colours and their opacities.
    """
    height, width = shape[:2]
    length = width * _CHANNELS[kind]
    # Each row says first how it is filtered: not at all.
    rows = b"".join(b"\0" + data[row * length : (row + 1) * length] for row in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if palette is not None:
        chunks.append((b"PLTE", bytes(value for color in palette[0] for value in color)))
        chunks.append((b"tRNS", bytes(palette[1])))
    chunks += [(b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
