"""What a user's function is: a loss of each example, or an objective of some form of params."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin.cli.user_code import UserFunction, place_of, user_errors, words_of
from jaxlin.errors import InputError
from jaxlin.linear import LinearParams
from jaxlin.precision import float64_scope


@dataclasses.dataclass(frozen=True, eq=False)
class Form:
    """What a user's function takes, and how to call it.

    Attributes:
      words: for people.
      params: `params(W, b, x)` makes what it is differentiated by.
      args: `args(x, labels, l2)` are its other arguments.
      call: `call(f, params, *args)`, a scalar.
      gradient: `gradient(g, params, *args)`, a pytree like params.
      retold: the same in terms of W and b, where mistakes have names; None where it is so already.
    """

    words: str
    params: Callable[[np.ndarray, np.ndarray, np.ndarray], Any]
    args: Callable[[np.ndarray, np.ndarray, float], tuple[Any, ...]]
    call: Callable[..., Any]
    gradient: Callable[..., Any]
    retold: Form | None = None

    def function(self, user: UserFunction) -> Callable[..., Any]:
        """The user's function as `f(params, *args)`."""
        # No self in it: what holds an object may hold arrays, for all that `captured` can tell.
        call, f = self.call, user.call
        return lambda params, *args: call(f, params, *args)

    def by_hand(self, user: UserFunction) -> Callable[..., Any]:
        """The user's gradient as `g(params, *args)`."""
        return lambda params, *args: self.gradient(user.call, params, *args)


def _examples(x: np.ndarray, labels: np.ndarray, l2: float) -> tuple[Any, ...]:
    del l2
    return x, labels


def _examples_and_l2(x: np.ndarray, labels: np.ndarray, l2: float) -> tuple[Any, ...]:
    return x, labels, l2


def _scores(params: LinearParams, x: Any) -> Any:
    b: Any = params.b
    return x @ params.W.T + b[None]


def _mean_gradient(g: Callable[..., Any], params: Any, x: Any, labels: Any) -> Any:
    dS = np.asarray(g(_scores(params, x), labels)) / len(labels)
    return LinearParams(dS.T @ x, dS.sum(axis=0))


_MEAN_LOSS = Form(
    "the mean of a loss of each example",
    params=lambda W, b, x: LinearParams(W, b),  # pyright: ignore[reportArgumentType]
    args=_examples,
    call=lambda f, params, x, labels: jnp.mean(f(_scores(params, x), labels)),
    gradient=_mean_gradient,
)

_LOSS = Form(
    "a loss of each example, (scores, labels) -> (N,); checked by its scores",
    params=lambda W, b, x: {"scores": (x @ W.T + b).astype(W.dtype)},
    args=lambda x, labels, l2: (labels,),
    call=lambda f, params, labels: jnp.sum(f(params["scores"], labels)),
    gradient=lambda g, params, labels: {"scores": g(params["scores"], labels)},
    retold=_MEAN_LOSS,
)


def _objective(words: str, with_l2: bool, params: Callable[..., Any], is_array: bool) -> Form:
    def unwrapped(f: Callable[..., Any], params: Any, *args: Any) -> Any:
        return f(params["W"] if is_array else params, *args)

    def gradient(g: Callable[..., Any], params: Any, *args: Any) -> Any:
        found = unwrapped(g, params, *args)
        return {"W": found} if is_array else found

    arguments = "(params, x, labels, l2)" if with_l2 else "(params, x, labels)"
    return Form(
        f"an objective {arguments} -> scalar, params {words}",
        params=params,
        args=_examples_and_l2 if with_l2 else _examples,
        call=unwrapped,
        gradient=gradient,
    )


def _objectives(with_l2: bool) -> tuple[Form, ...]:
    return (
        _objective("a jaxlin.LinearParams", with_l2, lambda W, b, x: LinearParams(W, b), False),  # pyright: ignore[reportArgumentType]
        _objective("W of shape (C, D)", with_l2, lambda W, b, x: {"W": W}, True),
        _objective("W of shape (D, C)", with_l2, lambda W, b, x: {"W": W.T.copy()}, True),
    )


