"""What a sweep says of arguments that are wrong."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import optax
import pytest
from sweep_problem import HINGE, SOFTMAX, C, D, N, clouds, momentum_sgd

import jaxlin
from jaxlin import solvers
from jaxlin.sweeps.settings import settings_of

X, Y = clouds()


def make(learning_rate: float) -> solvers.SGD:
    return solvers.SGD(optax.sgd(learning_rate))


@dataclasses.dataclass
class Unhashable:
    """A loss as someone might write it."""

    scale: float = 1.0

    def __call__(self, scores: Any, labels: Any) -> Any:
        return self.scale * SOFTMAX(scores, labels)


ZERO = jaxlin.init_params(D, C)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no dict": ({"grid": 3}, "grid must be a dict of lists or a list of dicts"),
    "text": ({"grid": "l2"}, "grid must be a dict of lists"),
    "empty dict": ({"grid": {}}, "grid is empty"),
    "empty list of dicts": ({"grid": []}, "grid is an empty list"),
    "empty list": ({"grid": {"l2": []}}, r"grid\['l2'\] is empty"),
    "one number": ({"grid": {"l2": 0.1}}, r"grid\['l2'\] must be a list of values, got 0.1"),
    "text as a list": ({"grid": {"l2": "0.1"}}, r"grid\['l2'\] must be a list of values"),
    "a matrix": ({"grid": {"l2": np.ones((2, 2))}}, r"must be a list, got an array of \(2, 2\)"),
    "a number as a name": ({"grid": {1: [2]}}, "names in grid must be text, got 1"),
    "text in place of numbers": ({"grid": {"l2": ["0.1"]}}, r"grid\['l2'\] must hold numbers"),
    "truth": ({"grid": {"l2": [True]}}, r"grid\['l2'\] must hold numbers, got True"),
    "no l2": ({"grid": {"l2": [None]}}, r"grid\['l2'\] must hold numbers, got None"),
    "negative": ({"grid": {"l2": [0.1, -1.0]}}, "l2 must be finite and not negative, got -1.0"),
    "nan l2": ({"grid": {"l2": [float("nan")]}}, "l2 must be finite and not negative, got nan"),
    "a large l2": ({"grid": {"l2": [1e300]}}, "l2 is 1e[+]300, which is too large for float32"),
    "nan": ({"grid": {"learning_rate": [np.nan]}, "solver": make}, r"learning_rate'\] holds nan"),
    "inf": ({"grid": {"learning_rate": [np.inf]}, "solver": make}, r"learning_rate'\] holds inf"),
    "complex": ({"grid": {"learning_rate": [1j]}, "solver": make}, "holds 1j"),
    "numbers and text": (
        {"grid": {"learning_rate": [0.1, "0.2"]}, "solver": make},
        r"grid\['learning_rate'\] holds the text '0.2' among numbers",
    ),
    "a list as a value": (
        {"grid": {"learning_rate": [[0.1]]}, "solver": make},
        r"learning_rate'\] holds \[0.1\]: values must be numbers",
    ),
    "twice": ({"grid": {"l2": [0.1, 1, 0.1]}}, r"grid\['l2'\] repeats itself: entries 0 and 2"),
    "the same setting twice": (
        {"grid": [{"l2": 0.1}, {"l2": np.float64(0.1)}]}, "grid repeats itself: entries 0 and 1"
    ),
    "a list of other things": ({"grid": [{"l2": 1}, 3]}, r"grid\[1\] must be a dict of settings"),
    "an empty setting": ({"grid": [{}]}, r"grid\[0\] must be a dict of settings, got {}"),
    "other names": (
        {"grid": [{"l2": 1}, {"momentum": 0.1}]},
        r"grid\[1\] has the names \['momentum'\], but grid\[0\] has \['l2'\]",
    ),
    "a number without end": ({"grid": {"learning_rate": [10**400]}, "solver": make}, "be finite"),
    "a name of the results": (
        {"grid": {"accuracy": [1]}, "solver": lambda accuracy: make(accuracy)},
        "grid has 'accuracy', which is a column of results",
    ),
    "a loss without a hash": (
        {"grid": {"l2": [1]}, "loss": Unhashable()}, "loss must be hashable.* this Unhashable is"
    ),
    "a name nobody takes": ({"grid": {"lr": [1]}}, "grid has 'lr', which nothing takes: without"),
    "a name the function does not take": (
        {"grid": {"rate": [1], "learning_rate": [1]}, "solver": make},
        "grid has 'rate', which the solver function does not take: it takes learning_rate",
    ),
    "a name that is missing": (
        {"grid": {"l2": [1]}, "solver": make}, "takes 'learning_rate', which grid does not have"
    ),
    "a name of jaxlin's": (
        {"grid": {"l2": [1]}, "solver": lambda l2: make(l2)}, "'l2' in grid is jaxlin's own"
    ),
    "a finished solver": (
        {"grid": {"learning_rate": [1]}, "solver": make(0.1)},
        "solver is a finished solver: only l2, loss and init can vary",
    ),
    "no solver": ({"grid": {"l2": [1]}, "solver": 3}, "solver must be None, one of"),
    "a function of something else": (
        {"grid": {"learning_rate": [1]}, "solver": lambda learning_rate: learning_rate},
        "solver function must return one of jaxlin.solvers, got 1",
    ),
    "a default momentum": ({"grid": {"momentum": [1.0]}}, r"momentum'\] must hold numbers in \[0"),
    "a default rate": ({"grid": {"learning_rate": [0.0]}}, r"learning_rate'\] must be a positive"),
    "a default batch": ({"grid": {"batch_size": [0]}}, r"grid\['batch_size'\] must be at least 1"),
    "default epochs": ({"grid": {"epochs": [2.5]}}, r"grid\['epochs'\] must be a whole number"),
    "no loss": ({"grid": {"l2": [1]}, "loss": None}, "loss must be given"),
    "loss twice": ({"grid": {"loss": [HINGE]}}, "loss is an argument and in grid as well"),
    "init twice": ({"grid": {"init": [ZERO]}, "init": ZERO}, "init is an argument and in grid"),
    "a loss that is none": ({"grid": {"loss": ["hinge"]}, "loss": None}, "loss must be a loss of"),
    "an init that is none": ({"grid": {"init": [ZERO, 3]}}, "init must be LinearParams"),
    "inits of other shapes": (
        {"grid": {"init": [ZERO, jaxlin.init_params(D, C + 1)]}}, "init.W must have shape"
    ),
    "select_by": ({"grid": {"l2": [1]}, "select_by": "f1"}, "select_by must be 'accuracy' or"),
    "losses compared": (
        {"grid": {"loss": [HINGE, SOFTMAX]}, "loss": None, "select_by": "loss"},
        "grid has several losses",
    ),
    "both": (
        {"grid": {"l2": [1]}, "folds": 3, "validation": (X, Y)}, "folds and validation exclude"
    ),
    "patience": ({"grid": {"l2": [1]}, "patience": 3}, r"patience needs validation=.* or folds"),
    "one fold": ({"grid": {"l2": [1]}, "folds": 1}, "folds must be at least 2, got 1"),
    "truth of folds": ({"grid": {"l2": [1]}, "folds": True}, "folds must be a whole number"),
    "many folds": ({"grid": {"l2": [1]}, "folds": 200}, "folds=200 needs 200 examples of every"),
    "half a fold": ({"grid": {"l2": [1]}, "folds": 2.5}, "folds must be a whole number of at"),
    "folds of others": ({"grid": {"l2": [1]}, "folds": [0, 1]}, r"of shape \(300,\)"),
    "a fold missing": ({"grid": {"l2": [1]}, "folds": 2 * (np.arange(N) % 2)}, "numbers 0..k-1"),
    "a weightless fold": (
        {
            "grid": {"l2": [1]}, "folds": np.arange(N) % 2,
            "sample_weight": (np.arange(N) % 2).astype(float),
        },
        "all weight is outside fold 0",
    ),
    "a callback": ({"grid": {"l2": [1]}, "on_epoch": 3}, "on_epoch must be a function"),
    "tol": ({"grid": {"l2": [1]}, "tol": -1.0}, "tol must be a positive"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named(name: str) -> None:
    arguments, message = WRONG[name]
    with pytest.raises(jaxlin.InputError, match=message):
        jaxlin.sweep(X, Y, **{"loss": SOFTMAX, **arguments})


def test_a_loss_without_a_hash_is_named_by_fit_too() -> None:
    with pytest.raises(jaxlin.InputError, match="loss must be hashable"):
        jaxlin.fit(X, Y, loss=Unhashable())
    with pytest.raises(jaxlin.InputError, match="penalty must be hashable"):
        jaxlin.fit(X, Y, loss=SOFTMAX, penalty=Unhashable())  # pyright: ignore[reportArgumentType]


def test_an_error_of_the_users_function_shows_as_itself() -> None:
    def broken(learning_rate: float) -> solvers.SGD:
        if learning_rate > 0.1:
            raise KeyError("too fast")
        return make(learning_rate)

    with pytest.raises(KeyError, match="too fast") as caught:
        jaxlin.sweep(X, Y, loss=SOFTMAX, grid={"learning_rate": [0.1, 0.2]}, solver=broken)
    assert "grid setting 1: {'learning_rate': 0.2}" in caught.value.__notes__[0]


def test_an_error_of_the_users_loss_shows_as_itself() -> None:
    def broken(scores: Any, labels: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        jaxlin.sweep(X, Y, loss=broken, grid={"learning_rate": [0.1]}, solver=momentum_sgd)


def test_lists_may_be_arrays_ranges_and_tuples() -> None:
    import jax.numpy as jnp

    grid = {"l2": np.array([0.5, 1.0]), "a": range(2), "b": (0.25,), "c": jnp.array([2])}
    settings = settings_of(grid)
    assert settings[1] == {"l2": 0.5, "a": 1, "b": 0.25, "c": 2}
    assert {type(value) for value in settings[1].values()} == {int, float}
    assert settings_of([{"l2": np.float32(0.5)}, {"l2": jnp.float32(1.0)}]) == [
        {"l2": 0.5}, {"l2": 1.0}
    ]  # fmt: skip
    assert settings_of({"l2": [1], "nesterov": [True, 1]})[1]["nesterov"] == 1


def test_a_function_may_take_anything() -> None:
    def anything(**numbers: Any) -> solvers.SGD:
        return momentum_sgd(numbers["learning_rate"])

    found = jaxlin.sweep(X, Y, loss=SOFTMAX, grid={"learning_rate": [0.01]}, solver=anything)
    assert found.best == 0
