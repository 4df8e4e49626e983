"""Rows divided by their norms: a step of a saved model, by name."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from model_problem import MODEL, metadata_of, rewritten
from problems import C, D, blobs

import jaxlin
from jaxlin import data, losses, solvers
from jaxlin.model_file.layout import as_json
from jaxlin.model_file.steps import unit_rows
from jaxlin.precision import float64_scope

X, Y = blobs()
UNIT = dataclasses.replace(MODEL, normalize_rows=True)


def divided(x: np.ndarray) -> np.ndarray:
    """Every row by its l2 norm, in float64; zeros stay zeros."""
    rows = np.asarray(x, np.float64)
    norms = np.array([[np.sqrt(sum(value**2 for value in row))] for row in rows])
    return rows / np.where(norms > 0, norms, 1)


def expected_scores(model: jaxlin.Model, x: np.ndarray) -> np.ndarray:
    W, b = np.asarray(model.params.W, np.float64), np.asarray(model.params.b, np.float64)
    return divided(x) @ W.T + b


@pytest.mark.parametrize("dtype", ["uint8", "int8", "float16", "float32", "float64", "bool"])
def test_scores_are_those_of_rows_that_were_divided_by_hand(dtype: str) -> None:
    x = (np.abs(20 * X) if dtype == "uint8" else 20 * X).astype(dtype)
    x[3] = 0
    x[4, 0] = {"int8": -128, "uint8": 255, "float16": 6e4}.get(dtype, 1)  # their squares overflow
    wanted = expected_scores(UNIT, x)
    np.testing.assert_allclose(UNIT.scores(x), wanted, rtol=1e-5, atol=1e-6)
    assert UNIT.scores(x).dtype == np.float32
    np.testing.assert_array_equal(UNIT.scores(x)[3], np.asarray(UNIT.params.b))
    assert UNIT.predict(x).tolist() == [UNIT.classes[k] for k in np.argmax(wanted, axis=1)]
    assert not np.allclose(MODEL.scores(x), wanted)


@pytest.mark.parametrize("size", [1e30, 1e-30])
def test_squares_that_are_out_of_range_do_not_matter(size: float) -> None:
    np.testing.assert_allclose(UNIT.scores(size * X), UNIT.scores(X), rtol=1e-4, atol=1e-5)


def test_the_step_is_computed_in_the_dtype_of_the_model() -> None:
    with float64_scope(True):
        W, b = (
            jnp.asarray(np.asarray(leaf, np.float64)) for leaf in (UNIT.params.W, UNIT.params.b)
        )
    wide = dataclasses.replace(UNIT, params=jaxlin.LinearParams(W, b))
    x = np.asarray(X, np.float64) + 1e-9
    np.testing.assert_allclose(wide.scores(x), expected_scores(UNIT, x), rtol=1e-13, atol=1e-14)
    assert unit_rows(jnp.ones((2, 4), jnp.bfloat16)).dtype == jnp.float32


def test_many_rows_go_by_blocks() -> None:
    x = np.random.default_rng(0).integers(0, 256, (5000, D), dtype=np.uint8)
    np.testing.assert_allclose(UNIT.scores(x), expected_scores(UNIT, x), rtol=1e-5, atol=1e-6)
    assert np.array_equal(UNIT.predict(x[4000:]), UNIT.predict(x)[4000:])


def test_the_step_is_saved_by_name_and_comes_back(tmp_path: Path) -> None:
    jaxlin.save_model(tmp_path / "m", UNIT)
    model = jaxlin.load_model(tmp_path / "m")
    assert model.normalize_rows is True
    np.testing.assert_array_equal(model.scores(X), UNIT.scores(X))
    metadata = metadata_of(tmp_path / "m")
    assert metadata["format_version"] == "2"
    assert json.loads(metadata["steps"]) == ["normalize_rows"]


def test_a_model_without_it_is_written_for_older_readers_too(tmp_path: Path) -> None:
    jaxlin.save_model(tmp_path / "m", MODEL)
    metadata = metadata_of(tmp_path / "m")
    assert metadata["format_version"] == "1"
    assert "steps" not in metadata
    assert jaxlin.load_model(tmp_path / "m").normalize_rows is False
    jaxlin.save_model(tmp_path / "m", dataclasses.replace(MODEL, l2=None))
    assert metadata_of(tmp_path / "m")["format_version"] == "2"
    assert jaxlin.load_model(tmp_path / "m").l2 is None


def test_a_fit_of_divided_rows_is_saved_with_the_step_and_its_scaling_after_it(
    tmp_path: Path,
) -> None:
    rows = divided(X).astype(np.float32)
    scaling = data.Scaling.standardize(rows)
    sgd = solvers.SGD(optax.sgd(0.1), 16, 3)
    fit = jaxlin.fit(
        rows, Y, loss=losses.weston_watkins_hinge, l2=0.01, solver=sgd, scaling=scaling
    )
    jaxlin.save_model(tmp_path / "m", fit, classes=["a", "b", "c"], normalize_rows=True)
    model = jaxlin.load_model(tmp_path / "m")
    assert (model.normalize_rows, model.scaling, len(model.classes)) == (True, "standardised", C)
    wanted = jaxlin.scores(fit.params, scaling(rows))
    np.testing.assert_allclose(model.scores(5 * X), wanted, rtol=1e-4, atol=1e-4)
    with pytest.raises(jaxlin.InputError, match="normalize_rows: a Model has its own"):
        jaxlin.save_model(tmp_path / "m", MODEL, normalize_rows=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format_version": "2"}, "lack 'steps'; unknown: nothing"),
        ({"steps": as_json(["normalize_rows"])}, "lack nothing; unknown: 'steps'"),
        ({"format_version": "2", "steps": as_json(["whiten"])}, "does not know: 'whiten'"),
        ({"format_version": "2", "steps": as_json(["normalize_rows"] * 2)}, "once each"),
        ({"format_version": "2", "steps": as_json({})}, "not a list of names"),
        ({"format_version": "2", "steps": "[1"}, "its steps cannot be read"),
        ({"format_version": "3"}, "format version 3; this jaxlin reads versions up to 2"),
    ],
)
def test_steps_that_are_missing_or_unknown_are_refused(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(jaxlin.DataFormatError, match=words):
        jaxlin.load_model(rewritten(tmp_path / "m", **changes))


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_the_step_is_there_or_not(value: object) -> None:
    with pytest.raises(jaxlin.InputError, match="normalize_rows must be True or False"):
        dataclasses.replace(MODEL, normalize_rows=value)
