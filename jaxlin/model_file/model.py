"""A trained classifier on its own: its numbers, and what its scores mean."""

from __future__ import annotations

import dataclasses
import math
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, scores
from jaxlin.precision import float64_scope
from jaxlin.row_blocks import BLOCK_ROWS

# NumPy's text arrays give every entry the room of the longest, and drop NULs at an entry's end.
_MAX_FIXED_WIDTH = 256

Label = str | int | float | bool


def _versions() -> dict[str, str]:
    own = getattr(sys.modules["jaxlin"], "__version__", "unknown")
    return {"jaxlin": own, "jax": jax.__version__, "numpy": np.__version__}


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A trained classifier for raw features, and what its scores mean.

    Attributes:
      params: W (C, D) and b (C,) or None, float32 or float64, finite.
      classes: the label of each row of W; all text, all int, all float or all bool.
      loss: the name of the loss it was trained with, as in `jaxlin.losses`; a user's own loss goes
        by its `__name__`.
      margin: of a hinge loss, else None.
      l2: lambda of the training.
      scaling: what the features went through in training, in words. It is in `params` already.
      image_shape: (H, W) or (H, W, 3) where a row of features is an image, else None.
      feature_names: D names, or None.
      versions: of the packages that it was trained with.

    Raises:
      InputError: one of these does not fit the others.

    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> model = Model(params, classes=("cat", "dog"), loss="softmax_cross_entropy")
    >>> model.predict([[0.2, 0.9], [3.0, 1.0]]).tolist()
    ['dog', 'cat']
    """

    params: LinearParams
    classes: tuple[Label, ...]
    loss: str
    margin: float | None = None
    l2: float = 0.0
    scaling: str = "none"
    image_shape: tuple[int, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    versions: dict[str, str] = dataclasses.field(default_factory=_versions)

    def __post_init__(self) -> None:
        _check_params(self.params)
        num_classes, num_features = np.shape(self.params.W)
        object.__setattr__(self, "classes", _as_classes(self.classes, num_classes))
        for name in ("loss", "scaling"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"{name} must be text, got {getattr(self, name)!r}.")
        if self.margin is not None:
            object.__setattr__(self, "margin", checks.check_positive("margin", self.margin))
        if not _is_number(self.l2) or not (math.isfinite(self.l2) and self.l2 >= 0):
            raise InputError(f"l2 must be finite and not negative, got {self.l2!r}.")
        object.__setattr__(self, "l2", float(self.l2))
        if self.image_shape is not None:
            object.__setattr__(self, "image_shape", _as_image_shape(self.image_shape, num_features))
        if self.feature_names is not None:
            names = _as_feature_names(self.feature_names, num_features)
            object.__setattr__(self, "feature_names", names)
        texts = self.versions if isinstance(self.versions, dict) else {"": None}
        if not all(isinstance(word, str) for pair in texts.items() for word in pair):
            raise InputError(f"versions must be a dict of texts, got {self.versions!r}.")

    def scores(self, x: Any) -> np.ndarray:
        """The scores of some rows.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Scores (N, C), in the dtype of the parameters.

        Raises:
          InputError: x is not what it has to be, has another number of features, or is so large
            that a score is NaN.
        """
        values = self._by_blocks(x, _block_scores)
        self._check_numbers(np.isnan(values).any(axis=1))
        return values

    def predict(self, x: Any) -> np.ndarray:
        """The class of each row: the one with the highest score, the first among equals.

        Args:
          x: raw features (N, D), of any real dtype.

        Returns:
          Labels (N,), as in `classes`.

        Raises:
          InputError: x is not what it has to be, has another number of features, or is so large
            that a score is NaN.
        """
        codes = self._by_blocks(x, _block_classes)
        self._check_numbers(codes < 0)
        return label_array(self.classes)[codes]

    def _check_numbers(self, is_nan: Any) -> None:
        """Refuses rows with a score that is no number."""
        if np.any(is_nan):
            raise InputError(
                f"X is too large in row {int(np.argmax(is_nan))}: products of W and X are beyond "
                f"{self.params.W.dtype}, and a score would be NaN."
            )

    def _by_blocks(self, x: Any, function: Any) -> np.ndarray:
        """`function` over the rows, a block of them at a time, so that images stay bytes."""
        dtype = np.dtype(self.params.W.dtype)
        with float64_scope(dtype == np.float64):
            features = checks.as_features(x, dtype, num_features=self.params.num_features)
            num_rows = len(features)
            result: list[np.ndarray] = []
            for start in range(0, num_rows, BLOCK_ROWS):
                # The last block is moved back to end with the data: one shape, compiled once.
                moved = max(0, min(start, num_rows - BLOCK_ROWS))
                block = np.asarray(function(self.params, features, np.int32(moved)))
                result.append(block[start - moved :])
            return np.concatenate(result)


def _rows(features: jax.Array, start: jax.Array) -> jax.Array:
    return jax.lax.dynamic_slice_in_dim(features, start, min(len(features), BLOCK_ROWS))


@jax.jit
def _block_scores(params: LinearParams, features: jax.Array, start: jax.Array) -> jax.Array:
    return scores(params, _rows(features, start).astype(params.W.dtype))


@jax.jit
def _block_classes(params: LinearParams, features: jax.Array, start: jax.Array) -> jax.Array:
    """The class of each row, -1 where a score is NaN."""
    values = _block_scores(params, features, start)
    return jnp.where(jnp.isnan(values).any(axis=-1), -1, jnp.argmax(values, axis=-1))


def _check_params(params: Any) -> None:
    if not isinstance(params, LinearParams):
        raise InputError(f"params must be LinearParams(W, b), got {params!r}.")
    shapes = [np.shape(leaf) for leaf in (params.W, params.b) if leaf is not None]
    if len(shapes[0]) != 2 or 0 in shapes[0]:
        raise InputError(f"W must have shape (C, D), got {shapes[0]}.")
    if len(shapes) == 2 and shapes[1] != shapes[0][:1]:
        raise InputError(f"b must have shape {shapes[0][:1]}, got {shapes[1]}.")
    for name, leaf in (("W", params.W), ("b", params.b)):
        if leaf is None:
            continue
        array = np.asarray(leaf)
        if array.dtype not in (np.float32, np.float64) or array.dtype != params.W.dtype:
            raise InputError(
                f"W and b must both be float32 or both float64, got {name} of dtype {array.dtype}."
            )
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds NaN or infinity.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _as_classes(classes: Any, num_classes: int) -> tuple[Label, ...]:
    if isinstance(classes, str | bytes) or not hasattr(classes, "__len__"):
        raise InputError(f"classes must be a sequence of {num_classes} labels, got {classes!r}.")
    labels = tuple(c.item() if isinstance(c, np.generic) else c for c in classes)
    if len(labels) != num_classes:
        raise InputError(f"classes must be {num_classes} labels, one a row, got {len(labels)}.")
    kinds = sorted({type(label).__name__ for label in labels})
    if len(kinds) > 1 or not isinstance(labels[0], str | int | float | bool):
        raise InputError(
            f"classes must be all text, all int, all float or all bool, got {' and '.join(kinds)}."
        )
    if isinstance(labels[0], float) and not all(map(math.isfinite, labels)):  # pyright: ignore[reportArgumentType]
        raise InputError("classes must be finite.")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"classes must differ, got {twice!r} twice.")
    if type(labels[0]) is int and label_array(labels).dtype.kind not in "iu":
        raise InputError("classes must fit into 64 bits.")
    return labels


def label_array(classes: tuple[Label, ...]) -> np.ndarray:
    """The classes as NumPy has them; text that a fixed width does not hold stays an object."""
    if isinstance(classes[0], str):
        if any(len(c) > _MAX_FIXED_WIDTH or c.endswith("\0") for c in classes):  # pyright: ignore
            return np.array(classes, dtype=object)
        return np.array(classes)
    return np.array(classes)


def _as_image_shape(shape: Any, num_features: int) -> tuple[int, ...]:
    try:
        sizes = tuple(checks.check_count("image_shape", size) for size in shape)
    except TypeError:
        sizes = ()
    if len(sizes) not in (2, 3) or (len(sizes) == 3 and sizes[2] != 3):
        raise InputError(f"image_shape must be (H, W) or (H, W, 3), got {shape!r}.")
    if math.prod(sizes) != num_features:
        raise InputError(
            f"image_shape {sizes} takes {math.prod(sizes)} features, but W has {num_features}."
        )
    return sizes


def _as_feature_names(names: Any, num_features: int) -> tuple[str, ...]:
    texts = () if isinstance(names, str) or not hasattr(names, "__len__") else tuple(names)
    if len(texts) != num_features or not all(isinstance(name, str) for name in texts):
        raise InputError(f"feature_names must be {num_features} texts, one a column of W.")
    return tuple(map(str, texts))
