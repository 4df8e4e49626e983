"""The report of an audited objective: the verdict, its sentence, the tables."""

from __future__ import annotations

import numpy as np

from jaxlin.gradients.closed_form import EPS, ROUNDING
from jaxlin.gradients.comparison import Leaves, compared, coordinate
from jaxlin.gradients.explanations import Explanation, explain
from jaxlin.gradients.objective_audit import AUTODIFF, BY_HAND, Audit, Judged, Numerical, Witness
from jaxlin.gradients.report import Coordinate, GradientReport, Kink, Pair, Verdict
from jaxlin.gradients.score_mistakes import LinearProblem

_MOST_WORST, _MOST_KINKS = 5, 10_000
_UNIT = "the largest mean absolute contribution of an example to a coordinate"
_CLOSED = "closed form, float64"


def report_on(
    audit: Audit,
    params: Leaves,
    witness: Witness,
    *,
    l2: float,
    misshapen: Explanation | None,
) -> GradientReport:
    """Puts together what was found.

    Args:
      audit: the gradients, judged.
      params: where they were taken.
      witness: the numerical derivatives and forward mode.
      l2: lambda.
      misshapen: what is wrong with the shapes of the gradient by hand, which is then not there.
    """
    numerical = audit.numerical(witness)
    verdict, why = _verdict(audit, params, witness, numerical, l2, misshapen)
    narrowest = audit.narrow or audit.seen
    return GradientReport(
        verdict=verdict,
        explanation=why.sentence,
        cause=why.cause,
        pairs=tuple(_pairs(audit, params, witness)),
        worst=tuple(_worst(audit, params, witness, numerical)),
        kinks=tuple(_kinks(audit, params, numerical)),
        dtype=narrowest.dtype,
        eps=narrowest.eps,
        scale=audit.scale,
        unit=_UNIT,
        step=float(np.median(witness.step)),
        numerical_error=float(np.max(witness.error)),
        num_checked=len(witness.coordinates),
        num_coordinates=audit.problem.weights.size,
        num_directions=0,
    )


def _verdict(
    audit: Audit,
    params: Leaves,
    witness: Witness,
    numerical: Numerical,
    l2: float,
    misshapen: Explanation | None,
) -> tuple[Verdict, Explanation]:
    if misshapen is not None:
        return "disagrees", misshapen
    if not audit.is_finite:
        return "undecided", Explanation(
            None, "The objective, or its gradient, overflows float64: there is nothing to compare."
        )
    judged = audit.judged
    if audit.narrow_overflows:
        judged = [one for one in judged if one.seen is audit.seen]
    for one in judged:
        if one.found.answer == "outside":
            return "disagrees", _why_wrong(audit, one, params, l2)
    wrong = np.flatnonzero(numerical.excess)
    if len(wrong):
        return _why_numerical(
            audit, params, witness, int(wrong[np.argmax(numerical.excess[wrong])])
        )
    if audit.narrow_overflows:
        assert audit.narrow is not None
        name = audit.narrow.dtype
        return "undecided", Explanation(
            None, f"In float64 all is right; in {name} the objective or its gradient overflows."
        )
    for one in judged:
        if one.found.answer == "undecided":
            return "undecided", Explanation(None, _undecided(one))
    if audit.ties.count or audit.other_side.any():
        return "kink", Explanation(None, _kink_sentence(audit, judged))
    return "agrees", Explanation(None, _agreement(audit, judged))


def _undecided(one: Judged) -> str:
    if one.found.distance <= 1.0:
        return (
            f"{_called(one)} is a subgradient only if margins near zero may have either sign, as "
            "they may where a part that all rows of W have in common makes the scores large."
        )
    return (
        f"{_called(one)} was neither shown to be a subgradient nor shown to be none: the nearest "
        f"one that was found is {one.found.distance:.2g} times as far as rounding explains."
    )


