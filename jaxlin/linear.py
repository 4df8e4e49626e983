"""The linear classifier: a template for each class, compared with the image by a dot product.

`scores = x @ W.T + b`: row k of `W (C, D)` is the template of class k, `b (C,)` its bias, and an
example `x (N, D)` gets one score a class, `(N, C)`. The prediction is the class with the highest
score. Everything else in this library is about finding W and b.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxlin.checks import check_count, check_positive
from jaxlin.errors import InputError
from jaxlin.precision import (
    as_floats,
    compute_dtype,
    first_largest,
    float64_scope,
    is_floating,
    keeps_float64,
    product,
)
from jaxlin.shapes import assert_axis_dimension, assert_rank, assert_shape


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class LinearParams:
    """The parameters of a linear classifier, as a pytree.

    Attributes:
      W: weights (C, D), one row a class.
      b: biases (C,), or None where the model has no bias.

    >>> LinearParams(jnp.zeros((3, 4)), jnp.zeros(3)).num_classes
    3
    """

    W: jax.Array
    b: jax.Array | None = None

    @property
    def num_classes(self) -> int:
        """C."""
        return self.W.shape[-2]

    @property
    def num_features(self) -> int:
        """D."""
        return self.W.shape[-1]


def init_params(
    num_features: int,
    num_classes: int,
    *,
    bias: bool = True,
    key: jax.Array | None = None,
    scale: float = 0.0,
    dtype: Any = jnp.float32,
) -> LinearParams:
    """Parameters to start from: W at zero, or normal with standard deviation `scale`; b at zero.

    Zero is as good a start as any here: the objective is convex.

    Args:
      num_features: D.
      num_classes: C.
      bias: whether there is a b.
      key: a `jax.random` key; needed where `scale` is not 0.
      scale: standard deviation of W.
      dtype: of W and b.

    Returns:
      `LinearParams` with W (C, D) and b (C,) or None.

    Raises:
      InputError: a size below 1, a scale without a key or not positive, a dtype not floating.

    >>> init_params(4, 3).W.shape
    (3, 4)
    """
    shape = (check_count("num_classes", num_classes), check_count("num_features", num_features))
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError(f"dtype must be floating, got {dtype!r}.")
    with float64_scope(jnp.dtype(dtype) == jnp.float64):
        if scale == 0.0:
            W = jnp.zeros(shape, dtype)
        elif key is None:
            raise InputError(
                f"scale={scale} draws W at random: pass key=jax.random.key(seed), or leave scale "
                "at 0."
            )
        else:
            scale = check_positive("scale", scale)
            W = jnp.asarray(scale, dtype) * jax.random.normal(key, shape, dtype)
        return LinearParams(W, jnp.zeros(shape[:1], dtype) if bias else None)


def prepare_features(
    dtype: jax.typing.DTypeLike, x: jax.typing.ArrayLike
) -> tuple[jax.Array, jax.typing.DTypeLike]:
    """Floating features, and the dtype of the scores that W of some dtype gives them."""
    features = as_floats(x, compute_dtype(dtype))
    return features, jnp.promote_types(dtype, features.dtype) if is_floating(x) else dtype


@keeps_float64
def scores(params: LinearParams, x: jax.typing.ArrayLike) -> jax.Array:
    """The scores `x @ W.T + b`.

    Integer features (images, say) are converted before any arithmetic, and give scores in the dtype
    of W; among floating dtypes the wider one wins. Half-width products are summed in float32.

    Args:
      params: W (C, D) and b (C,) or None.
      x: features (N, D); any leading dimensions will do, none as well.

    Returns:
      Scores (N, C).

    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.array([0.5, 0.0]))
    >>> scores(params, jnp.array([[3.0, 1.0]])).tolist()
    [[3.5, 2.0]]
    """
    W = as_floats(params.W, jnp.float32)
    assert_rank(W, 2)
    x, score_dtype = prepare_features(W.dtype, x)
    assert_axis_dimension(x, -1, W.shape[1])
    dtype = jnp.promote_types(W.dtype, x.dtype)
    products = product(x.astype(dtype), W.astype(dtype), (x.ndim - 1, 1))
    if params.b is not None:
        b = as_floats(params.b, products.dtype)
        assert_shape(b, W.shape[:1])
        row = b.astype(products.dtype).reshape((1,) * (products.ndim - 1) + b.shape)
        products = products + row
    return products.astype(score_dtype)


@keeps_float64
def predict(params: LinearParams, x: jax.typing.ArrayLike) -> jax.Array:
    """The class with the highest score, the lowest index among equals.

    Args:
      params: W (C, D) and b (C,) or None.
      x: features (N, D).

    Returns:
      Class indices (N,), int32.

    >>> params = LinearParams(jnp.array([[1.0, 0.0], [0.0, 2.0]]))
    >>> predict(params, jnp.array([[3.0, 1.0], [0.0, 1.0]])).tolist()
    [0, 1]
    """
    return first_largest(scores(params, x))
