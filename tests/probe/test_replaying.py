"""Records read back: what is foreign is refused, what differs is told."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from probe_problem import settings, small_problem

from jaxlin import DataFormatError
from jaxlin.probe import run
from jaxlin.probe.replaying import comparison, read_record, settings_in


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    return run(small_problem(), settings(l2=(1e-3, 1e-2))).record


def test_a_record_is_the_same_as_itself(record: dict[str, Any]) -> None:
    told = comparison(record, copy.deepcopy(record), "r.json")
    assert told["same_numbers"]
    assert told["compared"] == 6 + 2
    assert (told["differs"], told["numbers"]) == ([], [])


def test_what_differs_is_told(record: dict[str, Any]) -> None:
    before = copy.deepcopy(record)
    before["versions"]["jax"] = "0.0.1"
    before["data"]["files"] = [{"role": "features", "block": 0, "sha256": "00"}]
    before["blocks"][0]["test"]["accuracy"] = 0.25
    before["blocks"][0]["best"]["validation_loss"] *= 1 + 1e-9  # rounding
    told = comparison(before, record, "r.json")
    assert not told["same_numbers"]
    assert [one["what"] for one in told["numbers"]] == ["blocks[0].test.accuracy"]
    assert told["numbers"][0]["was"] == 0.25
    assert [one["what"] for one in told["differs"]] == [
        "versions.jax", "data.features[0].sha256",
    ]  # fmt: skip


def test_each_of_several_test_files_is_compared(record: dict[str, Any]) -> None:
    def with_files(*sums: str) -> dict[str, Any]:
        files = [{"role": "test", "block": None, "sha256": one} for one in sums]
        labels = {"role": "test_labels", "block": None, "sha256": "5"}
        return {**record, "data": {"files": [*files, labels]}}

    for was, is_, what in (
        (("1", "2"), ("3", "2"), ["data.test[0].sha256"]),
        (("1", "2"), ("1", "2"), []),
        (("1",), ("2",), ["data.test[None].sha256"]),
    ):
        told = comparison(with_files(*was), with_files(*is_), "r.json")
        assert [one["what"] for one in told["differs"]] == what


def test_a_record_that_may_be_anything_is_compared_all_the_same(record: dict[str, Any]) -> None:
    for blocks in ([], [None], [{"best": 3, "grid": []}], [{"best": {"l2": "x"}}]):
        told = comparison({**record, "blocks": blocks, "data": {"files": [4]}}, record, "r.json")
        assert not told["same_numbers"]


def test_settings_come_back(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(record))
    again = read_record(tmp_path / "r.json")
    assert settings_in(again, "r.json") == settings(l2=(1e-3, 1e-2))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[1]", "is no record of a probe"),
        (b'{"format": "jaxlin.linear"}', "is no record of a probe"),
        (b'{"format": "jaxlin.probe", "format_version": 2}', "version 2; this jaxlin reads 1"),
        (b'{"format": "jaxlin.probe", "format_version": 1}', "lacks settings"),
        (b'{"format": "jaxlin.probe", "x": NaN}', "NaN is not JSON"),
    ],
)
def test_what_is_no_record_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(DataFormatError, match=words):
        read_record(tmp_path / "r.json")


def test_missing_records_and_folders_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataFormatError):
            read_record(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("l2", [-1.0]), ("l2", 3), ("tol", "x"), ("protocol", "p"), ("passes", [1]), ("loss", {})],
)
def test_settings_that_cannot_be_are_refused(
    record: dict[str, Any], name: str, value: object
) -> None:
    changed = {**record, "settings": {**record["settings"], name: value}}
    with pytest.raises(DataFormatError, match="cannot be used"):
        settings_in(changed, "r.json")
