"""The house keeps its plan: imports go down the floors and never in a circle, and no module grows beyond reading."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import hexgate

ROOT = Path(hexgate.__file__).parent
FLOORS = (
    ("__init__", "errors", "resources", "stats"),
    ("metrics", "contract", "datasets", "wire", "meters"),
    ("targets", "load"),
    ("attacks", "scorers", "reference"),
    ("indicators", "study", "importers", "gate"),
    ("report", "stores", "platforms"),
    ("cli", "__main__"),
)
APART = {
    "targets": {"load"},
    "load": {"targets"},
    "gate": {"indicators", "targets", "load", "meters", "attacks", "scorers", "reference"},
    "report": {"indicators", "targets", "load", "meters", "attacks", "scorers", "reference"},
}
"""What a package must not know, though its floor would let it."""
LAZILY_UP = {"targets -> reference", "datasets -> reference"}
"""The embedded default is opened and read like any other model and data; only its place is looked up above."""
MOST_LINES = 400

_DEFINITION = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LAZY = re.compile(r"hexgate\.(\w+)(?:\.\w+)*:\w+")
MODULES = sorted(ROOT.rglob("*.py"))
FLOOR_OF = {package: floor for floor, packages in enumerate(FLOORS) for package in packages}


def package_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def modules_imported(path: Path) -> set[str]:
    """Every module that a module imports by a statement, wherever in it that stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "hexgate":
                found |= {f"hexgate.{alias.name}" for alias in node.names}
            elif node.module:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


def imported(path: Path) -> set[str]:
    """Every part of hexgate that a module imports."""
    return {name.split(".")[1] for name in modules_imported(path) if name.startswith("hexgate.")}


def edges() -> dict[str, set[str]]:
    """From each package to those that it imports."""
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        own = package_of(path)
        names = {"__init__" if name.startswith("__") else name for name in imported(path)}
        graph.setdefault(own, set()).update(names - {own})
    return graph


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_enough_and_names_what_it_offers(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= MOST_LINES
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module says what it is"
    assigned = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    defined = any(isinstance(node, _DEFINITION) and not node.name.startswith("_") for node in tree.body)
    if "__all__" not in assigned:
        assert not defined, "a module with public names has __all__"
        return
    offered = ast.literal_eval(assigned["__all__"])
    assert len(set(offered)) == len(offered)
    own = {node.name for node in tree.body if isinstance(node, _DEFINITION)} | set(assigned)
    annotated = (node.target for node in tree.body if isinstance(node, ast.AnnAssign))
    own |= {target.id for target in annotated if isinstance(target, ast.Name)}
    named = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(offered) <= own | named


def test_every_module_can_be_imported_and_has_what_it_offers() -> None:
    for found in walk_packages(hexgate.__path__, "hexgate."):
        if found.name.endswith("__main__"):
            continue
        module = import_module(found.name)
        missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
        assert missing == [], found.name


def test_every_package_has_a_floor() -> None:
    assert {package_of(path) for path in MODULES} <= FLOOR_OF.keys()


def test_imports_go_down_or_sideways() -> None:
    up = {
        f"{own} -> {name}"
        for own, names in edges().items()
        for name in names
        if FLOOR_OF[name] > FLOOR_OF[own]
    }
    assert up == set()


def test_names_looked_up_while_running_go_down_too_but_for_the_embedded_default() -> None:
    up = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and (name := _LAZY.fullmatch(node.value))
            ):
                own = package_of(path)
                if FLOOR_OF[name[1]] > FLOOR_OF[own]:
                    up.add(f"{own} -> {name[1]}")
    assert up == LAZILY_UP


@pytest.mark.parametrize("room", ["plans", "sending"])
def test_what_a_load_is_made_of_knows_nothing_above_it(room: str) -> None:
    known = {name for path in (ROOT / "load" / room).glob("*.py") for name in modules_imported(path)}
    of_loads = {name for name in known if name.startswith("hexgate.load.")}
    assert {name for name in of_loads if not name.startswith(f"hexgate.load.{room}.")} == set()


def test_a_run_computes_no_figures() -> None:
    known = {name for path in (ROOT / "load").glob("*.py") for name in modules_imported(path)}
    assert {name for name in known if name.startswith("hexgate.load.measures")} == set()


def test_what_is_to_be_apart_is_apart() -> None:
    together = {
        f"{own} -> {name}" for own, names in edges().items() for name in names & APART.get(own, set())
    }
    assert together == set()


def test_packages_do_not_import_each_other_in_a_circle() -> None:
    left = {own: set(names) for own, names in edges().items()}
    while free := [own for own, names in left.items() if not names & left.keys()]:
        for own in free:
            del left[own]
    assert left == {}
