"""Splits and folds that keep groups whole, and few examples of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jaxlin import data
from jaxlin.errors import InputError


def grouped(num_groups: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels of 4 classes, the last rare, and groups of 1 to 12, each with classes it likes."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 13, num_groups)
    groups = rng.permutation(np.repeat(rng.permutation(10 * num_groups)[:num_groups], sizes))
    liking = rng.dirichlet([0.6, 0.4, 0.3, 0.1], 10 * num_groups)
    labels = np.array([rng.choice(4, p=liking[group]) for group in groups])
    return labels, groups


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.5])
def test_no_group_is_on_two_sides_and_classes_have_their_shares(share: float) -> None:
    for seed in range(5):
        labels, groups = grouped(300, seed)
        stay, apart = data.split_groups(labels, groups, share, seed)
        assert sorted([*stay, *apart]) == list(range(len(labels)))
        assert (np.diff(stay) > 0).all()
        assert (np.diff(apart) > 0).all()
        assert not set(groups[stay]) & set(groups[apart])
        wanted = share * np.bincount(labels)
        assert (abs(np.bincount(labels[apart], minlength=4) - wanted) <= 2).all()


def test_a_seed_repeats_and_another_does_not() -> None:
    labels, groups = grouped(100)
    draws = [data.split_groups(labels, groups, 0.2, seed)[1].tolist() for seed in (3, 3, 4)]
    assert draws[0] == draws[1] != draws[2]
    folds = [data.group_folds(labels, groups, 4, seed).tolist() for seed in (3, 3, 4)]
    assert folds[0] == folds[1] != folds[2]


def test_names_of_groups_do_not_matter() -> None:
    labels, groups = grouped(50)
    names = np.array([f"{group:05d}" for group in groups])
    for ours, theirs in zip(
        data.split_groups(labels, groups, 0.3), data.split_groups(labels, names, 0.3), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_every_class_keeps_a_group_to_learn_from() -> None:
    # Class 1 is in one group alone, and class 2 in two.
    labels = np.array([0, 0, 0, 1, 1, 2, 0, 2, 0, 0])
    groups = np.array([0, 0, 1, 2, 2, 3, 3, 4, 4, 5])
    for seed in range(20):
        stay, apart = data.split_groups(labels, groups, 0.5, seed)
        assert set(labels[stay]) == {0, 1, 2}
        assert 2 not in groups[apart]
        assert len(apart)


def test_groups_that_are_all_too_large_give_the_smallest() -> None:
    labels = np.zeros(30, int)
    groups = np.repeat([5, 6, 7], [12, 8, 10])
    assert set(groups[data.split_groups(labels, groups, 0.05)[1]]) == {6}


@pytest.mark.parametrize("num_folds", [2, 5])
def test_folds_keep_groups_whole_and_are_stratified(num_folds: int) -> None:
    labels, groups = grouped(120)
    folds = data.group_folds(labels, groups, num_folds)
    assert folds.dtype == np.int32
    assert set(folds) == set(range(num_folds))
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    counts = np.array([np.bincount(labels[folds == fold], minlength=4) for fold in set(folds)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 12).all()


def test_folds_with_classes_that_are_rarer_than_folds() -> None:
    labels = np.array([0] * 20 + [1, 2])
    groups = np.arange(22) // 2
    folds = data.group_folds(labels, groups, 5)
    assert np.bincount(folds).min() > 0


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        ([0, 1, 0, 1], [1, 1, 1, 1], "there are 1, and each class needs one that stays"),
        ([0, 1, 0, 1], ["a", "b", "a", "b"], "class 0 has 1"),
        ([0, 1, 0, 1], [1, 2, 3], "groups must be one an example, 4, got 3"),
        ([0, 1, 0, 1], [1.5, 2, 3, 4], "groups: Unknown label type: continuous"),
        ([0, 1, 0, 1], ["a", None, "b", "c"], "groups: Input groups contains NaN"),
        ([0, 1, 0, 1], [1, "b", 2, 3], "groups: groups must all be of one kind"),
    ],
)
def test_groups_that_do_not_do_are_said(labels: Any, groups: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.split_groups(np.array(labels), groups, 0.25)


def test_a_class_goes_by_its_name() -> None:
    with pytest.raises(InputError, match="class 'dog' has 1"):
        data.split_groups(np.array([1, 1]), [0, 0], 0.5, classes=("cat", "dog"))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, True, float("nan")])
def test_a_share_of_all_or_nothing_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share must be between"):
        data.split_groups(np.array([0, 1]), [0, 1], share)


@pytest.mark.parametrize("folds", [1, 0, True, 2.0, 4])
def test_folds_that_cannot_be_are_refused(folds: Any) -> None:
    with pytest.raises(InputError, match="folds"):
        data.group_folds(np.array([0, 1, 0, 1]), [0, 1, 2, 2], folds)


LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 3], [40, 9, 2]))


def test_few_examples_of_each_class_are_nested() -> None:
    for seed in (0, 7):
        before: set[int] = set()
        for size in (1, 2, 4, 8, 16, 100):
            rows = data.few_shot_rows(LABELS, size, seed)
            assert (np.diff(rows) > 0).all()
            assert np.bincount(LABELS[rows]).tolist() == [min(size, n) for n in (40, 9, 0, 2)]
            assert before < set(rows) or size == 100
            before = set(rows)
    assert set(data.few_shot_rows(LABELS, 40)) == set(range(len(LABELS)))


def test_few_examples_are_drawn_by_seed_and_class_alone() -> None:
    draws = [data.few_shot_rows(LABELS, 4, seed).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    others = np.where(LABELS == 3, 5, LABELS)
    rows = data.few_shot_rows(LABELS, 4, 1)
    assert set(rows[LABELS[rows] < 3]) == {
        row for row in data.few_shot_rows(others, 4, 1) if others[row] < 3
    }
    drawn = np.bincount(
        np.concatenate([data.few_shot_rows(LABELS, 5, seed) for seed in range(400)]), minlength=51
    )[LABELS == 0]
    # 400 draws of 5 from 40: each is drawn 50 times, give or take 6.6.
    assert drawn.min() > 20
    assert drawn.max() < 80


def test_scarce_classes_are_said() -> None:
    assert data.scarce_classes(LABELS, 2) == {}
    assert data.scarce_classes(LABELS, 16) == {1: 9, 3: 2}


@pytest.mark.parametrize(
    ("labels", "size", "seed", "words"),
    [
        ([], 1, 0, "labels must be class indices"),
        ([0.0, 1.0], 1, 0, "labels must be class indices"),
        ([[0, 1]], 1, 0, "labels must be class indices"),
        ([-1, 1], 1, 0, "labels must be class indices"),
        ([0, 1], 0, 0, "per_class must be at least 1"),
        ([0, 1], 1.5, 0, "per_class must be a whole number"),
        ([0, 1], 1, -1, "repeat_seed must be"),
        ([0, 1], 1, 2**32, "repeat_seed must be"),
        ([0, 1], 1, True, "repeat_seed must be"),
    ],
)
def test_what_cannot_be_drawn_is_said(labels: Any, size: Any, seed: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        data.few_shot_rows(np.array(labels), size, seed)
