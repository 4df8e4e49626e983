"""The examples of a probe: blocks of features of the same rows, and which rows are for what.

Features are never copied whole but once, into the form that the engine keeps: rows are gathered
from where they lie, a memory map for one, a few megabytes at a time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxlin import checks
from jaxlin.arrays import check_two_dimensional, numeric_array
from jaxlin.data.labels import Label, encode_labels, shortened
from jaxlin.data.splitting import split_rows
from jaxlin.errors import InputError
from jaxlin.file_rows import check_map
from jaxlin.lazy_rows import LazyRows
from jaxlin.precision import float64_scope

_BLOCK_BYTES = 1 << 24
_ALIGNMENT = 64  # what XLA asks for on a CPU


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The examples of one split.

    Attributes:
      labels: class indices, int32 (n,).
      array: which of a block's arrays they are in.
      rows: of that array (n,); None for all, in order.
      came: `"the data's own"`, `"a file"`, `"drawn"` or `"given"`.
    """

    labels: np.ndarray
    array: str
    rows: np.ndarray | None = None
    came: str = "given"

    def __len__(self) -> int:
        return len(self.labels)


@dataclasses.dataclass(frozen=True, eq=False)
class Block:
    """Features from one source: a file, or a layer.

    Attributes:
      name: what to call it.
      arrays: features (N, D) by the name that `Part.array` uses.
      path: where they are from, or the name.
      image_shape: (H, W) or (H, W, 3) where a row is an image, else None.
      feature_names: D names, or None.
    """

    name: str
    arrays: Mapping[str, np.ndarray]
    path: str = ""
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    @property
    def first(self) -> np.ndarray:
        """The array that training rows are in."""
        return next(iter(self.arrays.values()))

    @property
    def num_features(self) -> int:
        """D."""
        return self.first.shape[1]

    @property
    def is_whole_numbers(self) -> bool:
        """Whether features are images or other integers."""
        return self.image_shape is not None or self.first.dtype.kind in "iub"

    def pieces(self, part: Part) -> Iterator[np.ndarray]:
        """The rows of a part, some at a time, in the dtype of the source.

        Raises:
          DataFormatError: the file of a memory map was cut short.
        """
        array = self.arrays[part.array]
        step = max(1, _BLOCK_BYTES // max(1, array.shape[1] * array.itemsize))
        for start in range(0, len(part), step):
            yield self.take(part, slice(start, start + step))

    def take(self, part: Part, rows: Any) -> np.ndarray:
        """Some rows of a part, counted from 0 in it, in the dtype of the source.

        Raises:
          DataFormatError: the file of a memory map was cut short.
        """
        array = self.arrays[part.array]
        if isinstance(array, np.ndarray):  # a memory map, perhaps
            check_map(array)
        return np.asarray(array[rows] if part.rows is None else array[part.rows[rows]])

    def rows(self, *parts: Part, dtype: Any = None, normalize: bool = False) -> PartRows:
        """What `gather` gives of some parts, nothing of which is gathered yet.

        Args:
          parts: which.
          dtype: as of `gather`; None leaves the rows of one part in the dtype of the source.
          normalize: divide each row by its l2 norm.
        """
        own = self.arrays[parts[0].array].dtype
        kept = own if dtype is None else self._kept(parts, dtype, normalize)
        return PartRows(self, parts, kept, normalize)

    def _kept(self, parts: Sequence[Part], dtype: Any, normalize: bool) -> np.dtype:
        """The dtype that rows of some parts are gathered in."""
        dtype = np.dtype(dtype)
        with float64_scope(dtype == np.float64):
            kinds = {
                np.dtype(checks.as_features(self.arrays[part.array][:1], dtype).dtype)
                for part in parts
            }
        # Files of one data set need not have one dtype: whole numbers in one, parts in another.
        return dtype if normalize or len(kinds) > 1 else kinds.pop()

    def gather(self, *parts: Part, dtype: Any, normalize: bool = False) -> jax.Array:
        """The rows of some parts, one part after the other, on the device.

        Args:
          parts: which.
          dtype: float32 or float64; integers and half-width floats stay as they are.
          normalize: divide each row by its l2 norm.

        Returns:
          (n, D), in memory that is nobody else's.
        """
        kept = self._kept(parts, dtype, normalize)
        size = sum(map(len, parts)), self.num_features
        buffer = np.empty(size[0] * size[1] * kept.itemsize + _ALIGNMENT, np.uint8)
        start = -buffer.ctypes.data % _ALIGNMENT
        x = buffer[start : len(buffer) - _ALIGNMENT + start].view(kept).reshape(size)
        end = 0
        for part in parts:
            for piece in self.pieces(part):
                begin, end = end, end + len(piece)
                with np.errstate(over="ignore"):  # the engine looks for infinity, and says so
                    x[begin:end] = normalized(piece) if normalize else piece
        with float64_scope(kept.itemsize == 8):
            return jax.device_put(x)


class PartRows(LazyRows):
    """The rows of some parts of a block, one part after the other, taken when they are asked for.

    Attributes:
      block: whose features they are.
      parts: which.
      dtype: that they are given in.
      normalize: whether each is divided by its l2 norm.
    """

    def __init__(
        self, block: Block, parts: Sequence[Part], dtype: np.dtype, normalize: bool
    ) -> None:
        self.block, self.parts, self.dtype, self.normalize = block, parts, dtype, normalize
        self.shape = sum(map(len, parts)), block.num_features

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        found = np.empty((len(rows), self.shape[1]), self.dtype)
        start = 0
        for part in self.parts:
            is_here = (start <= rows) & (rows < start + len(part))
            if is_here.any():
                piece = self.block.take(part, rows[is_here] - start)
                with np.errstate(over="ignore"):  # as in `gather`
                    found[is_here] = normalized(piece) if self.normalize else piece
            start += len(part)
        return found


def normalized(x: np.ndarray) -> np.ndarray:
    """Rows divided by their l2 norm, float64 (n, D); a row of zeros stays.

    >>> normalized(np.array([[3, 4], [0, 0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    wide = x.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)  # so that no square leaves the numbers
    wide /= np.where(largest > 0.0, largest, 1.0)
    length = np.sqrt(np.sum(wide * wide, axis=1, keepdims=True))
    return wide / np.where(length > 0.0, length, 1.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """What is probed.

    Attributes:
      blocks: features of the same examples, each with a name of its own.
      classes: the label of each class.
      train: rows to train on.
      validation: rows to choose by.
      test: rows to judge by, once; or None.
      num_groups: of examples that stay together, where there are any.

    Raises:
      InputError: there are too few rows or classes, or blocks do not fit each other.
    """

    blocks: tuple[Block, ...]
    classes: tuple[Label, ...]
    train: Part
    validation: Part
    test: Part | None = None
    num_groups: int | None = None

    def __post_init__(self) -> None:
        names = [block.name for block in self.blocks]
        if not names or len(set(names)) < len(names):
            raise InputError("a probe needs blocks of features, each with a name of its own.")
        if len(self.classes) < 2:
            raise InputError("a probe needs at least 2 classes.")
        if len(self.validation) == 0:
            raise InputError("a probe needs validation examples to choose by.")
        if len(np.unique(self.train.labels)) < 2:
            (only,) = np.unique(self.train.labels)[:1] if len(self.train) else (None,)
            which = "" if only is None else f", {shortened(self.classes[only])}"
            raise InputError(f"the training examples contain only one class{which}.")

    @property
    def parts(self) -> dict[str, Part | None]:
        """By name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @staticmethod
    def from_arrays(
        x: Any,
        labels: Any,
        *,
        validation: tuple[Any, Any] | float = 0.2,
        test: tuple[Any, Any] | None = None,
        classes: Sequence[Label] | None = None,
        image_shape: tuple[int, ...] | None = None,
        name: str = "features",
        seed: int = 0,
    ) -> Problem:
        """A problem of arrays.

        Args:
          x: features (N, D).
          labels: (N,), of any kind.
          validation: `(x, labels)`, or the share of the rows to draw, stratified.
          test: `(x, labels)`, or None.
          classes: all labels, in order; None takes those that occur in `labels`.
          image_shape: (H, W) or (H, W, 3) where a row is an image.
          name: what to call the features.
          seed: of the draw.

        >>> x, labels = np.arange(8.0)[:, None], ["a", "b"] * 4
        >>> len(Problem.from_arrays(x, labels, validation=0.25).train)
        6
        """
        known, codes = encode_labels(labels, classes)
        arrays = {"main": _features(x, "X", len(codes))}
        if isinstance(validation, tuple):
            arrays["validation"] = _features(validation[0], "validation X", len(validation[1]))
            held_out = Part(encode_labels(validation[1], known)[1], "validation")
            train = Part(codes, "main")
        else:
            stay, apart = split_rows(codes, validation, seed, classes=known)
            train = Part(codes[stay], "main", stay, "drawn")
            held_out = Part(codes[apart], "main", apart, "drawn")
        judged = None
        if test is not None:
            arrays["test"] = _features(test[0], "test X", len(test[1]))
            judged = Part(encode_labels(test[1], known)[1], "test")
        for other in arrays.values():
            if other.shape[1] != arrays["main"].shape[1]:
                raise InputError(
                    f"all features must have {arrays['main'].shape[1]} columns, got "
                    f"{other.shape[1]}."
                )
        block = Block(name, arrays, name, image_shape)
        return Problem((block,), known, train, held_out, judged)


def _features(x: Any, name: str, count: int) -> np.ndarray:
    array = numeric_array(x, name)
    array = np.asarray(array) if isinstance(array, jax.Array) else array
    check_two_dimensional(array, name)
    if len(array) != count:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: {[len(array), count]}"
        )
    return array
