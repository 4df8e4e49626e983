"""The README's commands run, and print what it says. (Its Python examples are doctests.)"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from jaxlin.cli.main import COMMANDS as NAMES
from jaxlin.cli.main import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.splitlines()
    if line.startswith("jaxlin ")
]


def output(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """What a command that ends well prints, on either stream."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    out, err = capsys.readouterr()
    assert end.value.code == 0, (arguments, err)
    return out + err


def shape(line: str) -> str:
    """A line of output without its numbers and its spacing."""
    return re.sub(r"\d[\d,.]*", "N", " ".join(line.split())).replace("N ms", "N s")


def accuracies(text: str) -> dict[str, float]:
    """Accuracy in per cent by the first word of a table's row."""
    rows = re.findall(r"^ *(\w+) +[\d,]+ +[\d.]+ +([\d.]+) % *$", text, flags=re.MULTILINE)
    return {name: float(value) for name, value in rows}


def test_every_command_has_its_line() -> None:
    assert [arguments[1] for arguments in COMMANDS] == list(NAMES)


def test_the_commands_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    x = rng.normal(size=(90, 4)) + labels[:, None]
    np.savez("data.npz", x=x, y=labels)
    np.save("x.npy", x)
    np.save("y.npy", labels)
    for _, command, *rest in COMMANDS:
        arguments = [command, *("data.npz" if word == "DATA" else word for word in rest)]
        # The same command for a shorter time.
        output(capsys, [*arguments, "--seconds", "0.05"] if command == "ladder" else arguments)
    made = {path.name for path in tmp_path.iterdir()} - {"data.npz", "x.npy", "y.npy"}
    assert made == {
        "model.safetensors", "model.png", "sweep.safetensors", "sweep.png", "predictions.csv",
        "model.onnx", "ladder.png", "probe.json", "probe.html", "probe.safetensors",
    }  # fmt: skip


def test_training_prints_what_the_first_screen_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")  # no line is broken
    (shown,) = (block for block in BLOCKS if block.startswith("$ ./scripts/train\n"))
    promised = shown.splitlines()[1:]
    printed = output(capsys, ["train"])
    shapes = {shape(line) for line in printed.splitlines()}
    missing = [line for line in promised if line != "..." and shape(line) not in shapes]
    assert not missing
    assert set(accuracies(shown)) == {"train", "validation", "test"}
    assert accuracies(shown) == pytest.approx(accuracies(printed), abs=1.0)
    assert len(promised) < 20  # with the second command, one screen
