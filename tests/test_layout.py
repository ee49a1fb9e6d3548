"""The layout: imports run downwards, each folder has a map of its files, tests mirror them, modules stay small."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import spred

SRC = Path(spred.__file__).parent
ROOT = Path(__file__).parents[1]

# A folder imports only folders of lower layers; the façade is above all.
LAYERS = {
    "errors": 0,
    "_checks": 1,
    "_defaults": 1,
    "core": 2,
    "report": 2,
    "runtime": 2,
    "linear": 3,
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
    """``core.factors`` for src/spred/core/factorization.py, ``core`` for its __init__, ``__init__`` at the top."""
    parts = file.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(SRC.rglob("*.py"))}


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


@cache
def imported(name: str) -> set[str]:
    """The modules of spred that ``name`` imports, at the top or inside a function.

    Imports for type checkers count too; ``from spred import __version__`` does not: it is defined first.
    """
    tree = parsed(name)
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
def test_every_module_has_a_layer(name: str) -> None:
    assert folder(name) in LAYERS, f"give {folder(name)} a layer in LAYERS"


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_run_downwards(name: str) -> None:
    upwards = {
        other
        for other in imported(name)
        if folder(other) != folder(name) and LAYERS[folder(other)] >= LAYERS[folder(name)]
    }
    assert not upwards, f"{name} (layer {LAYERS[folder(name)]}) imports {sorted(upwards)}"


def test_no_circles() -> None:
    # static_order raises CycleError, and names the circle, where there is one.
    order = list(TopologicalSorter({name: imported(name) for name in MODULES}).static_order())
    assert set(MODULES) <= set(order)


def reached(name: str) -> set[str]:
    """Every module that ``name`` imports, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in imported(waiting.pop()) - found:
            found.add(other)
            waiting.append(other)
    return found


COMPUTING = ("genes.study", "genes.data", "genes.saved_model", "genes.application")


@pytest.mark.parametrize("name", [name for name in MODULES if name.startswith(COMPUTING)])
def test_computing_knows_no_file_format(name: str) -> None:
    assert not {other for other in reached(name) if other.startswith("genes.io")}


# --- folders ----------------------------------------------------------------------------------------------

FOLDERS = {file.parent.relative_to(SRC).as_posix(): file.parent for file in SRC.rglob("__init__.py")}
MOST_FILES, MOST_LINES, MEDIAN_LINES, MOST_PARAMETERS = 14, 450, 180, 12


def contents(place: Path) -> set[str]:
    """The modules and folders of a folder."""
    files = {file.stem for file in place.glob("*.py")} - {"__init__", "__main__"}
    return files | {child.name for child in place.iterdir() if (child / "__init__.py").exists()}


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "."])
def test_each_folder_has_a_map_of_its_files(name: str) -> None:
    text = ast.get_docstring(ast.parse((FOLDERS[name] / "__init__.py").read_text(encoding="utf-8"))) or ""
    lines = re.findall(r"^(\w+)  +\S", text, re.MULTILINE)
    assert sorted(lines) == sorted(contents(FOLDERS[name])), "one line for each file, its name and what it is for"


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_stay_small(name: str) -> None:
    assert len(contents(FOLDERS[name])) <= MOST_FILES


def test_modules_stay_small() -> None:
    lines = {name: len(file.read_text(encoding="utf-8").splitlines()) for name, file in MODULES.items()}
    assert not {name: count for name, count in lines.items() if count > MOST_LINES}
    assert median(lines.values()) < MEDIAN_LINES


# Estimators' constructors and the public solvers state every parameter of theirs.
MANY_PARAMETERS = {"linear.path.solve", "linear.path.path", "linear.path.alpha_max"}


@pytest.mark.parametrize("name", MODULES)
def test_functions_take_few_parameters(name: str) -> None:
    tree = parsed(name)
    owners = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    many = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef) or f"{name}.{node.name}" in MANY_PARAMETERS:
            continue
        if node.name == "__init__" and name.startswith("estimators."):
            continue
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len(given) - isinstance(owners[node], ast.ClassDef)
        if count > MOST_PARAMETERS and not _is_command(node):
            many[node.name] = count
    assert not many


