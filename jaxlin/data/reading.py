"""From a path to arrays: which reader a file needs, and whether the numbers can be used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxlin.data.builtin import BUILTIN
from jaxlin.data.opening import read_start
from jaxlin.data.raw import RawData
from jaxlin.data.readers.arrow import arrow_layers, read_arrow
from jaxlin.data.readers.cifar10 import is_cifar10_folder, read_cifar10_folder
from jaxlin.data.readers.idx import is_idx_folder, read_idx_folder
from jaxlin.data.readers.npy import read_npy_pair
from jaxlin.data.readers.npz import read_npz
from jaxlin.data.readers.safetensors_file import read_safetensors, safetensors_layers
from jaxlin.data.readers.svmlight import read_svmlight
from jaxlin.data.readers.table import read_table
from jaxlin.data.values import check_finite
from jaxlin.errors import DataFormatError, InputError

_KINDS = {
    ".npz": "npz",
    ".npy": "npy",
    ".csv": "table",
    ".tsv": "table",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
    ".safetensors": "safetensors",
    ".parquet": "arrow",
    ".arrow": "arrow",
    ".feather": "arrow",
}
# How torch.save began a file before it wrote zip archives.
_PYTORCH_OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_READABLE = (
    "an .npz, an .npy with labels in another, .safetensors, .parquet, .arrow or .feather, a .csv "
    "or .tsv, svmlight/LIBSVM text, a folder of "
    f"IDX files (MNIST), a folder of CIFAR-10 binary batches, or {' or '.join(BUILTIN)}"
)


def read(
    source: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    label_column: str | int | None = None,
    num_features: int | None = None,
    layer: str | None = None,
    feature_names: Sequence[str] | None = None,
) -> RawData:
    """The arrays of a data file or folder, or of a built-in data set, as they are.

    Args:
      source: `"digits"`, or a path; what kind of file it is is told by its ending, else by how it
        begins.
      labels: an `.npy` file of labels, for features in an `.npy`, safetensors, Parquet or Arrow
        file that has none.
      label_column: of a CSV or TSV file: its name, or its number from 0. Of a Parquet or Arrow file
        too, and the name of a safetensors file's tensor, where it is not called y, labels or
        targets.
      num_features: D. Svmlight text does not say it; other files must have as many.
      layer: which features, where a safetensors, Parquet or Arrow file has several
        (`feature_layers` gives their names).
      feature_names: which columns of a table with names are features, where it has others too;
        nothing is asked of what is in those.

    Returns:
      `RawData`, in the dtype of the file.

    Raises:
      DataFormatError: the file cannot be read, or does not hold what its format promises.
      InputError: an option that this kind of file does not take.

    >>> read("digits").x.shape
    (1347, 64)
    """
    name = os.fspath(source)
    kind = kind_of(name)
    check_options(name, kind, labels=labels, label_column=label_column, layer=layer)
    raw = read_kind(kind, name, labels, label_column, num_features, layer, feature_names)
    check_finite(raw.x, name)
    if raw.test_x is not None:
        check_finite(raw.test_x, name, "the test set")
    check_width(raw.x.shape[1], num_features, name)
    return raw


def feature_layers(
    source: str | os.PathLike[str], *, label_column: str | int | None = None
) -> tuple[str, ...]:
    """The names that `layer` can have, for `read` and `load`.

    Args:
      source: as for `read`.
      label_column: as for `read`.

    Returns:
      One name for each tensor of features of a safetensors file, or for each column of lists of a
      Parquet or Arrow file; none where a file has one set of features only, without a name.

    Raises:
      DataFormatError: the file cannot be read, or does not hold what its format promises.

    >>> feature_layers("digits")
    ()
    """
    name = os.fspath(source)
    kind = kind_of(name)
    if kind == "safetensors":
        return safetensors_layers(name, label_column)
    return arrow_layers(name) if kind == "arrow" else ()


def check_options(name: str, kind: str, **options: Any) -> None:
    """Raises `InputError` for an option, given by name, that this kind of file does not take."""
    for option, value in options.items():
        if value is not None and kind not in _TAKERS[option]:
            raise InputError(f"{option} is of no use for {of_kind(name)}.")


def takes(name: str, option: str) -> bool:
    """Whether a source is of a kind that takes this option of `read`."""
    return kind_of(name) in _TAKERS[option]


def taken(name: str, **options: Any) -> dict[str, Any]:
    """The options that a source's kind takes: all are given for files of which not all take each.

    >>> taken("features.npy", labels="y.npy", layer="x")
    {'labels': 'y.npy'}
    """
    return {option: value for option, value in options.items() if takes(name, option)}


def of_kind(name: str) -> str:
    """A source and what it is, for messages.

    >>> of_kind("features.npz")
    'features.npz, which is read as an .npz file'
    """
    return f"{name}, which is read as {_WORDS[kind_of(name)]}"


def check_width(width: int, num_features: int | None, path: str) -> None:
    """Raises `DataFormatError` where there are not as many features as there have to be."""
    if num_features is not None and width != num_features:
        raise DataFormatError(f"has {width} features, but {num_features} are expected", path=path)


def read_kind(
    kind: str,
    name: str,
    labels: Any,
    label_column: str | int | None,
    num_features: int | None,
    layer: str | None,
    feature_names: Sequence[str] | None,
) -> RawData:
    """What `read` gives for a kind of source, before it looks at the numbers."""
    if kind == "builtin":
        return BUILTIN[name]()
    if kind == "idx":
        return read_idx_folder(name)
    if kind == "cifar10":
        return read_cifar10_folder(name)
    if kind == "npz":
        return read_npz(name)
    if kind == "npy":
        return read_npy_pair(name, labels)
    if kind == "table":
        return read_table(name, label_column, feature_names)
    if kind == "safetensors":
        return read_safetensors(name, label_column, layer, labels)
    if kind == "arrow":
        return read_arrow(name, label_column, layer, labels, feature_names)
    return read_svmlight(name, num_features)


_TAKERS = {
    "labels": ("npy", "safetensors", "arrow"),
    "label_column": ("table", "safetensors", "arrow"),
    "layer": ("safetensors", "arrow"),
}
_WORDS = {
    "builtin": "built-in data",
    "idx": "a folder of IDX files",
    "cifar10": "a folder of CIFAR-10 batches",
    "npz": "an .npz file",
    "npy": "an .npy file",
    "table": "a table",
    "svmlight": "svmlight text",
    "safetensors": "a safetensors file",
    "arrow": "a Parquet or Arrow file",
}


def kind_of(name: str) -> str:
    """Which reader a source needs: a word of `_WORDS`.

    Raises:
      DataFormatError: none of them can read it.
    """
    if name in BUILTIN:
        return "builtin"
    path = Path(name)
    if os.path.isdir(name):  # unlike Path's, it takes any text
        if is_idx_folder(path):
            return "idx"
        if is_cifar10_folder(path):
            return "cifar10"
        raise DataFormatError(
            "is a folder without IDX files (train-images-idx3-ubyte ...) and without CIFAR-10 "
            "binary batches (data_batch_1.bin ...)",
            path=name,
        )
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    if suffixes and suffixes[-1] in _KINDS:
        return _KINDS[suffixes[-1]]
    return _kind_by_content(name)


def _kind_by_content(name: str) -> str:
    """LIBSVM's own files, for one, have no ending."""
    if not os.path.lexists(name) and os.path.basename(name) == name:
        built_in = " or ".join(BUILTIN)
        raise DataFormatError(f"No such file or directory; built in is {built_in}", path=name)
    start = read_start(name, 1 << 16)
    if start.startswith(_PYTORCH_OLD) or (start.startswith(b"PK") and b"/data.pkl" in start):
        raise DataFormatError(
            "is PyTorch's own, a pickle, which is never read here: save its tensors with "
            "safetensors.torch.save_file, or one with numpy.save(path, x.numpy())",
            path=name,
        )
    if start.startswith(b"PK\x03\x04"):
        return "npz"
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    if start.startswith((b"PAR1", b"ARROW1")):
        return "arrow"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "safetensors"
    lines = [line for line in start.splitlines() if line.strip() and line[:1] != b"#"]
    fields = lines[0].split(b"#")[0].split() if lines and b"\0" not in start else []
    if len(fields) > 1 and all(b":" in field for field in fields[1:]):
        return "svmlight"
    if fields and (b"," in lines[0] or b"\t" in lines[0]):
        return "table"
    raise DataFormatError(f"is of no kind that is known here: data are {_READABLE}", path=name)
