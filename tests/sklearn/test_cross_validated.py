"""LinearClassifierCV: the l2 that a search would choose, however the folds are made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)

import jaxlin
from jaxlin.sklearn import LinearClassifier, LinearClassifierCV, folds

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
L2S = [1e-4, 1e-2, 1.0]
WEIGHT = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)


@pytest.fixture
def _by_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folds, "takes_small", lambda *_: False)


def one_by_one(cv: Any, **arguments: Any) -> np.ndarray:
    """What scikit-learn's own loop over folds gives (splits, L)."""
    models = [LinearClassifier(l2=l2, **arguments) for l2 in L2S]
    return np.array([cross_val_score(model, X, Y, cv=cv) for model in models]).T


@pytest.mark.parametrize("cv", [3, StratifiedKFold(3, shuffle=True, random_state=0)], ids=repr)
def test_scores_and_choice_are_those_of_a_loop(cv: Any) -> None:
    model = LinearClassifierCV(l2s=L2S, cv=cv).fit(X, Y)
    np.testing.assert_allclose(model.scores_, one_by_one(cv))
    assert model.l2_ == L2S[int(model.scores_.mean(axis=0).argmax())]
    refit = LinearClassifier(l2=model.l2_).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, refit.coef_)
    assert model.certificate_ == refit.certificate_


@pytest.mark.usefixtures("_by_sweep")
def test_a_sweep_gives_the_same_scores() -> None:
    model = LinearClassifierCV(l2s=L2S, cv=3).fit(X, Y)
    np.testing.assert_allclose(model.scores_, one_by_one(3))
    weighted = LinearClassifierCV(l2s=L2S, cv=3).fit(X, Y, sample_weight=WEIGHT)
    assert weighted.scores_.shape == (3, 3)


@pytest.mark.usefixtures("_by_sweep")
def test_one_split_is_a_validation_set() -> None:
    cv = ShuffleSplit(1, test_size=50, random_state=0)
    model = LinearClassifierCV(l2s=L2S, cv=cv).fit(X, Y)
    np.testing.assert_allclose(model.scores_, one_by_one(cv))


@pytest.mark.usefixtures("_by_sweep")
def test_a_sweep_that_falls_short_is_told() -> None:
    with pytest.warns(ConvergenceWarning, match="the fits that cv scores ended"):
        LinearClassifierCV(l2s=L2S, cv=3, tol=1e-15).fit(X, Y)


def test_fits_to_folds_that_fall_short_are_told_once() -> None:
    with pytest.warns(ConvergenceWarning) as told:
        LinearClassifierCV(l2s=L2S, cv=3, max_iter=1, tol=1e-6).fit(X, Y)
    words = [str(one.message) for one in told]
    assert sum("the fits that cv scores ended" in one for one in words) == 1
    assert "of 3 values of l2" in words[0]
    assert told[0].filename == __file__


def test_splits_may_overlap() -> None:
    cv = ShuffleSplit(2, test_size=50, random_state=0)
    model = LinearClassifierCV(l2s=L2S, cv=list(cv.split(X))).fit(X, Y)
    np.testing.assert_allclose(model.scores_, one_by_one(cv))


def test_weights_are_repeated_rows() -> None:
    rows = np.repeat(np.arange(len(Y)), WEIGHT.astype(int))
    numbers = np.arange(len(Y)) % 3
    weighted = LinearClassifierCV(l2s=L2S, cv=GroupKFold(3)).fit(X, Y, WEIGHT, groups=numbers)
    repeated = LinearClassifierCV(l2s=L2S, cv=GroupKFold(3))
    repeated.fit(X[rows], Y[rows], groups=numbers[rows])
    np.testing.assert_allclose(np.sort(weighted.scores_, axis=0), np.sort(repeated.scores_, axis=0))
    assert weighted.l2_ == repeated.l2_
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-7, atol=1e-9)


def test_the_loss_can_choose_and_ties_go_to_the_larger_l2() -> None:
    model = LinearClassifierCV(l2s=L2S, cv=3, select_by="loss").fit(X, Y)
    assert model.l2_ == L2S[int(model.scores_.mean(axis=0).argmin())]
    assert (model.scores_ > 0).all()
    assert folds.best_of(np.ones((2, 3)), np.array(L2S), "loss") == 2


