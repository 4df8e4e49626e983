"""Which solver `jaxlin train` takes, by its options; and the fit, with what can be proved of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import click
import jax
import jax.numpy as jnp

from jaxlin.certificates import Certificate, duality_gap
from jaxlin.cli import names
from jaxlin.cli.options import COUNT, POSITIVE
from jaxlin.data.dataset import Dataset
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.losses import Loss
from jaxlin.outcomes import Outcome
from jaxlin.precision import float64_scope
from jaxlin.solvers.lbfgs import LBFGS
from jaxlin.solvers.newton import LARGEST_SIZE, Newton
from jaxlin.solvers.sgd import SGD
from jaxlin.training import Fit, fit
from jaxlin.training.optimum import takes_newton, usual_tol
from jaxlin.training.proof_sentences import newton_words, proof_sentence
from jaxlin.training.small_fits import takes_small

_F = TypeVar("_F", bound=Callable[..., Any])

# Whose option it is; given without --solver it chooses that one.
_OWNERS = {
    "passes": "lbfgs",
    "optimizer": "sgd",
    "learning_rate": "sgd",
    "batch_size": "sgd",
    "epochs": "sgd",
    "patience": "sgd",
}
OPTIMIZER, BATCH_SIZE = "momentum", 256


def solver_options(command: _F) -> _F:
    """`--solver`, and what each solver can be told."""
    for option in reversed(
        (
            click.option(
                "--solver",
                type=click.Choice(names.SOLVERS),
                help="auto goes to the optimum and proves it (newton for small problems, "
                "else lbfgs; sgd where --l2 is 0).  [default: auto, or the solver that an "
                "option below belongs to]",
            ),
            click.option(
                "--tol",
                type=POSITIVE,
                help="How close to the optimum, proved, relative to the objective.  [default: 1e-4 "
                "for softmax, else 1e-3]",
            ),
            click.option(
                "--passes",
                type=COUNT,
                help=f"lbfgs: the most passes over the data.  [default: {LBFGS().passes}]",
            ),
            click.option(
                "--optimizer",
                type=click.Choice(names.OPTIMIZERS),
                help="sgd: how a step follows from a gradient; its learning rate goes down along a "
                f"cosine.  [default: {OPTIMIZER}]",
            ),
            click.option(
                "--learning-rate",
                type=POSITIVE,
                help="sgd: at the start.  [default: by the size of the features; adagrad 0.1, adam "
                "and kin 0.01]",
            ),
            click.option(
                "--batch-size", type=COUNT, help=f"sgd: examples a step.  [default: {BATCH_SIZE}]"
            ),
            click.option(
                "--epochs",
                type=COUNT,
                help="sgd: passes over the data.  [default: 20, for few data up to 200]",
            ),
            click.option(
                "--patience",
                type=COUNT,
                help="sgd: stop after so many epochs without a better validation loss; keep the "
                "best epoch.",
            ),
        )
    ):
        command = option(command)
    return command


def asked_for(options: dict[str, Any]) -> str:
    """The solver that the options of `jaxlin train` ask for.

    Raises:
      click.UsageError: options that do not go together.
    """
    word = chosen_word(options, _OWNERS)
    if options["l2"] == 0.0 and word == "lbfgs":
        raise click.UsageError(
            "--solver lbfgs goes on until the optimum is proved, and with --l2 0 nothing can be: "
            "take --l2 above 0, or --solver sgd."
        )
    if options["tol"] is not None and (word == "sgd" or options["l2"] == 0.0):
        why = (
            "sgd does not stop by a proof" if word == "sgd" else "with --l2 0 nothing can be proved"
        )
        raise click.UsageError(f"--tol is how close to the optimum is to be proved, and {why}.")
    return word


def chosen_word(options: dict[str, Any], owners: dict[str, str]) -> str:
    """The solver of `--solver`, or else the one that some option belongs to, or else "auto".

    Args:
      options: of the command, None where they were not given.
      owners: the solver that each option belongs to.

    Raises:
      click.UsageError: options of different solvers.
    """
    word, told_by = options["solver"], "--solver"
    for name, owner in owners.items():
        if options[name] is None:
            continue
        flag = _flag(name)
        if word is None:
            word, told_by = owner, flag
        elif word != owner:
            asks = f"--solver is {word}" if told_by == "--solver" else f"{told_by} is for {word}"
            raise click.UsageError(f"{flag} is for --solver {owner}, and {asks}: leave one out.")
    return "auto" if word is None else word


class Plan(NamedTuple):
    """A solver, and what to tell of it.

    Attributes:
      word: its name.
      solver: as `fit` takes it; None where `fit` is to go to the optimum by itself.
      told: its facts by name.
    """

    word: str
    solver: SGD | LBFGS | Newton | None
    told: dict[str, Any]


def plan(
    word: str,
    options: dict[str, Any],
    dataset: Dataset,
    scaling: Scaling | None,
    start: LinearParams,
) -> Plan:
    """The solver of that name, "auto" decided on.

    Raises:
      click.UsageError: the problem is too large for it.
    """
    loss = names.LOSSES[options["loss"]]
    num_rows, shape = len(dataset.train), (start.num_features, start.num_classes)
    fits_newton = takes_newton(loss, num_rows, start)
    if word == "auto":
        if options["l2"] > 0.0 and takes_small(loss, num_rows, *shape):
            return Plan("newton", None, {"tol": options["tol"] or usual_tol(loss)})
        certified = "newton" if fits_newton else "lbfgs"
        word = "sgd" if options["l2"] == 0.0 else certified
    size = start.num_classes * (start.num_features + (start.b is not None))
    if word == "newton" and size > LARGEST_SIZE:
        raise click.UsageError(
            f"--solver newton is for up to {LARGEST_SIZE:,} weights, and there are {size:,}: take "
            f"--solver {'lbfgs' if options['l2'] > 0.0 else 'sgd'}."
        )
    if word == "sgd":
        optimizer = options["optimizer"] or OPTIMIZER
        solver, learning_rate = names.make_sgd(
            dataset, scaling, loss=loss, l2=options["l2"], optimizer=optimizer,
            learning_rate=options["learning_rate"],
            batch_size=options["batch_size"] or BATCH_SIZE, epochs=options["epochs"],
        )  # fmt: skip
        told = {"optimizer": optimizer, "learning_rate": learning_rate}
        return Plan(word, solver, {**told, "batch_size": solver.batch_size})
    told = {"tol": options["tol"]}
    if options["l2"] > 0.0 and options["tol"] is None:
        told["tol"] = usual_tol(loss)
    if word == "lbfgs":
        solver = LBFGS() if options["passes"] is None else LBFGS(options["passes"])
        return Plan(word, solver, told)
    is_certified_by_fit = fits_newton and options["l2"] > 0.0
    return Plan(word, None if is_certified_by_fit else Newton(), told)


def fit_as_planned(
    planned: Plan, dataset: Dataset, *, loss: Loss, l2: float, dtype: str, **options: Any
) -> Fit:
    """`fit`, and for Newton's method what it leaves out: the certificate.

    Args:
      planned: the solver.
      dataset: its training and validation examples.
      loss: as for `fit`.
      l2: as for `fit`.
      dtype: of the parameters.
      options: the others of `fit`.
    """
    x, labels, held_out = dataset.train.x, dataset.train.labels, dataset.validation
    is_newton = isinstance(planned.solver, Newton)
    found = fit(
        x, labels, loss=loss, l2=l2, solver=planned.solver,
        validation=None if held_out is None else (held_out.x, held_out.labels),
        # What can be proved ends where the last bits begin.
        dtype="float64" if is_newton else dtype,
        tol=None if is_newton or planned.word == "sgd" else planned.told["tol"],
        **options,
    )  # fmt: skip
    if not isinstance(planned.solver, Newton):
        return found
    exact, history = found.params, found.history.until_settled()
    with float64_scope(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), exact)
    found = dataclasses.replace(found, params=params, history=history)
    if l2 == 0.0:
        if len(history) < planned.solver.epochs:
            words = f"No step improves anything more ({newton_words(len(history))})."
            found = dataclasses.replace(found, outcome=Outcome(words, kind="out_of_steps"))
        return found
    at_exact, at_rounded = (
        duality_gap(found.objective, at, x, labels, scaling=found.scaling) for at in (exact, params)
    )
    # A bound of the optimum holds wherever it was found.
    dual = max(at_exact.dual, at_rounded.dual)
    certificate = dataclasses.replace(at_rounded, dual=dual)
    tol = planned.told["tol"]
    advice = " Take --dtype float64, or a larger --tol."
    if jnp.dtype(dtype) == jnp.float64:
        advice = " Take a larger --tol."
    outcome = proof_sentence(
        "certified" if certificate.relative_gap <= tol else "stuck", certificate, tol,
        newton_words(len(history)), advice,
    )  # fmt: skip
    return dataclasses.replace(found, proof=certificate, outcome=outcome)


def certificate_numbers(certificate: Certificate | None) -> dict[str, float] | None:
    """A certificate for programs."""
    if certificate is None:
        return None
    names_told = ("primal", "dual", "gap", "relative_gap")
    return {name: getattr(certificate, name) for name in names_told}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
