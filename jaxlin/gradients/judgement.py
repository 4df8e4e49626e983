"""The verdict in float64: which gradient is right, by the numerical one's leave.

A gradient at a kink is a matter of convention, and one beside it is not: where kinks are seen, the
gradients have to be right a little way off as well, so that a wrong one is not excused by a kink.
"""

from __future__ import annotations

import dataclasses

import jax
import numpy as np

from jaxlin.data.order import key_words
from jaxlin.gradients.comparison import Leaves, leaves_like
from jaxlin.gradients.evaluation import ByHand, Function
from jaxlin.gradients.extrapolation import num_steps
from jaxlin.gradients.referee import Referee, leaf_sizes
from jaxlin.gradients.report import Verdict

# The numerical derivatives may move so many bytes; but so many coordinates are looked at whatever
# that costs, and at most so many of them because they are suspicious.
_MOST_BYTES, _FEWEST, _SUSPECTS = 1 << 33, 64, 32
_MOST_FORWARD = 64

# Rounding in float64: as a share of the largest entry of a leaf, and in units of the noise seen.
_SHARE, _NOISES = 1e-9, 100.0
EPS64 = float(np.finfo(np.float64).eps)

# In units of eps: of sums that cancel.
_CANCELLED = 16.0

# How far beside a kink to look again, times max(1, |p|), and how often.
_BESIDE, _TIMES_BESIDE = 1e-3, 2

# How near a kink its limiting gradients are sampled, times max(1, |p|), and how many of them.
_CLOSE, _LIMITS = 1e-7, 8

_SAID = {"by hand": "The gradient by hand", "jax.grad": "jax.grad"}


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """Where a gradient by hand was seen to be wrong.

    Attributes:
      function: at the parameters, or a little beside them.
      autodiff: there.
      by_hand: there; where a kink lets it choose, as if it had chosen as `jax.grad` does.
      tolerance: how far the two may differ by rounding (P,).
    """

    function: Function
    autodiff: Leaves
    by_hand: Leaves
    tolerance: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Judgement:
    """What float64 shows.

    Attributes:
      verdict: without regard to the implementation's own dtype.
      explanation: a sentence; of a gradient by hand that is wrong only where it is.
      wrong: which gradients are wrong: `"by hand"`, `"jax.grad"`, both or neither.
      evidence: on the gradient by hand (on `jax.grad` itself where there is none).
      autodiff: by `jax.grad`.
      by_hand: or None.
      tolerance: how far two right gradients may differ by rounding (P,).
      referee: the numerical derivatives.
      forward: forward mode at the first of the referee's coordinates; None where there is none.
      worst: coordinates, the most suspicious first.
    """

    verdict: Verdict
    explanation: str
    wrong: tuple[str, ...]
    evidence: Evidence
    autodiff: Leaves
    by_hand: Leaves | None
    tolerance: np.ndarray
    referee: Referee
    forward: np.ndarray | None
    worst: np.ndarray


