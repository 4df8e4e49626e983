"""The bench `sgd`: what is run, and what its bars measure. `bench.sgd.account` lays it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.harness.options import Options
from bench.harness.parts import Data, discover
from bench.harness.shelf import Shelf
from bench.harness.timing import Say
from bench.sgd import grid, memory, programs, scaling_and_order
from bench.sgd.account import CAPTION, TITLE, sections
from bench.sgd.cases import Case, cases_of, synthetic
from bench.sgd.epochs import race
from bench.sgd.limit import ReadRate
from bench.sgd.picture import picture
from bench.sgd.ratios import values
from bench.sgd.solvers import jaxlin_fit
from bench.sgd.task import Task

__all__ = ["BARS", "CAPTION", "PARTS", "TITLE", "picture", "run", "sections", "values"]

BARS = Path(__file__).with_name("bars.json")
PARTS = ("race", "grid", "memory", "rows", "order", "programs")
_EPOCHS = 10


def _fashion_or_small(quick: bool, dtype: str, order: str = "shuffled") -> str:
    if quick:
        return synthetic(3_000, 64, 10, dtype)
    return f"fashion-mnist[dtype={dtype},order={order}]"


def _race(shelf: Shelf, options: Options, say: Say) -> list[dict[str, Any]]:
    kinds: dict[str, Any] = discover("bench.sgd.solvers", "Solver")
    cases: list[Case] = cases_of(options, list(shelf.kinds.values()))
    records = []
    for index, case in enumerate(cases):
        say(f"{index + 1} of {len(cases)}: {case.dataset}, batch {case.batch_size}")
        records.append(race(case, shelf.get(case.dataset), list(kinds.values()), options, say))
    return records


def _memory(shelf: Shelf, quick: bool, say: Say) -> list[dict[str, Any]]:
    records = []
    for dtype in ("float32", "uint8"):
        dataset = shelf.find(_fashion_or_small(quick, dtype))
        say(f"memory of a fit: {dataset.label}")
        records.append(memory.measure(dataset.name, dataset.values))
    return records


def _rows(shelf: Shelf, options: Options, say: Say) -> list[dict[str, Any]]:
    records = []
    for d, dtype in ((784, "uint8"), (64, "float32")):
        say(f"cost an example: D = {d}, {dtype}")
        sizes = (3_000, 12_000) if options.quick else (100_000, 1_000_000)
        data = [shelf.find(synthetic(n, d, 10, dtype)).get_data() for n in sizes]
        solvers: list[Any] = [jaxlin_fit.Solver() for _ in data]
        records.append(scaling_and_order.rows(solvers, data, options.repeats, say))
    return records


def _order(shelf: Shelf, quick: bool, say: Say) -> dict[str, Any]:
    say("rows sorted by label")
    data = [shelf.find(_fashion_or_small(quick, "float32")).get_data()]
    if quick:
        rows = data[0].labels.argsort(kind="stable")
        data.append(Data("sorted", data[0].x[rows], data[0].labels[rows], data[0].num_classes))
    else:
        data.append(shelf.find(_fashion_or_small(quick, "float32", "sorted")).get_data())
    return scaling_and_order.order(jaxlin_fit.Solver(), data, _EPOCHS, say)


def _programs(shelf: Shelf, quick: bool, say: Say) -> list[dict[str, Any]]:
    records = []
    for dtype in ("float32", "uint8"):
        data = shelf.get(_fashion_or_small(quick, dtype))
        say(f"compiled programs: {data.name}")
        task, solver = Task(data), jaxlin_fit.Solver()
        solver.set_objective(task)
        found = programs.compiled_by(lambda solver=solver: solver.run(2))
        step = task.flops * task.batch_size / len(data.x)
        features = data.x.nbytes * task.batch_size / len(data.x)
        whole = {"epoch_flops": task.flops, "epoch_bytes": float(data.x.nbytes)}
        step_counts = {"step_flops": step, "step_bytes": features}
        records.append({"dataset": data.name, **whole, **step_counts, "programs": found})
    return records


def run(options: Options, say: Say) -> dict[str, Any]:
    """Runs what is asked for; every part stands alone, and the record has those that ran."""
    shelf, asked = Shelf(), set(options.parts or PARTS)
    record: dict[str, Any] = {}
    say("memory read rate")
    read = ReadRate(1 << (24 if options.quick else 29))
    record["read_bytes_per_second"] = [read() for _ in range(options.repeats)]
    del read
    if "programs" in asked:  # first: later on nothing is compiled anew
        record["programs"] = _programs(shelf, options.quick, say)
    if "race" in asked:
        record["race"] = _race(shelf, options, say)
    if "grid" in asked:
        say("grids")
        few = {"models": 8, "more_models": 12, "epochs": 2}
        many = {"models": 32, "more_models": 48, "epochs": _EPOCHS}
        data = shelf.get(_fashion_or_small(options.quick, "float32"))
        sizes = few if options.quick else many
        record["grid"] = grid.measure(data, options=options, say=say, **sizes)
    if "order" in asked:
        record["order"] = _order(shelf, options.quick, say)
    if "rows" in asked:
        record["rows"] = _rows(shelf, options, say)
    if "memory" in asked:
        record["memory"] = _memory(shelf, options.quick, say)
    return record
