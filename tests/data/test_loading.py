"""`data.load`: labels encoded, test and validation examples set apart."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedShuffleSplit

from jaxlin import data
from jaxlin.data import builtin
from jaxlin.data.loading import check_feature_names, encode_as
from jaxlin.errors import DataFormatError, InputError

N = 40
X = np.arange(3 * N, dtype=np.uint8).reshape(N, 3)  # every row is another
Y = np.arange(N) % 4 // 3  # 30 of class 0, 10 of class 1


def saved(folder: Path, name: str = "d.npz", **arrays: Any) -> Path:
    np.savez(folder / name, **arrays)
    return folder / name


def rows(*splits: data.Split | None) -> list[int]:
    return sorted(int(row[0]) // 3 for split in splits if split is not None for row in split.x)


def test_the_parts_are_stratified_and_no_example_is_in_two(tmp_path: Path) -> None:
    found = data.load(saved(tmp_path, x=X, y=Y), test_share=0.2, validation=0.25, seed=3)
    assert found.validation is not None
    assert found.test is not None
    assert rows(found.train, found.validation, found.test) == list(range(N))
    for split, counts in ((found.test, [6, 2]), (found.validation, [6, 2]), (found.train, [18, 6])):
        assert np.bincount(split.labels).tolist() == counts
        assert (split.labels == Y[rows(split)]).all()
        assert split.x.dtype == np.uint8
    assert not found.has_own_test


def test_a_seed_repeats_and_another_does_not(tmp_path: Path) -> None:
    path = saved(tmp_path, x=X, y=Y)
    first, again, other = (data.load(path, validation=0.2, seed=s) for s in (5, 5, 6))
    assert rows(first.test) == rows(again.test) != rows(other.test)
    assert rows(first.validation) == rows(again.validation)
    more = data.load(path, validation=0.4, seed=5)
    assert rows(more.test) == rows(first.test)  # the test set does not hang on the validation


def test_no_share_sets_nothing_apart(tmp_path: Path) -> None:
    found = data.load(saved(tmp_path, x=X, y=Y), test_share=0.0)
    assert found.test is None
    assert found.validation is None
    np.testing.assert_array_equal(found.train.x, X)


def test_a_test_set_of_its_own_is_taken_whole(tmp_path: Path) -> None:
    own = saved(tmp_path, x_train=X, y_train=Y, x_test=X[:5], y_test=Y[:5])
    found = data.load(own, test_share=0.5, validation=0.2)
    assert rows(found.test) == [0, 1, 2, 3, 4]
    assert rows(found.train, found.validation) == list(range(N))
    assert found.has_own_test
    # A file for the test set comes before that of the source; of one in two parts, its test part.
    other = saved(tmp_path, "t.npz", x=X[5:8], y=Y[5:8])
    assert rows(data.load(own, test=other).test) == [5, 6, 7]
    assert rows(data.load(other, test=own, test_share=0.9).test) == [0, 1, 2, 3, 4]


def test_a_class_that_training_lacks_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=X, y_train=Y, x_test=X[:2], y_test=[0, 7])
    with pytest.raises(DataFormatError, match=r"among the classes 0, 1; got 7 at index 1"):
        data.load(path)
    test = saved(tmp_path, "t.npz", x=X[:2], y=["a", "b"])
    with pytest.raises(DataFormatError, match=r"t.npz: .*got 'a'"):
        data.load(path, test=test)


def test_labels_of_a_test_set_may_be_of_another_width(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=X, y_train=Y.astype("u1"), x_test=X[:3], y_test=[0.0, 1.0, 0.0])
    found = data.load(path)
    assert found.test is not None
    assert found.test.labels.tolist() == [0, 1, 0]
    assert encode_as(np.array([1, 0]), ("0", "1"), "f").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "options", "words"),
    [
        (np.zeros(N), {}, "contains only one class, 0.0"),
        (np.r_[Y[:-1], 9], {}, r"test_share .* 0.25, but .* class 9 has 1"),
        (np.r_[Y[:-1], 9], {"test_share": 0.0, "validation": 0.5}, r"validation .*class 9 has 1"),
        (Y, {"test_share": 0.01}, "1 of 40 examples set apart"),
        (Y, {"validation": 0.99}, "validation"),
        (Y, {"test_share": 1.0}, "test_share must be a share from 0 to below 1"),
        (Y, {"validation": -0.1}, "validation must be a share"),
        (Y, {"validation": "0.1"}, "validation must be a share"),
        (Y, {"validation": float("nan")}, "validation must be a share"),
        (Y, {"seed": 2**32}, "seed must be"),
        (Y, {"seed": -1}, "seed must be"),
        (Y, {"seed": "0"}, "seed must be"),
        (Y, {"test_labels": "y.npy"}, "test_labels belongs to test"),
        (Y + 0.5, {}, "continuous"),
    ],
)
def test_what_cannot_be_divided_is_said(
    tmp_path: Path, labels: Any, options: dict[str, Any], words: str
) -> None:
    path = saved(tmp_path, x=X, y=labels)
    with pytest.raises((InputError, DataFormatError), match=words):
        data.load(path, **options)


@pytest.mark.parametrize("part", ["x_train", "x_test"])
@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity")])
def test_numbers_that_are_none_are_found_where_they_stand(
    tmp_path: Path, part: str, value: float, word: str
) -> None:
    arrays = {"x_train": X.astype(np.float32), "y_train": Y, "x_test": X[:9] * 1.0, "y_test": Y[:9]}
    arrays[part][7, 2] = value
    path = saved(tmp_path, **arrays)
    with pytest.raises(DataFormatError, match=f"{word}: in example 7, feature 2") as caught:
        data.read(path)
    assert str(path) in str(caught.value)


def test_a_bad_number_beyond_the_first_block_is_found(tmp_path: Path) -> None:
    x = np.zeros((3000, 2000), np.float32)
    x[2999, 1999] = np.nan
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(DataFormatError, match="example 2999, feature 1999"):
        data.read(tmp_path / "x.npy")


def test_setting_examples_apart_copies_the_features_once(tmp_path: Path) -> None:
    x = np.zeros((4000, 2500), np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.arange(4000) % 2)
    data.load("digits", validation=0.1)  # what is loaded only once
    tracemalloc.start()
    data.load(tmp_path / "x.npy", labels=tmp_path / "y.npy", validation=0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.3 * x.nbytes


def test_columns_of_other_names_are_refused() -> None:
    check_feature_names(["a", "b"], None, "f")
    check_feature_names(None, ["a"], "f")
    check_feature_names(["a", "b"], ["a", "b"], "f")
    with pytest.raises(DataFormatError, match="feature 2 must be 'b', got 'c'"):
        check_feature_names(["a", "b"], ["a", "c"], "f")


def test_a_missing_name_says_what_is_built_in() -> None:
    with pytest.raises(DataFormatError, match=r"No such file.*built in is digits"):
        data.load("mnist")


def test_digits_are_the_same_in_every_installation() -> None:
    found = data.load("digits")
    assert found.test is not None
    assert (len(found.train), len(found.test), found.num_classes) == (1347, 450, 10)
    assert int(np.sum(found.test.x)) + int(np.sum(found.train.x)) == 561_718
    assert found.has_own_test


def test_digits_are_those_of_scikit_learn_with_its_file_or_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels, codes = (np.asarray(part) for part in load_digits(return_X_y=True))
    for place in (builtin._PLACE, ("no", "such", "file")):
        monkeypatch.setattr(builtin, "_PLACE", place)
        found = builtin.digits()
        assert found.test_x is not None
        assert found.test_labels is not None
        stay, apart = data.split_rows(codes, 0.25, seed=0)
        np.testing.assert_array_equal(found.x, pixels[stay])
        np.testing.assert_array_equal(found.test_x, pixels[apart])
        np.testing.assert_array_equal(found.labels, codes[stay])
        np.testing.assert_array_equal(found.test_labels, codes[apart])


def test_the_draw_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    for seed in range(60):
        num_classes = int(rng.integers(1, 9))
        # Some class indices do not occur.
        labels = np.r_[np.repeat(np.arange(num_classes), 2), rng.integers(0, num_classes, 70)]
        labels = rng.permutation(labels * (1 + seed % 2))
        apart = int(rng.integers(num_classes, len(labels) - num_classes + 1))
        splitter = StratifiedShuffleSplit(1, test_size=apart, random_state=seed)
        (expected,) = splitter.split(labels, labels)
        for ours, theirs in zip(data.split_rows(labels, apart, seed=seed), expected, strict=True):
            np.testing.assert_array_equal(ours, np.sort(theirs))


@pytest.mark.parametrize("share", [0.3, 12])
def test_a_share_or_a_number_of_rows(share: float) -> None:
    stay, apart = data.split_rows(Y, share, seed=1)
    assert sorted([*stay, *apart]) == list(range(N))
    assert len(apart) == 12
    assert np.bincount(Y[apart]).tolist() == [9, 3]
    assert (np.diff(stay) > 0).all()
    assert (np.diff(apart) > 0).all()


@pytest.mark.parametrize("share", [0, 0.0, 1.0, N, -1, 1.5, True])
def test_a_share_of_all_or_nothing_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share must be between"):
        data.split_rows(Y, share)


def test_shares_and_seeds_have_to_be_numbers() -> None:
    nothing: Any = None
    with pytest.raises(InputError, match="validation must be a share"):
        data.load(validation=nothing)
    with pytest.raises(InputError, match="seed must be a whole number"):
        data.load(seed=nothing)
