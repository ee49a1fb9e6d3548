"""glmnet through R (``apt install r-cran-glmnet``): coordinate descent in Fortran and C++."""

from __future__ import annotations

import shutil

import numpy as np

from solvers.outside import HERE, run

LOSSES = ("squared", "logistic")
TOLERANCES = (1e-7, 1e-9, 1e-11, 1e-13, 1e-15)


def available() -> bool:
    """Return whether R is there."""
    return shutil.which("Rscript") is not None


def solve(X: np.ndarray, y: np.ndarray, loss: str, alphas: np.ndarray, tol: float) -> tuple[np.ndarray, float]:
    """Return the coefficients along the path, and R's seconds."""
    return run(["Rscript", str(HERE / "glmnet_path.R")], X, y, loss, alphas, tol)
