"""The package as a whole: which way imports go, what an import loads, what is shipped."""

from __future__ import annotations

import ast
import graphlib
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxlin

ROOT = Path(__file__).parent.parent

# A module may import from those before it, and a package from itself. `jaxlin` stands for the
# package's own `__init__`: only what comes after it may say `from jaxlin import fit`.
ORDER = (
    *(
        "errors",
        "outcomes",
        "later",
        "files",
        "strict_json",
        "file_rows",
        "lazy_rows",
        "arrays",
        "precision",
        "captured",
        "lost_digits",
        "checks",
        "shapes",
        "weights",
        "row_blocks",
    ),
    *("linear", "losses", "conjugates", "penalties", "metrics", "scales"),
    *("data", "kernels", "objective", "gradients", "certificates"),
    *("solvers", "training", "sweeps"),
    *("ladder", "model_file", "probe", "sklearn", "jaxlin", "report", "cli"),
)


def sources() -> dict[str, str]:
    """The text of every module of the package, by dotted name; a package's is its `__init__`."""
    texts = {}
    for path in sorted((ROOT / "jaxlin").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        texts[name] = path.read_text(encoding="utf-8")
    return texts


def run_time_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Every node of a module, without what only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        yield child
        yield from run_time_nodes(child)


def imports(name: str, text: str, modules: set[str]) -> set[str]:
    """The modules of the package that a module imports, at its top or inside its functions."""
    found = set()
    for node in run_time_nodes(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide where a name comes from"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules else str(node.module))
    return {module for module in found if module.split(".")[0] == "jaxlin"}


def unit(module: str) -> str:
    """What a module counts as in ORDER: `jaxlin.solvers.sgd` as `solvers`."""
    return [*module.split("."), "jaxlin"][1]


def wrong_imports(texts: dict[str, str]) -> list[str]:
    """Every import against the order, as a sentence."""
    wrong = []
    for name, text in texts.items():
        if name in ("jaxlin", "jaxlin.__main__"):
            continue
        for imported in sorted(imports(name, text, set(texts))):
            own, other = unit(name), unit(imported)
            if ORDER.index(other) > ORDER.index(own):
                wrong.append(f"{name} imports {imported}, which comes after it")
            elif own == other and imported == f"jaxlin.{own}":
                wrong.append(f"{name} imports the package that it is in")
    return wrong


def test_imports_go_one_way() -> None:
    assert wrong_imports(sources()) == []


def test_there_is_no_circle_of_imports_inside_a_package_either() -> None:
    texts = sources()
    graph = {name: imports(name, text, set(texts)) - {name} for name, text in texts.items()}
    assert tuple(graphlib.TopologicalSorter(graph).static_order())


def test_every_module_has_its_place_in_the_order() -> None:
    modules = {unit(name) for name in sources()} - {"__main__"}
    assert modules == set(ORDER)


@pytest.mark.parametrize(
    "text",
    [
        "from jaxlin import training",
        "from jaxlin.training import fit",
        "import jaxlin.training as t",
        "def f():\n    from jaxlin import fit",
        "if True:\n    import jaxlin",
        "from jaxlin.losses import hinge",
    ],
)
def test_an_import_against_the_order_is_found(text: str) -> None:
    modules = dict.fromkeys(["jaxlin", "jaxlin.training", "jaxlin.losses"], "")
    assert len(wrong_imports({**modules, "jaxlin.linear": text})) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import jax\nfrom jaxlin.errors import InputError\nfrom jaxlin import checks",
        "if TYPE_CHECKING:\n    from jaxlin.training import Fit",
    ],
)
def test_an_import_along_the_order_or_for_types_alone_is_none(text: str) -> None:
    modules = dict.fromkeys(["jaxlin.errors", "jaxlin.checks", "jaxlin.training"], "")
    assert wrong_imports({**modules, "jaxlin.linear": text}) == []


def packages() -> Iterator[types.ModuleType]:
    """jaxlin and the packages in it that have public names."""
    yield jaxlin
    for module in pkgutil.iter_modules(jaxlin.__path__, "jaxlin."):
        if module.ispkg:
            yield importlib.import_module(module.name)


def test_no_module_has_the_name_of_a_public_function_beside_it() -> None:
    for package in packages():
        modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
        functions = {
            name for name in getattr(package, "__all__", ()) if callable(getattr(package, name))
        }
        assert not modules & functions, package.__name__


def public_names() -> Iterator[tuple[str, object]]:
    """Everything that a user meets: the names of `jaxlin.__all__` and of its modules."""
    for name in jaxlin.__all__:
        value = getattr(jaxlin, name)
        yield f"jaxlin.{name}", value
        if isinstance(value, types.ModuleType):
            own = [key for key, v in vars(value).items() if inspect.getmodule(v) is value]
            for inner in getattr(value, "__all__", [key for key in own if key[0] != "_"]):
                yield f"jaxlin.{name}.{inner}", getattr(value, inner)


def test_every_public_name_is_described() -> None:
    nameless = [
        name
        for name, value in public_names()
        if not (inspect.getdoc(value) or "").strip()
        or (inspect.isclass(value) and value.__doc__ is None)
    ]
    assert not nameless, nameless


# Nobody makes these: the examples of the functions that give them show them.
GIVEN = {
    *("EpochReport", "Evaluation", "Fit", "History", "Problem", "RowStream", "Sweep"),
    "SweepReport",
}


