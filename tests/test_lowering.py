"""Every pure function lowers for CPU, CUDA and TPU, on whatever machine this is.

Lowering is as far as a machine without the hardware can go: an operation that a platform does not
know, or a type it does not have, shows here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from problems import LOSSES

import jaxlin
from jaxlin import LinearParams, Objective, gradients, losses, metrics, penalties
from jaxlin.data.scaling import Scaling

PLATFORMS = ("cpu", "cuda", "tpu")
N, D, C = 8, 3, 4
PARAMS = LinearParams(jnp.ones((C, D)), jnp.zeros(C))
X, LABELS, WEIGHT = jnp.ones((N, D)), jnp.zeros(N, jnp.int32), jnp.ones(N)
SCORES = jnp.ones((N, C))


def functions() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Every pure function with arguments for it."""
    table: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
        "scores": (jaxlin.scores, (PARAMS, X)),
        "scores of bytes": (jaxlin.scores, (PARAMS, X.astype(jnp.uint8))),
        "scores of bfloat16": (
            jaxlin.scores,
            (jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), PARAMS), X.astype(jnp.bfloat16)),
        ),
        "predict": (jaxlin.predict, (PARAMS, X)),
        "softmax_probabilities": (losses.softmax_probabilities, (SCORES,)),
        "l2": (penalties.l2, (PARAMS.W,)),
        "accuracy": (metrics.accuracy, (SCORES, LABELS, WEIGHT)),
        "scaling": (lambda scaling, x: scaling(x), (Scaling(jnp.ones(D), jnp.ones(D)), X)),
        "numerical": (
            lambda params: gradients.numerical(
                lambda p: Objective(LOSSES["softmax"])(p, X, LABELS), params
            ),
            (PARAMS,),
        ),
    }
    for name, loss in LOSSES.items():
        objective = Objective(loss, 0.1)
        arguments = (PARAMS, X, LABELS, WEIGHT)
        table[f"{name}"] = (loss, (SCORES, LABELS))
        table[f"{name} score_gradient"] = (loss.score_gradient, (SCORES, LABELS))
        table[f"{name} objective"] = (objective, arguments)
        table[f"{name} gradient_by_hand"] = (objective.gradient_by_hand, arguments)
        table[f"{name} jax.grad"] = (jax.grad(objective), arguments)
    return table


FUNCTIONS = functions()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_pure_function_lowers_for_every_platform(name: str) -> None:
    f, arguments = FUNCTIONS[name]
    exported = export.export(jax.jit(f), platforms=PLATFORMS)(*arguments)
    assert exported.platforms == PLATFORMS
    wide = {np.dtype(np.float64), np.dtype(np.int64)}
    assert not wide & {np.dtype(aval.dtype) for aval in exported.out_avals}
    assert "f64" not in exported.mlir_module()


def test_what_was_lowered_gives_the_same_here() -> None:
    f, arguments = FUNCTIONS["scores"]
    exported = export.export(jax.jit(f), platforms=PLATFORMS)(*arguments)
    leaves = jax.tree.leaves(arguments)
    (found,) = jax.tree.leaves(exported.call(*arguments))
    assert len(exported.in_avals) == len(leaves)
    assert np.array_equal(found, f(*arguments))
