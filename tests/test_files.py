"""A file that is written in place of another: all of it or nothing, whatever fails."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxlin import files

OLD, NEW = b"old", b"new " * 1000


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def usual_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_and_one_in_place_of_an_old_one_hold_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "note"
    for content in (OLD, NEW):
        with files.replacing(path) as file:
            file.write(content)
        assert path.read_bytes() == content
    assert names(path) == ["note"]


def test_the_old_file_stays_until_the_new_one_is_whole(target: Path) -> None:
    with files.replacing(target) as file:
        file.write(NEW)
        file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(
    target: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, files.replacing(target) as file:
        file.write(NEW)
        raise error
    assert caught.value is error
    assert target.read_bytes() == OLD
    assert names(target) == [target.name]


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_call_that_fails_leaves_the_old_file_and_the_error_names_it(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(OSError, match="No space left") as caught, files.replacing(target) as file:
        file.write(NEW)
    assert caught.value.filename == os.fspath(target)
    assert target.read_bytes() == OLD
    assert names(target) == [target.name]


def test_the_data_are_on_the_disk_before_the_name_points_to_them(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("sync folder" if is_folder else f"sync {os.fstat(descriptor).st_size} bytes")
        fsync(descriptor)

    def noted_replace(source: Path, destination: Path) -> None:
        calls.append("rename")
        replace(source, destination)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    with files.replacing(target) as file:
        file.write(NEW)
    assert calls == [f"sync {len(NEW)} bytes", "rename", "sync folder"]


def test_a_disk_that_takes_no_more_leaves_the_old_file(target: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError, match="too large") as caught, files.replacing(target) as file:
            file.write(b"x" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == os.fspath(target)
    assert target.read_bytes() == OLD
    assert names(target) == [target.name]


def test_a_process_killed_while_it_writes_leaves_the_old_file(target: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from jaxlin.files import replacing\n"
        "with replacing(sys.argv[1]) as file:\n"
        "    file.write(b'new')\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, target], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == OLD


@pytest.mark.usefixtures("usual_mask")
def test_a_file_that_was_private_stays_private_and_a_new_one_follows_the_mask(
    target: Path,
) -> None:
    target.chmod(0o600)
    other = target.with_name("new")
    for path in (target, other):
        with files.replacing(path) as file:
            file.write(NEW)
    assert (mode(target), mode(other)) == (0o600, 0o644)


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_and_what_it_points_to_is_replaced(target: Path, exists: bool) -> None:
    link = target.parent / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(Path("..") / target.name)
    if not exists:
        target.unlink()
    with files.replacing(link) as file:
        file.write(NEW)
    assert link.is_symlink()
    assert target.read_bytes() == NEW
    assert names(link) == ["link"]


def test_a_relative_path_is_meant_from_where_the_program_runs(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(target.parent)
    with files.replacing(target.name) as file:
        file.write(NEW)
    assert target.read_bytes() == NEW


def test_the_longest_name_that_a_folder_takes_is_taken(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    with files.replacing(path) as file:
        file.write(NEW)
    assert path.read_bytes() == NEW


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught, files.replacing(tmp_path):
        pass
    assert caught.value.filename == os.fspath(tmp_path)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="Not a regular file") as caught, files.replacing(pipe):
        pass
    assert caught.value.filename == os.fspath(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("parent", ["missing", "model.safetensors"])
def test_where_no_file_can_be_made_the_error_names_the_path_given(
    target: Path, parent: str
) -> None:
    path = target.parent / parent / "out.png"
    with pytest.raises(OSError, match=r"out\.png'$") as caught, files.replacing(path):
        pass
    assert caught.value.filename == os.fspath(path)


def test_an_error_about_another_file_keeps_its_name(target: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught, files.replacing(target):
        missing.read_bytes()
    assert caught.value.filename == os.fspath(missing)
    assert target.read_bytes() == OLD
