"""The most confident mistakes: where the classifier, or a label, is most wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxlin.probe.judging import Judged
from jaxlin.probe.pixels import image
from jaxlin.probe.problem import Block, Part


def confident_mistakes(found: Judged, block: Block, part: Part, most: int) -> list[dict[str, Any]]:
    """The mistakes with the highest probability, that first.

    Args:
      found: what the scores of the part say.
      block: whose features are shown where they are images.
      part: with the labels.
      most: at most so many.

    Returns:
      Part of the record of a test.
    """
    (wrong,) = np.nonzero(found.predicted != found.labels)
    chosen = wrong[np.argsort(-found.confidence[wrong], kind="stable")[:most]]
    file_rows = chosen if part.rows is None else part.rows[chosen]
    features = None
    if block.image_shape is not None and len(chosen):
        features = np.asarray(block.arrays[part.array][file_rows], np.float64)
    low, high = (0.0, 1.0) if features is None else (min(0.0, features.min()), features.max())
    mistakes = []
    for place, row in enumerate(chosen):
        told = {
            "row": int(row),
            "file_row": int(file_rows[place]),
            "true": int(found.labels[row]),
            "predicted": int(found.predicted[row]),
            "confidence": float(found.confidence[row]),
            "true_probability": float(np.exp(-found.log_loss[row])),
            "image": None,
        }
        if features is not None and block.image_shape is not None:
            told["image"] = image(features[place], block.image_shape, low, high)
        mistakes.append(told)
    return mistakes