def test_every_public_function_and_class_has_an_example() -> None:
    def should(value: object) -> bool:
        if inspect.isclass(value):
            is_protocol = getattr(value, "_is_protocol", False)
            return not (issubclass(value, Exception) or is_protocol or value.__name__ in GIVEN)
        return inspect.isfunction(value)

    without = [
        name for name, value in public_names() if should(value) and ">>>" not in str(value.__doc__)
    ]
    assert not without, without


def test_all_names_each_public_name_once_and_in_order() -> None:
    assert list(jaxlin.__all__) == sorted(set(jaxlin.__all__))


IMPORT_REPORT = """
import json, sys
import jax
before = dict(jax.config.values)
import jaxlin
after = dict(jax.config.values)
changed = sorted(key for key in after if after[key] != before.get(key, after[key]))
from jax._src import xla_bridge
print(json.dumps([sorted(sys.modules), changed, xla_bridge.backends_are_initialized()]))
"""


def python(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=timeout
    )


def test_an_import_loads_nothing_heavy_starts_no_device_and_changes_no_setting() -> None:
    everything = "import jax, optax, numpy, sys, json; print(json.dumps([*sys.modules]))"
    allowed = set(json.loads(python("-c", everything).stdout))
    done = python("-c", IMPORT_REPORT)
    assert done.stderr == ""
    loaded, changed, device_started = json.loads(done.stdout)
    free = {"jaxlin", "jax", "jaxlib", "optax", "numpy", *sys.stdlib_module_names}
    heavy = [name for name in loaded if name not in allowed and name.split(".")[0] not in free]
    assert not heavy, heavy
    assert not changed, changed
    assert not device_started


IMPORT_TIMES = """
import time
start = time.process_time()
import jax, optax
between = time.process_time()
import jaxlin
print(between - start, time.process_time() - between)
"""


def test_an_import_takes_a_fraction_of_what_jax_and_optax_take() -> None:
    times = [[float(t) for t in python("-c", IMPORT_TIMES).stdout.split()] for _ in range(4)]
    # The least of several: whatever else the machine does only adds. A tenth where this was
    # written; the rest is room for a garbage collection, which may fall into either half.
    theirs, ours = (min(column) for column in zip(*times, strict=True))
    assert ours < 0.2 * theirs


def test_names_that_wait_are_there_when_they_are_asked_for() -> None:
    program = (
        "import sys, jaxlin; waiting = {'jaxlin.gradients.checking', 'jaxlin.training'}; "
        "print(waiting.isdisjoint(sys.modules), "
        "{*jaxlin.gradients.__all__, '__name__'} <= {*dir(jaxlin.gradients)}, "
        "{'load', '__name__'} <= {*dir(jaxlin.data)}, {'fit', '__version__'} <= {*dir(jaxlin)}, "
        "jaxlin.sweeps.sweep_subsets.__name__, jaxlin.data.reading.read.__name__, "
        "jaxlin.gradients.check.__name__, jaxlin.fit.__name__)"
    )
    said = "True True True True sweep_subsets read check fit\n"
    assert python("-c", program).stdout == said
    with pytest.raises(AttributeError, match=r"'jaxlin\.gradients' has no attribute 'nothing'"):
        jaxlin.gradients.nothing  # noqa: B018


def test_the_version_is_one_everywhere() -> None:
    assert importlib.metadata.version("jaxlin") == jaxlin.__version__
    assert f"## {jaxlin.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    done = python("-P", "-m", "jaxlin", "--version")
    assert done.returncode == 0
    assert done.stderr == ""
    assert jaxlin.__version__ in done.stdout.split()


def test_the_wheel_holds_the_package_its_types_its_licence_and_no_more(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "jaxlin = jaxlin.cli.main:main" in wheel.read(entry_points).decode()
    package = {name for name in names if not name.startswith(f"jaxlin-{jaxlin.__version__}")}
    in_the_tree = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "jaxlin").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert package == in_the_tree
    assert "jaxlin/py.typed" in package
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_dependency_is_pinned_by_name_and_version_alone(version: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    lines = (ROOT / "constraints" / f"python{version}.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9_.-]+==[0-9][\w.]*", pin)] == []
    pinned = {re.split(r"\[|=", pin)[0] for pin in pins}
    needed = project["dependencies"] + project["optional-dependencies"]["test"]
    assert {re.split(r"\[|>", requirement)[0] for requirement in needed} - pinned == set()


def test_what_the_bench_needs_besides_is_pinned_too() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints" / "bench.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[a-z0-9_.-]+==[0-9][\w.]*", pin)] == []
    needed = {re.split(r"\[|>", one)[0] for one in project["optional-dependencies"]["bench"]}
    assert needed - {pin.partition("==")[0] for pin in pins} == set()


def test_no_file_of_the_project_names_a_place_on_some_machine() -> None:
    place = re.compile(r"(?<![\w.])/(?:home|root|work|Users|mnt|opt)/\w")
    folders = ("jaxlin", "tests", "scripts", "docs", "constraints", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files += [*ROOT.glob("*.md"), *ROOT.glob("*.toml"), *ROOT.glob("*.py")]
    mentions = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        if path.is_file() and path.suffix not in {".pyc", ".png", ".npz", ".npy", ".gz"}
        for line in path.read_text(encoding="utf-8").splitlines()
        if place.search(line)
    ]
    assert len(files) > 20
    assert not mentions, mentions
