"""The order of an epoch: a permutation that the key and the epoch's number alone decide."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlin.data.order import epoch_batches, epoch_order, key_words


@pytest.mark.parametrize("num_examples", [1, 2, 257])
def test_an_order_has_every_example_once(num_examples: int) -> None:
    order = epoch_order(jax.random.key(0), 3, num_examples)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(num_examples))


def test_an_order_depends_on_the_key_and_the_epoch_alone() -> None:
    first = epoch_order(jax.random.key(5), 2, 100)
    epoch_order(jax.random.key(6), 0, 50)
    assert np.array_equal(epoch_order(jax.random.key(5), 2, 100), first)
    assert np.array_equal(epoch_order(jax.random.PRNGKey(5), 2, 100), first)
    orders = {
        tuple(epoch_order(jax.random.key(seed), epoch, 100).tolist())
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


def test_a_key_is_all_of_its_words() -> None:
    assert key_words(jax.random.key(7)) == key_words(jax.random.PRNGKey(7)) == (0, 7)
    a, b = jax.random.split(jax.random.key(7))
    assert key_words(a) != key_words(b)
    swapped = [jax.random.wrap_key_data(jnp.array(w, jnp.uint32)) for w in ((1, 2), (2, 1))]
    assert not np.array_equal(epoch_order(swapped[0], 0, 50), epoch_order(swapped[1], 0, 50))


def test_all_orders_are_equally_likely() -> None:
    counts = dict.fromkeys(itertools.permutations(range(3)), 0)
    for epoch in range(1200):
        counts[tuple(epoch_order(jax.random.key(1), epoch, 3).tolist())] += 1
    # 200 each, with a standard deviation of 13.
    assert min(counts.values()) > 140
    assert max(counts.values()) < 260


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "shape"),
    [
        (7, 3, (3, 3)),
        (6, 3, (2, 3)),
        (1, 1, (1, 1)),
        (3, 5, (1, 5)),
        (5, 5, (1, 5)),
        (6, 5, (2, 5)),
    ],
)
def test_batches_are_slices_of_the_order(
    num_examples: int, batch_size: int, shape: tuple[int, int]
) -> None:
    order = epoch_order(jax.random.key(0), 0, num_examples)
    batches = epoch_batches(order, batch_size)
    assert batches.shape == shape
    assert batches.dtype == np.int32
    assert batches.ravel()[:num_examples].tolist() == order.tolist()
    assert not batches.ravel()[num_examples:].any()
