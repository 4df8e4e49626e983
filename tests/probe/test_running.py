"""The whole protocol on a small problem: every number is the one that it says it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from probe_problem import L2, settings, small_problem
from sweep_problem import clouds

import jaxlin
from jaxlin import losses
from jaxlin.probe import Block, Probed, Problem, run
from jaxlin.probe.problem import normalized


@pytest.fixture(scope="module")
def probed() -> Probed:
    return run(small_problem(), settings(scaling=("none", "standardize")))


@pytest.fixture(scope="module")
def block(probed: Probed) -> dict[str, Any]:
    return probed.record["blocks"][0]


def test_a_record_is_json_that_a_program_can_trust(probed: Probed) -> None:
    text = json.dumps(probed.record, allow_nan=False)
    again = json.loads(text)
    assert (again["format"], again["format_version"]) == ("jaxlin.probe", 1)
    assert again["data"]["classes"] == ["</script>", "cat", "dog"]
    splits = again["data"]["splits"]
    assert {name: split["examples"] for name, split in splits.items()} == {
        "train": 240, "validation": 60, "test": 60,
    }  # fmt: skip
    assert all(sum(one["class_counts"]) == one["examples"] for one in splits.values())
    assert again["settings"]["l2"] == list(L2)
    assert again["versions"]["jaxlin"] == jaxlin.__version__
    assert len(text) < 50_000


def test_the_grid_is_what_a_sweep_gives(block: dict[str, Any]) -> None:
    grid = block["grid"]
    assert {len(column) for column in grid.values()} == {8}
    assert grid["scaling"] == ["none"] * 4 + ["standardize"] * 4
    assert grid["l2"] == sorted(L2, reverse=True) * 2
    assert grid["C"][0] == pytest.approx(1 / (2 * 0.1 * 240))
    assert all(grid["certified"])
    assert max(grid["relative_gap"]) <= 1e-3
    problem = small_problem()
    x, rows = problem.blocks[0].first, problem.train.rows
    held_out = problem.validation
    found = jaxlin.sweep(
        x[rows], problem.train.labels, loss=losses.softmax_cross_entropy, tol=1e-3,
        grid={"l2": sorted(L2, reverse=True)}, validation=(x[held_out.rows], held_out.labels),
    )  # fmt: skip
    for name in ("validation_accuracy", "validation_loss"):
        np.testing.assert_allclose(grid[name][:4], found.table[name], rtol=1e-3)


def test_the_best_of_the_validation_rows_wins_and_ties_go_to_the_larger_l2(
    block: dict[str, Any],
) -> None:
    grid, best = block["grid"], block["best"]
    top = max(grid["validation_accuracy"])
    tied = [row for row, value in enumerate(grid["validation_accuracy"]) if value == top]
    assert (best["row"], best["ties"]) == (tied[0], len(tied))
    assert all(best[name] == grid[name][tied[0]] for name in ("l2", "C", "scaling"))
    assert f"{100 * top:.2f} %" in best["sentence"]


def test_the_refit_is_a_fit_on_training_and_validation_rows(
    probed: Probed, block: dict[str, Any]
) -> None:
    problem, refit = small_problem(), block["refit"]
    rows = np.concatenate([problem.train.rows, problem.validation.rows])  # pyright: ignore[reportCallIssue, reportArgumentType]
    labels = np.concatenate([problem.train.labels, problem.validation.labels])
    x = problem.blocks[0].first[rows]
    scaling = None
    if refit["scaling"] == "standardize":
        scaling = jaxlin.data.Scaling.standardize(x)
    assert (refit["examples"], refit["l2"]) == (300, block["best"]["l2"])
    alone = jaxlin.fit(
        x, labels, loss=losses.softmax_cross_entropy, l2=refit["l2"], scaling=scaling, tol=1e-3
    )
    assert alone.certificate is not None
    certificate = refit["certificate"]
    assert certificate["relative_gap"] <= 1e-3
    assert certificate["dual"] <= alone.certificate.primal
    assert alone.certificate.dual <= certificate["primal"]
    assert "proved" in refit["certificate_sentence"]
    assert len(refit["history"]["objective"]) == len(refit["history"]["accuracy"]) >= 1
    assert probed.model.l2 == refit["l2"]


def test_the_test_is_that_of_the_model_that_is_saved(
    probed: Probed, block: dict[str, Any], tmp_path: Path
) -> None:
    jaxlin.save_model(tmp_path / "m", probed.model)
    model = jaxlin.load_model(tmp_path / "m")
    x, codes = clouds(60, seed=1)
    names = np.array(["cat", "dog", "</script>"])[codes]
    told = block["test"]
    assert told["accuracy"] == np.mean(model.predict(x) == names)
    assert told["num_mistakes"] == len(told["mistakes"]) == round(60 * (1 - told["accuracy"]))
    assert told["loss"] == pytest.approx(told["log_loss"], rel=1e-5)
    assert 0 < told["certain"]["count"] <= 60
    assert block["refit"]["certificate"]["relative_gap"] <= 1e-6  # brought closer than was asked
    assert told["probabilities"] == "softmax of the scores"
    baselines = {one["name"]: one["test"]["accuracy"] for one in block["baselines"]}
    assert baselines.keys() == {"majority class", "nearest class mean"}
    assert told["accuracy"] > baselines["majority class"]


def test_the_same_seed_gives_the_same_numbers(probed: Probed) -> None:
    again = run(small_problem(), settings(scaling=("none", "standardize")))
    names = ("best", "test", "baselines")
    was, is_ = probed.record["blocks"][0], again.record["blocks"][0]
    assert {name: was[name] for name in names} == {name: is_[name] for name in names}


def test_the_same_c_is_a_smaller_l2_on_more_rows() -> None:
    record = run(small_problem(), settings(l2=None, C=(0.01, 0.1, 1.0), keeps="C")).record
    best, refit = record["blocks"][0]["best"], record["blocks"][0]["refit"]
    assert refit["C"] == pytest.approx(best["C"])
    assert refit["l2"] == pytest.approx(best["l2"] * 240 / 300)


def test_a_c_that_has_no_such_optimum_is_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="no C has the optimum"):
        run(small_problem(), settings(loss="svm", l2=None, C=(1.0,)))


def test_normalised_rows_are_a_step_of_the_model() -> None:
    probed = run(small_problem(), settings(normalize=(True,), bias=False))
    told = probed.record["blocks"][0]
    assert told["grid"]["normalize"] == [True] * 4
    x, codes = clouds(60, seed=1)
    assert probed.model.normalize_rows
    names = np.array(["cat", "dog", "</script>"])[codes]
    assert told["test"]["accuracy"] == np.mean(probed.model.predict(x) == names)
    unit = normalized(x) @ np.asarray(probed.model.params.W, np.float64).T
    np.testing.assert_allclose(probed.model.scores(x), unit, atol=1e-5)
    count = told["test"]["certain"]["count"]  # there is no bias: something can be claimed
    assert 0 < count <= 60
    assert f"{count} are proved" in told["test"]["certain"]["sentence"]


def test_l2_that_nothing_can_be_proved_for_ends_after_a_budget() -> None:
    x, labels = clouds()
    x = (x + 9.0 * np.eye(8)[labels]).astype(np.float32)  # far apart: separable
    problem = Problem.from_arrays(x, labels, test=(x[:60], labels[:60]))
    asked = settings(l2=(1e-14, 1e-2), certified_from=1e-3, passes_below=3, select_by="loss")
    record = run(problem, asked).record
    block = record["blocks"][0]
    assert block["grid"]["certified"] == [True, False]
    assert block["grid"]["passes"][1] <= 3
    assert block["outcomes"] == {"converged": 1, "out_of_steps": 1}
    assert block["best"]["edge"] == "lowest"
    assert {told["kind"] for told in record["warnings"]} >= {"edge", "uncertified", "duplicates"}


def test_blocks_are_compared_by_their_validation_scores() -> None:
    problem = small_problem()
    good = problem.blocks[0]
    noise = np.random.default_rng(5)
    arrays = {
        name: noise.normal(size=x.shape).astype(np.float32) for name, x in good.arrays.items()
    }
    both = Problem(
        (Block("noise", arrays), good), problem.classes, problem.train, problem.validation,
        problem.test,
    )  # fmt: skip
    told: list[str] = []
    probed = run(both, settings(), tell=told.append)
    record = probed.record
    assert [block["name"] for block in record["blocks"]] == ["noise", "features"]
    assert record["best_block"] == 1
    scores = [block["best"]["validation_accuracy"] for block in record["blocks"]]
    assert scores[1] > scores[0] + 0.1
    assert any(words.startswith("noise: ") for words in told)
    assert probed.model.l2 == record["blocks"][1]["refit"]["l2"]


def test_images_have_templates_and_pictures_of_mistakes() -> None:
    record = run(small_problem(image_shape=(2, 4)), settings(l2=(1e-3, 1e-2))).record
    block = record["blocks"][0]
    assert block["templates"]["shape"] == [2, 4]
    assert len(block["templates"]["images"]) == 3
    assert all(one["image"]["shape"] == [2, 4] for one in block["test"]["mistakes"])
    assert block["grid"]["scaling"] == ["unit", "unit"]  # what plain means for images


def test_without_a_test_split_there_is_no_test() -> None:
    record = run(small_problem(test=None), settings(l2=(1e-3, 1e-2))).record
    assert record["blocks"][0]["test"] is None
    assert record["warnings"][0]["kind"] == "no_test"


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(jaxlin.InputError, match="protocol must be one of jaxlin, clip"):
        run(small_problem(), settings(protocol="simclr"))
