"""The sweep: each l2 with each scaling, judged on the validation rows, which alone choose."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxlin.data.scaling import Scaling
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams, init_params
from jaxlin.probe.problem import Block, Problem
from jaxlin.probe.settings import Settings
from jaxlin.scales import C_of_l2, l2_of_C
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.sweeps import Sweep, SweepReport, sweep
from jaxlin.training import Fit

# Told what is being done, in words.
Tell = Callable[[str], Any]

_COLUMNS = (
    "train_accuracy",
    "objective",
    "validation_accuracy",
    "validation_accuracy_low",
    "validation_accuracy_high",
    "validation_loss",
    "relative_gap",
    "outcome",
    "passes",
    "seconds",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Selection:
    """What the sweep found on a block.

    Attributes:
      table: columns by name, lists of equal length; by normalisation and scaling, then by l2, the
        largest first.
      best: the row of the winner.
      fit: the winner's, on the training rows.
      edge: `"lowest"` or `"highest"` where the winner's l2 ends those tried, else None.
    """

    table: dict[str, list[Any]]
    best: int
    fit: Fit
    edge: str | None

    def __len__(self) -> int:
        return len(self.table["l2"])

    def value(self, name: str) -> Any:
        """The winner's."""
        return self.table[name][self.best]

    def ties(self, select_by: str) -> int:
        """How many rows are as good as the winner, itself included."""
        column = self.table[f"validation_{select_by}"]
        return sum(value == column[self.best] for value in column)


def l2_values(settings: Settings, num_rows: int, num_classes: int) -> list[float]:
    """The values of l2 to try, the largest first.

    Args:
      settings: with l2, or with C.
      num_rows: to be trained on.
      num_classes: C.

    Raises:
      InputError: no C has the optimum of this loss.

    >>> l2_values(Settings(C=(1.0, 10.0)), num_rows=50, num_classes=3)
    [0.01, 0.001]
    """
    if settings.l2 is not None:
        return sorted(settings.l2, reverse=True)
    loss = settings.loss_function
    values = [
        l2_of_C(C, loss=loss, num_examples=num_rows, num_classes=num_classes)
        for C in settings.C or ()
    ]
    return sorted(values, reverse=True)


def C_value(l2: float, settings: Settings, num_rows: int, num_classes: int) -> float | None:
    """An l2 in scikit-learn's scale; None where no C has the optimum of this loss.

    >>> C_value(0.01, Settings(l2=(0.01,)), 50, 3)
    1.0
    >>> C_value(0.01, Settings(l2=(0.01,), loss="svm"), 50, 3)
    """
    loss = settings.loss_function
    try:
        return C_of_l2(l2, loss=loss, num_examples=num_rows, num_classes=num_classes)
    except InputError:
        return None


def scaling_word(word: str, block: Block) -> str:
    """What `"plain"` stands for with these features; other words are themselves."""
    if word != "plain":
        return word
    return "unit" if block.is_whole_numbers else "none"


def make_scaling(word: str, x: Any) -> Scaling | None:
    """The scaling of that name for training rows (N, D)."""
    if word == "none":
        return None
    make = Scaling.unit_range if word == "unit" else Scaling.standardize
    return make(np.asarray(x))


def select(block: Block, problem: Problem, settings: Settings, tell: Tell) -> Selection:
    """Tries everything that the settings name, and chooses by the validation rows.

    Args:
      block: features.
      problem: which rows are for what.
      settings: what to try.
      tell: told of the progress, in words.

    Raises:
      InputError: the features cannot be computed with.
    """
    groups, words = [], list(dict.fromkeys(scaling_word(w, block) for w in settings.scaling))
    for normalize in dict.fromkeys(settings.normalize):
        gather = functools.partial(block.gather, dtype=settings.dtype, normalize=normalize)
        x, held_out = gather(problem.train), gather(problem.validation)
        for word in words:
            trial = _Trial(x, held_out, problem, settings, word, normalize, tell)
            trial.search()
            trial.let_go()
            groups.append(trial)
        del x, held_out  # before others take their place
    return _choose(groups, settings)


