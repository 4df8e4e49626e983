"""How far the exact optimum's bias can be from a softmax model's.

Nothing holds a free bias but the data, so that the distance of W says nothing about it. The losses
do: with the optimal dual point, p* its probabilities, the gap falls into two parts,

    P(W, b) - P* = sum_i w_i KL(p*_i || p_i) + l2 ||W - W*||^2

(the Fenchel-Young gap of softmax is a Kullback-Leibler divergence, and the bias drops out because
the dual point is balanced). Suppose that the optimum's lead of class j over class k is lower by e
at some point c. Then it is lower by at least `e - sqrt(2) r ||x_i - c||` at each example, and there
p* costs at least

    KL >= -log(1 - m + m exp(-kl(q' || q)))

with `m = p_j + p_k`, q the share of j in it, q' the share after that change, and kl the divergence
of two coins: what else p* does can only cost more. An e whose cost is above the gap is impossible.
"""

from __future__ import annotations

import math

import numpy as np

# More classes would take minutes: nothing is claimed.
MOST_CLASSES = 300
_MOST_EXAMPLES, _FEWEST_EXAMPLES, _PAIRS_AND_EXAMPLES = 4096, 64, 4_000_000
# Leads that change by more are not told apart from any.
_LARGEST_SHIFT, _STEPS = 1e3, 30
# What the divergence of an example is computed to.
_ROUNDING = 1e-13


def examples_looked_at(num_examples: int, num_classes: int) -> np.ndarray:
    """The rows that the bound is made from, evenly spaced: any will do, and more make it tighter.

    >>> examples_looked_at(5, 2).tolist()
    [0, 1, 2, 3, 4]
    """
    most = int(np.clip(_PAIRS_AND_EXAMPLES // num_classes**2, _FEWEST_EXAMPLES, _MOST_EXAMPLES))
    return np.linspace(0, num_examples - 1, min(num_examples, most)).astype(np.int64)


def largest_falls(
    scores: np.ndarray, weight: np.ndarray, distance: np.ndarray, gap: float, radius: float
) -> np.ndarray:
    """How much lower the optimum's lead of class j over class k can be at the point c.

    Args:
      scores: of some examples, float64 (n, C).
      weight: their shares of the whole data's weight (n,), of which they need not be all.
      distance: of their features from c (n,).
      gap: that is certified.
      radius: of W.

    Returns:
      (C, C), row j and column k; infinity where nothing is known, 0 on the diagonal.
    """
    num_classes = scores.shape[1]
    logs = scores - scores.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    noise = math.sqrt(2.0) * radius * distance
    falls = np.zeros((num_classes, num_classes))
    for j in range(num_classes):
        lead = logs[:, [j]] - logs
        mass = np.exp(logs[:, [j]]) + np.exp(logs)
        falls[j] = _first_impossible(lead, mass, weight, noise, gap)
    falls[np.arange(num_classes), np.arange(num_classes)] = 0.0
    return falls


def _first_impossible(
    lead: np.ndarray, mass: np.ndarray, weight: np.ndarray, noise: np.ndarray, gap: float
) -> np.ndarray:
    """By class k: the least shift of a lead (n, C) that is known to cost more than the gap."""

    def is_impossible(shift: np.ndarray) -> np.ndarray:
        change = np.maximum(shift[None, :] - noise[:, None], 0.0)
        cost = _divergence(lead, mass, change)
        return weight @ np.maximum(cost - _ROUNDING, 0.0) > gap

    low, high = np.zeros(lead.shape[1]), np.full(lead.shape[1], _LARGEST_SHIFT)
    is_known = is_impossible(high)
    for _ in range(_STEPS):
        # By their ratio where both are far from 0, because shifts differ by orders of magnitude.
        middle = np.where(low > 1e-9, np.sqrt(np.maximum(low, 1e-9) * high), 0.03 * high)
        hits = is_impossible(middle)
        low, high = np.where(hits, low, middle), np.where(hits, middle, high)
    return np.where(is_known, high, np.inf)


def _divergence(lead: np.ndarray, mass: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The least KL(p* || p) where a lead falls by `change`, (n, C)."""
    after = lead - change
    share = np.exp(_log_sigmoid(after))
    coin = share * (_log_sigmoid(after) - _log_sigmoid(lead))
    coin += (1.0 - share) * (_log_sigmoid(-after) - _log_sigmoid(-lead))
    # A mass that rounding makes 1 would make the cost of a far shift infinite: less is a bound.
    mass = np.minimum(mass, 1.0) * (1.0 - 1e-12)
    return -np.log1p(mass * np.expm1(-np.maximum(coin, 0.0)))


def _log_sigmoid(z: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0.0, -z)