def test_a_class_may_be_missing_in_a_fold() -> None:
    order = np.argsort(Y, kind="stable").reshape(3, 50)
    splits = [(np.concatenate([order[:k].ravel(), order[k + 1 :].ravel()]), order[k])
              for k in range(3)]  # fmt: skip
    model = LinearClassifierCV(l2s=L2S, cv=splits).fit(X, Y)
    assert model.coef_.shape == (3, 4)
    assert (model.scores_ == 0.0).all()


def test_a_split_without_rows_that_count_is_named() -> None:
    rows = np.arange(len(Y))
    weight = (rows % 2).astype(float)
    with pytest.raises(jaxlin.InputError, match="Split 0 of cv has no rows with a weight to score"):
        LinearClassifierCV(l2s=L2S, cv=[(rows[1::2], rows[::2])]).fit(X, Y, weight)


def test_there_are_45_values_unless_others_are_given() -> None:
    model = LinearClassifierCV(cv=3).fit(X, Y)
    assert model.l2s_.shape == (45,)
    assert model.scores_.shape == (3, 45)


def test_the_winner_can_be_calibrated() -> None:
    model = LinearClassifierCV("squared_svm", l2s=L2S, cv=3, probabilities="calibrated").fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)


def test_groups_are_kept_together_in_calibration_too() -> None:
    groups = np.arange(len(Y)) // 10
    cv = GroupKFold(3)
    options: dict[str, Any] = {"l2s": L2S[1:2], "probabilities": "calibrated"}
    model = LinearClassifierCV("squared_svm", cv=cv, **options).fit(X, Y, groups=groups)
    winner = LinearClassifier("squared_svm", l2=model.l2_)
    make: Any = CalibratedClassifierCV  # its types know no False
    expected = make(winner, method="temperature", cv=list(cv.split(X, Y, groups)), ensemble=False)
    expected.fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), expected.predict_proba(X))
    some = LinearClassifierCV("squared_svm", cv=GroupShuffleSplit(2, random_state=0), **options)
    with pytest.raises(jaxlin.InputError, match=r"holds out each row once: .* GroupKFold"):
        some.fit(X, Y, groups=groups)


@pytest.mark.parametrize("select_by", ["accuracy", "loss"])
def test_weights_of_one_change_no_score_of_an_svm(select_by: Any) -> None:
    rows = np.arange(len(Y))
    options: dict[str, Any] = {
        "l2s": [1e-3, 0.1], "cv": [(rows[::2], rows[1::2])], "select_by": select_by,
    }  # fmt: skip
    plain = LinearClassifierCV("svm", **options).fit(X, Y)
    weighted = LinearClassifierCV("svm", **options).fit(X, Y, np.ones(len(Y)))
    np.testing.assert_allclose(weighted.scores_, plain.scores_, rtol=1e-5)


@pytest.mark.parametrize("class_weight", ["balanced", {2: 0.0}], ids=str)
def test_class_weights_are_for_the_fits_alone(class_weight: Any) -> None:
    some = np.flatnonzero(np.arange(len(Y)) % (1 + 2 * Y) == 0)
    model = LinearClassifierCV(l2s=L2S, cv=3, class_weight=class_weight).fit(X[some], Y[some])
    one = LinearClassifier(l2=L2S[1], class_weight=class_weight)
    loop = cross_val_score(one, X[some], Y[some], cv=3)
    np.testing.assert_allclose(model.scores_[:, 1], loop)
    refit = one.set_params(l2=model.l2_).fit(X[some], Y[some])
    np.testing.assert_array_equal(model.coef_, refit.coef_)


@pytest.mark.usefixtures("_by_sweep")
def test_a_sweep_too_scores_a_class_that_weighs_nothing() -> None:
    weight = {2: 0.0}
    model = LinearClassifierCV(l2s=L2S, cv=3, class_weight=weight).fit(X, Y)
    np.testing.assert_allclose(model.scores_, one_by_one(3, class_weight=weight))
    assert model.scores_.max() < 0.7