class _Trial:
    """All values of l2 with one way to scale."""

    def __init__(
        self,
        x: jax.Array,
        held_out: jax.Array,
        problem: Problem,
        settings: Settings,
        word: str,
        normalize: bool,
        tell: Tell,
    ) -> None:
        self.x: jax.Array | None = x
        self.held_out: jax.Array | None = held_out
        self.problem, self.settings = problem, settings
        self.word, self.normalize, self.tell = word, normalize, tell
        self.scaling = make_scaling(word, x)
        self.start = init_params(x.shape[1], len(problem.classes), bias=settings.bias)
        self.values = l2_values(settings, len(problem.train), len(problem.classes))
        self.rows: dict[int, dict[str, Any]] = {}  # by the place in `values`
        self.fits: dict[int, Fit] = {}
        self.is_between = False

    def search(self) -> None:
        """Tries the values, as the settings say."""
        last = len(self.values) - 1
        if self.settings.search == "grid":
            self.try_out(range(last + 1))
            return
        step = 16
        self.try_out(range(0, last + 1, step))
        self.is_between = True
        while step > 1:
            step //= 2
            around = (self.best() - step, self.best() + step)
            self.try_out([at for at in around if 0 <= at <= last and at not in self.rows])

    def let_go(self) -> None:
        """Keeps of all that is large what may win."""
        self.x = self.held_out = None
        self.fits = {self.best(): self.fits[self.best()]}

    def best(self) -> int:
        """The place of the best value so far; among equals of the largest l2."""
        return min(self.rows, key=lambda at: (-score(self.rows[at], self.settings), at))

    def try_out(self, places: Sequence[int]) -> None:
        """Each value from the one before it, or from the nearest that is known already."""
        # The fewer passes, the smaller l2: what is proved comes first.
        for passes, some in itertools.groupby(
            places, key=lambda at: self.settings.passes_for(self.values[at])
        ):
            self._run(list(some), passes)

    def _run(self, places: list[int], passes: int) -> None:
        settings = self.settings
        usual = passes == LBFGS().passes
        l2, init = [self.values[at] for at in places], None
        grid: Any = {"l2": l2}
        if self.is_between:  # each from its own neighbour, not one from the other
            starts = [self._nearest(at) for at in places]
            grid = [{"l2": v, "init": start} for v, start in zip(l2, starts, strict=True)]
        else:
            init = self._nearest(places[0])
        assert self.x is not None
        found = sweep(
            self.x,
            self.problem.train.labels,
            loss=settings.loss_function,
            grid=grid,
            init=init,
            solver=None if usual else LBFGS(passes),
            validation=(self.held_out, self.problem.validation.labels),
            key=settings.seed,
            bias=settings.bias,
            tol=settings.tol,
            scaling=self.scaling,
            dtype=settings.dtype,
            on_epoch=self._hear,
            select_by=settings.select_by,
        )
        for row, at in enumerate(places):
            self._keep(found, row, at)

    def _nearest(self, at: int) -> LinearParams:
        if not self.fits:
            return self.start
        return self.fits[min(self.fits, key=lambda known: abs(known - at))].params

    def _hear(self, report: SweepReport) -> None:
        normalised = "rows normalised, " if self.normalize else ""
        done = len(self.rows) + report.group
        self.tell(f"{normalised}scaling {self.word}: l2 {done} of {len(self.values)}")

    def _keep(self, found: Sweep, row: int, at: int) -> None:
        table = {name: column[row] for name, column in found.table.items()}
        classes = len(self.problem.classes)
        fit = found.fit(row)
        passes = fit.history.passes
        told = {
            "l2": self.values[at],
            "C": C_value(self.values[at], self.settings, len(self.problem.train), classes),
            "scaling": self.word,
            "normalize": self.normalize,
            "train_accuracy": table["accuracy"],
            **{name: table.get(name) for name in _COLUMNS if name in table},
            "passes": len(fit.history) if passes is None else passes[-1],
        }
        self.rows[at] = {name: plain(value) for name, value in told.items()}
        self.fits[at] = fit


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def score(row: dict[str, Any], settings: Settings) -> float:
    """What is selected by, the larger the better."""
    value = row[f"validation_{settings.select_by}"]
    return value if settings.select_by == "accuracy" else -value


def _choose(trials: list[_Trial], settings: Settings) -> Selection:
    """The winner of all; among equals the first way to scale, then the larger l2."""
    scored = [(score(t.rows[t.best()], settings), -i) for i, t in enumerate(trials)]
    if not any(np.isfinite(value) for value, _ in scored):
        raise InputError("no setting has a validation score that is a number.")
    winner = trials[-max(scored)[1]]
    rows: list[dict[str, Any]] = []
    best = 0
    for trial in trials:
        for at in sorted(trial.rows):
            if trial is winner and at == trial.best():
                best = len(rows)
            rows.append(trial.rows[at] | {"certified": _is_certified(trial.rows[at], settings)})
    names = ("l2", "C", "scaling", "normalize", *_COLUMNS, "certified")
    table = {name: [row.get(name) for row in rows] for name in names}
    at = winner.best()
    return Selection(table, best, winner.fits[at], edge_of(at, len(winner.values)))


def edge_of(place: int, count: int) -> str | None:
    """The end of the values that the best is at, or None; they fall.

    >>> edge_of(0, 3), edge_of(1, 3), edge_of(2, 3), edge_of(0, 1)
    ('highest', None, 'lowest', None)
    """
    return None if count == 1 else {0: "highest", count - 1: "lowest"}.get(place)


def _is_certified(row: dict[str, Any], settings: Settings) -> bool:
    gap = row.get("relative_gap")
    return gap is not None and bool(gap <= settings.tol)
