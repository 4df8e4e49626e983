"""Writes constraints/: for each supported Python, the newest versions that go together.

Run it as `python3 scripts/pin.py`, then `.ci/run`, and commit the files if that passes. The file of
a Python that is not on the machine stays as it is.
"""

import json
import os
import subprocess
import sys

from environment import BUILD_TOOLS, ROOT, TESTED, find

HEADER = """\
# What the tests passed with under Python {version}; written by scripts/pin.py.
"""


def newest_versions(python):
    """The lines `name==version` of all that the project and its tests need, as pip resolves it."""
    command = [python, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--disable-pip-version-check", "--report", "-", *BUILD_TOOLS, ".[test]"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    packages = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    names = {package["name"].lower(): package["version"] for package in packages}
    return [f"{name}=={names[name]}\n" for name in sorted(names) if name != "jaxlin"]


def main():
    """Writes one file for each Python found."""
    for version in TESTED:
        python = find([version])
        if python is None:
            print(f"Python {version} is not here: its file stays as it is.", file=sys.stderr)
            continue
        path = os.path.join(ROOT, "constraints", f"python{version}.txt")
        lines = newest_versions(python)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines([HEADER.format(version=version), *lines])
        print(f"{os.path.relpath(path)}: {len(lines)} packages")


if __name__ == "__main__":
    main()
