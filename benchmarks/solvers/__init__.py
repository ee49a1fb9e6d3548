"""The solvers by name, one file each, run in processes of their own (``process.py``).

A solver in Python is a module with ``PACKAGE``, ``TOLERANCES`` (from loose to tight) and ``SOLVE``, a table from a
work's name to a function ``(problem, tol) -> coefs (A, p)``, or ``(A, p, K)``. A work that is not in its table is one
it does not offer. In another language it says in its first line what ``worker.py`` says for these.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def _python(module: str, interpreter: str = sys.executable) -> list[str]:
    return [interpreter, str(HERE / "worker.py"), module]


OURS = "spred"

SOLVERS: dict[str, list[str]] = {
    OURS: _python("spred_path"),
    "adelie": _python("adelie_path", os.environ.get("SPRED_ADELIE", sys.executable)),
    "glmnet": ["Rscript", str(HERE / "glmnet_path.R")],
    "celer": _python("celer_path"),
    "skglm": _python("skglm_path"),
    "scikit-learn": _python("sklearn_path"),
}
"""How each is started. Those that were fastest before come first: what is slower than they are need not be tried on."""
