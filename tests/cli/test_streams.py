"""Where output goes: pipes, full and closed streams, terminals; and names that command one."""

from __future__ import annotations

import csv
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, two_classes

import jaxlin

EVIL = (
    "<script>alert(1)</script>", "a\nb\r\tc", 'a,b;"c"', "\u202eabc\u2066", "x" * 10_000, "$x$",
    "=cmd|' /C calc'!A0", "日本", "\x1b[31mred", "[bold]mark[/bold]",
)  # fmt: skip
X, Y = two_classes(40)


@pytest.fixture
def evil(tmp_path: Path) -> tuple[Path, Path]:
    """A model whose classes have such names, and data that have them as labels."""
    x = np.tile(np.eye(10, dtype=np.float32), (2, 1))
    np.savez(tmp_path / "d.npz", x=x, y=np.array(EVIL * 2))
    params = jaxlin.LinearParams(np.eye(10, dtype=np.float32))  # pyright: ignore[reportArgumentType]
    model = jaxlin.Model(params, classes=EVIL, loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "m", model)
    return tmp_path / "m", tmp_path / "d.npz"


def shell(command: str, *arguments: object, **environment: str) -> tuple[int, str, str]:
    """Runs `command`, in which $J is jaxlin."""
    program = f'J() {{ "{sys.executable}" -m jaxlin "$@"; }}\n{command}'
    done = subprocess.run(
        ["bash", "-c", program, "bash", *map(str, arguments)],
        capture_output=True, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_names_of_every_kind_come_through(
    evil: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    seen = Run(capsys, "evaluate", *evil, "--json").json
    assert (seen["classes"], seen["accuracy"]) == (list(EVIL), 1.0)
    assert Run(capsys, "info", evil[0], "--json").json["classes"] == list(EVIL)
    assert Run(capsys, "predict", *evil, "--json").json["predictions"] == list(EVIL * 2)
    for command in (["evaluate", *evil], ["info", evil[0]]):
        out = Run(capsys, *command).out
        assert not re.search("[\x1b\u202e\u2066\r\t]", out)
        assert "\\x1b[31mred" in out
        assert "[bold]mark[/bold]" in out
        assert max(map(len, out.splitlines())) <= 100
    Run(capsys, "predict", *evil, "--scores", "--out", tmp_path / "p.csv")
    with open(tmp_path / "p.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header[2:] == [f"score:{name}" for name in EVIL]
    out = Run(capsys, "predict", *evil, "--scores").out
    assert out.encode() == (tmp_path / "p.csv").read_bytes()
    # A formula is made text; nothing else is changed.
    assert [row[1] for row in rows] == [f"'{c}" if c[0] == "=" else c for c in EVIL * 2]


def test_bytes_that_are_no_utf8_come_out_as_they_went_in(tmp_path: Path) -> None:
    params = jaxlin.LinearParams(np.eye(2, dtype=np.float32))  # pyright: ignore[reportArgumentType]
    classes = ("h\udcfcnd", "cat")
    model = jaxlin.Model(params, classes=classes, loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "m", model)
    (tmp_path / "d.csv").write_bytes(b"h\xfcnd,1,0\ncat,0,1\n")
    command = [sys.executable, "-m", "jaxlin", "predict", tmp_path / "m", tmp_path / "d.csv",
               "--label-column", "0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, timeout=120, check=True)
    assert done.stdout == b"row,prediction\n0,h\xfcnd\n1,cat\n"


def in_a_terminal(*arguments: object) -> tuple[int, str]:
    """Exit code and output of a command whose streams are a terminal."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxlin", *map(str, arguments)],
        stdin=follower, stdout=follower, stderr=follower, env=environment, close_fds=True,
    )  # fmt: skip
    os.close(follower)
    content = b""
    while True:
        try:
            part = os.read(leader, 1 << 16)
        except OSError:  # what Linux says when nobody is left at the other end
            break
        if not part:
            break
        content += part
    os.close(leader)
    return process.wait(timeout=60), content.decode()


def test_a_terminal_gets_a_bar_and_no_commands_from_names(
    evil: tuple[Path, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    code, text = in_a_terminal(
        "train", tmp_path / "t.npz", "--epochs", 3, "--no-picture", "--out", tmp_path / "t"
    )
    assert code == 0, text
    assert "Traceback" not in text
    assert "compiling" in text
    assert "epoch 3/3" in text
    # Nobody knows when the optimum will be there: passes, and the time that went by.
    code, text = in_a_terminal(
        "train", tmp_path / "t.npz", "--no-picture", "--out", tmp_path / "t", "--solver", "lbfgs"
    )
    assert code == 0, text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"0:00:\d\d +\d+ passes", plain), plain
    code, text = in_a_terminal("predict", *evil)
    assert code == 0
    assert "\x1b[31m" not in text
    assert "\\x1b[31mred" in text


def test_a_full_or_a_closed_output_is_said_with_exit_code_1(evil: tuple[Path, Path]) -> None:
    for command in ('J info "$1"', 'J predict "$1" "$2"'):
        code, _, err = shell(f"{command} > /dev/full", *evil)
        assert (code, err.count("\n")) == (1, 1)
        assert "the output cannot be written: No space left" in err
    code, _, err = shell('J info "$1" >&-', *evil)
    assert (code, err.count("\n")) == (1, 1)
    assert "standard output is closed" in err
    code, out, _ = shell("J info nothing 2>&-")
    assert (code, out) == (2, "")  # a message is no result


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path, evil: tuple[Path, Path]) -> None:
    many = tmp_path / "many.npz"
    np.savez_compressed(many, x=np.zeros((100_000, 10), np.uint8))
    command = 'J predict "$1" "$2" | head -n 1; echo "${PIPESTATUS[0]}"'
    code, out, err = shell(command, evil[0], many)
    first, status = out.splitlines()
    assert (code, first, err) == (0, "row,prediction", "")
    assert status == "141"


def test_an_encoding_that_lacks_the_characters_gets_escapes(evil: tuple[Path, Path]) -> None:
    environment = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, _ = shell('J info "$1"', *evil, **environment)
    assert code == 0
    assert "\\u65e5\\u672c" in out


def test_no_home_and_a_full_disk(evil: tuple[Path, Path], tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.tile(X, 100), y=Y)
    old = evil[0].read_bytes()
    command = 'unset HOME; ulimit -f 1; J train "$1" --epochs 1 --no-picture --out "$2"'
    code, out, err = shell(command, tmp_path / "t.npz", evil[0], JAX_COMPILATION_CACHE_DIR="")
    assert (code, out) == (1, "")
    assert "File too large" in err.splitlines()[-1]
    assert evil[0].read_bytes() == old


def test_interrupted_training_ends_with_130_and_leaves_the_old_model(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    model = tmp_path / "m"
    model.write_bytes(b"old")
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxlin", "train", tmp_path / "t.npz", "--epochs", "100000000",
         "--no-picture", "--out", model],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # What is killed could leave half an entry in the cache that the session shares.
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": ""},
    )  # fmt: skip
    assert process.stderr is not None
    assert "to train on" in process.stderr.readline()
    try:
        for _ in range(60):
            time.sleep(1.0)
            # One that comes while JAX is in a callback of its own is swallowed there.
            process.send_signal(signal.SIGINT)
            if process.poll() is not None:
                break
    finally:
        process.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert out == ""
    assert model.read_bytes() == b"old"


def test_scores_that_may_be_infinite_are_no_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = jaxlin.LinearParams(np.full((2, 10), 3e38, np.float32))  # pyright: ignore[reportArgumentType]
    model = jaxlin.Model(params, classes=("a", "b"), loss="softmax_cross_entropy")
    jaxlin.save_model(tmp_path / "big", model)
    np.savez(tmp_path / "t.npz", x=np.full((1, 10), 3.0, np.float32))
    found = Run(capsys, "predict", tmp_path / "big", tmp_path / "t.npz", "--scores", "--json")
    assert (found.code, found.out) == (2, "")
    assert "X is too large in row 0" in found.err


def test_a_table_that_is_too_wide_is_not_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.table import Table

    from jaxlin.cli.output import show

    monkeypatch.setenv("COLUMNS", "30")
    table = Table("first", "second", "third", "fourth", "fifth")
    for column in table.columns:
        column.min_width = 8
    table.add_row("1", "2", "3", "4", "the-last")
    show(table, "words that are broken where the terminal ends")
    out = capsys.readouterr().out
    assert "the-last" in out
    assert max(map(len, out.splitlines()[-2:])) <= 30
