"""``scripts/bench torch``: step times, exactness, and the frontier of accuracy against compression with its figure.

``torch-steps`` and ``torch-exactness`` are the first two parts alone; ``torch-memory`` counts what spred holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from networks.methods import METHODS
from networks.plot import draw
from networks.suite import exactness as exact_rows
from networks.suite import frontier_runs, memory, runs_of, steps
from record import machine, read, write


def frontier(arguments: list[str]) -> None:
    """Run the whole suite and write ``results/torch.json`` after each training run."""
    parser = _parser("scripts/bench torch")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--refit", type=int, help="epochs that train what is left, without penalty; default a quarter")
    parser.add_argument(
        "--resume", action="store_true", help="train only what results/torch.json lacks; for unchanged methods"
    )
    given = parser.parse_args(arguments)
    rows = read("torch")["rows"] if given.resume else steps(given.methods) + exact_rows()
    refit = given.epochs // 4 if given.refit is None else given.refit
    rows = frontier_runs(given.methods, given.seeds, given.epochs, refit, rows, _save)
    draw(runs_of(rows, given.epochs, refit), _save(rows).with_suffix(".svg"))


def step_times(arguments: list[str]) -> None:
    """Time one step of each network and write ``results/torch-steps.json``."""
    given = _parser("scripts/bench torch-steps").parse_args(arguments)
    write("torch-steps", {"machine": machine(), "rows": steps(given.methods)})


def exactness(arguments: list[str]) -> None:
    """Measure how near training comes to the penalised optimum, and write ``results/torch-exactness.json``."""
    argparse.ArgumentParser("scripts/bench torch-exactness").parse_args(arguments)
    write("torch-exactness", {"machine": machine(), "rows": exact_rows()})


def copies(arguments: list[str]) -> None:
    """Count the memory that penalties hold, and write ``results/torch-memory.json``."""
    argparse.ArgumentParser("scripts/bench torch-memory").parse_args(arguments)
    write("torch-memory", {"machine": machine(), "rows": memory()})


def _save(rows: list[dict]) -> Path:
    return write("torch", {"machine": machine(), "rows": rows})


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(name)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    return parser
