"""Solvers that live in a process of their own: data go over in raw files, coefficients and seconds come back.

The seconds are those that the other process measures around its solver; starting it and moving data do not count.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def run(
    command: list[str], X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float
) -> tuple[np.ndarray, float]:
    """Run ``command FOLDER LOSS TOL N P A`` and return coefficients ``(A, p)`` and seconds."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        np.asfortranarray(X).T.tofile(folder / "X")  # column after column
        y.tofile(folder / "y")
        alphas.tofile(folder / "alphas")
        sizes = [str(X.shape[0]), str(X.shape[1]), str(len(alphas))]
        done = subprocess.run([*command, place, loss, repr(tol), *sizes], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed: {done.stderr.strip().splitlines()[-1]}")
        coefs = np.fromfile(folder / "coefs").reshape(len(alphas), X.shape[1])
        return coefs, float((folder / "seconds").read_text())
