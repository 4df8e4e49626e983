"""`jaxlin probe`: how good frozen features are, by a protocol, tested once, with a report."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any

import click

from jaxlin.cli.interruption import partly_out
from jaxlin.cli.options import DATA_HELP, PATH, json_option, path_option
from jaxlin.cli.output import check_targets, in_options, message_console, print_json, say, show
from jaxlin.cli.probe_data import load_problem
from jaxlin.cli.probe_options import (
    given_sources,
    probe_options,
    settings_of,
    strengths_of,
)
from jaxlin.cli.probe_progress import ProbeProgress
from jaxlin.cli.probe_replay import check_alone, sources_in
from jaxlin.cli.probe_tables import replay_words, shown_record
from jaxlin.cli.strengths import announce_l2
from jaxlin.files import replacing
from jaxlin.model_file import save_model
from jaxlin.probe import Problem, run
from jaxlin.probe.leaks import warning
from jaxlin.probe.replaying import comparison, read_record, settings_in
from jaxlin.report.words import one_line

# Of replays, and of replays of these.
_OUTS = ("replay.json", "replay-again.json")


class _Remembering(click.Command):
    """Keeps what was typed, for the record."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, taken apart."""
        ctx.meta["jaxlin.typed"] = list(args)
        return super().parse_args(ctx, args)


@click.command(
    cls=_Remembering,
    epilog=DATA_HELP.replace("\n", " ").replace("DATA is", "FEATURES are"),
    short_help="Probe frozen features by a protocol; report.",
)
@click.argument("features", metavar="[FEATURES]...", nargs=-1, type=PATH)
@probe_options
@click.option(
    "--replay",
    metavar="FILE",
    type=PATH,
    help="Do again what a probe.json says, and say what differs. Files that have moved are named "
    "beside it.",
)
@path_option(
    "--out",
    help="The record; the page and the model are put beside it.  [default: probe.json, with "
    "--replay replay.json, or replay-again.json where that is what is repeated]",
)
@click.option("--no-page", is_flag=True, help="Write no page.")
@json_option
@click.pass_context
def probe(context: click.Context, as_json: bool, **options: Any) -> None:
    """Probe FEATURES (default: the built-in handwritten digits), one or several blocks.

    All values of the protocol are trained to their proved optimum, the validation examples choose,
    and the winner, trained on them as well, is tested once.
    """
    replay = options["replay"]
    out = options["out"] or _usual_out(replay)
    stem = out.removesuffix(".json")
    page = None if options["no_page"] else f"{stem}.html"
    model_path = f"{stem}.safetensors"
    check_targets(out, page, model_path)
    before = None
    if replay is not None:
        check_alone(context)
        before = read_record(replay)
        settings = settings_in(before, replay)
        sources = sources_in(before, replay, options)
    else:
        settings = settings_of(options)
        sources = given_sources(options)
    singles = (sources[name] for name in ("labels", "validation_labels", "test_labels", "groups"))
    several = (path for name in ("features", "validation", "test") for path in sources[name])
    check_targets(out, page, model_path, inputs=(*several, *singles, replay))
    problem, files = load_problem(sources, settings.seed, settings.dtype)
    strengths = strengths_of(options, settings, problem)
    _announce(problem, sources)
    announce_l2(*strengths)
    with ProbeProgress(message_console()) as progress:
        probed = run(problem, settings, tell=progress.tell)
    record = probed.record
    record["command"] = shlex.join(["jaxlin", "probe", *context.meta["jaxlin.typed"]])
    record["settings"] |= sources
    record["data"]["files"] = files
    if record["data"]["groups"] is not None:
        record["data"]["groups"]["path"] = sources["groups"]
    for block in record["blocks"]:
        block["refit"]["outcome"] = in_options(block["refit"]["outcome"])
    for told in record["warnings"]:
        told["message"] = in_options(told["message"])
    record |= {"file": out, "model": model_path}
    if before is not None and replay is not None:
        _compare(before, record, replay)
    contents = {out: json.dumps(record, indent=1, allow_nan=False) + "\n"}
    if page is not None:
        from jaxlin.report import probe_page  # what no other command needs

        contents[page] = probe_page.render(record)
    with partly_out():
        save_model(model_path, probed.model)
        for path, content in contents.items():
            with replacing(path) as file:
                file.write(content.encode())
        if as_json:
            print_json(record)
            return
        show(*shown_record(record, {"record": out, "page": page, "model": model_path}))


def _usual_out(replay: str | None) -> str:
    """Where the record goes: beside the one that is repeated, never in its place."""
    if replay is None:
        return "probe.json"
    return _OUTS[os.path.realpath(replay) == os.path.realpath(_OUTS[0])]


def _compare(before: dict[str, Any], record: dict[str, Any], path: str) -> None:
    """Says in the record what it has in common with the one that it repeats."""
    record["replay"] = replay = comparison(before, record, path)
    if not replay["same_numbers"] or replay["differs"]:
        record["warnings"].insert(0, warning("differs", replay_words(replay)))


def _announce(problem: Problem, sources: dict[str, Any]) -> None:
    """Says what was read."""
    verbs = zip(("train on", "choose by", "test on"), problem.parts.values(), strict=True)
    counts = [
        f"none to {verb}" if part is None else f"{len(part):,} to {verb} ({part.came})"
        for verb, part in verbs
    ]
    blocks = ", ".join(
        f"{block.num_features:,} {block.first.dtype} features" for block in problem.blocks[:5]
    )
    more = ", ..." if len(problem.blocks) > 5 else ""
    first = one_line(os.path.basename(sources["features"][0].rstrip("/")))
    say(f"{first}: {len(problem.classes)} classes, {blocks}{more}; {', '.join(counts)}")
