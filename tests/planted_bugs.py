"""Gradients by hand with one mistake each: the classic ones, and subtler ones.

Each is NumPy code as a student writes it, for the mean loss + l2 * sum(W^2) of a linear classifier
with parameters {"W": (C, D), "b": (C,)}. `explained` is the cause that a report has to name; None
where the mistake is of no known form.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

Params = dict[str, np.ndarray]


def scores_of(p: Params, x: np.ndarray) -> np.ndarray:
    return x @ p["W"].T + p["b"]


def label_mask(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    mask = np.zeros(s.shape, bool)
    mask[np.arange(len(y)), y] = True
    return mask


def margins_of(s: np.ndarray, y: np.ndarray, margin: float = 1.0) -> np.ndarray:
    return s - s[np.arange(len(y)), y][:, None] + margin


def hinge(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = label_mask(s, y)
    active = (margins_of(s, y) > 0) & ~own
    return np.where(own, -active.sum(axis=1, keepdims=True), active).astype(np.float64)


def squared_hinge(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = label_mask(s, y)
    violation = np.where(own, 0.0, 2.0 * np.maximum(margins_of(s, y), 0.0))
    return np.where(own, -violation.sum(axis=1, keepdims=True), violation)


def crammer_singer(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = label_mask(s, y)
    margins = np.where(own, -np.inf, margins_of(s, y))
    worst = np.argmax(margins, axis=1)
    ds = np.zeros_like(s)
    rows = np.arange(len(y))
    violated = margins[rows, worst] > 0
    ds[rows, worst] = violated
    ds[rows, y] = -violated.astype(np.float64)
    return ds


def softmax(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    e = np.exp(s - s.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) - label_mask(s, y)


RIGHT: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "weston_watkins": hinge,
    "squared_weston_watkins": squared_hinge,
    "crammer_singer": crammer_singer,
    "softmax": softmax,
}


def gradient(
    p: Params, x: np.ndarray, y: np.ndarray, l2: float, ds: np.ndarray, *, over: float | None = None
) -> Params:
    """The right gradient, given the derivative by the scores."""
    n = len(y) if over is None else over
    return {"W": ds.T @ x / n + 2.0 * l2 * p["W"], "b": ds.sum(axis=0) / n}


@dataclasses.dataclass(frozen=True)
class Bug:
    name: str
    loss: str
    explained: str | None
    by_hand: Callable[..., Params]
    size: float = 1.0  # what W is multiplied by, for the mistake to show


def of_scores(change: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Callable[..., Params]:
    """A gradient whose derivative by the scores is wrong."""

    def by_hand(p: Params, x: np.ndarray, y: np.ndarray, l2: float) -> Params:
        return gradient(p, x, y, l2, change(scores_of(p, x), y))

    return by_hand


def of_result(
    loss: str, change: Callable[[Params, Params, float, int], Params]
) -> Callable[..., Params]:
    """A gradient that is right but for what `change(gradient, params, l2, N)` does to it."""

    def by_hand(p: Params, x: np.ndarray, y: np.ndarray, l2: float) -> Params:
        g = gradient(p, x, y, l2, RIGHT[loss](scores_of(p, x), y))
        return change(g, p, l2, len(y))

    return by_hand


def no_true_row(loss: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    def ds(s: np.ndarray, y: np.ndarray) -> np.ndarray:
        right = RIGHT[loss](s, y)
        if loss == "softmax":
            return right + label_mask(s, y)
        return np.where(label_mask(s, y), 0.0, right)

    return ds


def unshifted_softmax(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(s)
        return e / e.sum(axis=1, keepdims=True) - label_mask(s, y)


def only_with_two_active(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    ds = hinge(s, y)
    two = (ds > 0).sum(axis=1) == 2
    ds[two] *= 1.5
    return ds


def wrong_for_one_class(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    ds = hinge(s, y)
    ds[:, 2] *= 0.9
    return ds


def stale_margins(p: Params, x: np.ndarray, y: np.ndarray, l2: float) -> Params:
    """The margins were computed before the last update of W."""
    before = {"W": p["W"] + 0.3, "b": p["b"] - 0.5 * np.arange(len(p["b"]))}
    return gradient(p, x, y, l2, hinge(scores_of(before, x), y))


def margins_include_label(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    active = (margins_of(s, y) > 0).astype(np.float64)
    own = label_mask(s, y)
    return np.where(own, 1.0 - (active * ~own).sum(axis=1, keepdims=True), active)


def no_margin(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    own = label_mask(s, y)
    active = (margins_of(s, y, 0.0) > 0) & ~own
    return np.where(own, -active.sum(axis=1, keepdims=True), active).astype(np.float64)


def once_an_example(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    ds = hinge(s, y)
    own = label_mask(s, y)
    return np.where(own, -(ds.min(axis=1, keepdims=True) < 0).astype(float), ds)


def bias_counted_in_features(p: Params, x: np.ndarray, y: np.ndarray, l2: float) -> Params:
    """b is treated as a row of W, penalty included."""
    g = gradient(p, x, y, l2, hinge(scores_of(p, x), y))
    return {"W": g["W"], "b": g["b"] + 2.0 * l2 * p["b"]}


def sum_with_right_penalty(loss: str) -> Callable[..., Params]:
    def by_hand(p: Params, x: np.ndarray, y: np.ndarray, l2: float) -> Params:
        return gradient(p, x, y, l2, RIGHT[loss](scores_of(p, x), y), over=1.0)

    return by_hand


def scaled(factor: float) -> Callable[[Params, Params, float, int], Params]:
    return lambda g, p, l2, n: {name: factor * leaf for name, leaf in g.items()}


def plus_weights(multiple: float) -> Callable[[Params, Params, float, int], Params]:
    return lambda g, p, l2, n: {"W": g["W"] + multiple * l2 * p["W"], "b": g["b"]}


def one_row_scaled(g: Params, p: Params, l2: float, n: int) -> Params:
    W = g["W"].copy()
    W[1] *= 1.0001
    return {"W": W, "b": g["b"]}


def one_coordinate_off(g: Params, p: Params, l2: float, n: int) -> Params:
    W = g["W"].copy()
    W[1, 2] += 1e-4 * np.abs(W).max()
    return {"W": W, "b": g["b"]}


def squared_without_two(s: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.5 * squared_hinge(s, y)


def divided_again(g: Params, p: Params, l2: float, n: int) -> Params:
    return {name: leaf / n for name, leaf in g.items()}


def summed(g: Params, p: Params, l2: float, n: int) -> Params:
    return {name: n * leaf for name, leaf in g.items()}


def transposed(g: Params, p: Params, l2: float, n: int) -> Params:
    return {"W": g["W"].T, "b": g["b"]}


def bias_summed(g: Params, p: Params, l2: float, n: int) -> Params:
    return {"W": g["W"], "b": n * g["b"]}


def bias_left_out(g: Params, p: Params, l2: float, n: int) -> Params:
    return {"W": g["W"], "b": np.zeros_like(g["b"])}


HINGE, SQUARED, SOFTMAX = "weston_watkins", "squared_weston_watkins", "softmax"
FORGOTTEN = "forgotten true-class row"
BUGS = (
    Bug("1/N missing", HINGE, "sum for mean", sum_with_right_penalty(HINGE)),
    Bug("1/N missing, softmax", SOFTMAX, "sum for mean", sum_with_right_penalty(SOFTMAX)),
    Bug("all times N", HINGE, "sum for mean", of_result(HINGE, summed)),
    Bug("b a sum", SOFTMAX, "sum for mean", of_result(SOFTMAX, bias_summed)),
    Bug("1/N twice", SOFTMAX, "1/N twice", of_result(SOFTMAX, divided_again)),
    Bug("penalty missing", HINGE, "missing penalty", of_result(HINGE, plus_weights(-2.0))),
    Bug(
        "penalty halved",
        SOFTMAX,
        "factor 1/2 on the penalty",
        of_result(SOFTMAX, plus_weights(-1.0)),
    ),
    Bug("penalty doubled", HINGE, "factor 2 on the penalty", of_result(HINGE, plus_weights(2.0))),
    Bug(
        "penalty subtracted",
        SOFTMAX,
        "sign of the penalty",
        of_result(SOFTMAX, plus_weights(-4.0)),
    ),
    Bug("bias penalised", HINGE, "penalised bias", bias_counted_in_features),
    Bug("true-class row forgotten", HINGE, FORGOTTEN, of_scores(no_true_row(HINGE))),
    Bug("the -1 forgotten", SOFTMAX, FORGOTTEN, of_scores(no_true_row(SOFTMAX))),
    Bug("true-class row forgotten, squared", SQUARED, FORGOTTEN, of_scores(no_true_row(SQUARED))),
    Bug("true class once an example", HINGE, "true-class row once", of_scores(once_an_example)),
    Bug(
        "true class among the wrong ones",
        HINGE,
        "true class counted",
        of_scores(margins_include_label),
    ),
    Bug("margin forgotten", HINGE, "missing margin", of_scores(no_margin)),
    Bug("transposed", HINGE, "transposed", of_result(HINGE, transposed)),
    Bug("wrong sign", SOFTMAX, "sign", of_result(SOFTMAX, scaled(-1.0))),
    Bug("factor 2", HINGE, "factor", of_result(HINGE, scaled(2.0))),
    Bug("wrong by 1e-4", SOFTMAX, "factor", of_result(SOFTMAX, scaled(1.0001))),
    Bug("one row wrong by 1e-4", HINGE, "factor in one row", of_result(HINGE, one_row_scaled)),
    Bug("one coordinate wrong by 1e-4", SOFTMAX, None, of_result(SOFTMAX, one_coordinate_off)),
    Bug("b left out", HINGE, "zero", of_result(HINGE, bias_left_out)),
    Bug("Crammer-Singer for Weston-Watkins", HINGE, "another hinge", of_scores(crammer_singer)),
    Bug("Weston-Watkins for Crammer-Singer", "crammer_singer", "another hinge", of_scores(hinge)),
    Bug("softmax for the hinge", HINGE, "another loss", of_scores(softmax)),
    Bug("hinge for the squared hinge", SQUARED, "another hinge", of_scores(hinge)),
    Bug(
        "the square's 2 forgotten",
        SQUARED,
        "factor 1/2 on the data term",
        of_scores(squared_without_two),
    ),
    Bug("unshifted softmax", SOFTMAX, "not finite", of_scores(unshifted_softmax), size=2000.0),
    Bug("stale margins", HINGE, None, stale_margins),
    Bug("wrong for one class", HINGE, None, of_scores(wrong_for_one_class)),
    Bug("wrong with two active margins", HINGE, None, of_scores(only_with_two_active)),
)
