"""Rows that are images, and templates, as bytes that fit into JSON."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

_LARGEST_SIDE = 64
_MOST_TEMPLATES = 40
# Of |W|: what few weights have beyond it would leave the others grey.
_QUANTILE = 0.995


def image(row: np.ndarray, shape: tuple[int, ...], low: float, high: float) -> dict[str, Any]:
    """An image as base64 of its bytes, made smaller where a side is over 64 pixels.

    Args:
      row: features (D,).
      shape: (H, W) or (H, W, 3), of D pixels.
      low: what becomes 0.
      high: what becomes 255.

    >>> image(np.array([0.0, 1.0]), (1, 2), 0.0, 1.0)
    {'shape': [1, 2], 'pixels': 'AP8='}
    """
    picture = _smaller(row.astype(np.float64).reshape(shape))
    span = high - low if high > low else 1.0
    levels = np.clip(np.rint(255.0 * (picture - low) / span), 0, 255).astype(np.uint8)
    return {
        "shape": list(levels.shape),
        "pixels": base64.b64encode(levels.tobytes()).decode("ascii"),
    }


def templates(W: np.ndarray, shape: tuple[int, ...]) -> dict[str, Any]:
    """The rows of W as images: 0 is -limit, 255 is +limit.

    Args:
      W: (C, D).
      shape: (H, W) or (H, W, 3), of D pixels.

    >>> templates(np.array([[1.0, -1.0]]), (1, 2))["images"]
    [{'class': 0, 'pixels': '/wA='}]
    """
    shown = np.asarray(W, np.float64)[:_MOST_TEMPLATES]
    limit = float(np.quantile(np.abs(shown), _QUANTILE)) or float(np.abs(shown).max()) or 1.0
    images = [image(row, shape, -limit, limit) for row in shown]
    return {
        "shape": images[0]["shape"],
        "limit": limit,
        "images": [{"class": i, "pixels": made["pixels"]} for i, made in enumerate(images)],
    }


def _smaller(picture: np.ndarray) -> np.ndarray:
    """Means of square blocks of pixels, so that no side is over the largest."""
    factor = -(-max(picture.shape[:2]) // _LARGEST_SIDE)
    if factor <= 1:
        return picture
    height, width = (max(1, side // factor) for side in picture.shape[:2])
    down, across = (min(factor, side) for side in picture.shape[:2])
    cut = picture[: height * down, : width * across]
    return cut.reshape(height, down, width, across, *picture.shape[2:]).mean(axis=(1, 3))