def judge(
    function: Function,
    autodiff: Leaves,
    by_hand: ByHand | None,
    given: Leaves | None,
    *,
    coordinates: int | None,
    directions: int,
    key: jax.Array,
) -> Judgement:
    """Compares the gradients in float64.

    Args:
      function: what they are the gradients of.
      autodiff: by `jax.grad`.
      by_hand: the function that computes a gradient by hand, or None.
      given: what it gives, its leaves shaped like those of `autodiff`.
      coordinates: how many to take the numerical derivative of; None: as many as are quickly done.
      directions: along how many random directions to take it.
      key: of what is random.
    """
    rng = np.random.default_rng(key_words(key))
    auto = autodiff.flat
    hand = auto if given is None else given.flat
    sizes, noise = leaf_sizes(autodiff), _noise(function, autodiff)
    tolerance = _SHARE * sizes + _NOISES * noise + cancelled(autodiff, EPS64)
    gap = np.abs(hand - auto)
    gap[~np.isfinite(gap)] = np.inf
    checked = _chosen(function, gap - tolerance, coordinates, rng)
    drawn = rng.normal(size=(directions, auto.size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    referee = Referee(function, autodiff, checked, drawn, noise)

    candidates = {"jax.grad": auto} if given is None else {"jax.grad": auto, "by hand": hand}
    limits: list[np.ndarray] = []
    beside: dict[str, Evidence] = {}
    if referee.sees_kinks:
        limits = _limits(function, rng)
        beside = _wrong_beside(function, by_hand, checked, noise, rng)
    here_wrong = {
        name
        for name, gradient in candidates.items()
        if not np.isfinite(gradient).all() or referee.is_wrong(gradient)
    }
    if referee.sees_kinks and "jax.grad" not in beside:
        # Where the gradients close by are not all between the sides, the function is neither convex
        # nor concave there, and the sides are no bounds: what is right close by may follow any
        # convention. jax.grad may wherever it is right beside the kinks, and a gradient by hand
        # that gives the same.
        finite = {name for name, gradient in candidates.items() if np.isfinite(gradient).all()}
        here_wrong -= finite & {"jax.grad"}
        same = np.all(gap[checked] <= tolerance[checked])
        if "by hand" not in beside and (same or not referee.bounds(limits)):
            here_wrong -= finite
    wrong = here_wrong | set(beside)
    only_beside = bool(wrong) and wrong <= set(beside)
    excess = np.zeros(auto.size)
    for gradient in candidates.values():
        excess[checked] = np.maximum(excess[checked], referee.excess(gradient))
    differs = _differs_at_slopes(gap > tolerance, referee)
    verdict, explanation = _verdict(function, referee, wrong, differs, candidates, gap)
    if only_beside:
        names = " and ".join(_SAID[name] for name in sorted(wrong))
        explanation = f"{names} is wrong beside the kinks at the parameters."
    with np.errstate(invalid="ignore"):
        suspicion = np.fmax(gap, excess) / np.where(sizes > 0.0, sizes, 1.0)
    seen = np.zeros(auto.size, bool)
    seen[checked] = True
    here = Evidence(
        function, autodiff, autodiff.replace(_chosen_alike(auto, hand, referee)), tolerance
    )
    return Judgement(
        verdict=verdict,
        explanation=explanation,
        wrong=tuple(sorted(wrong)),
        evidence=beside["by hand"] if only_beside and "by hand" in beside else here,
        autodiff=autodiff,
        by_hand=given,
        tolerance=tolerance,
        referee=referee,
        forward=function.forward_mode(checked[:_MOST_FORWARD]),
        worst=np.lexsort((~seen, -suspicion)),
    )


def _chosen_alike(auto: np.ndarray, hand: np.ndarray, referee: Referee) -> np.ndarray:
    """The gradient by hand, as `jax.grad` has it where a kink lets it choose (P,)."""
    flat = hand.copy()
    free = referee.coordinates[referee.is_kink & (referee.excess(hand) == 0.0)]
    flat[free] = auto[free]
    return flat


def cancelled(autodiff: Leaves, eps: float) -> float:
    """What may be left of a sum that cancels, of terms as large as the largest of all leaves.

    The gradient by b is such a sum at W = 0, where there are as many examples of every class: zero,
    and rounding of the inputs does not show it.

    Args:
      autodiff: the gradient.
      eps: of the dtype that it is computed in.
    """
    return _CANCELLED * eps * float(np.max(leaf_sizes(autodiff), initial=0.0))


def _noise(function: Function, autodiff: Leaves) -> np.ndarray:
    """Rounding noise (P,): of a leaf the median of what was seen, so that no kink dominates it."""
    noise = autodiff.replace(function.noise(autodiff))
    medians = [float(np.median(a)) if a.size else 0.0 for a in noise.arrays]
    return autodiff.by_leaf([m if np.isfinite(m) else 0.0 for m in medians])


def _chosen(
    function: Function, suspicion: np.ndarray, count: int | None, rng: np.random.Generator
) -> np.ndarray:
    """Coordinates to take the numerical derivative of; the suspicious first, if not all (K,)."""
    total = suspicion.size
    if count is None:
        evaluations = 2 * num_steps(np.float64) + 1
        count = max(_FEWEST, _MOST_BYTES // (evaluations * max(function.bytes_of_one_value(), 1)))
    if count >= total:
        return np.arange(total)
    order = np.argsort(-suspicion, kind="stable")
    suspects = order[: min(_SUSPECTS, max(1, count // 2))]
    suspects = suspects[suspicion[suspects] > 0.0]
    rest = np.setdiff1d(np.arange(total), suspects)
    return np.concatenate([suspects, np.sort(rng.choice(rest, count - len(suspects), False))])


def _limits(function: Function, rng: np.random.Generator) -> list[np.ndarray]:
    """Gradients by `jax.grad` very close to a kink, each (P,)."""
    flat = function.flat
    seen = []
    for _ in range(_LIMITS):
        away = rng.uniform(-1.0, 1.0, flat.size) * np.maximum(1.0, np.abs(flat))
        seen.append(function.at(flat + _CLOSE * away).gradient().flat)
    return [gradient for gradient in seen if np.isfinite(gradient).all()]


def _is_wrong_at_slopes(referee: Referee, gradient: np.ndarray) -> bool:
    """Whether a gradient is wrong by a coordinate along which there is no kink."""
    return bool(((referee.excess(gradient) > 0.0) & ~referee.is_kink).any())


def _wrong_beside(
    function: Function,
    by_hand: ByHand | None,
    checked: np.ndarray,
    noise: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, Evidence]:
    """Which gradients are wrong where the function has slopes, a little way off."""
    wrong: dict[str, Evidence] = {}
    for _ in range(_TIMES_BESIDE):
        flat = function.flat
        away = rng.choice([-1.0, 1.0], flat.size) * rng.uniform(0.5, 1.0, flat.size)
        there = function.at(flat + _BESIDE * np.maximum(1.0, np.abs(flat)) * away)
        autodiff = there.gradient()
        if not np.isfinite(autodiff.flat).all():
            continue
        nowhere = np.zeros((0, flat.size))
        referee = Referee(there, autodiff, checked, nowhere, noise)
        tolerance = _SHARE * leaf_sizes(autodiff) + _NOISES * noise + cancelled(autodiff, EPS64)
        if _is_wrong_at_slopes(referee, autodiff.flat):
            wrong["jax.grad"] = Evidence(there, autodiff, autodiff, tolerance)
        if by_hand is not None:
            given = leaves_like(by_hand(there), autodiff, "by_hand")
            if _is_wrong_at_slopes(referee, given.flat):
                alike = _chosen_alike(autodiff.flat, given.flat, referee)
                wrong["by hand"] = Evidence(there, autodiff, given.replace(alike), tolerance)
    return wrong


def _differs_at_slopes(differs: np.ndarray, referee: Referee) -> np.ndarray:
    """Where the two gradients differ and no kink excuses it (P,)."""
    excused = np.zeros(differs.size, bool)
    if referee.sees_kinks:
        # Of what was not looked at nobody knows: it may well be the same kinks.
        excused[:] = True
        excused[referee.coordinates] = referee.is_kink
    return differs & ~excused


def _verdict(
    function: Function,
    referee: Referee,
    wrong: set[str],
    differs: np.ndarray,
    candidates: dict[str, np.ndarray],
    gap: np.ndarray,
) -> tuple[Verdict, str]:
    if not np.isfinite(function.value()):
        return "undecided", "The function is not finite at the parameters: there is no slope."
    if wrong:
        return "disagrees", _who(function, referee, wrong, candidates)
    blind = referee.cannot_tell
    if blind.all():
        return "undecided", (
            "The numerical gradient is no better than a guess everywhere: the function changes too "
            "little, or too abruptly, for float64 to see."
        )
    if differs.any():
        at = int(np.argmax(np.where(differs, gap, -1.0)))
        leaf, index = function.leaves.place(at)
        return "undecided", (
            f"By hand and jax.grad differ by {gap[at]:.3g} at {leaf}{list(index)}: more than "
            "rounding explains, and less than the numerical gradient can tell."
        )
    if referee.sees_kinks:
        given = "Both gradients are" if len(candidates) > 1 else "jax.grad is"
        how = "among the derivatives from either side, and right beside the kinks"
        if any(referee.is_wrong(gradient) for gradient in candidates.values()):
            how = "right beside the kinks; at them, no value between the two sides but a convention"
        count = int(referee.is_kink.sum())
        where = (
            f"{count:,} of the {len(blind):,} coordinates looked at" if count else "some directions"
        )
        return "kink", f"The function has a kink at the parameters, along {where}. {given} {how}."
    names = (
        "By hand, jax.grad and the numerical"
        if len(candidates) > 1
        else "jax.grad and the numerical"
    )
    unsure = (
        f" At {int(blind.sum()):,} coordinates the numerical one cannot tell."
        if blind.any()
        else ""
    )
    return "agrees", f"{names} gradient agree.{unsure}"


def _who(
    function: Function,
    referee: Referee,
    wrong: set[str],
    candidates: dict[str, np.ndarray],
) -> str:
    """Which gradient is wrong, and where most."""
    sentences = []
    for name in sorted(wrong & set(candidates)):
        gradient = candidates[name]
        excess = referee.excess(gradient)
        at = int(np.argmax(excess))
        said = _SAID[name]
        if excess[at] == 0.0:
            sentences.append(f"{said} is wrong along random directions.")
            continue
        leaf, index = function.leaves.place(int(referee.coordinates[at]))
        low, high = float(referee.along.low[at]), float(referee.along.high[at])
        right = f"{low:.8g}" if low == high else f"between {low:.8g} and {high:.8g}"
        sentences.append(
            f"{said} is wrong at {leaf}{list(index)}: {gradient[referee.coordinates[at]]:.8g}, "
            f"where the numerical derivative is {right} (estimated error "
            f"{referee.along.bound[at]:.1g})."
        )
        if name == "jax.grad":
            sentences.append(
                "A custom derivative rule, a stop_gradient, or values that pass through integers "
                "or NumPy do this."
            )
    return " ".join(sentences)
