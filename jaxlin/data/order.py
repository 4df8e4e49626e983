"""The order in which an epoch sees the examples.

It depends on the key and the epoch's number alone, so that a run can be repeated or resumed from
any epoch. The permutation is drawn on the host: sorting, which is how XLA permutes, takes longer
than the epoch's arithmetic on a CPU, and NumPy's shuffle a twentieth of it.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def key_words(key: jax.Array) -> tuple[int, ...]:
    """A `jax.random` key as whole numbers."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return tuple(int(word) for word in np.asarray(data).ravel())


def epoch_order(key: jax.Array, epoch: int, num_examples: int) -> np.ndarray:
    """The permutation of an epoch.

    Args:
      key: a `jax.random` key.
      epoch: its number, from 0.
      num_examples: N.

    Returns:
      A permutation of 0..N-1, int32 (N,).

    >>> epoch_order(jax.random.key(0), 0, 5).tolist() == epoch_order(
    ...     jax.random.key(0), 0, 5).tolist()
    True
    """
    generator = np.random.Generator(
        np.random.PCG64(np.random.SeedSequence([*key_words(key), epoch]))
    )
    order = np.arange(num_examples, dtype=np.int32)
    generator.shuffle(order)
    return order


def epoch_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """An order cut into batches, (number of batches, B); the last is filled up with row 0.

    Whoever reads it gives no weight to what was filled in.

    >>> epoch_batches(np.array([2, 0, 1], np.int32), 2).tolist()
    [[2, 0], [1, 0]]
    """
    num_batches = -(-len(order) // batch_size)
    batches = np.zeros(num_batches * batch_size, np.int32)
    batches[: len(order)] = order
    return batches.reshape(num_batches, batch_size)
