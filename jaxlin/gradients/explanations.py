"""Why a gradient is wrong: the known mistakes, tried one after the other.

A wrong gradient is held against what each mistake would have made of the right one. Some need
nothing but the two gradients and the parameters (a constant factor, a penalty's factor, a
transposed matrix); others need the examples of a linear classifier (a forgotten true-class row).
A form counts only if it explains the whole of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from jaxlin.gradients.comparison import Leaves
from jaxlin.gradients.score_mistakes import (
    Form,
    LinearProblem,
    projection_factor,
    wrong_score_gradients,
)

# What part of the difference a form may leave unexplained.
_UNEXPLAINED = 1e-6


class Explanation(NamedTuple):
    """Why a gradient is wrong.

    Attributes:
      cause: a short name for programs, for example `"sum for mean"`; None where no form fits.
      sentence: where, and why.
    """

    cause: str | None
    sentence: str


def explain_shapes(given: Leaves, reference: Leaves, name: str) -> Explanation | None:
    """The explanation of leaves of a wrong shape; None where all are right."""
    for leaf, got, right in zip(given.names, given.arrays, reference.arrays, strict=True):
        if got.shape == right.shape:
            continue
        said = f"{name} gives {leaf} the shape {got.shape}; it must be {right.shape}"
        if got.shape == right.shape[::-1]:
            size = np.max(np.abs(right), initial=0.0)
            same = np.allclose(got.T, right, rtol=1e-6, atol=1e-9 * size)
            more = "transposed, it agrees" if same else "transposed, it would still be wrong"
            return Explanation("transposed", f"{said}: {more}.")
        return Explanation("shape", f"{said}.")
    return None


def explain(
    given: Leaves,
    reference: Leaves,
    params: Leaves,
    tolerance: np.ndarray,
    problem: LinearProblem | None,
    *,
    name: str = "The gradient by hand",
) -> Explanation:
    """Why a gradient differs from the right one.

    Args:
      given: the wrong gradient, its leaves shaped like the parameters.
      reference: the right one.
      params: where both were taken.
      tolerance: differences up to it are none (P,), in the order of the flat arrays.
      problem: the examples, where the function is known to be a linear classifier's.
      name: of the wrong gradient, to begin the sentence with.

    Returns:
      `Explanation`.
    """
    finite = np.isfinite(given.flat)
    if not finite.all():
        leaf, index = reference.place(int(np.argmin(finite)))
        return Explanation(
            "not finite",
            f"{name} is not finite at {_place(leaf, index)} (and {int((~finite).sum()) - 1} more), "
            "where the right one is. An exponential or a square that overflows does this: take the "
            "largest score off first.",
        )
    bounds = reference.replace(tolerance).arrays
    wrong = [
        leaf
        for leaf, (a, b, bound) in enumerate(
            zip(given.arrays, reference.arrays, bounds, strict=True)
        )
        if np.any(np.abs(a - b) > bound)
    ]
    names = " and ".join(reference.names[leaf] for leaf in wrong)
    only = f" Only {names} is wrong." if len(wrong) == 1 < len(reference.names) else ""
    found = {}
    for leaf in wrong:
        forms = _forms(leaf, given, reference, params, problem)
        found[leaf] = _first_that_fits(
            forms, given.arrays[leaf], reference.arrays[leaf], bounds[leaf]
        )
    causes = {None if form is None else form.cause for form in found.values()}
    # A sum for a mean may be seen as a plain factor in the leaf that has no penalty.
    if None not in causes and (len(causes) == 1 or causes == {"sum for mean", "factor"}):
        form = next(
            form for form in found.values() if form and (len(causes) == 1 or form.cause != "factor")
        )
        return Explanation(form.cause, f"{name} of {names} {form.words}.{only}")
    explained = [
        f"{reference.names[leaf]} {form.words}" for leaf, form in found.items() if form is not None
    ]
    if explained and None not in causes:
        cause = next(form.cause for form in found.values() if form is not None)
        return Explanation(cause, f"{name}: {'; '.join(explained)}.")
    return _where(given, reference, bounds, wrong, name)


def _place(leaf: str, index: tuple[int, ...]) -> str:
    return f"{leaf}[{', '.join(map(str, index))}]" if index else leaf


def _first_that_fits(
    forms: Iterator[Form], given: np.ndarray, right: np.ndarray, bound: np.ndarray
) -> Form | None:
    allowed = 4.0 * bound + _UNEXPLAINED * np.max(np.abs(given - right))
    for form in forms:
        if form.predicted.shape == given.shape and np.all(
            np.abs(given - form.predicted) <= allowed
        ):
            return form
    return None


def _forms(
    leaf: int, given: Leaves, reference: Leaves, params: Leaves, problem: LinearProblem | None
) -> Iterator[Form]:
    """What each known mistake would have made of a leaf; the simplest first."""
    h, g, p = (leaves.arrays[leaf] for leaves in (given, reference, params))
    matrix = _matrix(params)
    num_examples = None if problem is None else len(problem.labels)
    yield Form(np.zeros_like(g), "zero", "is zero")
    yield from _factors(h, g, num_examples)
    if g.ndim == 2 and g.shape[0] == g.shape[1]:
        yield Form(g.T, "transposed", "is the transpose of the right one")
    is_bias = g.ndim == 0 or (matrix is not None and leaf != matrix and g.ndim == 1)
    is_bias |= reference.names[leaf].split(".")[-1] in ("b", "bias", "intercept")
    yield from _penalties(h, g, p, problem, is_bias=is_bias)
    if leaf == matrix:
        yield from _penalised_line(h, g, p, "row", _identity)
        yield from _penalised_line(h, g, p, "column", np.transpose)
    if problem is not None and num_examples is not None:
        yield from _scaled_data_terms(h, g, p, num_examples, problem)
        if matrix is not None:
            yield from wrong_score_gradients(leaf, h, g, params, problem, matrix)
    if g.ndim == 2:
        yield from _one_row(h, g, "row", _identity)
        yield from _one_row(h, g, "column", np.transpose)


def _identity(array: np.ndarray) -> np.ndarray:
    return array


def _matrix(params: Leaves) -> int | None:
    """Which leaf is the weight matrix, if there is just one."""
    found = [index for index, array in enumerate(params.arrays) if array.ndim == 2]
    return found[0] if len(found) == 1 else None


def _near(value: float, target: float) -> bool:
    return abs(value - target) <= 1e-6 * abs(target)


def _factors(h: np.ndarray, g: np.ndarray, num_examples: int | None) -> Iterator[Form]:
    factor = projection_factor(h, g)
    if _near(factor, -1.0):
        yield Form(-g, "sign", "has the wrong sign")
    if num_examples is not None and num_examples > 1:
        if _near(factor, num_examples):
            words = (
                f"is N = {num_examples:,} times the right one: a sum where the mean belongs (1/N)"
            )
            yield Form(num_examples * g, "sum for mean", words)
        if _near(factor, 1.0 / num_examples):
            words = f"is 1/N of the right one (N = {num_examples:,}): divided by N once too often"
            yield Form(g / num_examples, "1/N twice", words)
    yield Form(factor * g, "factor", f"is {factor:.6g} times the right one")


def _penalties(
    h: np.ndarray, g: np.ndarray, p: np.ndarray, problem: LinearProblem | None, *, is_bias: bool
) -> Iterator[Form]:
    """Differences that are a multiple of the parameters."""
    slope = projection_factor(h - g, p)
    if slope == 0.0:
        return
    predicted = g + slope * p
    l2 = None if problem is None else problem.l2
    if is_bias:
        words = f"has {slope:.6g} times the bias in it: the bias is not penalised"
        yield Form(predicted, "penalised bias", words)
        return
    if l2:
        for multiple, cause, words in (
            (-2.0, "missing penalty", "lacks the penalty's gradient, 2 * l2 * W"),
            (
                -1.0,
                "factor 1/2 on the penalty",
                "has l2 * W for the penalty's gradient, 2 * l2 * W",
            ),
            (
                2.0,
                "factor 2 on the penalty",
                "has 4 * l2 * W for the penalty's gradient, 2 * l2 * W",
            ),
            (-4.0, "sign of the penalty", "has the penalty's gradient, 2 * l2 * W, with a minus"),
        ):
            if _near(slope, multiple * l2):
                yield Form(predicted, cause, words)
        words = f"has {1 + slope / (2 * l2):.6g} times the penalty's gradient, 2 * l2 * W"
        yield Form(predicted, "factor on the penalty", words)
        return
    if slope < 0.0:
        words = (
            f"lacks {-slope:.6g} times the parameters: a penalty's gradient, 2 * l2 * W, that was "
            "forgotten or has another factor"
        )
        yield Form(predicted, "missing penalty", words)
        return
    words = f"has {slope:.6g} times the parameters too much: a penalty with another factor"
    yield Form(predicted, "factor on the penalty", words)


def _scaled_data_terms(
    h: np.ndarray, g: np.ndarray, p: np.ndarray, num_examples: int, problem: LinearProblem
) -> Iterator[Form]:
    """The data term with another factor, beside a penalty that is as it should be, or not."""
    for factor, cause, words in (
        (num_examples, "sum for mean", "has a sum over the examples where the mean belongs (1/N)"),
        (1.0 / num_examples, "1/N twice", "has a data term that is divided by N once too often"),
        (2.0, "factor 2 on the data term", "has a data term that is 2 times the right one"),
        (0.5, "factor 1/2 on the data term", "has a data term that is half of the right one"),
        (-1.0, "sign of the data term", "has a data term with the wrong sign"),
    ):
        slope = projection_factor(h - factor * g, p)
        penalty = ""
        if problem.l2 is not None:
            is_right = _near(slope, 2.0 * problem.l2 * (1.0 - factor))
            penalty = "; the penalty is right" if is_right else "; the penalty is not right either"
        yield Form(factor * g + slope * p, cause, words + penalty)


def _penalised_line(
    h: np.ndarray, g: np.ndarray, p: np.ndarray, word: str, turn: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Form]:
    """A bias that is a row or a column of the matrix, and is penalised."""
    given, right, here = turn(h), turn(g), turn(p)
    line = int(np.argmax(np.max(np.abs(given - right), axis=1)))
    slope = projection_factor(given[line] - right[line], here[line])
    if slope == 0.0:
        return
    predicted = np.array(right)
    predicted[line] += slope * here[line]
    words = (
        f"has {slope:.6g} times the parameters in {word} {line}, and there alone: if that is the "
        "bias, it is not penalised"
    )
    yield Form(turn(predicted), "penalised bias", words)


def _one_row(
    h: np.ndarray, g: np.ndarray, word: str, turn: Callable[[np.ndarray], np.ndarray]
) -> Iterator[Form]:
    """A factor in one row, or one column, alone."""
    rows, right = turn(h), turn(g)
    sizes = np.max(np.abs(rows - right), axis=1)
    row = int(np.argmax(sizes))
    factor = projection_factor(rows[row], right[row])
    predicted = np.array(right)
    predicted[row] *= factor
    words = f"is {factor:.6g} times the right one in {word} {row} alone"
    yield Form(turn(predicted), f"factor in one {word}", words)


def _where(
    given: Leaves,
    reference: Leaves,
    bounds: tuple[np.ndarray, ...],
    wrong: list[int],
    name: str,
) -> Explanation:
    """No form fits: at least where the difference is."""
    parts = []
    for leaf in wrong:
        difference = np.abs(given.arrays[leaf] - reference.arrays[leaf])
        is_wrong = np.asarray(difference > bounds[leaf])
        words = (
            f"{reference.names[leaf]} in {int(is_wrong.sum()):,} of {is_wrong.size:,} coordinates"
        )
        if is_wrong.ndim == 2:
            rows, columns = (np.asarray(is_wrong.any(axis=axis)) for axis in (1, 0))
            words += _lines(rows, "row") or _lines(columns, "column")
        parts.append(words)
    difference = np.abs(given.flat - reference.flat)
    worst = int(np.argmax(difference))
    leaf, index = reference.place(worst)
    return Explanation(
        None,
        f"{name} is wrong: {'; '.join(parts)}. Most at {_place(leaf, index)}: "
        f"{given.flat[worst]:.8g}, where it must be {reference.flat[worst]:.8g}. No known mistake "
        "explains the difference.",
    )


def _lines(is_wrong: np.ndarray, word: str) -> str:
    """Which rows, if not all of them."""
    count = int(is_wrong.sum())
    if count == is_wrong.size:
        return ""
    listed = ", ".join(str(int(row)) for row in np.flatnonzero(is_wrong)[:8])
    more = ", ..." if count > 8 else ""
    return f", all in {word}{'s' if count > 1 else ''} {listed}{more}"
