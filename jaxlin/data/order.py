"""The order in which an epoch sees the examples.

It depends on the key and the epoch's number alone, so that a run can be repeated or resumed from
any epoch. The permutation is drawn on the host: sorting, which is how XLA permutes, takes longer
than the epoch's arithmetic on a CPU, and NumPy's shuffle a twentieth of it.

Rows drawn one by one from data larger than the caches come from memory at a third of the rate of
rows that lie side by side: each begins on a page of its own. So large data are laid out in a random
order once, as they are copied (`memory_order`), and an epoch shuffles small groups of neighbours
(`rows_together`). Whoever is in a group is there by chance, whatever order the data came in; a
minibatch still holds at least sixteen groups drawn anew.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np


def key_words(key: jax.Array) -> tuple[int, ...]:
    """A `jax.random` key as whole numbers."""
    data = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return tuple(int(word) for word in np.asarray(data).ravel())


# Smaller data stay in the caches, where the order of reading costs nothing.
_LARGE_NUMBERS = 1 << 22
_MOST_TOGETHER, _FEWEST_GROUPS = 16, 16


def memory_order(key: jax.Array, num_examples: int, num_features: int) -> np.ndarray | None:
    """The order in which to lay out the rows of large data; None where they are not large.

    Args:
      key: a `jax.random` key.
      num_examples: N.
      num_features: D.

    Returns:
      A permutation of 0..N-1, int32 (N,).

    >>> memory_order(jax.random.key(0), 1000, 64) is None
    True
    >>> memory_order(jax.random.key(0), 100_000, 64).shape
    (100000,)
    """
    if num_examples * num_features < _LARGE_NUMBERS:
        return None
    return _permutation(np.random.SeedSequence(key_words(key), spawn_key=(0,)), num_examples)


def rows_together(batch_size: int) -> int:
    """How many rows, laid out in `memory_order`, an epoch may keep together.

    Args:
      batch_size: B.

    >>> rows_together(256), rows_together(64), rows_together(8)
    (16, 4, 1)
    """
    return max(1, min(_MOST_TOGETHER, batch_size // _FEWEST_GROUPS))


def epoch_order(key: jax.Array, epoch: int, num_examples: int, together: int = 1) -> np.ndarray:
    """The permutation of an epoch.

    Args:
      key: a `jax.random` key.
      epoch: its number, from 0.
      num_examples: N.
      together: so many neighbours keep together; 1 draws rows one by one.

    Returns:
      A permutation of 0..N-1, int32 (N,).

    >>> epoch_order(jax.random.key(0), 0, 5).tolist() == epoch_order(
    ...     jax.random.key(0), 0, 5).tolist()
    True
    >>> epoch_order(jax.random.key(0), 0, 5, together=2).tolist()
    [4, 0, 1, 2, 3]
    """
    seed = np.random.SeedSequence([*key_words(key), epoch])
    if together == 1:
        return _permutation(seed, num_examples)
    groups = _permutation(seed, -(-num_examples // together))
    order = (groups[:, None] * np.int32(together) + np.arange(together, dtype=np.int32)).ravel()
    return order[order < num_examples]


def _permutation(seed: np.random.SeedSequence, size: int) -> np.ndarray:
    order = np.arange(size, dtype=np.int32)
    np.random.Generator(np.random.PCG64(seed)).shuffle(order)
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