def recognise(
    user: UserFunction, x: np.ndarray, labels: np.ndarray, num_classes: int, l2: float
) -> Form:
    """What a function takes, from its number of arguments and from what it returns.

    Raises:
      InputError: it is nothing that can be checked without `--arguments`.
    """
    count = _num_arguments(user)
    if count == 2:
        _check_loss(user, len(x), num_classes)
        return _LOSS
    failures = []
    for form in _objectives(with_l2=count == 4):
        # Where C = D the two forms of W have one shape: another C tells them apart.
        classes = num_classes + int(num_classes == x.shape[1])
        W, b = np.zeros((classes, x.shape[1])), np.zeros(classes)
        try:
            shape = _result_shape(
                form.function(user), form.params(W, b, x), *form.args(x, labels, l2)
            )
        except (InputError, SystemExit, KeyboardInterrupt):
            raise
        except Exception as error:
            failures.append((form, error))
            continue
        if shape != ():
            raise InputError(
                f"{user} with {count} arguments must return a scalar, got shape {shape}. A loss of "
                "each example has two: (scores, labels)."
            )
        return form
    raise InputError(_why_none(user, failures))


def _num_arguments(user: UserFunction) -> int:
    hint = "Give its arguments with --arguments FILE.py:make."
    try:
        parameters = inspect.signature(user.call).parameters.values()
    except (TypeError, ValueError):
        raise InputError(f"{user}: its arguments cannot be seen. {hint}") from None
    needed = [p for p in parameters if p.default is p.empty]
    positional = [p for p in needed if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != len(needed) or len(positional) not in (2, 3, 4):
        raise InputError(
            f"{user} must take (scores, labels), (params, x, labels) or (params, x, labels, l2), "
            f"got ({', '.join(str(p) for p in needed)}). For anything else: {hint}"
        )
    return len(positional)


def _result_shape(f: Callable[..., Any], params: Any, *args: Any) -> Any:
    """The shape of what is returned; nothing is computed."""
    with float64_scope(True):
        is_array = [isinstance(arg, np.ndarray) for arg in args]
        arrays = [arg for arg, is_one in zip(args, is_array, strict=True) if is_one]

        def call(params: Any, *arrays: Any) -> Any:
            rest = iter(arrays)
            pairs = zip(args, is_array, strict=True)
            return f(params, *(next(rest) if is_one else arg for arg, is_one in pairs))

        found = jax.eval_shape(call, params, *arrays)
    return getattr(found, "shape", f"of {type(found).__name__}")


def _check_loss(user: UserFunction, num_examples: int, num_classes: int) -> None:
    scores = np.zeros((num_examples, num_classes))
    with user_errors(user.path):
        shape = _result_shape(user.call, scores, np.zeros(num_examples, np.int32))
    if shape != (num_examples,):
        raise InputError(
            f"{user} takes two arguments, (scores, labels): it must return one value an example, "
            f"shape ({num_examples},), got {shape}. A mean or a sum has the form (params, x, "
            "labels)."
        )


def _why_none(user: UserFunction, failures: list[tuple[Form, Exception]]) -> str:
    """One line for a function that took params in none of their forms."""
    errors = [error for _, error in failures]
    numpy = [e for e in errors if isinstance(e, jax.errors.JAXTypeError)]
    # What JAX cannot trace came furthest: the shapes did fit until there.
    for error in numpy or errors[:1] if len({str(e) for e in errors}) == 1 else numpy:
        return f"{place_of(error, (user.path,)) or user}: {words_of(error)}"
    tried = "; ".join(
        f"{form.words.rpartition('params ')[2]}: {place_of(error, (user.path,)) or ''} "
        f"{words_of(error)}"
        for form, error in failures
    )
    return f"{user} works with none of the params it was tried with. {tried}"
