"""A probe's record made by hand: small, with every part that a record may have."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Sequence
from typing import Any

L2 = (1e-1, 1e-2, 1e-3, 0.0)
# True class in the row, predicted class in the column; six mistakes in 40.
COUNTS = ((11, 2, 0), (1, 9, 2), (0, 1, 14))


def pixels(count: int, start: int = 0) -> str:
    """So many bytes that differ, as a record has them."""
    return base64.b64encode(bytes((start + 37 * at) % 256 for at in range(count))).decode()


def _grid(shift: float) -> dict[str, list[Any]]:
    scalings = ("none", "standardize")
    places = [(scaling, l2) for scaling in scalings for l2 in L2]
    accuracy = [0.61, 0.72, 0.8125, 0.79, 0.55, 0.7, 0.78, 0.77]
    return {
        "l2": [l2 for _, l2 in places],
        "C": [0.0625, 0.625, 6.25, None, 0.0625, 0.625, 6.25, None],
        "scaling": [scaling for scaling, _ in places],
        "normalize": [False] * 8,
        "train_accuracy": [value + 0.0625 for value in accuracy],
        "objective": [0.9, 0.71, 0.52, 0.4, 0.91, 0.73, 0.54, 0.41],
        "validation_accuracy": [value - shift for value in accuracy],
        "validation_accuracy_low": [value - shift - 0.0775 for value in accuracy],
        "validation_accuracy_high": [value - shift + 0.0825 for value in accuracy],
        "validation_loss": [0.95, 0.81, 0.6543, 0.7, 0.97, 0.83, 0.66, 0.72],
        "relative_gap": [0.000123, 0.000234, 0.000345, None, 0.000456, 0.000567, 0.04, None],
        "certified": [True, True, True, False, True, True, False, False],
        "outcome": [*["converged"] * 3, "out_of_steps", *["converged"] * 2, "stuck", "stuck"],
        "passes": [12, 23, 34, 2000, 13, 24, 35, 1999],
        "seconds": [0.011, 0.022, 0.033, 0.404, 0.015, 0.026, 0.037, 0.408],
    }


def _test() -> dict[str, Any]:
    recalls, precisions = (0.8462, 0.75, 0.9333), (0.9167, 0.75, None)
    return {
        "examples": 40, "accuracy": 0.85, "accuracy_low": 0.7251, "accuracy_high": 0.9499,
        "confidence": 0.95, "bootstrap_draws": None,
        "top_k": {"k": 2, "accuracy": 0.975}, "mean_class_accuracy": 0.8432, "macro_f1": 0.8421,
        "loss": 0.4512, "log_loss": 0.4513, "calibration_error": 0.0321,
        "probabilities": "softmax of the scores",
        "calibration": {
            "edges": [0.0, 0.25, 0.5, 0.75, 1.0], "count": [0, 6, 14, 20],
            "confidence": [None, 0.44, 0.635, 0.913], "accuracy": [None, 0.5, 0.7143, 0.9],
        },
        "confusion": {
            "counts": [list(row) for row in COUNTS],
            "pairs": [{"true": true, "predicted": predicted, "count": COUNTS[true][predicted]}
                      for true, predicted in ((0, 1), (1, 2), (1, 0), (2, 1))],
        },
        "classes": [
            {"class": at, "examples": sum(COUNTS[at]), "predicted": sum(row[at] for row in COUNTS),
             "accuracy": recalls[at], "recall": recalls[at], "precision": precisions[at],
             "f1": 0.88}
            for at in range(3)
        ],
        "mistakes": [
            {"row": 17, "true": 0, "predicted": 1, "confidence": 0.9712, "true_probability": 0.0123,
             "image": {"shape": [2, 3], "pixels": pixels(6)}},
            {"row": 31, "true": 1, "predicted": 2, "confidence": 0.8634, "true_probability": 0.0934,
             "image": {"shape": [2, 3], "pixels": pixels(6, 5)}},
        ],
        "num_mistakes": 6,
        "certain": {"count": 31, "examples": 40, "sentence": "31 of 40 test predictions are sure"},
    }  # fmt: skip


def _block(name: str, shift: float) -> dict[str, Any]:
    scores = {"validation_accuracy": 0.8125 - shift, "validation_loss": 0.6543}
    ends = {"validation_accuracy_low": 0.735 - shift, "validation_accuracy_high": 0.895 - shift}
    return {
        "name": name, "path": f"folder/{name}.npy", "num_features": 6, "dtype": "uint8",
        "image_shape": [2, 3], "grid": _grid(shift),
        "best": {"row": 2, "l2": 1e-3, "C": 6.25, "scaling": "none", "normalize": False,
                 **scores, **ends, "edge": None, "ties": 1,
                 "sentence": "Of 8 settings the best is l2 0.001."},
        "outcomes": {"converged": 5, "out_of_steps": 1, "stuck": 2},
        "refit": {
            "on": "train+validation", "examples": 120, "l2": 1e-3, "C": 4.1667, "scaling": "none",
            "objective": 0.51234, "train_accuracy": 0.8833, "outcome": "Converged (34 passes).",
            "outcome_kind": "converged",
            "certificate": {"primal": 0.51234, "dual": 0.51229, "gap": 0.00005,
                            "relative_gap": 0.0000976},
            "certificate_sentence": "objective 0.51234 is within 0.01 % of the best; proved",
            "passes": 34, "seconds": 0.25,
            "history": {"passes": [1, 10, 20, 34], "seconds": [0.01, 0.08, 0.16, 0.25],
                        "objective": [1.0986, 0.61, 0.52, 0.51234],
                        "accuracy": [0.3333, 0.8, 0.875, 0.8833]},
        },
        "baselines": [
            {"name": "majority class", "validation_accuracy": 0.375,
             "test": {"accuracy": 0.35, "mean_class_accuracy": 0.3333, "macro_f1": 0.1728}},
            {"name": "nearest class mean", "scaling": "none", "normalize": False,
             "validation_accuracy": 0.6875,
             "test": {"accuracy": 0.675, "mean_class_accuracy": 0.6712, "macro_f1": 0.6634}},
        ],
        "test": _test(),
        "templates": {"shape": [2, 3], "limit": 0.3125,
                      "images": [{"class": at, "pixels": pixels(6, at)} for at in range(3)]},
        "few_shot": {
            "per_class": [1, 2, 16], "repeats": 2, "l2": list(L2), "scaling": "none",
            "normalize": False,
            "draws": [{"per_class": size, "repeat": at, "seed": 7 + at, "examples": 3 * size,
                       "l2": 1e-2, "validation_accuracy": 0.5,
                       "test_accuracy": 0.4 + 0.05 * size + 0.02 * at,
                       "edge": None, "largest_gap": 0.0009} for size in (1, 2) for at in (0, 1)],
            "summary": [{"per_class": size, "draws": 2, "mean": 0.41 + 0.05 * size, "sd": 0.0141,
                         "lowest": 0.4 + 0.05 * size, "highest": 0.42 + 0.05 * size,
                         "judged_on": "test"} for size in (1, 2)],
            "skipped": [{"per_class": 16, "reason": "class 'cat' has 9 training examples"}],
            "seconds": 0.5,
        },
        "seconds": 1.5,
    }  # fmt: skip


def record(
    classes: Sequence[Any] = ("cat", "dog", "bird"), names: Sequence[str] = ("pets",)
) -> dict[str, Any]:
    """A record with each part in it: as many blocks as names, and three classes in its test."""
    blocks = [_block(name, 0.01 * at) for at, name in enumerate(names)]
    return {
        "format": "jaxlin.probe", "format_version": 1,
        "command": "jaxlin probe 'my pets.npz' --protocol jaxlin --seed 0",
        "created": "2026-11-26T05:10:00Z", "seconds": 2.75, "device": "cpu",
        "versions": {"jaxlin": "0.1.0", "jax": "0.10.2", "python": "3.11.9"},
        "settings": {"protocol": "jaxlin", "loss": "softmax", "l2": list(L2), "C": None,
                     "search": "grid", "scaling": ["none", "standardize"], "normalize": [False],
                     "select_by": "accuracy", "refit": "train+validation", "keeps": "l2",
                     "tol": 1e-3, "bias": False, "dtype": "float32", "seed": 0, "repeats": 2},
        "protocol": {"name": "jaxlin", "title": "jaxlin's own", "source": "the docs",
                     "sentences": ["Four values of l2.", "Chosen by validation accuracy."]},
        "data": {
            "files": [{"role": "features", "block": at, "path": f"folder/{name}.npy",
                       "sha256": "ab12" * 16, "bytes": 12345} for at, name in enumerate(names)],
            "classes": list(classes), "num_examples": 160,
            "splits": {
                "train": {"examples": 80, "class_counts": [25, 30, 25], "from": "drawn"},
                "validation": {"examples": 40, "class_counts": [13, 14, 13], "from": "drawn"},
                "test": {"examples": 40, "class_counts": [13, 12, 15], "from": "a file"},
            },
            "groups": {"count": 12, "path": "folder/groups.npy"},
        },
        "warnings": [{"kind": "duplicates", "block": 0, "message": "3 rows are in both splits."},
                     {"kind": "edge", "block": None, "message": "The winner ends the grid."}],
        "blocks": blocks, "best_block": 0, "model": "probe.safetensors", "file": "probe.json",
        "replay": {"of": "old.json", "same_numbers": False,
                   "differs": [{"what": "versions.jax", "was": "0.10.1", "is": "0.10.2"}],
                   "numbers": [{"what": "blocks[0].test.accuracy", "was": 0.825, "is": 0.85}]},
    }  # fmt: skip


# Strings that the page goes by, and bytes; everything else is text from somewhere.
_KEPT = {"pixels", "judged_on", "format"}


def with_every_string(found: dict[str, Any], text: Callable[[int], str]) -> dict[str, Any]:
    """A copy in which every text is another one, by number, the keys of versions too.

    What was the same text is the same again.
    """
    numbers: dict[str, int] = {}

    def other(value: str) -> str:
        return text(numbers.setdefault(value, len(numbers)))

    def changed(value: Any, key: str) -> Any:
        if isinstance(value, dict):
            inside = {name: changed(one, name) for name, one in value.items()}
            if key == "versions":
                return {other(name): one for name, one in inside.items()}
            return inside
        if isinstance(value, list):
            return [changed(one, key) for one in value]
        return other(value) if isinstance(value, str) and key not in _KEPT else value

    return changed(copy.deepcopy(found), "")
