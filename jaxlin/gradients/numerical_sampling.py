"""Numerical derivatives at a few places: a spot check of a gradient of many coordinates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jaxlin.checks import as_key, check_count
from jaxlin.errors import InputError
from jaxlin.gradients.finite_differences import Scheme, checked_scope, derivatives


class NumericalSample(NamedTuple):
    """Some derivatives of a function, NumPy arrays (K,).

    Attributes:
      value: the derivatives.
      error: estimates of their errors.
      step: the (smallest) step taken for each.
      coordinates: of which coordinates they are, in the order of `ravel_pytree`; None for
        directions.
      directions: along which directions they are (K, P), of length 1; None for coordinates.

    >>> found = numerical_sample(lambda p: jnp.sum(p), np.ones(9), 2, along="directions")
    >>> bool(np.allclose(found.value, found.directions.sum(axis=1)))
    True
    """

    value: np.ndarray
    error: np.ndarray
    step: np.ndarray
    coordinates: np.ndarray | None
    directions: np.ndarray | None


def numerical_sample(
    f: Callable[[Any], jax.typing.ArrayLike],
    params: Any,
    count: int,
    *,
    along: Literal["coordinates", "directions"] = "coordinates",
    key: Any = None,
    step: float | None = None,
    scheme: Scheme = "richardson",
    batch_size: int | None = None,
) -> NumericalSample:
    """Derivatives of `f` along a random sample of coordinates, or along random directions.

    What a gradient of many coordinates is spot-checked with: each derivative costs as much as one
    coordinate's. A random direction sees every coordinate at once, and cannot tell which is wrong.

    Args:
      f: as for `numerical`.
      params: as for `numerical`, P numbers in all.
      count: K, how many.
      along: `"coordinates"`, drawn without replacement (all of them where there are fewer than K),
        or `"directions"`, uniform on the unit sphere.
      key: a `jax.random` key or a seed; None is 0.
      step: as for `numerical`.
      scheme: as for `numerical`.
      batch_size: as for `numerical`.

    Returns:
      `NumericalSample`.

    Raises:
      InputError: as for `numerical`, or a count below 1.

    >>> found = numerical_sample(lambda p: jnp.sum(p**2), np.ones(1000), 3)
    >>> [round(v, 6) for v in found.value.tolist()]
    [2.0, 2.0, 2.0]
    """
    check_count("count", count)
    if along not in ("coordinates", "directions"):
        raise InputError(f'along must be "coordinates" or "directions", got {along!r}.')
    key = as_key(key)
    with checked_scope(f, params):
        params = jax.tree.map(jnp.asarray, params)
        flat, _ = ravel_pytree(params)
        count = min(count, flat.size) if along == "coordinates" else count
        if along == "coordinates":
            rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
            coordinates = np.sort(rng.choice(flat.size, count, replace=False)).astype(np.int32)
            which, directions = jnp.asarray(coordinates), None
        else:
            coordinates, which = None, jnp.arange(count, dtype=jnp.int32)
            directions = random_directions(key, count, flat)
        limit = derivatives(f, params, step, scheme, which, directions, batch_size)
        found = [np.asarray(part) for part in limit]
        along_which = None if directions is None else np.asarray(directions)
        return NumericalSample(found[0], found[1], found[2], coordinates, along_which)


def random_directions(key: jax.Array, count: int, flat: jax.Array) -> jax.Array:
    """Unit vectors (count, P), uniform on the sphere."""
    drawn = jax.random.normal(key, (count, flat.size), flat.dtype)
    return drawn / jnp.linalg.norm(drawn, axis=1, keepdims=True)
