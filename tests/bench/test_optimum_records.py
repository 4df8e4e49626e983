"""The benches on the way to the optimum: records in numbers, pages and pictures.

Nothing here needs the extra `bench`, and nothing is timed.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from bench.harness import machine, pages
from bench.harness.bars import all_hold, judge_bars, read_bars
from bench.optimum import account, picture, readings
from bench.optimum.running import FASHION, L2
from bench.softmax import bench as softmax
from bench.softmax import path
from bench.svm import bench as svm
from bench.svm import ratios


def point(seconds: float, far: float | None, proved: float | None = None, **more: Any) -> Any:
    return {
        "budget": 1, "seconds": seconds, "times": [seconds], "objective": None if far is None else
        0.4 * (1 + far), "test_accuracy": 0.84, "own_bound": None, "suboptimality": far,
        "certified": proved, "ended": False, **more,
    }  # fmt: skip


def solver_record(*points: Any, cut_off: bool = False) -> dict[str, Any]:
    return {
        "first_call_seconds": 9.0, "limit": 40.0, "points": list(points), "cut_off": cut_off,
    }  # fmt: skip


OWN = solver_record(
    point(1.0, 5e-3, 9e-3), point(2.0, 4e-4, 8e-4), point(3.0, 5e-6, 9e-6), point(4.0, 1e-7, 8e-7)
)
PEERS = {
    "cyanure": solver_record(point(4.0, 2e-2), point(8.0, 9e-4), point(16.0, 8e-7)),
    "sklearn[solver=lbfgs]": solver_record(
        point(10.0, 0.1), point(20.0, None), point(38.0, 2e-3), cut_off=True
    ),
    "sklearn[solver=newton-cholesky]": {"skipped": "too large"},
    "torch-lbfgs": solver_record(point(9.0, 9e-3), point(12.0, 3e-3, ended=True)),
}


def case(l2: float, loss: str = "softmax", bias: bool = True, **solvers: Any) -> dict[str, Any]:
    return {
        "dataset": FASHION, "fingerprint": "0a", "n": 60_000, "d": 784, "c": 10, "loss": loss,
        "l2": l2, "bias": bias, "cutoff": 40.0, "bound": "0.39999999123", "bound_by": "jaxlin",
        "refuted": [], "best": "0.4", "bound_gap": 2e-8,
        "solvers": solvers or {"jaxlin": OWN, **PEERS},
    }  # fmt: skip


def of_machine(bench: str) -> dict[str, Any]:
    return {
        "bench": bench, "complete": True, "full": False, "repeats": 3, "seconds": 60.0,
        "machine": {**machine.machine(), "load_after": 1.5}, "versions": machine.versions(),
        "cutoff": 40.0,
    }  # fmt: skip


def softmax_record() -> dict[str, Any]:
    l2 = path.path_of(45)
    return {
        **of_machine("softmax"),
        "curves": [case(value) for value in L2],
        "path": {
            "dataset": FASHION, "l2": l2, "gap": 1e-3, "cutoff": 200.0,
            "sweep_first_seconds": 9.0, "sweep_seconds": 5.0,
            "sweep_suboptimality": [5e-4] * 45, "sweep_certified": [9e-4] * 45,
            "peer_factor": 0.01, "peer_trial_l2": [10.0, 1e-3],
            "peer_seconds": [5.0] * 40, "peer_suboptimality": [9e-4] * 39 + [2e-3],
            "single_l2": l2[:15], "single_seconds": [1.0] * 15,
        },
        "certificate": {
            "dataset": FASHION, "certificate_seconds": [0.2, 0.3, 0.9],
            "pass_seconds": [0.1, 0.2, 0.25], "difference": 1e-16,
        },
    }  # fmt: skip


def svm_record() -> dict[str, Any]:
    ascent = solver_record(point(17.0, 5e-3, 9e-3), point(42.0, 5e-4, 9e-4))
    svc = solver_record(point(50.0, 1e-2), point(90.0, 5e-4))
    problems = [
        case(1e-4, "weston-watkins", False, **{"jaxlin": OWN, "dual-ascent": ascent}),
        case(1e-4, "weston-watkins", True, jaxlin=OWN),
        case(1e-4, "crammer-singer", False, **{"jaxlin": OWN, "linear-svc": svc}),
    ]
    one = {"dataset": FASHION, "l2": 1e-4, "C": 1 / 12, "seconds": 220.0, "objective": 0.3}
    return {**of_machine("svm"), "curves": problems, "linear_svc": one}


def test_seconds_are_those_of_the_fastest_run_that_got_there() -> None:
    assert [readings.reached(OWN, target) for target in (1e-2, 1e-3, 1e-6)] == [1.0, 2.0, 4.0]
    assert readings.reached(PEERS["cyanure"], 1e-4) == 16.0
    assert readings.reached(PEERS["torch-lbfgs"], 1e-3) == math.inf
    assert readings.certified(PEERS["cyanure"], 1e-2) == math.inf  # it proves nothing
    unproved = solver_record(point(1.0, 1e-3, 1e-2), point(2.0, 2e-3, 1e-9))
    assert readings.certified(unproved, 1e-2) == 1.0
    assert readings.certified(unproved, 1e-3) == math.inf  # what the judge denies is no proof


def test_who_missed_a_target_needs_more_than_its_longest_run_that_did() -> None:
    lbfgs = PEERS["sklearn[solver=lbfgs]"]
    assert readings.at_least(lbfgs, 1e-3) == 38.0
    assert readings.at_least(PEERS["cyanure"], 1e-3) == 4.0
    assert readings.at_least(PEERS["cyanure"], 0.5) == 0.0
    assert readings.at_least(PEERS["torch-lbfgs"], 1e-3) == math.inf  # it had stopped by itself
    assert readings.at_least({"skipped": "no"}, 1e-3) == math.inf


def test_the_best_peer_is_who_reached_it_first_and_else_a_bound() -> None:
    whole = case(1e-4)
    assert readings.fastest_peer(whole, 1e-3) == readings.Fastest(8.0, "cyanure", False)
    assert readings.times_faster(whole, 1e-3) == pytest.approx(4.0)
    slow = {name: PEERS[name] for name in ("sklearn[solver=lbfgs]", "torch-lbfgs")}
    cut = case(1e-4, jaxlin=OWN, **slow)
    assert readings.fastest_peer(cut, 1e-3) == readings.Fastest(38.0, None, True)
    assert readings.times_faster(cut, 1e-3) == pytest.approx(19.0)
    assert readings.times_faster(case(1e-4, jaxlin=OWN), 1e-3) is None
    assert readings.times_faster(case(1e-4, **PEERS), 1e-3) is None
    no_proof = solver_record(point(1.0, 1e-9))
    assert math.isnan(readings.times_faster(case(1e-4, jaxlin=no_proof, **PEERS), 1e-3) or 0.0)
    assert readings.find_case({"curves": [whole]}, FASHION, "softmax", 1e-6, True) is None


def test_the_numbers_behind_the_bars_of_softmax() -> None:
    found = softmax.values(softmax_record())
    expected = {
        "l2_1e-4_to_1e-3": 4.0, "l2_1e-4_to_1e-6": 4.0, "l2_1e-6_to_1e-3": 4.0,
        "l2_1e-6_to_1e-5": 16 / 3, "path_against_sklearn": 40.0, "path_against_fits": 9.0,
        "certificate_cost": 1.5,
    }  # fmt: skip
    assert found == pytest.approx(expected)
    bars = read_bars(softmax.BARS)
    assert set(found) == {bar.key for bar in bars}
    assert all_hold(judge_bars(bars, found), complete=True)


def test_the_numbers_behind_the_bars_of_the_svm() -> None:
    found = svm.values(svm_record())
    expected = {
        "no_bias_to_1e-2": 1.0, "no_bias_to_1e-3": 2.0, "no_bias_to_1e-6": 4.0,
        "free_bias_to_1e-2": 1.0, "free_bias_to_1e-3": 2.0, "free_bias_to_1e-6": 4.0,
        "against_linear_svc": 110.0, "against_dual_ascent": 21.0,
    }  # fmt: skip
    assert found == pytest.approx(expected)
    bars = read_bars(svm.BARS)
    assert set(found) == {bar.key for bar in bars}
    assert all_hold(judge_bars(bars, found), complete=True)


def test_a_dual_ascent_that_was_cut_off_gives_a_bound() -> None:
    record = svm_record()
    record["curves"][0]["solvers"]["dual-ascent"]["points"].pop()
    assert ratios.dual_ascent_seconds(record["curves"][0]) == (17.0, True)
    assert ratios.against_dual_ascent(record) == pytest.approx(8.5)
    assert "> 17" in str(svm.sections(record)[0].rows)


@pytest.mark.parametrize("bench", [softmax, svm])
def test_an_aim_is_beyond_its_bar(bench: Any) -> None:
    for bar in read_bars(bench.BARS):
        assert bar.better in ("lower", "higher")
        assert bar.aim is None or bar.holds(bar.aim, bar.bar)


def test_a_sweep_without_proofs_meets_no_bar() -> None:
    record = softmax_record()
    for gaps in ([None] * 45, [9e-4] * 44 + [2e-3]):
        record["path"]["sweep_certified"] = gaps
        assert all(math.isnan(value) for value in path.values(record["path"]).values())
        assert "did not prove" in softmax.sections(record)[-2].text


@pytest.mark.parametrize(("name", "make"), [("softmax", softmax_record), ("svm", svm_record)])
def test_the_page_and_the_picture_are_made_of_a_record(
    name: str, make: Any, tmp_path: Path
) -> None:
    bench: Any = {"softmax": softmax, "svm": svm}[name]
    folder, record = tmp_path / pages.FOLDER, make()
    path = pages.write_record(folder, name, pages.rounded(record))
    again = json.loads(path.read_text(encoding="utf-8"))
    assert again["curves"][0]["bound"] == "0.39999999123"  # not rounded: it would be none
    assert bench.values(again) == pytest.approx(bench.values(record))
    bench.picture(record, folder / f"{name}.png")
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = pages.page(folder)
    words = {
        "softmax": ("> 38", "too large", "jaxlin, certified", "with 40 of the points done",
                    "At 1 of its points", "| `duality_gap` ", "84.00"),
        "svm": ("one LinearSVC fit: 220", "dual-ascent, certified", "uncertified: 90"),
    }  # fmt: skip
    for word in (f"## {bench.TITLE}", f"benchmarks/{name}.png", *words[name]):
        assert word in page, word


def test_the_picture_has_a_panel_an_l2_and_a_line_a_solver() -> None:
    figure = picture.draw(softmax_record())
    assert figure is not None
    panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["l2 = 0.01", "l2 = 0.0001", "l2 = 1e-06"]
    assert {(axes.get_xscale(), axes.get_yscale()) for axes in panels} == {("log", "log")}
    assert len(panels[0].lines) == 2 * 4  # those who ran, each with its proofs
    names = {text.get_text() for legend in figure.legends for text in legend.get_texts()}
    assert names == {"jaxlin", "cyanure", "sklearn lbfgs", "torch-lbfgs", "by its own proof"}
    assert picture.draw({}) is None
    assert picture.draw({"curves": [case(1e-4, cyanure={"skipped": "no"})]}) is None


@pytest.mark.parametrize("bench", [softmax, svm])
def test_parts_that_did_not_run_have_no_numbers_and_no_tables(bench: Any) -> None:
    assert bench.values({}) == {}
    assert bench.sections({}) == []


def test_a_solver_without_a_certificate_is_told_of() -> None:
    no_proof = solver_record(point(1.0, 1e-9))
    text = account.curve_sections({"curves": [case(1e-4, jaxlin=no_proof)]})[1].text
    assert "jaxlin gave no certificate" in text