def _agreement(audit: Audit, judged: list[Judged]) -> str:
    within = {}
    for one in judged:
        error = float(np.max(np.abs(one.gradient - one.found.nearest), initial=0.0))
        in_eps = error / (audit.scale * one.seen.eps) if audit.scale > 0.0 else 0.0
        within[one.seen.dtype] = max(in_eps, within.get(one.seen.dtype, 0.0))
    errors = " and ".join(f"{in_eps:.2g} eps in {dtype}" for dtype, in_eps in within.items())
    return f"The gradient by hand and jax.grad agree with the closed form, to within {errors}."


def _called(one: Judged) -> str:
    name = "The gradient by hand" if one.name == BY_HAND else one.name
    return f"{name} in {one.seen.dtype}"


def _why_wrong(audit: Audit, one: Judged, params: Leaves, l2: float) -> Explanation:
    problem = audit.problem
    examples = LinearProblem(
        problem.x.astype(np.float64), problem.labels, problem.shares, l2, problem.margin
    )
    given, nearest, tolerance = (
        problem.flat(a) for a in (one.gradient, one.found.nearest, one.tolerance)
    )
    name = "The gradient by hand" if one.name == BY_HAND else one.name
    why = explain(
        params.replace(given), params.replace(nearest), params, tolerance, examples, name=name
    )
    sentence = why.sentence
    if one.seen is audit.narrow:
        sentence = f"In float64 all is right, in {one.seen.dtype} not: {sentence}"
    if audit.ties.count:
        sentence += (
            " No way to count the ties makes it right: it is outside of the subdifferential."
        )
    return Explanation(why.cause, sentence)


def _why_numerical(
    audit: Audit, params: Leaves, witness: Witness, at: int
) -> tuple[Verdict, Explanation]:
    where = coordinate(int(witness.coordinates[at]), params).place
    said = (
        f"The values of the objective rise by {witness.numerical[at]:.8g} along {where} (error "
        f"about {witness.error[at]:.1g}), which is not what its gradients say"
    )
    if audit.problem.has_own_penalty:
        return "undecided", Explanation(
            None, f"{said}: the penalty may have a kink there, or a derivative of its own."
        )
    return "disagrees", Explanation(None, f"{said}.")


def _kink_sentence(audit: Audit, judged: list[Judged]) -> str:
    parts = []
    if audit.ties.count:
        shared = int(audit.ties.is_whole.sum())
        zero = len(audit.ties.rows) - shared
        what = []
        if zero:
            what.append(f"{_examples(zero)} a margin is zero")
        if shared:
            what.append(f"{_examples(shared)} classes share the largest margin")
        parts.append(f"There is no gradient here: {' and '.join(what)}, up to rounding.")
    other = int(audit.other_side.sum())
    if other and audit.narrow is not None:
        narrow = audit.narrow.dtype
        parts.append(
            f"1 margin is so near zero that {narrow} and float64 put it on different sides;"
            if other == 1
            else f"{other:,} margins are so near zero that {narrow} and float64 put them on "
            "different sides;"
        )
        parts.append("either side is right.")
    if audit.ties.count:
        found = [one for one in judged if one.seen is audit.seen]
        ways = [f"{one.name} takes {one.found.convention}" for one in found]
        verb = "are subgradients" if len(found) > 1 else "is a subgradient"
        parts.append(f"What was given {verb}: {'; '.join(ways)}.")
    return " ".join(parts)


def _examples(count: int) -> str:
    return "in 1 example" if count == 1 else f"in {count:,} examples"


