"""The scripts set themselves up, whatever happened before, and hand on what they are given."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = ROOT / "scripts"
BASH_SCRIPTS = [
    "scripts/train",
    "scripts/test",
    "scripts/fashion-mnist",
    "scripts/bench/run",
    ".ci/run",
]


@pytest.mark.parametrize("script", BASH_SCRIPTS)
def test_a_script_can_be_run_and_read_by_bash(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    assert subprocess.run(["bash", "-n", ROOT / script]).returncode == 0


def test_an_old_python_can_read_the_script_that_tells_it_that_it_is_too_old() -> None:
    text = (SCRIPTS / "environment.py").read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 7))


class Project:
    """A copy of the files that an environment depends on, and an installer that only takes notes.

    Attributes:
      commands: what would have been run.
      interrupted_at: a word; the command that has it is interrupted.
    """

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        (root / "constraints").mkdir(parents=True)
        (root / "jaxlin").mkdir()
        for name in ("pyproject.toml", "jaxlin/__init__.py"):
            shutil.copy(ROOT / name, root / name)
        self.version = "{}.{}".format(*sys.version_info)
        self.pins = root / "constraints" / f"python{self.version}.txt"
        self.pins.write_text("jax==1.0\n")
        self.commands: list[str] = []
        self.interrupted_at: str | None = None
        self.environment = self._module()
        monkeypatch.setattr(self.environment, "ROOT", os.fspath(root))
        self.run = self.environment.run
        monkeypatch.setattr(self.environment, "run", self._note)
        self.folder = root / ".venv"

    @staticmethod
    def _module() -> ModuleType:
        spec = importlib.util.spec_from_file_location("environment", SCRIPTS / "environment.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _note(self, command: list[str], failure: str) -> None:
        words = [word for word in command if not word.startswith(os.fspath(self.root))]
        self.commands.append(" ".join(words))
        if self.interrupted_at is not None and self.interrupted_at in words:
            raise KeyboardInterrupt
        if "venv" in command:
            venv.create(self.folder, clear=True, symlinks=True, with_pip=False)

    def make(self, *extras: str) -> list[str]:
        """The commands that making the environment takes now, in a word each."""
        self.commands.clear()
        self.environment.Environment(os.fspath(self.folder)).make(set(extras))
        words = {"venv": "venv", "ensurepip": "pip", "hatchling": "tools", "-e": "project"}
        return [
            next(short for word, short in words.items() if word in command.split())
            for command in self.commands
        ]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(tmp_path / "a checkout", monkeypatch)


def test_the_first_run_makes_the_environment_and_the_second_does_nothing(project: Project) -> None:
    assert project.make() == ["venv", "pip", "tools", "project"]
    assert project.commands[-1].endswith("--no-build-isolation -e .")
    assert f"-c constraints/python{project.version}.txt" in project.commands[-1]
    assert project.make() == []


def test_an_extra_is_added_once_and_stays(project: Project) -> None:
    project.make()
    assert project.make("test")[-2:] == ["tools", "project"]
    assert project.commands[-1].endswith("-e .[test]")
    assert project.make("test") == project.make() == []
    project.pins.write_text("jax==2.0\n")
    project.make()
    assert project.commands[-1].endswith("-e .[test]")


def test_an_extra_with_pins_of_its_own_brings_them_and_nobody_else_does(project: Project) -> None:
    own = project.root / "constraints" / "bench.txt"
    own.write_text("torch==1.0\n")
    project.make("test")
    assert "bench.txt" not in project.commands[-1]
    assert project.make("bench")[-2:] == ["tools", "project"]
    assert "-c constraints/bench.txt" in project.commands[-1]
    assert project.make("bench") == project.make("test") == []
    own.write_text("torch==2.0\n")
    assert project.make()[-2:] == ["tools", "project"]


@pytest.mark.parametrize("name", ["pyproject.toml", "jaxlin/__init__.py", "pins"])
def test_what_an_installation_depends_on_makes_a_new_one_in_the_same_environment(
    project: Project, name: str
) -> None:
    project.make()
    path = project.pins if name == "pins" else project.root / name
    path.write_text(path.read_text() + "\n# changed\n")
    again = project.make()
    assert again[-2:] == ["tools", "project"]
    assert "venv" not in again


def test_a_checkout_that_was_moved_is_installed_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.make()
    moved = project.root.rename(project.root.with_name("elsewhere"))
    monkeypatch.setattr(project.environment, "ROOT", os.fspath(moved))
    project.root, project.folder = moved, moved / ".venv"
    assert project.make()[-1] == "project"


@pytest.mark.parametrize("word", ["venv", "ensurepip", "hatchling", "-e"])
def test_an_interrupted_first_run_is_repaired_by_the_next(project: Project, word: str) -> None:
    project.interrupted_at = word
    with pytest.raises(KeyboardInterrupt):
        project.make()
    project.interrupted_at = None
    assert project.make() == ["venv", "pip", "tools", "project"]
    assert project.make() == []


def test_an_environment_of_the_users_own_is_kept_even_if_an_installation_breaks_off(
    project: Project,
) -> None:
    venv.create(project.folder, symlinks=True, with_pip=False)
    own = project.folder / "own.txt"
    own.write_text("mine")
    project.interrupted_at = "-e"
    with pytest.raises(KeyboardInterrupt):
        project.make()
    project.interrupted_at = None
    assert project.make() == ["pip", "tools", "project"]
    assert own.read_text() == "mine"


def test_a_folder_that_is_no_environment_is_refused_and_left_alone(project: Project) -> None:
    project.folder.mkdir()
    own = project.folder / "thesis.tex"
    own.write_text("mine")
    with pytest.raises(project.environment.Refusal, match="not a Python environment"):
        project.make()
    assert own.read_text() == "mine"
    assert project.commands == []


def test_an_environment_whose_python_is_gone_is_made_anew(project: Project) -> None:
    project.make()
    (project.folder / "bin" / "python").unlink()
    (project.folder / "bin" / "python").symlink_to("gone")
    assert project.make()[0] == "venv"


def test_a_note_that_cannot_be_read_counts_as_none(project: Project) -> None:
    project.make()
    (project.folder / "jaxlin-environment.json").write_text('{"ours": tr')
    assert project.make()[-1] == "project"


def test_a_python_without_a_tested_set_of_versions_gets_the_newest_and_says_so(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.pins.unlink()
    project.make()
    assert " -c " not in project.commands[-1]
    captured = capsys.readouterr()
    assert f"no tested set of versions for Python {project.version}" in captured.err
    assert captured.out == ""


def test_pips_words_are_shown_where_it_fails(project: Project) -> None:
    words = "print('No space left'); raise SystemExit(1)"
    with pytest.raises(project.environment.Refusal, match="No space left\nIt failed"):
        project.run([sys.executable, "-c", words], "It failed.")


def test_a_python_that_is_too_old_is_told_what_is_needed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project.environment, "THIS", "3.9")
    monkeypatch.setattr(project.environment, "find", lambda versions: None)
    with pytest.raises(project.environment.Refusal, match=r"needs Python 3.11 .* python3 is 3.9"):
        project.environment.interpreter()
    monkeypatch.setattr(project.environment, "find", lambda versions: "another")
    assert project.environment.interpreter() == "another"


def test_a_python_is_found_by_its_version_and_one_that_does_not_run_is_passed_over(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    executable(programs / "python3.13", "exit 127")
    executable(programs / "python3.12", "echo 3.12")
    monkeypatch.setenv("PATH", os.fspath(programs), prepend=":")
    monkeypatch.setenv("PYENV_ROOT", os.fspath(tmp_path))
    assert project.environment.find(["3.13", "3.12"]) == os.fspath(programs / "python3.12")
    assert project.environment.find(["3.13"]) is None
    pyenv = tmp_path / "versions" / "3.13.5" / "bin" / "python3"
    executable(pyenv, "echo 3.13")
    assert project.environment.find(["3.13"]) == os.fspath(pyenv)


def executable(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/usr/bin/env bash", *lines, ""]))
    path.chmod(0o755)


def checkout(root: Path, script: str) -> Path:
    """A checkout with one script, whose environment is ready."""
    (root / "scripts").mkdir(parents=True)
    shutil.copy(SCRIPTS / script, root / "scripts" / script)
    (root / "scripts" / "environment.py").write_text(
        "import sys\nprint(*sys.argv, file=sys.stderr)"
    )
    return root


def test_train_runs_where_the_user_is_and_hands_on_what_it_is_given(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a checkout", "train")
    executable(root / ".venv/bin/jaxlin", 'printf "<%s>" "$PWD" "$@"', "exit 7")
    here = tmp_path / "here"
    here.mkdir()
    command = [root / "scripts" / "train", "my data.csv", "--json", ""]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True)
    assert done.stdout == f"<{here.resolve()}><train><my data.csv><--json><>"
    assert done.returncode == 7


@pytest.mark.parametrize("broken", [None, "ruff", "pyright", "python"])
def test_the_tests_run_whatever_lint_says_and_anything_that_failed_fails(
    tmp_path: Path, broken: str | None
) -> None:
    root = checkout(tmp_path / "a checkout", "test")
    for tool in ("ruff", "pyright", "python"):
        status = 1 if tool == broken else 0
        executable(root / ".venv/bin" / tool, f'echo "{tool}: $*"', f"exit {status}")
    command = [root / "scripts" / "test", "-k", "some name"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == (0 if broken is None else 1)
    assert "--extra test" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "ruff: check --quiet"
    assert lines[-1].startswith("python: -m pytest")
    assert lines[-1].endswith("-k some name")
    said = [line for line in lines if "failed" in line]
    assert len(said) == (2 if broken == "ruff" else 1 if broken == "pyright" else 0)


def fashion_mnist(folder: Path | str, *, path: Path | None = None) -> tuple[int, str]:
    """The script's exit status and what it says, with stand-ins from `path` for its tools."""
    search = os.environ["PATH"] if path is None else f"{path}:{os.environ['PATH']}"
    done = subprocess.run(
        [SCRIPTS / "fashion-mnist", folder],
        env={**os.environ, "PATH": search},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("folder", ["", "--force"])
def test_fashion_mnist_wants_a_folder(folder: str) -> None:
    assert fashion_mnist(folder) == (2, "usage: scripts/fashion-mnist DIR\n")


def test_fashion_mnist_leaves_a_file_of_the_same_name_alone(tmp_path: Path) -> None:
    own = tmp_path / "t10k-labels-idx1-ubyte.gz"
    own.write_bytes(b"mine")
    status, said = fashion_mnist(tmp_path)
    assert (status, own.read_bytes()) == (1, b"mine")
    assert f"{own} is there and is not Fashion-MNIST's file" in said


def test_fashion_mnist_puts_nothing_in_place_that_is_not_what_it_should_be(tmp_path: Path) -> None:
    tools, folder = tmp_path / "tools", tmp_path / "data"
    executable(tools / "apt-get", "touch dataset-fashion-mnist_1_all.deb")
    inside = "usr/share/datasets/fashion-mnist"
    executable(
        tools / "dpkg-deb", f"mkdir -p {inside}", f"echo no > {inside}/t10k-labels-idx1-ubyte.gz"
    )
    status, said = fashion_mnist(folder, path=tools)
    assert status == 1
    assert "does not hold the files that were expected" in said
    assert list(folder.iterdir()) == []


def test_fashion_mnist_shows_apts_words_where_it_fails(tmp_path: Path) -> None:
    tools, folder = tmp_path / "tools", tmp_path / "data"
    executable(tools / "apt-get", 'echo "E: no such host"', "exit 100")
    status, said = fashion_mnist(folder, path=tools)
    assert status == 1
    assert "E: no such host" in said
    assert "apt-get update" in said
    assert list(folder.iterdir()) == []
