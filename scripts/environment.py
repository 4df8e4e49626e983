"""Makes the Python environment that the scripts run in; says nothing where it is ready.

It runs under whatever `python3` is, to be able to say that that is too old: nothing but the
standard library is imported, and Python 3.7 must be able to read this file.
"""

import argparse
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTED = ("3.13", "3.12", "3.11")  # for each there is a constraints/python3.X.txt
THIS = "{}.{}".format(*sys.version_info)
TELL_VERSION = "import sys; print('{}.{}'.format(*sys.version_info))"
BUILD_TOOLS = ("hatchling", "editables")  # installed by name, so that they are pinned too


class Refusal(Exception):
    """Nothing can be done; the message says why, and what to do."""


def say(message):
    """A line for people: standard output belongs to the command that runs afterwards."""
    print(message, file=sys.stderr, flush=True)


def number(version):
    """The version (3, 12) of "3.12"."""
    return tuple(int(part) for part in version.split("."))


def version_of(python):
    """The version "3.12" of an interpreter, or None if it does not run."""
    try:
        done = subprocess.run(
            [python, "-c", TELL_VERSION],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def find(versions):
    """The first interpreter of these versions on the PATH or among pyenv's, or None."""
    pyenv = glob.escape(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))
    for version in versions:
        by_pyenv = sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python3"))
        for python in (shutil.which(f"python{version}"), *by_pyenv):
            if python and version_of(python) == version:
                return python
    return None


def interpreter():
    """The Python to make an environment with: this one, if it will do."""
    python = sys.executable if THIS in TESTED else find(TESTED)
    if python:
        return python
    if number(THIS) > number(TESTED[0]):
        return sys.executable
    raise Refusal(
        f"jaxlin needs Python 3.11 or newer; python3 is {THIS} here, and no python3.11, "
        "python3.12 or python3.13 was found. Install one of these and run this again."
    )


def run(command, failure):
    """Runs a command in the project's folder; if it fails, its last words are shown."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        close_fds=False,  # it keeps the lock if this process is killed while it works
    )
    if done.returncode != 0:
        last_words = "".join(done.stdout.splitlines(keepends=True)[-25:]).strip()
        raise Refusal(f"{last_words}\n{failure}")


class Environment:
    """A virtual environment, and the note in it that says what was done there."""

    def __init__(self, folder):
        self.folder = folder
        self.name = os.path.relpath(folder, ROOT)
        self.python = os.path.join(folder, "bin", "python")
        self.note = os.path.join(folder, "jaxlin-environment.json")

    def read_note(self):
        """Whether the environment is ours, and the digest and extras of what is installed.

        The digest is None where nothing was installed, or not to the end.
        """
        try:
            with open(self.note, encoding="utf-8") as file:
                note = json.load(file)
            return bool(note["ours"]), note["digest"], set(note["extras"])
        except (OSError, ValueError, KeyError, TypeError):
            return False, None, set()

    def write_note(self, ours, digest, extras):
        """Replaces the note, whole or not at all."""
        with open(self.note + ".new", "w", encoding="utf-8") as file:
            json.dump({"ours": ours, "digest": digest, "extras": sorted(extras)}, file)
        os.replace(self.note + ".new", self.note)

    def pins(self):
        """The file of tested versions for this Python, relative to the project, or None."""
        pins = f"constraints/python{version_of(self.python)}.txt"
        return pins if os.path.exists(os.path.join(ROOT, pins)) else None

    @staticmethod
    def pins_of(extras):
        """The files of what an extra has beyond the others, where it has one of its own."""
        names = [f"constraints/{extra}.txt" for extra in sorted(extras)]
        return [name for name in names if os.path.exists(os.path.join(ROOT, name))]

    def digest(self, extras):
        """Changes with whatever an installation depends on."""
        pins = self.pins()
        pins = [*([pins] if pins else []), *self.pins_of(extras)]
        digest = hashlib.sha256(f"{ROOT}\n{version_of(self.python)}\n".encode())
        for name in ("pyproject.toml", "jaxlin/__init__.py", *pins):
            with open(os.path.join(ROOT, name), "rb") as file:
                digest.update(file.read())
        return digest.hexdigest()

    def is_ready(self, extras):
        """Whether the last installation was complete and nothing has changed since."""
        _, digest, has = self.read_note()
        return digest is not None and extras <= has and digest == self.digest(has)

    def create(self):
        """Makes the environment where there is none that works, and pip where it has none.

        One that this made and whose installation was interrupted is made anew; one that someone
        else made is kept as long as it works.
        """
        ours, digest, _ = self.read_note()
        version = version_of(self.python)
        if version is None or (ours and digest is None):
            self._create_anew()
        elif number(version) < (3, 11):
            raise Refusal(
                f"{self.folder} has Python {version}, and jaxlin needs 3.11 or newer. Move it away "
                "and run this again."
            )
        pip = [self.python, "-m", "pip", "--version"]
        if subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            run([self.python, "-m", "ensurepip"], f"{self.folder} has no pip, and got none.")

    def _create_anew(self):
        is_environment = os.path.exists(os.path.join(self.folder, "pyvenv.cfg"))
        if not is_environment and any(files for _, _, files in os.walk(self.folder)):
            raise Refusal(
                f"{self.folder} is there and is not a Python environment. Move it away and run "
                "this again."
            )
        python = interpreter()
        if subprocess.run([python, "-c", "import ensurepip, venv"]).returncode != 0:
            raise Refusal(
                f"{python} cannot make environments, as its venv module is not whole. On Debian "
                f"and Ubuntu the package python{version_of(python)}-venv completes it."
            )
        command = [python, "-m", "venv", "--clear", self.folder]
        run(command, f"The environment {self.folder} was not made.")
        self.write_note(True, None, [])

    def install(self, extras):
        """Installs the project, editable, with the tested versions of all else."""
        ours, _, has = self.read_note()
        extras = extras | has
        say(f"Installing jaxlin in {self.name}, which takes a minute or two.")
        pins = self.pins()
        if pins is None:
            version = version_of(self.python)
            say(f"There is no tested set of versions for Python {version}: taking the newest.")
        self.write_note(ours, None, extras)
        pip = [self.python, "-m", "pip", "install", "--disable-pip-version-check"]
        pip += ["--no-input", "--progress-bar", "off", *(["-c", pins] if pins else [])]
        for name in self.pins_of(extras):
            pip += ["-c", name]
        project = f".[{','.join(sorted(extras))}]" if extras else "."
        failure = f"jaxlin could not be installed in {self.folder}; pip's words are above."
        run([*pip, *BUILD_TOOLS], failure)
        run([*pip, "--no-build-isolation", "-e", project], failure)
        self.write_note(ours, self.digest(extras), extras)

    def make(self, extras):
        """Does whatever is missing; one process at a time."""
        if self.is_ready(extras):
            return
        with open(self.folder + ".lock", "w") as lock:  # let go by whatever ends this process
            os.set_inheritable(lock.fileno(), True)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Waiting for another run that is setting up {self.name}.")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if self.is_ready(extras):
                return
            self.create()
            self.install(extras)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=".venv", help="the environment, in the project")
    parser.add_argument("--extra", action="append", default=[], help="an extra of pyproject.toml")
    parser.add_argument("--find", nargs="+", metavar="VERSION", help="print an interpreter instead")
    arguments = parser.parse_args()
    if arguments.find:
        python = find(arguments.find)
        if python:
            print(python)
        return 0 if python else 1
    try:
        Environment(os.path.join(ROOT, arguments.folder)).make(set(arguments.extra))
    except (Refusal, OSError) as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("Interrupted. The next run starts the installation again.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
