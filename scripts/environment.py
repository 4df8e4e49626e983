"""Makes the Python environment that the scripts run in; says nothing where it is ready.

Runs under whatever `python3` is, to be able to say that it is too old: Python 3.7 must be able to
read this file, and nothing but the standard library is imported.
"""

import argparse
import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TESTED = ("3.13", "3.12", "3.11")
VERSION_OF = "import sys; print('%d.%d' % sys.version_info[:2])"
BUILD_TOOLS = ("hatchling", "editables")  # installed by name, so that they are pinned too


class Refusal(Exception):
    """Nothing can be done; the message says why, and what to do."""


def say(message):
    """A line for people: standard output belongs to the command that runs afterwards."""
    print(message, file=sys.stderr, flush=True)


def version_of(python):
    """`3.12` for an interpreter that runs, None for one that does not."""
    try:
        command = [python, "-c", VERSION_OF]
        run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    except OSError:
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def find(versions):
    """The first interpreter of these versions on the PATH or among pyenv's, or None."""
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    for version in versions:
        installed = glob.glob(
            os.path.join(glob.escape(pyenv), "versions", version + ".*", "bin", "python3")
        )
        for python in (shutil.which("python" + version), *sorted(installed)):
            if python and version_of(python) == version:
                return python
    return None


def interpreter():
    """The Python to make an environment with: this one if it will do."""
    if "%d.%d" % sys.version_info[:2] in TESTED:
        return sys.executable
    other = find(TESTED)
    if other:
        return other
    if sys.version_info >= (3, 11):
        return sys.executable
    raise Refusal(
        "jaxlin needs Python 3.11 or newer; python3 is %d.%d here, and no python3.11, python3.12 "
        "or python3.13 was found. Install one of these and run this again." % sys.version_info[:2]
    )


def python_in(folder):
    return os.path.join(folder, "bin", "python")


def run(command, failure):
    """Runs a command in the project's folder; what it prints is shown only if it fails."""
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise Refusal("%s\n%s" % (done.stdout.strip(), failure))


def create(folder):
    """A virtual environment with pip in it; a half-made or broken one is made anew."""
    has_config = os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    if version_of(python_in(folder)) and has_config:
        pip = [python_in(folder), "-m", "pip", "--version"]
        if subprocess.run(pip, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
            return
    elif not has_config and any(files for _, _, files in os.walk(folder)):
        raise Refusal(
            "%s is there and is not a Python environment. Move it away and run this again." % folder
        )
    python = interpreter()
    check = subprocess.run([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL)
    if check.returncode != 0:
        raise Refusal(
            "%s cannot make environments, as its venv module is not whole. On Debian and Ubuntu "
            "the package python%s-venv has it." % (python, version_of(python))
        )
    run([python, "-m", "venv", "--clear", folder], "The environment %s was not made." % folder)


def wanted(folder):
    """Which Python the environment has, its file of pinned versions, and a digest of it all."""
    version = version_of(python_in(folder))
    if version is None:
        return None, None, None
    pins = os.path.join("constraints", "python%s.txt" % version)
    if not os.path.exists(os.path.join(ROOT, pins)):
        pins = None
    digest = hashlib.sha256(("%s\n%s\n" % (ROOT, version)).encode())
    for name in ("pyproject.toml", os.path.join("jaxlin", "__init__.py"), pins):
        if name is not None:
            with open(os.path.join(ROOT, name), "rb") as file:
                digest.update(file.read())
    return version, pins, digest.hexdigest()


def installed(stamp):
    """What the last complete installation wrote down: a digest and the extras it had."""
    try:
        with open(stamp, encoding="utf-8") as file:
            content = json.load(file)
        return content["digest"], set(content["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return None, set()


def install(folder, extras, stamp):
    """Installs the project, editable, with the pinned versions."""
    version, pins, digest = wanted(folder)
    if version is None or tuple(map(int, version.split("."))) < (3, 11):
        raise Refusal(
            "%s has Python %s and jaxlin needs 3.11 or newer. Move it away and run this again."
            % (folder, version)
        )
    say("Installing jaxlin in %s (once; it takes a minute or two)." % os.path.relpath(folder))
    if pins is None:
        say("Python %s has no tested set of versions here: taking the newest ones." % version)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(stamp)
    pip = [python_in(folder), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pip += ["--no-input", *(("-c", pins) if pins else ())]
    project = ".[%s]" % ",".join(sorted(extras)) if extras else "."
    failure = "jaxlin could not be installed in %s; pip's words are above." % folder
    run([*pip, *BUILD_TOOLS], failure)
    run([*pip, "--no-build-isolation", "-e", project], failure)
    with open(stamp + ".new", "w", encoding="utf-8") as file:
        json.dump({"digest": digest, "extras": sorted(extras)}, file)
    os.replace(stamp + ".new", stamp)


def make(folder, extras):
    """Makes the environment, or what is missing of it."""
    stamp = os.path.join(folder, "jaxlin-installed.json")

    def is_ready():
        digest, has = installed(stamp)
        return digest is not None and digest == wanted(folder)[2] and extras <= has

    if is_ready():
        return
    with open(folder + ".lock", "w") as lock:  # one at a time; freed by whatever ends this process
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Waiting for another run that is setting up %s." % os.path.relpath(folder))
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            create(folder)
            install(folder, extras | installed(stamp)[1], stamp)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", default=".venv", help="the environment, in the project")
    parser.add_argument("--extra", action="append", default=[], help="an extra of pyproject.toml")
    parser.add_argument("--find", nargs="+", metavar="VERSION", help="print an interpreter instead")
    arguments = parser.parse_args()
    try:
        if arguments.find:
            python = find(arguments.find)
            print(python or "", end="\n" if python else "")
            return 0 if python else 1
        make(os.path.join(ROOT, arguments.folder), set(arguments.extra))
    except (Refusal, OSError) as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        say("Interrupted; run it again and it goes on.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
