"""adelie: block coordinate descent in C++, with pivot screening.

It needs NumPy below 2, so an environment of its own: ``SPRED_ADELIE`` names that Python.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import adelie
import numpy as np
from problem import Problem
from scipy import sparse

PACKAGE = "adelie"
TOLERANCES = (1e-7, 1e-9, 1e-11, 1e-13, 1e-15)
THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
LARGE = 5_000_000
"""Entries of X from which on it gets all threads; below, waking them takes longer than they save."""


def lasso(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    return _path(problem, adelie.glm.gaussian(problem.y), tol)


def logistic(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    return _path(problem, adelie.glm.binomial(problem.y), tol)


def multinomial(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path, grouped over the classes; the loss is divided by their number."""
    k = problem.n_outputs
    family = adelie.glm.multinomial(np.eye(k)[problem.y.astype(int)])
    return _path(problem, family, tol, alphas=problem.alphas / k)


def cox(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path; the sum over events is divided by n."""
    time, event = np.ascontiguousarray(problem.y.T)
    return _path(problem, adelie.glm.cox(np.zeros(len(time)), time, event, tie_method="breslow"), tol)


def group_lasso(problem: Problem, tol: float) -> Callable[[], np.ndarray]:
    """Return the path."""
    starts = np.arange(0, problem.X.shape[1], problem.group_size)
    return _path(problem, adelie.glm.gaussian(problem.y), tol, groups=starts)


def _path(
    problem: Problem,
    family: object,
    tol: float,
    *,
    groups: np.ndarray | None = None,
    alphas: np.ndarray | None = None,
) -> Callable[[], np.ndarray]:
    view = adelie.matrix.sparse if sparse.issparse(problem.X) else adelie.matrix.dense
    count = problem.X.shape[1] if groups is None else len(groups)
    threads = THREADS if np.prod(problem.X.shape) >= LARGE else 1
    state = adelie.grpnet(
        view(problem.X, method="naive", n_threads=threads),
        family,
        groups=groups,
        penalty=np.ones(count),
        lmda_path=problem.alphas if alphas is None else alphas,
        intercept=False,
        early_exit=False,
        tol=tol,
        irls_tol=min(tol, 1e-7),
        progress_bar=False,
        n_threads=threads,
    )
    return state.betas.toarray


SOLVE = {"lasso": lasso, "logistic": logistic, "multinomial": multinomial, "cox": cox, "group-lasso": group_lasso}
