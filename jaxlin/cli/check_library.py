"""`jaxlin check-gradients [DATA]`: the gradients of the library on some data."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxlin.cli import audit_points, names
from jaxlin.cli.check_common import (
    Subject,
    closing,
    draw,
    exit_code,
    point_object,
    read_examples,
    show_wide,
)
from jaxlin.cli.output import message_console, print_json, say
from jaxlin.gradients import check
from jaxlin.gradients.cost import gradient_cost
from jaxlin.linear import LinearParams
from jaxlin.objective import Objective
from jaxlin.report import gradient_tables
from jaxlin.report.gradient_tables import Audited

# How many eps a narrow gradient may be off.
_BOUND, _SATURATED_BOUND = 16.0, 64.0

_UNITS = (
    "float64, {narrow}by hand and jax.grad, the larger error, in eps{bounds}; numerical: its "
    "largest error, as a share of the largest mean absolute contribution of an example. With kinks "
    "near, the numerical gradient is the slope across them."
)


def check_library(source: str, as_json: bool, options: dict[str, Any]) -> int:
    """Audits a loss of the library at several points; the exit code."""
    examples = read_examples(source, options, None)
    objective = Objective(names.LOSSES[options["loss"]], options["l2"])
    problem = audit_points.Problem(
        objective, examples.x, examples.labels, examples.dataset.num_classes, options["seed"]
    )
    console = message_console()
    audited: list[tuple[Audited, LinearParams]] = []
    with console.status("looking") as status:
        for point in audit_points.points(problem):
            status.update(point.name)
            if not console.is_terminal:
                say(f"{point.name} ...")
            report = check(objective, point.params, problem.x, problem.labels, key=options["seed"])
            saturated = audit_points.is_saturated(problem, point.params)
            bound = _SATURATED_BOUND if saturated else _BOUND
            found = Audited(point.name, report, bound, point.note, point.relative_gap)
            audited.append((found, point.params))
        random = audit_points.random_point(problem).params
        arguments = (problem.x, problem.labels)
        cost = gradient_cost(objective, random, *arguments) if options["cost"] else None
        plot = options["plot"]
        if plot is not None:
            wrong = next((p for found, p in audited if not found.report), None)
            hand: Any = objective.gradient_by_hand
            subject = Subject(objective, random, arguments, hand, wrong)
            draw(plot, subject, options, f"{options['loss']} on {examples.dataset.name}", examples)
    points = [found for found, _ in audited]
    code = exit_code([point.report for point in points])
    if as_json:
        print_json(
            {
                "data": examples.dataset.name,
                "loss": options["loss"],
                "l2": options["l2"],
                "dtype": options["dtype"],
                "seed": options["seed"],
                "examples": len(examples.x),
                "of": len(examples.dataset.train),
                "points": [point_object(point) for point in points],
                "cost": None if cost is None else dataclasses.asdict(cost),
                "plot": plot,
                "disagreements": sum(not point.report for point in points),
            }
        )
        return code
    is_narrow = options["dtype"] != "float64"
    units = _UNITS.format(
        narrow=f"{options['dtype']}: " if is_narrow else "",
        bounds=f" / as many as are allowed ({_BOUND:g}, where scores saturate {_SATURATED_BOUND:g})"
        if is_narrow
        else "",
    )
    show_wide(
        f"{examples.words}; {options['loss']}, l2 {options['l2']:g}",
        gradient_tables.audit(points),
        f"{units}\n",
        *gradient_tables.audit_lines(points),
        *([] if cost is None else cost.renderables()),
        *([] if plot is None else [f"picture: {plot}"]),
        closing([point.report for point in points]),
    )
    return code
