"""NumPy's archives: `x` and `y`, or `x_train`, `y_train`, `x_test` and `y_test`, in any case."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from struct import error as struct_error

from jaxlin.data.opening import read_bytes
from jaxlin.data.raw import RawData
from jaxlin.data.readers.npy import as_rows, check_labels, parse_npy
from jaxlin.errors import DataFormatError

_MAX_UNPACKED = 1 << 35
_MAX_RATIO = 1040  # DEFLATE's own limit is about 1032 to 1
_KEY_SETS = (
    {"x"},
    {"x", "y"},
    {"x", "y", "x_test", "y_test"},
    {"x_train", "y_train"},
    {"x_train", "y_train", "x_test", "y_test"},
)


def read_npz(path: str | os.PathLike[str]) -> RawData:
    """The arrays of an .npz file; the names of its members never become paths.

    Raises:
      DataFormatError: it cannot be read, is damaged, or has other members than those.
    """
    name = os.fspath(path)
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, len(content), name)
            arrays = {
                key: parse_npy(archive.read(member), f"{name}[{member.filename}]")
                for key, member in members.items()
            }
    except DataFormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise DataFormatError(f"is a damaged .npz file: {error}", path=name) from None
    except (NotImplementedError, struct_error) as error:
        raise DataFormatError(f"is no sound .npz file: {error}", path=name) from None
    except MemoryError:
        raise DataFormatError("does not fit into memory", path=name) from None
    first = "x" if "x" in arrays else "x_train"
    x, image_shape = as_rows(arrays[first], name, first)
    label_key = first.replace("x", "y")
    labels = (
        check_labels(arrays[label_key], len(x), name, label_key) if label_key in arrays else None
    )
    if "x_test" not in arrays:
        return RawData(x, labels, image_shape=image_shape)
    test_x, test_shape = as_rows(arrays["x_test"], name, "x_test")
    if test_x.shape[1:] != x.shape[1:] or test_shape != image_shape:
        raise DataFormatError(
            f"{first} and x_test differ in shape: {arrays[first].shape} and "
            f"{arrays['x_test'].shape}",
            path=name,
        )
    test_labels = check_labels(arrays["y_test"], len(test_x), name, "y_test")
    return RawData(x, labels, test_x, test_labels, image_shape=image_shape)


def _members(archive: zipfile.ZipFile, size: int, path: str) -> dict[str, zipfile.ZipInfo]:
    """The members by key, if they are the ones wanted and not too large together."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy").lower()
        if key in members:
            raise DataFormatError(f"has two arrays {key!r}; cases do not matter", path=path)
        members[key] = member
    if set(members) not in _KEY_SETS:
        found = ", ".join(repr(key[:40]) for key in list(members)[:10]) or "nothing"
        raise DataFormatError(
            "must hold x and y, or x_train, y_train, x_test and y_test, and nothing else; it "
            f"holds {found}",
            path=path,
        )
    total = sum(member.file_size for member in members.values())
    if total > min(_MAX_UNPACKED, _MAX_RATIO * size):
        raise DataFormatError(
            f"claims to unpack from {size:,} to {total:,} bytes, which is not read", path=path
        )
    return members
