"""Which data, batches and competitors a run takes: by default, all of them, or a few small ones."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from bench.harness.machine import memory_bytes
from bench.harness.options import Options
from bench.harness.parts import BaseDataset, every, is_selected

BATCH_SIZES = (64, 256, 1024, 4096)
_LOOPS = ("jaxlin", "optax-loop", "torch-index")
_EVERYONE = ("",)
_FASHION = "fashion-mnist[dtype=float32,order=shuffled]"
_FASHION_BYTES = "fashion-mnist[dtype=uint8,order=shuffled]"
_MOST_FLOPS = 4e12  # an epoch of --full: some 20 s on two cores
_LEAST_BYTES = 1 << 23  # less than that is a few batches: an epoch says nothing


@dataclasses.dataclass(frozen=True)
class Case:
    """A race.

    Attributes:
      dataset: the label of the data.
      batch_size: B.
      solvers: beginnings of the labels of who takes part.
      epochs: after how many the answers are judged.
    """

    dataset: str
    batch_size: int
    solvers: Sequence[str] = _LOOPS
    epochs: int = 10


def synthetic(n: int, d: int, c: int, dtype: str) -> str:
    """The label of a synthetic data set."""
    return f"synthetic[n={n},d={d},c={c},dtype={dtype}]"


def _quick_cases() -> list[Case]:
    return [
        Case(synthetic(3_000, 64, 10, "float32"), 256, _EVERYONE, 3),
        Case(synthetic(3_000, 64, 10, "uint8"), 256, _LOOPS, 3),
    ]


def _default_cases() -> list[Case]:
    cases = [Case(_FASHION, 256, _EVERYONE), Case(_FASHION_BYTES, 256)]
    cases += [Case(_FASHION, size) for size in (64, 1024, 2048, 4096)]
    cases += [Case(_FASHION_BYTES, 2048)]
    with_peers = {(64, 10), (784, 100), (2048, 10)}
    for d, c in itertools.product((64, 784, 2048), (2, 10, 100, 1000)):
        if d * c <= 784_000 and (d == 784 or c not in (2, 100)):
            solvers = _LOOPS if (d, c) in with_peers else ("jaxlin",)
            cases.append(Case(synthetic(100_000, d, c, "float32"), 256, solvers, 3))
    return [*cases, Case(synthetic(100_000, 2048, 10, "uint8"), 256, ("jaxlin",), 3)]


def _full_cases(datasets: Sequence[BaseDataset]) -> list[Case]:
    """Every data set with every batch size, where the memory and a day have room for it."""
    cases = _default_cases()
    room = memory_bytes() / 5  # the data, a competitor's copies, and what else there is
    for dataset in datasets:
        values = dataset.values
        flops = 4.0 * values.get("n", 0) * values.get("d", 0) * values.get("c", 0)
        is_fit = _LEAST_BYTES <= (dataset.size() or 0) <= room and flops <= _MOST_FLOPS
        if is_fit and values.get("order") != "sorted":
            known = {(case.dataset, case.batch_size) for case in cases}
            cases += [
                Case(dataset.label, batch_size, _LOOPS, 3)
                for batch_size in BATCH_SIZES
                if (dataset.label, batch_size) not in known
            ]
    return cases


def cases_of(options: Options, kinds: Sequence[type[BaseDataset]]) -> list[Case]:
    """The races that the options ask for."""
    datasets: list[BaseDataset] = [dataset for kind in kinds for dataset in every(kind)]
    if options.quick:
        cases = _quick_cases()
    else:
        cases = _full_cases(datasets) if options.full else _default_cases()
    if (options.datasets or options.batch_sizes) and not options.quick:
        patterns = options.datasets or [_FASHION]
        labels = [one.label for one in datasets if is_selected(one.label, patterns)]
        pairs = itertools.product(labels, options.batch_sizes or (256,))
        known = {(case.dataset, case.batch_size) for case in cases}
        cases += [Case(*pair, _LOOPS, 3) for pair in pairs if pair not in known]
    return [
        case
        for case in cases
        if is_selected(case.dataset, options.datasets)
        and (not options.batch_sizes or case.batch_size in options.batch_sizes)
    ]
