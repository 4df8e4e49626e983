"""`jaxlin check-gradients FILE.py:LOSS`: the gradients of a function of the user's own."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import click
import numpy as np

from jaxlin.cli import audit_points, names
from jaxlin.cli.check_common import (
    Examples,
    Subject,
    closing,
    draw,
    exit_code,
    point_object,
    read_examples,
    show_wide,
)
from jaxlin.cli.output import print_json, say
from jaxlin.cli.user_code import UserFiles, UserFunction, user_errors
from jaxlin.cli.user_forms import Form, recognise
from jaxlin.gradients import GradientReport, check
from jaxlin.objective import Objective
from jaxlin.report.gradient_tables import Audited

_EXAMPLES = 200


class _Case(NamedTuple):
    """A user's function where it is to be checked."""

    name: str
    params: Any
    W: Any = None
    b: Any = None


def check_users(what: str, source: str | None, as_json: bool, options: dict[str, Any]) -> int:
    """Checks a function of the user's; the exit code."""
    files = UserFiles()
    user = files.function(what)
    hand = None if options["gradient"] is None else files.function(options["gradient"])
    paths = (user.path, *(() if hand is None else (hand.path,)))
    examples, form = None, None
    if options["arguments"] is not None:
        if source is not None or options["examples"] is not None:
            raise click.UsageError("--arguments takes the place of DATA and of --examples.")
        made = files.function(options["arguments"])
        paths += (made.path,)
        params, args = _made(made)
        kind, cases = "a function of your arguments", [_Case("as given", params)]
        function, by_hand = user.call, None if hand is None else hand.call
    else:
        examples = read_examples(source or "digits", options, _EXAMPLES)
        form = recognise(
            user, examples.x, examples.labels, examples.dataset.num_classes, options["l2"]
        )
        kind, cases = form.words, _cases(form, examples, options["seed"])
        args = form.args(examples.x, examples.labels, options["l2"])
        function, by_hand = form.function(user), None if hand is None else form.by_hand(hand)
    say(f"{user}: taken for {kind}")
    key, plot = options["seed"], options["plot"]
    with user_errors(*paths):
        reports = [check(function, case.params, *args, by_hand=by_hand, key=key) for case in cases]
        if form is not None and form.retold is not None and hand is not None:
            # At a random W: mistakes look alike at zero.
            reports = [
                report
                if report
                else _retold(report, cases[0], form.retold, user, hand, examples, key)
                for report in reports
            ]
        if plot is not None:
            pairs = zip(cases, reports, strict=True)
            wrong = next((case.params for case, report in pairs if not report), None)
            subject = Subject(function, cases[0].params, args, by_hand, wrong)
            draw(plot, subject, options, str(user), examples)
    if as_json:
        print_json(
            {
                "function": str(user),
                "gradient": None if hand is None else str(hand),
                "kind": kind,
                "data": None if examples is None else examples.dataset.name,
                "examples": None if examples is None else len(examples.x),
                "seed": options["seed"],
                "points": [
                    point_object(Audited(case.name, report))
                    for case, report in zip(cases, reports, strict=True)
                ],
                "plot": plot,
                "disagreements": sum(not report for report in reports),
            }
        )
        return exit_code(reports)
    if examples is not None:
        show_wide(examples.words)
    for case, report in zip(cases, reports, strict=True):
        show_wide(f"\n{case.name}", *report.renderables())
    show_wide(*([] if plot is None else [f"picture: {plot}"]), closing(reports))
    return exit_code(reports)


def _retold(
    report: GradientReport,
    case: _Case,
    form: Form,
    user: UserFunction,
    hand: UserFunction,
    examples: Examples | None,
    key: int,
) -> GradientReport:
    """The report with the name of the mistake, where it has one in terms of W and b."""
    assert examples is not None
    again = check(
        form.function(user),
        form.params(case.W, case.b, examples.x),
        *form.args(examples.x, examples.labels, 0.0),
        by_hand=form.by_hand(hand),
        key=key,
    )
    if again or again.cause is None:
        return report
    words = f"{again.explanation} (W and b being those of scores x W^T + b, and the mean taken.)"
    return dataclasses.replace(report, explanation=words, cause=again.cause)


def _made(make: UserFunction) -> tuple[Any, tuple[Any, ...]]:
    """`(params, *args)` from a function of the user's."""
    with user_errors(make.path):
        found = make.call()
    if not isinstance(found, tuple | list) or not found:
        raise click.UsageError(
            f"{make} must return a tuple (params, *args), got {type(found).__name__}."
        )
    return found[0], tuple(found[1:])


def _cases(form: Form, examples: Examples, seed: int) -> list[_Case]:
    num_classes = examples.dataset.num_classes
    problem = audit_points.Problem(
        Objective(names.LOSSES["svm"]), examples.x, examples.labels, num_classes, seed
    )
    points = (audit_points.random_point(problem), audit_points.zero_point(problem))
    return [
        _Case(point.name, form.params(W, b, examples.x), W, b)
        for point in points
        for W, b in [(np.asarray(point.params.W), np.asarray(point.params.b))]
    ]
