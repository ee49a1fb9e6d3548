"""A solver's own process: ``PYTHON worker.py MODULE``. It needs NumPy, SciPy and the solver's package, and not spred.

It says who it is in one line of JSON, and then answers lines. To ``load FOLDER`` it reads the problem in the folder and
solves it at its first alphas, so that compiled code is loaded. To ``solve TOL`` it solves the whole, writes ``coefs``
into the folder, and answers with the seconds of the solver's call alone: coefficients that a solver keeps sparse come
as a function, and are written out when the clock has stopped. What fails is answered with a word on why.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from problem import Problem, load

WARM = 3


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a solver prints is not an answer
    warnings.simplefilter("ignore")  # a solver's own tolerance is not what it is judged by
    solver = import_module(f"solvers.{sys.argv[1]}")
    about = {"version": version(solver.PACKAGE), "works": list(solver.SOLVE), "tolerances": solver.TOLERANCES}
    print(json.dumps(about), file=answers)
    for line in sys.stdin:
        order, what = line.split()
        try:
            if order == "load":
                folder = Path(what)
                problem = load(folder)
                seconds = _solve(solver, problem.until(WARM), solver.TOLERANCES[0])[1]
            else:
                coefs, seconds = _solve(solver, problem, float(what))
                np.ascontiguousarray(coefs, dtype=np.float64).tofile(folder / "coefs")
            answer = str(seconds)
        except Exception as err:  # whatever a peer raises is its answer
            answer = f"failed: {type(err).__name__}: {err}".replace("\n", " ")
        print(answer, file=answers)


def _solve(solver: ModuleType, problem: Problem, tol: float) -> tuple[np.ndarray, float]:
    began = time.perf_counter()
    found = solver.SOLVE[problem.work](problem, tol)
    seconds = time.perf_counter() - began
    return written_out(found), seconds


def written_out(found: np.ndarray | Callable[[], np.ndarray]) -> np.ndarray:
    """Return the coefficients as an array."""
    return found() if callable(found) else found


if __name__ == "__main__":
    main()
