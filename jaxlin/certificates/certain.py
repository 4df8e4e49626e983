"""Which predictions of a model the exact optimum is sure to share."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlin import checks, conjugates
from jaxlin.arrays import check_two_dimensional, numeric_array
from jaxlin.certificates.bias_shift import MOST_CLASSES, examples_looked_at, largest_falls
from jaxlin.certificates.certificate import Certificate, as_features
from jaxlin.certificates.dual_points import wide
from jaxlin.data.scaling import Scaling
from jaxlin.linear import LinearParams
from jaxlin.losses import SoftmaxCrossEntropy
from jaxlin.precision import first_largest, float64_scope
from jaxlin.row_blocks import map_blocks

_EPS = float(np.finfo(np.float64).eps)


def certain_predictions(
    certificate: Certificate,
    params: LinearParams,
    x: Any,
    scaling: Scaling | None = None,
    *,
    examples: Any = None,
    sample_weight: Any = None,
) -> np.ndarray:
    """Which predictions of a model the exact optimum is sure to share.

    Without a bias, W lies within `radius` of the optimum's, so that the difference of two scores of
    x changes by at most `sqrt(2) * radius * ||x||`: where the highest score leads by more, the
    optimum predicts the same. A free bias is held by the examples alone: for softmax, where these
    are given, it is bounded by what another bias would cost on them
    (`jaxlin.certificates.bias_shift` has the proof). For the hinges nothing is claimed with a free
    bias, and all is False: the optimum's need not even be unique.

    Args:
      certificate: of these parameters.
      params: W (C, D) and b (C,) or None.
      x: features (N, D); they need not be those that the certificate was made of.
      scaling: what the features go through first, or None.
      examples: the features (M, D) that the certificate was made of; used with a free bias only,
        and of many only some thousands.
      sample_weight: of the examples (M,), as it was made with.

    Returns:
      (N,) bool.

    Raises:
      InputError: an argument is not what it has to be.

    >>> x = np.array([[1.0], [0.001]])
    >>> proof = Certificate(primal=0.51, dual=0.5, how="", l2=1.0, has_bias=False)
    >>> certain_predictions(proof, LinearParams(jnp.array([[1.0], [-1.0]])), x).tolist()
    [True, True]
    >>> certain_predictions(proof, LinearParams(jnp.array([[0.05], [-0.05]])), x).tolist()
    [False, False]
    """
    with float64_scope(True):
        features = as_features(x, params.num_features)
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), params)
        num_classes = params.num_classes
        center, falls = np.zeros(params.num_features), np.zeros((num_classes, num_classes))
        if certificate.has_bias or params.b is not None:
            is_softmax = isinstance(certificate.loss, SoftmaxCrossEntropy)
            is_free = certificate.has_bias and params.b is not None
            if examples is None or not (is_softmax and is_free and num_classes <= MOST_CLASSES):
                return np.zeros(len(features), bool)
            center, falls = _bias_falls(certificate, exact, examples, sample_weight, scaling)
        return np.asarray(
            _is_certain(
                exact, features, scaling, jnp.asarray(certificate.radius), jnp.asarray(center),
                jnp.asarray(falls),
            )
        )  # fmt: skip


def _bias_falls(
    certificate: Certificate,
    params: LinearParams,
    examples: Any,
    sample_weight: Any,
    scaling: Scaling | None,
) -> tuple[np.ndarray, np.ndarray]:
    """A point among the examples, and how far each lead can fall there."""
    examples = numeric_array(examples, "examples")
    check_two_dimensional(examples, "examples")
    weight = checks.as_sample_weight(sample_weight, len(examples))
    shares = weight / weight.sum()
    rows = examples_looked_at(len(examples), params.num_classes)
    some = as_features(np.asarray(examples[rows]), params.num_features, "examples")
    x = np.asarray(wide(some, scaling))
    center = x.mean(axis=0)
    scores = x @ np.asarray(params.W).T + (0.0 if params.b is None else np.asarray(params.b))
    distance = np.linalg.norm(x - center, axis=1)
    gap = max(certificate.gap, 0.0)
    return center, largest_falls(scores, shares[rows], distance, gap, certificate.radius)


@jax.jit
def _is_certain(
    params: LinearParams,
    x: jax.Array,
    scaling: Scaling | None,
    radius: jax.Array,
    center: jax.Array,
    falls: jax.Array,
) -> jax.Array:
    def block(rows: jax.Array) -> jax.Array:
        features = wide(rows, scaling)
        scores = features @ params.W.T
        scores = scores if params.b is None else scores + params.b[None, :]
        length = jnp.sqrt(jnp.sum(features * features, axis=1))
        away = features - center[None, :]
        distance = jnp.sqrt(jnp.sum(away * away, axis=1))
        template = jnp.sqrt(jnp.max(jnp.sum(params.W * params.W, axis=1)))
        rounding = 4.0 * _EPS * (features.shape[1] + 8.0) * length * (template + radius)
        if params.b is not None:
            rounding = rounding + 8.0 * _EPS * jnp.max(jnp.abs(params.b))
        top = first_largest(scores)
        is_best = conjugates.label_mask(top, scores.shape[1])
        lead = jnp.max(scores, axis=1)[:, None] - scores
        needed = math.sqrt(2.0) * radius * distance + rounding
        is_safe = lead > needed[:, None] + falls[top]
        return jnp.all(is_best | is_safe, axis=1)

    return map_blocks(block, x)