def _is_command(node: ast.FunctionDef) -> bool:
    """Whether the parameters of a function are the options of a command."""
    return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)


# --- tests mirror the modules -----------------------------------------------------------------------------

TESTS = ROOT / "tests"

TESTED_ELSEWHERE: dict[str, str] = {
    "cli.compress": "tests/compress/test_command.py, beside the data and recipes that it needs",
    "cli.options": "declarations only; the tests of the commands call them",
    "compress.results": "records without code; tests/compress/test_study.py fills them, report/ draws them",
    "core.losses.functions": "with every loss that uses them, in core/losses/test_table.py",
    "core.losses.logistic": "a row of the table, in core/losses/test_table.py",
    "core.partition.singles": "with every partition, in core/partition/test_protocol.py",
    "genes.study.results": "records only; the tests of stability, baselines and permutations fill them",
}
"""Modules without a test file of their own, and where they are tested."""

ACROSS: dict[str, str] = {
    "compress/report/test_page.py": "the page of a compression run in a real browser",
    "compress/test_command.py": "the command spred compress",
    "gated/test_example.py": "examples/network_products.py",
    "genes/test_browser.py": "the page of a study in a real browser",
    "genes/test_example.py": "the example in Python",
    "genes/test_networks.py": "a network in a study, from folds to files and new samples",
    "linear/test_differential.py": "random problems against the optimal values of CVXPY and Clarabel",
    "linear/test_losses.py": "what is particular to each loss, through the public functions",
    "linear/test_positive.py": "coefficients that must not be negative, in every solver",
    "linear/test_precision.py": "certificates against extended precision, over units of columns, targets and weights",
    "linear/test_ridge.py": "no L1 at all, in every solver",
    "linear/test_sparse_group.py": "the sparse-group Lasso, in every solver",
    "nn/test_distributed.py": "two processes do what one does, under DDP and fully_shard",
    "nn/test_exactness.py": "both forms of training against the exact engine",
    "nn/test_framework_examples.py": "examples for Lightning, Accelerate and the Trainer",
    "nn/test_refit.py": "the refit of spred.finalize, against least squares on the support",
    "nn/test_torch_digits.py": "examples/torch_digits.py",
    "nn/test_training_loops.py": "loops that people write: Muon, autocast, loss scaling, compiled models, averages",
    "nn/test_user_code.py": "what a user's own model, loader or closure raises",
    "test_docs.py": "examples and links in README.md and docs/",
    "test_fuzz.py": "damaged files for every reader and loader, and the campaign of scripts/fuzz",
    "test_layout.py": "the layout",
    "test_without_torch.py": "what runs where torch is not installed",
}
"""Test files of no single module, and what they are about."""


@pytest.mark.parametrize("name", [name for name, file in MODULES.items() if file.name != "__init__.py"])
def test_every_module_has_its_test_file(name: str) -> None:
    *folders, module = name.split(".")
    has_file = Path(TESTS, *folders, f"test_{module}.py").exists()
    assert has_file != (name in TESTED_ELSEWHERE), f"{name}: a test file, or a reason in TESTED_ELSEWHERE"


def test_every_test_file_has_its_module() -> None:
    files = {file.relative_to(TESTS).as_posix() for file in TESTS.rglob("test_*.py")}
    own = {f"{name}.py".replace(".", "/", name.count(".")) for name in MODULES}
    without = {file for file in files if file.replace("test_", "") not in own and not file.startswith("benchmarks/")}
    assert without == set(ACROSS)


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


# --- what an import loads ---------------------------------------------------------------------------------


def fresh(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("spred", ["torch", "sklearn", "scipy", "numpy", "pandas", "matplotlib"]),
        ("spred.linear", ["torch", "pandas", "matplotlib"]),
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
