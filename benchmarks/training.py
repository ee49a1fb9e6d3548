"""``scripts/bench torch``: step times, exactness, and the frontier of accuracy against compression with its figure.

``torch-steps`` and ``torch-exactness`` are the first two parts alone.
"""

from __future__ import annotations

import argparse

from networks.methods import METHODS
from networks.plot import draw
from networks.suite import exactness as kkt_table
from networks.suite import steps, torch_suite
from record import machine, write


def frontier(arguments: list[str]) -> None:
    """Run the whole suite and write ``results/torch.json``."""
    parser = _parser("scripts/bench torch")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args(arguments)
    rows = torch_suite(given.methods, given.seeds, given.epochs)
    draw(rows, write("torch", {"machine": machine(), "rows": rows}).with_suffix(".svg"))


def step_times(arguments: list[str]) -> None:
    """Time one step of each network and write ``results/torch-steps.json``."""
    given = _parser("scripts/bench torch-steps").parse_args(arguments)
    write("torch-steps", {"machine": machine(), "rows": steps(given.methods)})


def exactness(arguments: list[str]) -> None:
    """Measure how near training comes to the penalised optimum, and write ``results/torch-exactness.json``."""
    argparse.ArgumentParser("scripts/bench torch-exactness").parse_args(arguments)
    write("torch-exactness", {"machine": machine(), "rows": kkt_table()})


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(name)
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS))
    return parser
