"""The house stands: imports run downwards, no circles, one documented façade, a light front door."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import spred

SRC = Path(spred.__file__).parent
ROOT = Path(__file__).parents[1]

# A folder imports only folders on lower floors; the façade is above all.
FLOORS = {
    "errors": 1,
    "core": 2,
    "output": 2,
    "exact": 3,
    "gated": 3,
    "nn": 3,
    "estimators": 4,
    "genes": 5,
    "compress": 5,
    "cli": 6,
    "__main__": 7,
    "__init__": 7,
}
FACADE = "__init__"


def module_name(file: Path) -> str:
    """``core.factors`` for src/spred/core/factors.py, ``core`` for its __init__, ``__init__`` at the top."""
    parts = file.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(SRC.rglob("*.py"))}


def imported(name: str) -> set[str]:
    """The modules of spred that ``name`` imports, at the top or inside a function.

    Imports for type checkers count too; ``from spred import __version__`` does not: it is defined first.
    """
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively; write the full name"
            # `from spred.core import losses` imports a module, `from spred.core.losses import Loss` a name.
            found |= {
                whole if whole.removeprefix("spred.") in MODULES else str(node.module)
                for alias in node.names
                if (node.module, alias.name) != ("spred", "__version__")
                for whole in [f"{node.module}.{alias.name}"]
            }
    inside = {one.removeprefix("spred").removeprefix(".") or FACADE for one in found if one.split(".")[0] == "spred"}
    return inside - {name}


def folder(name: str) -> str:
    return name.split(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_has_a_floor(name: str) -> None:
    assert folder(name) in FLOORS, f"give {folder(name)} a floor in FLOORS"


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_run_downwards(name: str) -> None:
    upwards = {
        other
        for other in imported(name)
        if folder(other) != folder(name) and FLOORS[folder(other)] >= FLOORS[folder(name)]
    }
    assert not upwards, f"{name} (floor {FLOORS[folder(name)]}) imports {sorted(upwards)}"


def test_no_circles() -> None:
    # static_order raises CycleError, and names the circle, where there is one.
    order = list(TopologicalSorter({name: imported(name) for name in MODULES}).static_order())
    assert set(MODULES) <= set(order)


# --- the façade -------------------------------------------------------------------------------------------


def public_names() -> list[str]:
    return list(getattr(spred, "__all__", []))


def test_the_facade_is_declared() -> None:
    assert public_names()
    assert len(public_names()) == len(set(public_names()))
    assert set(public_names()) <= set(dir(spred))


@pytest.mark.parametrize("name", public_names())
def test_public_names_import_and_explain_themselves(name: str) -> None:
    assert getattr(spred, name).__doc__, f"spred.{name} has no docstring"


@pytest.mark.parametrize("name", [name for name in public_names() if not name.startswith("__")])
def test_public_names_are_documented(name: str) -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))
    assert re.search(rf"\b{name}\b", code), f"no code in README.md or docs/ shows spred.{name}"


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="lasso"):
        spred.lasso  # noqa: B018


# --- the front door ---------------------------------------------------------------------------------------


def fresh(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("spred", ["torch", "sklearn", "scipy", "numpy", "pandas", "matplotlib"]),
        ("spred.exact", ["torch", "pandas", "matplotlib"]),
        ("spred.estimators", ["torch", "matplotlib"]),
        ("spred.cli", ["torch", "sklearn", "pandas", "matplotlib"]),
    ],
)
def test_imports_stay_light(module: str, absent: list[str]) -> None:
    if module.partition(".")[2] not in {*MODULES, ""}:
        pytest.skip(f"{module} is not there yet")
    loaded = fresh(f"import sys, {module}; print(*sys.modules)").stdout.split()
    assert not set(absent) & set(loaded)


def test_importing_spred_takes_under_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        # Each line of the report reads "import time: own | cumulative | name", in microseconds.
        report = fresh("import spred", "-X", "importtime").stderr.splitlines()
        (line,) = [row for row in report if row.split("|")[-1].strip() == "spred"]
        return int(line.split("|")[1]) / 1e6

    assert min(seconds() for _ in range(3)) < 0.3


def test_type_information_is_shipped() -> None:
    assert (SRC / "py.typed").exists()
    assert importlib.import_module("spred").__version__