def _pairs(audit: Audit, params: Leaves, witness: Witness) -> list[Pair]:
    def leaves(gradient: np.ndarray) -> Leaves:
        return params.replace(audit.problem.flat(gradient))

    def spread(values: np.ndarray) -> Leaves:
        full = np.full(audit.problem.weights.size, np.nan)
        full[witness.coordinates] = values
        return params.replace(full)

    pairs = []
    wide = [one for one in audit.judged if one.seen is audit.seen]
    auto = next(one for one in wide if one.name == AUTODIFF)
    hand = next((one for one in wide if one.name == BY_HAND), None)
    name = f"{AUTODIFF}, float64"
    if hand is not None:
        pairs.append(
            compared(
                f"{BY_HAND}, float64",
                leaves(hand.gradient),
                name,
                leaves(auto.gradient),
                scale=audit.scale,
                eps=EPS,
            )
        )
    pairs.extend(
        compared(
            f"{one.name}, {one.seen.dtype}",
            leaves(one.gradient),
            _CLOSED,
            leaves(one.found.nearest),
            scale=audit.scale,
            eps=one.seen.eps,
        )
        for one in audit.judged
    )
    middle = leaves(0.5 * (audit.left + audit.right))
    for first, values, second, other in (
        ("forward mode, float64", witness.forward, name, leaves(auto.gradient)),
        ("numerical, float64", witness.numerical, _CLOSED, middle),
    ):
        pairs.append(
            compared(
                first,
                spread(values),
                second,
                other,
                scale=audit.scale,
                eps=EPS,
                coordinates=witness.coordinates,
            )
        )
    return pairs


def _worst(
    audit: Audit, params: Leaves, witness: Witness, numerical: Numerical
) -> list[Coordinate]:
    flat = audit.problem.flat
    size = audit.problem.weights.size
    gap = flat(audit.right - audit.left)
    tolerance = flat(audit.judged[0].tolerance)
    excess = flat(audit.excess())
    excess[witness.coordinates] += numerical.excess / tolerance[witness.coordinates]
    differ = gap > tolerance
    order = np.lexsort(
        (
            -gap * differ,
            -np.where(excess > 1.0, excess, 0.0),
        )
    )
    if not (differ.any() or (excess > 1.0).any()):
        order = np.argsort(-excess, kind="stable")
    known = np.full((3, size), np.nan)
    known[:, witness.coordinates] = witness.numerical, witness.error, witness.step
    wide = {one.name: one for one in audit.judged if one.seen is audit.seen}
    by_hand = flat(wide[BY_HAND].gradient) if BY_HAND in wide else None
    return [
        coordinate(
            int(at),
            params.replace(flat(wide[AUTODIFF].gradient)),
            by_hand=by_hand,
            numerical=known[0],
            error=known[1],
            step=known[2],
            left=np.where(differ, flat(audit.left), np.nan),
            right=np.where(differ, flat(audit.right), np.nan),
        )
        for at in order[:_MOST_WORST]
    ]


def _kinks(audit: Audit, params: Leaves, numerical: Numerical) -> list[Kink]:
    if audit.margins is None:
        return []
    value, size = audit.margins.value, audit.margins.size
    seen = np.zeros(audit.problem.shape, bool)

    def kink(row: int, j: int, eps: float, is_at: bool, certainty: str) -> Kink:
        seen[row, j] = True
        return Kink(
            f"example {row}, class {j}",
            is_at,
            example=row,
            wrong_class=j,
            margin=float(value[row, j]),
            bound=ROUNDING * eps * float(size[row, j]),
            certainty=certainty,
        )

    kinks = []
    ties = audit.ties
    for at, j in np.argwhere(ties.tied)[:_MOST_KINKS].tolist():
        certainty = "shares the largest margin" if ties.is_whole[at] else "in closed form"
        kinks.append(kink(int(ties.rows[at]), j, EPS, True, certainty))
    if audit.narrow is not None:
        certainty = f"{audit.narrow.dtype} and float64 differ in its sign"
        for row, j in np.argwhere(audit.other_side)[:_MOST_KINKS].tolist():
            kinks.append(kink(row, j, audit.narrow.eps, True, certainty))
    for met in numerical.near:
        if not seen[met.row, met.wrong_class] and len(kinks) < _MOST_KINKS:
            place = coordinate(met.coordinate, params).place
            kinks.append(kink(met.row, met.wrong_class, EPS, False, f"met along {place}"))
    return kinks
