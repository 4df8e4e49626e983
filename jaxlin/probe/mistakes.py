"""The most confident mistakes: where the classifier, or a label, is most wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.probe.measures import probabilities_of
from jaxlin.probe.pixels import image
from jaxlin.probe.problem import Block, Part


def confident_mistakes(
    scores: np.ndarray, block: Block, part: Part, most: int
) -> list[dict[str, Any]]:
    """The mistakes with the highest probability, that first.

    Args:
      scores: of the part (n, C).
      block: whose features are shown where they are images.
      part: with the labels.
      most: at most so many.

    Returns:
      Part of the record of a test.
    """
    predicted = scores.argmax(axis=1)
    (wrong,) = np.nonzero(predicted != part.labels)
    probabilities = probabilities_of(scores[wrong])
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")[:most]
    chosen = wrong[order]
    file_rows = chosen if part.rows is None else part.rows[chosen]
    features = None
    if block.image_shape is not None and len(chosen):
        features = np.asarray(block.arrays[part.array][file_rows], np.float64)
    low, high = (0.0, 1.0) if features is None else (min(0.0, features.min()), features.max())
    mistakes = []
    for place, (at, row) in enumerate(zip(order, chosen, strict=True)):
        told = {
            "row": int(row),
            "file_row": int(file_rows[place]),
            "true": int(part.labels[row]),
            "predicted": int(predicted[row]),
            "confidence": float(confidence[at]),
            "true_probability": float(probabilities[at, part.labels[row]]),
            "image": None,
        }
        if features is not None and block.image_shape is not None:
            told["image"] = image(features[place], block.image_shape, low, high)
        mistakes.append(told)
    return mistakes
