"""Three gradients of any function, side by side, and a verdict.

The function is evaluated in float64, whatever JAX's global setting is. The numerical gradient is
the referee: it knows its own error, and sees from both sides of a point whether the function has a
kink there. Where it does, everything between the two one-sided derivatives is accepted, and the
gradients have to be right beside the kink. What was given in float32 or bfloat16 is then run in its
own dtype as well and judged in units of its own eps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.captured import float64_scope_for
from jaxlin.checks import as_key, check_count
from jaxlin.errors import InputError
from jaxlin.gradients.comparison import Leaves, compared, coordinate, leaves_like
from jaxlin.gradients.evaluation import ByHand, Function, is_array, widened
from jaxlin.gradients.explanations import Explanation, explain, explain_shapes
from jaxlin.gradients.judgement import EPS64, Judgement, cancelled, judge
from jaxlin.gradients.referee import leaf_sizes
from jaxlin.gradients.report import GradientReport, Pair, Verdict
from jaxlin.gradients.score_mistakes import LinearProblem

_MOST_WORST = 5
_UNIT = "the largest |gradient|"

# An error in float32 or narrower, as a share of the largest entry of its leaf, that is no rounding.
_NARROW_SHARE = 0.05


def check_function(
    f: Callable[..., Any],
    params: Any,
    *args: Any,
    by_hand: Callable[..., Any] | None = None,
    coordinates: int | None = None,
    directions: int = 16,
    key: Any = None,
) -> GradientReport:
    """`jaxlin.gradients.check` for a function that nothing is known of.

    Args:
      f: as for `check`.
      params: as for `check`.
      *args: as for `check`.
      by_hand: as for `check`.
      coordinates: as for `check`.
      directions: as for `check`.
      key: as for `check`.

    >>> check_function(lambda p: jnp.sum(jnp.abs(p)), np.array([0.0, 1.0])).verdict
    'kink'
    """
    if coordinates is not None:
        check_count("coordinates", coordinates)
    if isinstance(directions, bool) or not isinstance(directions, int) or directions < 0:
        raise InputError(f"directions must be a whole number of at least 0, got {directions!r}.")
    key = as_key(key)
    with float64_scope_for(f):
        function = Function.of(f, params, args)
        if not function.flat.size:
            raise InputError("params hold no numbers: there is nothing to differentiate by.")
        autodiff = function.gradient()
        hand = None if by_hand is None else ByHand(by_hand, params, widened(args))
        given = None
        if hand is not None:
            given = leaves_like(hand(function), autodiff, "by_hand")
            misshapen = explain_shapes(given, autodiff, "The gradient by hand")
            if misshapen is not None:
                return _misshapen(autodiff, misshapen)
        judged = judge(
            function, autodiff, hand, given, coordinates=coordinates, directions=directions, key=key
        )
    narrow = _in_own_dtype(f, params, args, by_hand, function)
    return _report(function, judged, narrow, args)


def _misshapen(autodiff: Leaves, why: Explanation) -> GradientReport:
    """The report on a gradient that cannot be compared."""
    return GradientReport(
        verdict="disagrees",
        explanation=why.sentence,
        cause=why.cause,
        pairs=(),
        worst=(),
        kinks=(),
        dtype="float64",
        eps=EPS64,
        scale=_scale(autodiff),
        unit=_UNIT,
        step=None,
        numerical_error=None,
        num_checked=0,
        num_coordinates=autodiff.flat.size,
        num_directions=0,
    )


def _scale(autodiff: Leaves) -> float:
    finite = np.abs(autodiff.flat[np.isfinite(autodiff.flat)])
    return float(np.max(finite, initial=0.0)) or 1.0


class _Narrow:
    """Gradients computed in the dtype that the parameters came in."""

    def __init__(self, dtype: Any, gradients: dict[str, Leaves]) -> None:
        self.dtype, self.gradients = jnp.dtype(dtype), gradients
        self.eps = float(jnp.finfo(dtype).eps)


def _in_own_dtype(
    f: Callable[..., Any],
    params: Any,
    args: tuple[Any, ...],
    by_hand: Callable[..., Any] | None,
    function: Function,
) -> _Narrow | None:
    """The gradients in float32 or narrower, if that is what the parameters are."""
    # A Python number, or NumPy's float64, is no wish for float32.
    dtypes = [getattr(leaf, "dtype", np.dtype(np.float64)) for leaf in jax.tree.leaves(params)]
    widest = max(dtypes, key=lambda dtype: jnp.finfo(dtype).bits)
    if jnp.finfo(widest).bits == 64:
        return None
    with jax.enable_x64(False):
        own = jax.tree.map(jnp.asarray, params)
        gradients = {"jax.grad": leaves_like(jax.grad(f)(own, *args), function.leaves, "jax.grad")}
        if by_hand is not None:
            # What it writes into is its own copy.
            copies = jax.tree.map(lambda v: v.copy() if is_array(v) else v, (params, args))
            found = by_hand(copies[0], *copies[1])
            gradients["by hand"] = leaves_like(found, function.leaves, "by_hand")
    return _Narrow(widest, gradients)


def _problem(function: Function, args: tuple[Any, ...]) -> LinearProblem | None:
    """The examples, where the arguments look like features and labels."""
    leaves = [leaf for leaf in jax.tree.leaves(args) if is_array(leaf)]
    arrays = [np.asarray(leaf) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.number)]
    features = [a for a in arrays if a.ndim == 2]
    widths = {size for leaf in function.leaves.arrays if leaf.ndim == 2 for size in leaf.shape}
    for x in features:
        labels = [a for a in arrays if a.shape == x.shape[:1] and a.dtype.kind in "iu"]
        labels += [np.argmax(a, axis=1) for a in features if a is not x and _is_one_hot(a, len(x))]
        if x.shape[1] in widths and labels and len(x) and labels[0].min() >= 0:
            numbers = [
                float(arg)
                for arg in args
                if np.ndim(arg) == 0 and isinstance(arg, float | np.floating | jax.Array)
            ]
            l2 = numbers[0] if len(numbers) == 1 else None
            weight = np.full(len(x), 1.0 / len(x))
            return LinearProblem(x.astype(np.float64), labels[0], weight, l2)
    return None


def _is_one_hot(array: np.ndarray, num_examples: int) -> bool:
    is_binary = np.isin(array, (0, 1)).all()
    return len(array) == num_examples and bool(is_binary and (array.sum(axis=1) == 1).all())


def _report(
    function: Function, judged: Judgement, narrow: _Narrow | None, args: tuple[Any, ...]
) -> GradientReport:
    autodiff, scale = judged.autodiff, _scale(judged.autodiff)
    verdict, explanation, cause = judged.verdict, judged.explanation, None
    if judged.wrong == ("by hand",):
        where = judged.evidence
        if np.any(~(np.abs(where.by_hand.flat - where.autodiff.flat) <= where.tolerance)):
            problem = _problem(function, args)
            cause, explanation = explain(
                where.by_hand, where.autodiff, where.function.leaves, where.tolerance, problem
            )
            if where.function is not function:
                explanation += " This was seen a little beside the kinks at the parameters."
    elif narrow is not None and verdict in ("agrees", "kink"):
        verdict, more, cause = _judge_narrow(narrow, judged)
        explanation = f"{explanation} {more}".strip()
    referee = judged.referee
    columns = _columns(judged)
    steps, errors = columns["step"], columns["error"]
    return GradientReport(
        verdict=verdict,
        explanation=explanation,
        cause=cause,
        pairs=tuple(_pairs(judged, narrow, scale)),
        worst=tuple(coordinate(int(at), autodiff, **columns) for at in judged.worst[:_MOST_WORST]),
        kinks=referee.kinks(autodiff),
        dtype="float64" if narrow is None else str(narrow.dtype),
        eps=EPS64 if narrow is None else narrow.eps,
        scale=scale,
        unit=_UNIT,
        step=float(np.nanmedian(steps)),
        numerical_error=float(np.nanmax(errors)),
        num_checked=len(referee.coordinates),
        num_coordinates=autodiff.flat.size,
        num_directions=len(referee.directions),
    )


def _columns(judged: Judgement) -> dict[str, np.ndarray]:
    """What is known of every coordinate (P,), NaN where it is not."""
    referee, size = judged.referee, judged.autodiff.flat.size

    def spread(values: np.ndarray) -> np.ndarray:
        flat = np.full(size, np.nan)
        flat[referee.coordinates] = values
        return flat

    along = referee.along
    at_kinks = {
        name: spread(np.where(along.is_kink, side, np.nan))
        for name, side in (("left", along.left), ("right", along.right))
    }
    by_hand = np.full(size, np.nan) if judged.by_hand is None else judged.by_hand.flat
    return {
        "by_hand": by_hand,
        "numerical": spread(along.value),
        "error": spread(along.bound),
        "step": spread(along.step),
        **at_kinks,
    }


def _judge_narrow(narrow: _Narrow, judged: Judgement) -> tuple[Verdict, str, str | None]:
    """What the implementation's own dtype adds to the verdict."""
    reference, sizes = judged.autodiff.flat, leaf_sizes(judged.autodiff)
    excused = np.zeros(reference.size, bool)
    if judged.referee.sees_kinks:
        excused[:] = True  # rounding decides on which side of a kink it falls
        excused[judged.referee.coordinates] = judged.referee.is_kink
    for name, gradient in narrow.gradients.items():
        finite = np.isfinite(gradient.flat)
        said = "The gradient by hand" if name == "by hand" else "jax.grad"
        if not finite.all():
            leaf, index = gradient.place(int(np.argmin(finite)))
            return "disagrees", (
                f"{said} is not finite in {narrow.dtype}, at {leaf}{list(index)}, where it is in "
                "float64: something overflows on the way."
            ), "not finite"  # fmt: skip
        error = np.abs(gradient.flat - reference) / np.where(sizes > 0.0, sizes, 1.0)
        error[excused] = 0.0
        error[np.abs(gradient.flat - reference) <= cancelled(judged.autodiff, narrow.eps)] = 0.0
        at = int(np.argmax(error))
        if error[at] > _NARROW_SHARE:
            leaf, index = gradient.place(at)
            return "undecided", (
                f"But {said} in {narrow.dtype} is {gradient.flat[at]:.4g} at {leaf}{list(index)}, "
                f"where float64 gives {reference[at]:.4g}: a kink that rounding falls on the other "
                "side of, or a formula that loses its digits."
            ), None  # fmt: skip
    return judged.verdict, "", None


def _pairs(judged: Judgement, narrow: _Narrow | None, scale: float) -> list[Pair]:
    wide, referee = judged.autodiff, judged.referee
    compare = functools.partial(compared, scale=scale, eps=EPS64)
    pairs = []
    if judged.by_hand is not None:
        pairs.append(compare("by hand", judged.by_hand, "jax.grad", wide))
    for name, gradient in (("by hand", judged.by_hand), ("jax.grad", wide)):
        if gradient is not None:
            at, flat = referee.coordinates, gradient.flat.copy()
            flat[at] = np.clip(flat[at], referee.along.low, referee.along.high)
            nearest = wide.replace(flat)
            pairs.append(compare(name, gradient, "numerical", nearest, coordinates=at))
    if judged.forward is not None:
        at = referee.coordinates[: len(judged.forward)]
        flat = wide.flat.copy()
        flat[at] = judged.forward
        pairs.append(compare("forward mode", wide.replace(flat), "jax.grad", wide, coordinates=at))
    if narrow is not None:
        for name, gradient in narrow.gradients.items():
            first = f"{name}, {narrow.dtype}"
            pairs.append(
                compared(first, gradient, "jax.grad, float64", wide, scale=scale, eps=narrow.eps)
            )
    return pairs
