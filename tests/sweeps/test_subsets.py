"""Sweeps of many subsets at once: every model is the optimum of its rows, and proved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from certificates.exact import objective, optimum
from problems import LOSSES

import jaxlin
from jaxlin.data import Scaling
from jaxlin.sweeps import subsets, sweep, sweep_subsets

N, D, C = 60, 40, 3
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % C
X = RNG.normal(size=(C, D))[LABELS] + 1.5 * RNG.normal(size=(N, D))
NARROW = X.astype(np.float32)
# Fewer rows than features; the second has rows twice, the third is larger and lacks a class.
ROWS = [np.arange(9), np.array([3, 4, 5, 3, 3, 4, 20]), np.flatnonzero(LABELS < 2)[:14]]
L2 = [1e-6, 1e-1, 1e-3]
TOL = 1e-5
CASES = [
    ("softmax", True, np.float64),
    ("softmax", False, np.float32),
    ("squared_weston_watkins", True, np.float32),
]


@pytest.mark.parametrize(("name", "bias", "dtype"), CASES)
def test_each_model_is_the_optimum_of_its_rows(name: str, bias: bool, dtype: Any) -> None:
    x = NARROW.astype(dtype)
    found = sweep_subsets(
        x, LABELS, ROWS, loss=LOSSES[name], l2=L2, bias=bias, tol=TOL, dtype=dtype,
        validation=(x, LABELS),
    )  # fmt: skip
    assert found.params.W.shape == (3, 3, C, D)
    assert found.params.W.dtype == dtype
    assert (found.relative_gap <= TOL).all()
    for k, rows in enumerate(ROWS):
        wide, labels = x[rows].astype(np.float64), LABELS[rows]
        for i, l2 in enumerate(L2):
            W = found.params.W[k, i]
            b = None if found.params.b is None else found.params.b[k, i]
            value = objective(name, W, b, wide, labels, l2)
            best = optimum(name, wide, labels, l2, bias, num_classes=C).value
            proof = found.certificates[k][i]
            assert found.outcomes[k][i].kind == "converged"
            assert proof.dual <= best * (1.0 + 1e-12)
            assert value - best <= proof.gap + 1e-9 * best
            np.testing.assert_allclose(found.objective[k, i], value, rtol=1e-9)
            predicted = np.asarray(jaxlin.predict(jaxlin.LinearParams(W, b), x))
            right = np.mean(predicted == LABELS)
            assert found.validation_accuracy is not None
            assert found.validation_accuracy[k, i] == pytest.approx(right, abs=1e-12)
    if bias:  # a class that the third never saw
        assert (np.asarray(found.params.b)[2, :, 2] < np.asarray(found.params.b)[2, :, 0]).all()


def test_best_is_the_larger_l2_of_equals() -> None:
    found = sweep_subsets(
        NARROW, LABELS, ROWS, loss=LOSSES["softmax"], l2=L2, bias=False,
        validation=(NARROW, LABELS),
    )  # fmt: skip
    assert found.validation_accuracy is not None
    assert found.best is not None
    for accuracy, best in zip(found.validation_accuracy, found.best, strict=True):
        equals = [l2 for l2, a in zip(L2, accuracy, strict=True) if a == accuracy.max()]
        assert L2[best] == max(equals)


def test_scaling_comes_first_and_features_may_be_bytes() -> None:
    images = np.clip(100 + 30 * X, 0, 255).astype(np.uint8)
    scaling = Scaling.standardize(images)
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": [1e-3], "bias": True}
    found = sweep_subsets(
        images, LABELS, ROWS[:1], scaling=scaling, dtype=np.float64, validation=(images, LABELS),
        **options,
    )  # fmt: skip
    shift, scale = np.asarray(scaling.shift), np.asarray(scaling.scale)
    scaled = (images.astype(float) - shift) * scale
    by_hand = sweep_subsets(scaled, LABELS, ROWS[:1], dtype=np.float64, **options)
    np.testing.assert_allclose(found.params.W, by_hand.params.W, atol=1e-9)


def test_subsets_that_memory_is_not_meant_for_come_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options: dict[str, Any] = {"loss": LOSSES["softmax"], "l2": L2, "bias": False, "tol": TOL}
    whole = sweep_subsets(NARROW, LABELS, ROWS, **options)
    parts: list[int] = []

    def three_at_once(*_: int, own_rows: bool) -> int:
        parts.append(own_rows)
        return 3

    monkeypatch.setattr(subsets, "models_at_once", three_at_once)
    found = sweep_subsets(NARROW, LABELS, [*ROWS, *ROWS[:2]], **options)
    assert parts == [True]
    assert found.params.W.shape == (5, 3, C, D)
    np.testing.assert_allclose(found.objective[:3], whole.objective, rtol=TOL)
    np.testing.assert_allclose(found.objective[3:], whole.objective[:2], rtol=TOL)


def test_a_hinge_is_swept_a_subset_at_a_time() -> None:
    found = sweep_subsets(
        NARROW[:, :6], LABELS, [np.arange(45)], loss=LOSSES["weston_watkins"], l2=[1e-2, 1e-3]
    )
    assert (found.relative_gap <= 1e-3).all()
    assert found.params.W.shape == (1, 2, C, 6)
    assert found.best is None


def test_each_l2_may_have_its_own_number_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    told, starts = [], []

    def recorded(*arrays: Any, **options: Any) -> Any:
        told.append((options["grid"]["l2"], options["solver"]))
        starts.append(options["init"].W)
        return sweep(*arrays, **options | {"solver": None})

    monkeypatch.setattr(subsets, "sweep", recorded)
    found = sweep_subsets(
        NARROW[:, :6], LABELS, [np.arange(45)], loss=LOSSES["weston_watkins"],
        l2=[1e-4, 1e-2, 1e-3], passes=[3, 600, 600],
    )  # fmt: skip
    assert told == [([1e-2, 1e-3], None), ([1e-4], jaxlin.solvers.LBFGS(3))]
    np.testing.assert_array_equal(starts[1], found.params.W[0, 2])  # it goes on from there


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"rows": []}, "rows must be a list"),
        ({"rows": 3}, "rows must be a list"),
        ({"rows": [[0, 1], [0.5, 1.0]]}, r"rows\[1\] must be row numbers"),
        ({"rows": [[0, 60]]}, r"rows\[0\] must lie in 0..59, got 60"),
        ({"rows": [[0, 3, 6]]}, r"rows\[0\] needs samples of at least 2 classes"),
        ({"l2": [0.0]}, "l2 must be a positive"),
        ({"l2": 0.1}, "l2 must be a list"),
        ({"l2": []}, "l2 must be a list"),
        ({"loss": lambda s, y: s[:, 0]}, "convex conjugate"),
        ({"validation": X}, "validation must be a pair"),
        ({"tol": -1.0}, "tol must be a positive"),
        ({"passes": [1, 2]}, "one for each of 3 l2"),
        ({"passes": [1, 0, 2]}, "passes must be at least 1"),
    ],
)
def test_wrong_arguments_are_named(changed: dict[str, Any], says: str) -> None:
    options: dict[str, Any] = {"rows": ROWS, "loss": LOSSES["softmax"], "l2": L2}
    with pytest.raises(jaxlin.InputError, match=says):
        sweep_subsets(NARROW, LABELS, **options | changed)
