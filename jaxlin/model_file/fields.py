"""The fields of a `Model`, each checked against the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from jaxlin import checks
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams

# NumPy's text arrays give every entry the room of the longest, and drop NULs at an entry's end.
_MAX_FIXED_WIDTH = 256

Label = str | int | float | bool


def check_params(params: Any) -> None:
    """Raises `InputError` for what is not W (C, D) and b (C,) or None, of one dtype and finite."""
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
            where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
            raise InputError(f"{name} holds NaN or infinity, first at index {where}.")


def as_l2(l2: Any) -> float | None:
    """A finite number that is not negative, or None."""
    if l2 is None:
        return None
    is_number = isinstance(l2, int | float | np.number) and not isinstance(l2, bool)
    if not is_number or not (math.isfinite(l2) and l2 >= 0):  # pyright: ignore[reportArgumentType]
        raise InputError(f"l2 must be finite and not negative, or None, got {l2!r}.")
    return float(l2)


def check_texts(versions: Any) -> None:
    """Raises `InputError` for what is not a dict of texts."""
    texts = versions if isinstance(versions, dict) else {"": None}
    if not all(isinstance(word, str) for pair in texts.items() for word in pair):
        raise InputError(f"versions must be a dict of texts, got {versions!r}.")


def as_classes(classes: Any, num_classes: int) -> tuple[Label, ...]:
    """C labels, all of one kind and all different, as Python has them."""
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


def as_image_shape(shape: Any, num_features: int) -> tuple[int, ...]:
    """(H, W) or (H, W, 3), of D numbers."""
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


def as_feature_names(names: Any, num_features: int) -> tuple[str, ...]:
    """D names."""
    texts = () if isinstance(names, str) or not hasattr(names, "__len__") else tuple(names)
    if len(texts) != num_features or not all(isinstance(name, str) for name in texts):
        raise InputError(f"feature_names must be {num_features} texts, one a column of W.")
    return tuple(map(str, texts))
