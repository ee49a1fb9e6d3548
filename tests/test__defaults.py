"""One default and one meaning for each name: the constants, the table of the docs and every public signature agree."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import spred
from spred import _defaults
from spred.gated import PathOptions
from spred.linear.path import path_of
from spred.linear.solvers.outer import Limits

NAMES = ("n_alphas", "eps", "tol", "cv_tol", "kkt_tol", "cv_kkt_tol", "max_iter", "max_seconds")
CONSTANTS = {name: getattr(_defaults, name.upper()) for name in NAMES}
OF_NETWORKS = {"n_alphas": _defaults.NETWORK_N_ALPHAS, "eps": _defaults.NETWORK_EPS}
"""What is another default where every alpha costs more."""
EXPECTED = CONSTANTS | {f"{name} of a network": value for name, value in OF_NETWORKS.items()}
TABLE = Path(__file__).parents[1] / "docs" / "api.md"

EXACT = ("spred.linear", "spred.estimators")
CALLABLES = [
    *(getattr(spred, name) for name, home in spred._HOMES.items() if home in EXACT),
    PathOptions,
    Limits,
    path_of,
]


def signatures() -> list[tuple[str, str, object]]:
    """Callable, argument (a network's by its own name) and default of every argument that has one of the names."""
    found = []
    for one in CALLABLES:
        for name, parameter in inspect.signature(one).parameters.items():
            if name in NAMES:
                network = name in OF_NETWORKS and one.__name__.startswith(("Network", "PathOptions"))
                found.append((one.__name__, f"{name} of a network" if network else name, parameter.default))
    return found


@pytest.mark.parametrize(("where", "name", "default"), signatures())
def test_signatures_have_the_shared_default(where: str, name: str, default: object) -> None:
    assert default == EXPECTED[name], f"{where}({name}=…)"


def rows() -> dict[str, tuple[float, set[str]]]:
    """Name, default and owners of each line of the table."""
    section = TABLE.read_text(encoding="utf-8").partition("## One default for each name")[2]
    lines = re.findall(r"^\| `(\w+)`( of a network|) \| ([\w.-]+) \| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)
    return {name + of: (float(value), set(re.findall(r"`(\w+)`", owners))) for name, of, value, owners in lines}


def test_the_table_of_the_docs_says_the_same() -> None:
    assert {name: value for name, (value, _) in rows().items()} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_the_table_names_who_takes_it(name: str) -> None:
    public = {where for where, argument, _ in signatures() if argument == name and where in spred.__all__}
    assert rows()[name][1] == public
